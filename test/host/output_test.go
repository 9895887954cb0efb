package host_test

import (
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// outputRun feeds lines, one per chunk, to the probe output. It returns the tag and bytes of every flush.
func outputRun(t *testing.T, input string, args ...string) (result, []string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "flushes")
	r := lineRun(t, input, append([]string{"--output", plugin("out_probe.so"), "--output-prop", "file=" + file,
		"--chunk", "1", "--stats", "--retry-pause-ms", "1"}, args...)...)
	text, _ := hexLines(t, file)
	return r, text
}

func hexLines(t *testing.T, path string) (flushes []string, ok bool) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(readFile(t, path)), "\n") {
		tag, digits, _ := strings.Cut(line, " ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		flushes = append(flushes, tag+" "+string(b))
	}
	return flushes, true
}

// flushOf is the chunk of one line as the output must see it.
func flushOf(tag, line string) string {
	return tag + " \x92\x92\xd7\x00\x65\x53\xf1\x00\x00\x00\x00\x01\xdf\x00\x00\x00\x00\x81\xa3log\xc4" + string(rune(len(line))) + line
}

func TestOutputGetsFilteredChunksInOrder(t *testing.T) {
	r, got := outputRun(t, "a\nb\nc\n", "--tag", "tag.x", "--filter", plugin("flb-filter_probe.so"), "--filter-prop", "mode=upper")
	r.wantCode(t, 0).wantOut(t, record(`"log":"A"`), record(`"log":"B"`), record(`"log":"C"`))
	if want := []string{flushOf("tag.x", "A"), flushOf("tag.x", "B"), flushOf("tag.x", "C")}; !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	r.wantLog(t, "pre_register 0", "register 0", "[out_probe] init 1", "pre_run 0", "exit probe.0", "pre_exit 0", "[out_probe] exit 1", "unregister 0",
		"delivered=3 resends=0 dropped=0 undelivered=0")
}

func TestRetrySendsTheSameBytesAgain(t *testing.T) {
	r, got := outputRun(t, "a\nb\n", "--output-prop", "retries=3")
	r.wantCode(t, 0).wantLog(t, "next try in 1 ms", "next try in 2 ms", "next try in 4 ms", "delivered=2 resends=3 dropped=0 undelivered=0")
	a, b := flushOf("fortiems", "a"), flushOf("fortiems", "b")
	if want := []string{a, a, a, a, b}; !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestErrorAnswersLoseTheChunk(t *testing.T) {
	for _, answer := range []string{"0", "3", "-1"} {
		r, got := outputRun(t, "a\nb\n", "--output-prop", "answer="+answer)
		r.wantCode(t, 3).wantLog(t, "is lost: the output answered with an error", "delivered=0 resends=0 dropped=2 undelivered=0")
		if len(got) != 2 {
			t.Errorf("answer %s: %d flushes, want 2", answer, len(got))
		}
	}
}

func TestDroppedChunksAreNotFlushed(t *testing.T) {
	r := lineRun(t, "a\n", "--filter", plugin("flb-filter_probe.so"), "--filter-prop", "mode=drop",
		"--output", plugin("out_probe.so"), "--output-prop", "answer=0", "--stats")
	r.wantCode(t, 0).wantLog(t, "delivered=0 resends=0 dropped=0")
}

func TestFailedOutputInitStopsTheStart(t *testing.T) {
	lineRun(t, "a\n", "--output", plugin("out_probe.so"), "--output-prop", "init=fail").wantCode(t, 1).wantOut(t).
		wantLog(t, "[go proxy]: plugin 'out_probe' failed to initialize", "could not initialize 'out_probe'").wantNoLog(t, "] exit")
	lineRun(t, "a\n", "--output", "/nonexistent/x.so").wantCode(t, 1).wantLog(t, "error loading proxy plugin: /nonexistent/x.so")
	lineRun(t, "a\n", "--output", plugin("filter_probe.so")).wantCode(t, 1).wantLog(t, "FLBPluginRegister is missing")
}

func TestCoreKeepsItsPropertiesFromOutputs(t *testing.T) {
	r, _ := outputRun(t, "a\n", "--output-prop", "host=example", "--output-prop", "tls.verify=off", "--log-level", "debug")
	r.wantCode(t, 0).wantLog(t, "'host' is kept by the core", "'tls.verify' is kept by the core", "init 1 host=(unset) debug=1")
	r, _ = outputRun(t, "a\n")
	r.wantCode(t, 0).wantLog(t, "debug=0")
}

func TestFlushThreadsRunAtOnce(t *testing.T) {
	r, got := outputRun(t, "a\nb\nc\nd\n", "--flush-threads", "3", "--output-prop", "together=3")
	r.wantCode(t, 0).wantLog(t, "most at once 3")
	slices.Sort(got)
	if want := []string{flushOf("fortiems", "a"), flushOf("fortiems", "b"), flushOf("fortiems", "c"), flushOf("fortiems", "d")}; !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

func TestMoreChunksThanTheQueueHolds(t *testing.T) {
	in, _ := numbered(500)
	r, got := outputRun(t, in, "--quiet", "--threads", "2", "--flush-threads", "2", "--output-prop", "retries=5")
	r.wantCode(t, 0).wantLog(t, "delivered=500 resends=5")
	if len(got) != 505 {
		t.Errorf("%d flushes, want 505", len(got))
	}
}

func TestGraceEndsFlushInFlight(t *testing.T) {
	s := start(t, nil, "--syslog-udp", "127.0.0.1:0", "--output", plugin("out_probe.so"),
		"--output-prop", "together=2", "--output-prop", "answer=2", "--grace", "0", "--stats")
	s.send(t, "udp", "a")
	s.wantLines(t, "a")
	s.wantLog(t, "flush waits for 2")
	s.signal(t, syscall.SIGTERM)
	s.wantEnd(t, 3)
	s.wantLog(t, "flush ended by exit of 1")
	s.wantLog(t, "undelivered=1")
}

func TestGraceEndsHopelessDeliveries(t *testing.T) {
	for name, c := range map[string]struct {
		grace   string
		signals int
	}{"time is over": {"0", 1}, "second signal": {"3600", 2}} {
		t.Run(name, func(t *testing.T) {
			s := start(t, nil, "--syslog-udp", "127.0.0.1:0", "--output", plugin("out_probe.so"),
				"--output-prop", "answer=2", "--grace", c.grace, "--stats")
			s.send(t, "udp", "a")
			s.wantLines(t, "a")
			s.wantLog(t, "asks for the chunk again")
			s.signal(t, syscall.SIGTERM)
			if c.signals == 2 { // the kernel would merge two signals sent at once
				s.wantLog(t, "service will shutdown in max")
				s.signal(t, syscall.SIGTERM)
			}
			s.wantEnd(t, 3)
			s.wantLog(t, "is lost: not delivered in time")
			s.wantLog(t, "undelivered=1")
		})
	}
}
