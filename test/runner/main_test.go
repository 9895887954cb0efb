package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestResults(t *testing.T) {
	events := `{"Action":"output","Package":"fluent-bit-fortiems/test/a","Test":"TestX","Output":"    x_test.go:1: not run: arm64 needs qemu-aarch64\n"}
{"Action":"skip","Package":"fluent-bit-fortiems/test/a","Test":"TestX"}
{"Action":"output","Package":"fluent-bit-fortiems/test/a","Test":"TestY/sub","Output":"    y_test.go:1: not run: arm64 needs qemu-aarch64\n"}
{"Action":"skip","Package":"fluent-bit-fortiems/test/a","Test":"TestY/sub"}
{"Action":"output","Package":"fluent-bit-fortiems/test/b","Test":"TestZ","Output":"    z_test.go:1: not run: installing needs root\n"}
{"Action":"skip","Package":"fluent-bit-fortiems/test/b","Test":"TestZ"}
{"Action":"skip","Package":"fluent-bit-fortiems/test/b","Test":"FuzzA/seed#1"}
{"Action":"pass","Package":"fluent-bit-fortiems/test/a","Test":"TestY"}
{"Action":"pass","Package":"fluent-bit-fortiems/test/a","Elapsed":61.7}
{"Action":"output","Package":"fluent-bit-fortiems/test/b","Test":"TestW","Output":"    w_test.go:1: the cause\n"}
{"Action":"fail","Package":"fluent-bit-fortiems/test/b","Test":"TestW"}
{"Action":"output","Package":"fluent-bit-fortiems/test/b","Output":"FAIL\n"}
{"Action":"output","Package":"fluent-bit-fortiems/test/b","Output":"FAIL\tfluent-bit-fortiems/test/b\t3.1s\n"}
{"Action":"fail","Package":"fluent-bit-fortiems/test/b","Elapsed":3.1}
no json
{"Action":"skip","Package":"fluent-bit-fortiems/test/c"}
`
	r := newResults(2)
	var out bytes.Buffer
	r.read(strings.NewReader(events), &out)
	r.writeNotRun(&out)
	if r.passed != 1 || r.failed != 1 {
		t.Errorf("%d passed, %d failed", r.passed, r.failed)
	}
	want := `ok    test/a                              62 s   1 of 2
FAIL  test/b TestW
    w_test.go:1: the cause
FAIL  test/b                               3 s   2 of 2
no json

not run: 3 tests, by what they need
  arm64 needs qemu-aarch64
    test/a: TestX, TestY/sub
  installing needs root
    test/b: TestZ
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}

func TestAnnounce(t *testing.T) {
	for _, c := range []struct {
		fluentBits, cpus int
		last             time.Duration
		want             []string
	}{
		{0, 2, 0, []string{"46 packages", "FLUENT_BIT names one", "about 7 minutes on 2 cores"}},
		{1, 2, 0, []string{"1 real Fluent Bit", "about 9 minutes on 2 cores"}},
		{0, 64, 0, []string{"about 3 minutes on 64 cores"}}, // not less than on 4
		{0, 0, 0, []string{"about 14 minutes on 0 cores"}},
		{1, 2, 75 * time.Second, []string{"the last run here took 75 seconds"}},
		{1, 2, 500 * time.Second, []string{"took 8 minutes"}},
	} {
		got := announce(46, c.fluentBits, c.cpus, c.last)
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in %q", want, got)
			}
		}
	}
}

func TestTimesAreKept(t *testing.T) {
	old := timesFile
	defer func() { timesFile = old }()
	timesFile = t.TempDir() + "/times.json"
	if lastRun(0) != 0 {
		t.Error("a time without a run")
	}
	remember(0, time.Minute)
	remember(1, time.Hour)
	if lastRun(0) != time.Minute || lastRun(1) != time.Hour || lastRun(2) != 0 {
		t.Errorf("%v", readTimes())
	}
}
