package main

import (
	"strings"
	"testing"

	"fluent-bit-fortiems/test/bench"
)

func TestRows(t *testing.T) {
	for _, c := range []struct {
		got  row
		want row
	}{
		{atMost("x", " µs", 0.6, 0.6), row{"x", "≤ 0.60 µs", "0.60 µs", "met"}},
		{atMost("x", " µs", 0.601, 0.6), row{"x", "≤ 0.60 µs", "0.60 µs", "NOT MET"}},
		{atMost("x", "", 0, 0), row{"x", "≤ 0", "0", "met"}},
		{atMost("x", " ×", 0.0512, 0.08), row{"x", "≤ 0.080 ×", "0.051 ×", "met"}},
		{atLeast("x", "/s", 57999, 58000), row{"x", "≥ 58000/s", "57999/s", "NOT MET"}},
		{atLeast("x", "/s", 58001, 58000), row{"x", "≥ 58000/s", "58001/s", "met"}},
	} {
		if c.got != c.want {
			t.Errorf("%+v, want %+v", c.got, c.want)
		}
	}
}

func TestWithoutFluentBitRowsAreNotRun(t *testing.T) {
	for _, r := range append(insideFluentBit(bench.Results{"fortiems": 2, "none": 1, "copy": 1}), output(nil, bench.Results{"output-mib": 5})[:2]...) {
		if r.met != "" || !strings.HasPrefix(r.measured, "not run: ") {
			t.Errorf("%+v", r)
		}
	}
}

func TestRatiosInsideFluentBit(t *testing.T) {
	rows := insideFluentBit(bench.Results{"fortiems": 2, "logfmt": 4, "regex": 7, "lua": 40})
	for i, want := range []string{"met", "NOT MET", "met"} {
		if rows[i].met != want {
			t.Errorf("%+v, want %s", rows[i], want)
		}
	}
}

func TestTableCounts(t *testing.T) {
	var out strings.Builder
	if err := table(&out, []row{atMost("a", "", 1, 2), atMost("b", "", 3, 2), notRun("c", "≤ 1", "no Fluent Bit")}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "1 of 2 targets met, 1 not run\n") {
		t.Error(out.String())
	}
}

// TestCompare checks that ten times the work takes more than three times the time.
func TestCompare(t *testing.T) {
	sum := uint64(0)
	spin := func(n int) *work {
		return &work{events: 1, run: func() error {
			for i := range n {
				sum = sum*31 + uint64(i)
			}
			return nil
		}}
	}
	took, err := compare(spin(1_000_000), spin(10_000_000))
	if err != nil || took[1].median < 3*took[0].median || took[1].fastest < 3*took[0].fastest || took[0].fastest > took[0].median {
		t.Errorf("%v %v (%d)", took, err, sum)
	}
}
