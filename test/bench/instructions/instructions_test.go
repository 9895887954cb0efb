package main

import (
	"os"
	"slices"
	"testing"

	"fluent-bit-fortiems/test/bench"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		old, now float64
		want     verdict
	}{{1000, 1000, same}, {1000, 1049, same}, {1000, 1051, above}, {1000, 995, same}, {1000, 980, below}, {0, 1, above}} {
		if got := judge(c.old, c.now); got != c.want {
			t.Errorf("judge(%v, %v) = %v, want %v", c.old, c.now, got, c.want)
		}
	}
}

func TestReportFailsAboveTheBaselineOnly(t *testing.T) {
	of := func(platform string, n float64) baseline {
		b := baseline{platform: platform, count: map[string]float64{}}
		for _, c := range bench.Cases {
			b.count[c.Name] = n
		}
		return b
	}
	old := of("go1 amd64", 1000)
	more := of("go1 amd64", 1000)
	more.count[bench.Cases[1].Name] = 1100
	for name, c := range map[string]struct {
		now  baseline
		fail bool
	}{
		"as before":        {of("go1 amd64", 1001), false},
		"fewer":            {of("go1 amd64", 500), false},
		"one case above":   {more, true},
		"another compiler": {of("go2 amd64", 2000), false},
	} {
		if err := report(old, c.now); (err != nil) != c.fail {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBaselineFile(t *testing.T) {
	text, err := os.ReadFile("baseline.tsv")
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, c := range bench.Cases {
		names = append(names, c.Name)
	}
	b, err := parseBaseline(string(text), names)
	if err != nil || b.platform == "" || len(b.count) != len(names) {
		t.Errorf("%v %+v", err, b)
	}
	for _, bad := range []string{"", "platform\tx\nems\t5\n", "ems\tmany\n", string(text) + "other\t-1\n"} {
		if _, err := parseBaseline(bad, names); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

func TestTotal(t *testing.T) {
	if n, err := total([]byte("version: 1\nsummary: 7\n\n5 6\ntotals: 66809639\n")); n != 66809639 || err != nil {
		t.Error(n, err)
	}
	for _, bad := range []string{"", "totals: x\n", "totals:\n"} {
		if n, err := total([]byte(bad)); err == nil {
			t.Errorf("%q is %d", bad, n)
		}
	}
}

func TestShares(t *testing.T) {
	got := shares("Thresholds:       97\n" +
		"66,809,639 (100.0%)  PROGRAM TOTALS\n" +
		"10,737,000 (16.07%)  plugin/enrich/encode.go:fluent-bit-fortiems/plugin/enrich.(*encoder).fields [/tmp/events]\n" +
		"   702,016 ( 1.05%)  parser/words.go:fluent-bit-fortiems/parser.(*Rules).apply\n")
	want := []share{
		{10737000, 16.07, "encode.go", "plugin/enrich.(*encoder).fields"},
		{702016, 1.05, "words.go", "parser.(*Rules).apply"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestCases checks that a chunk of every case is complete and has the requested number of
// events.
func TestCases(t *testing.T) {
	for _, c := range bench.Cases {
		one, err := c.Chunk("../../..", 12)
		if err != nil {
			t.Fatal(err)
		}
		if two, err := c.Chunk("../../..", 24); err != nil || len(two) != 2*len(one) {
			t.Errorf("%s: %d bytes, then %d, %v", c.Name, len(one), len(two), err)
		}
	}
	if _, err := bench.Find("nothing"); err == nil {
		t.Error("a case that is not there was found")
	}
}
