package host_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// filterRun feeds lines through the probe filter in the given mode.
func filterRun(t *testing.T, input, mode string, args ...string) result {
	t.Helper()
	return lineRun(t, input, append([]string{"--filter", plugin("flb-filter_probe.so"), "--filter-prop", "mode=" + mode}, args...)...)
}

func TestFilterAnswers(t *testing.T) {
	t.Run("modified", func(t *testing.T) {
		filterRun(t, "abc\n\nd\xff\n", "upper").wantCode(t, 0).
			wantOut(t, record(`"log":"ABC"`), record(`"log":""`), record("\"log\":\"D\ufffd\""))
	})
	t.Run("modified to nothing", func(t *testing.T) {
		filterRun(t, "abc\n", "drop", "--stats").wantCode(t, 0).wantOut(t).wantLog(t, "records_in=1 records_out=0", "modified=1", "emptied=1")
	})
	t.Run("not touched", func(t *testing.T) {
		filterRun(t, "abc\n", "notouch", "--stats").wantCode(t, 0).wantOut(t, record(`"log":"abc"`)).wantLog(t, "modified=0 not_touched=1")
	})
	t.Run("unknown answer means not touched", func(t *testing.T) {
		filterRun(t, "abc\n", "answer").wantCode(t, 0).wantOut(t, record(`"log":"abc"`)).wantLog(t, "answered 7")
	})
	t.Run("buffer with a chunk that is not touched", func(t *testing.T) {
		filterRun(t, "abc\n", "leak").wantCode(t, 0).wantOut(t, record(`"log":"abc"`)).wantLog(t, "Fluent Bit would leak it")
	})
	t.Run("tag, size and instance arrive", func(t *testing.T) {
		filterRun(t, "abc\n", "who", "--tag", "t.a.g").wantCode(t, 0).
			wantOut(t, `{"@timestamp":"1970-01-01T00:00:01.000000002Z","who":"probe.0 t.a.g 27 1"}`)
	})
}

func TestMalformedResultEndsTheRun(t *testing.T) {
	for mode, want := range map[string]string{
		"garbage": "malformed chunk: byte 0 of 27",
		"cut":     "malformed chunk: byte 0 of 26",
		"null":    "returned no buffer",
	} {
		t.Run(mode, func(t *testing.T) {
			for _, extra := range [][]string{nil, {"--quiet"}, {"--threads", "2"}} {
				filterRun(t, "abc\nd\n", mode, append(extra, "--chunk", "1")...).wantCode(t, 2).wantLog(t, want).wantOut(t)
			}
		})
	}
	t.Run("events before the damage are printed", func(t *testing.T) {
		filterRun(t, "a\nb\n", "cut").wantCode(t, 2).wantOut(t, record(`"log":"a"`))
	})
}

func TestGuardStopsStrayAccess(t *testing.T) {
	for _, mode := range []string{"read", "write"} {
		t.Run(mode, func(t *testing.T) {
			r := filterRun(t, "abc\n", mode, "--guard")
			if r.code == 0 || !strings.Contains(r.log, "SEGV") {
				t.Errorf("exit status %d\n%s", r.code, r.log)
			}
		})
	}
}

func TestFilterOptions(t *testing.T) {
	const allowed = "The following properties are allowed: mode, init, prerun, context, number, and list."
	for name, c := range map[string]struct {
		props []string
		code  int
		log   string
	}{
		"unknown":                 {[]string{"mod=upper"}, 1, "[config] probe: unknown configuration property 'mod'. " + allowed},
		"unknown with known head": {[]string{"modes=upper"}, 1, "unknown configuration property 'modes'"},
		"set twice":               {[]string{"mode=upper", "mode=upper"}, 1, "[config] probe: configuration property 'mode' is set 2 times"},
		"may be set twice":        {[]string{"list=x", "list=y"}, 0, "list=x"},
		"any case":                {[]string{"MODE=drop"}, 0, "mode=drop"},
		"default is not reported": {nil, 0, "mode=(unset) list=(unset) number=(unset)"},
		"kept by the core":        {[]string{"Match=*", "log_level=debug"}, 0, "init probe.0 "},
		"alias":                   {[]string{"alias=mine"}, 0, "init mine "},
		"value with equals":       {[]string{"list=a=b"}, 0, "list=a=b"},
		"environment":             {[]string{"list=<${HOST_TEST}-${HOST_TEST_UNSET:-x}>"}, 0, "list=<value-x>"},
		"unset environment":       {[]string{"list=<${HOST_TEST_UNSET}>"}, 0, "${HOST_TEST_UNSET} is used but not set"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOST_TEST", "value")
			args := []string{"--input", "/dev/null", "--filter", plugin("flb-filter_probe.so")}
			for _, p := range c.props {
				args = append(args, "--filter-prop", p)
			}
			run(t, "", args...).wantCode(t, c.code).wantLog(t, c.log)
		})
	}
}

func TestFilterHelpPrintsTheOptions(t *testing.T) {
	for _, abi := range releases {
		r := run(t, "", "--filter", plugin("flb-filter_probe.so"), "--filter-help", "--abi", abi.name).wantCode(t, 0)
		r.wantNoLog(t, "init")
		for _, want := range []string{
			"probe filter plugin\n", "DESCRIPTION\nFilter for tests\n",
			"mode     what becomes of a chunk\n         > default: notouch, type: string\n",
			"init     fail\n         > type: string\n",
			"is wider than\n         the ninety columns allow\n         > default: 7, type: integer\n",
			"> default: a,b, type: multiple comma delimited strings\n",
		} {
			if !strings.Contains(r.out, want) {
				t.Errorf("%s: no %q in\n%s", abi.name, want, r.out)
			}
		}
	}
}

var releases = []struct{ name, raw string }{{"2.2", "hidden"}, {"5.0.2", "hidden"}, {"5.1.1", "visible"}}

func TestReleasesDifferInLayoutAndSymbols(t *testing.T) {
	for _, abi := range releases {
		t.Run(abi.name, func(t *testing.T) {
			filterRun(t, "a\n", "upper", "--abi", abi.name, "--filter-prop", "list=x").wantCode(t, 0).
				wantOut(t, record(`"log":"A"`)).wantLog(t, "pre_run probe.0", "init probe.0 mode=upper list=x", "raw="+abi.raw, "exit probe.0")
			filterRun(t, "a\n", "upper", "--abi", abi.name, "--filter-prop", "bad=x").wantCode(t, 1).wantLog(t, "number, and list.")
		})
	}
	filterRun(t, "a\n", "upper").wantCode(t, 0).wantLog(t, "raw=visible")
}

func TestArrayOfAnotherReleaseIsRefused(t *testing.T) {
	for _, abi := range releases {
		run(t, "", "--input", "/dev/null", "--filter", plugin("flb-filter_wrong.so"), "--filter-prop", "list=x", "--abi", abi.name).
			wantCode(t, 1).wantLog(t, "laid out for another release")
	}
}

func TestShortStructureIsRefused(t *testing.T) {
	args := []string{"--input", "/dev/null", "--filter", plugin("flb-filter_short.so"), "--abi"}
	run(t, "", append(args, "2.2")...).wantCode(t, 0).wantLog(t, "init probe.0")
	run(t, "", append(args, "5.0.2")...).wantCode(t, 1).wantLog(t, "has 80 bytes, this release copies 88")
}

func TestFilterThatCannotBeLoaded(t *testing.T) {
	for name, c := range map[string]struct{ path, log string }{
		"no such file":       {"/nonexistent/flb-filter_x.so", "dlopen()"},
		"no object":          {tempFile(t, "text"), "dlopen()"},
		"wrong prefix":       {plugin("filter_probe.so"), "invalid plugin prefix: filter_probe.so"},
		"no filter":          {plugin("flb-in_probe.so"), "not a filter"},
		"structure missing":  {plugin("flb-filter_nothing.so"), "registration structure is missing 'filter_nothing_plugin'"},
		"output as a filter": {plugin("out_probe.so"), "invalid plugin prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, "", "--input", "/dev/null", "--filter", c.path).wantCode(t, 1).wantLog(t, c.log, "error loading DSO C plugin: "+c.path)
		})
	}
}

func TestFailedInitStopsTheStart(t *testing.T) {
	filterRun(t, "a\n", "upper", "--filter-prop", "init=fail").wantCode(t, 1).wantOut(t).
		wantLog(t, "init probe.0", "Failed initialize filter probe.0").wantNoLog(t, "exit probe")
	filterRun(t, "a\n", "upper", "--filter-prop", "prerun=fail").wantCode(t, 1).wantOut(t).
		wantLog(t, "Failed pre_run callback on filter probe.0").wantNoLog(t, "init probe")
}

func TestExitIsCalledOnlyWithAContext(t *testing.T) {
	filterRun(t, "a\n", "upper", "--filter-prop", "context=none").wantCode(t, 0).
		wantOut(t, record(`"log":"a"`)).wantNoLog(t, "exit probe")
}

// numbered returns lines 0 to n-1 and their records with upper-case text.
func numbered(n int) (string, []string) {
	var in strings.Builder
	want := make([]string, n)
	for i := range n {
		fmt.Fprintf(&in, "line %d\n", i)
		want[i] = record(fmt.Sprintf(`"log":"LINE %d"`, i))
	}
	return in.String(), want
}

func TestThreadsHaveTheirOwnInstancesAndKeepTheOrder(t *testing.T) {
	in, want := numbered(5000)
	r := filterRun(t, in, "upper", "--threads", "4", "--instances", "2", "--chunk", "7", "--stats").wantCode(t, 0).wantOut(t, want...)
	for i := range 8 {
		r.wantLog(t, fmt.Sprintf("init probe.%d ", i), fmt.Sprintf("exit probe.%d\n", i))
	}
	r.wantLog(t, "records_in=5000 records_out=5000", "chunks=715 modified=715")
}

// who runs the probe over one-line chunks and returns instance and call count of every answer.
func who(t *testing.T, lines int, args ...string) []string {
	t.Helper()
	r := filterRun(t, strings.Repeat("x\n", lines), "who", append(args, "--chunk", "1")...).wantCode(t, 0)
	var seen []string
	for _, line := range r.lines() {
		var rec struct{ Who string }
		if err := json.Unmarshal([]byte(line), &rec); err != nil {
			t.Fatal(err)
		}
		f := strings.Fields(rec.Who)
		seen = append(seen, f[0]+" "+f[3])
	}
	return seen
}

func TestInstancesTakeTurns(t *testing.T) {
	got := strings.Join(who(t, 5, "--instances", "2"), ", ")
	if want := "probe.0 1, probe.1 1, probe.0 2, probe.1 2, probe.0 3"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestChainSendsAChunkThroughAllInstances(t *testing.T) {
	got := strings.Join(who(t, 2, "--instances", "3", "--chain"), ", ")
	if want := "probe.2 1, probe.2 2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	filterRun(t, "abc\n", "drop", "--instances", "2", "--chain").wantCode(t, 0).wantOut(t)
}

func TestReloadBetweenChunks(t *testing.T) {
	in, want := numbered(10)
	for _, threads := range []string{"1", "3"} {
		r := filterRun(t, in, "upper", "--chunk", "3", "--reload", "6", "--threads", threads,
			"--output", plugin("out_probe.so")).wantCode(t, 0).wantOut(t, want...)
		r.wantLog(t, "init probe.0", "[out_probe] init 1", "[out_probe] pre_run 1",
			"[reload] loading", "[out_probe] pre_register 1", "[out_probe] register", "stop everything", "exit probe.0",
			"[out_probe] pre_exit 1", "[out_probe] exit 1", "[out_probe] unregister", "start everything", "init probe.0", "[out_probe] init 2")
		if n := strings.Count(r.log, "] init probe.0"); n != 7 {
			t.Errorf("%d starts of instance 0, want 7\n%s", n, r.log)
		}
		r.wantLog(t, "[out_probe] init 7", "[out_probe] pre_exit 0", "[out_probe] exit 7")
	}
}

func TestDaemonForksBetweenLoadingAndInit(t *testing.T) {
	filterRun(t, "a\n", "upper").wantCode(t, 0).wantLog(t, "forked=no")
	filterRun(t, "a\n", "upper", "--daemon").wantCode(t, 0).wantOut(t, record(`"log":"A"`)).
		wantLog(t, "switching to background mode", "forked=yes", "exit probe.0")
	filterRun(t, "a\n", "upper", "--daemon", "--filter-prop", "init=fail").wantCode(t, 1)
	filterRun(t, "a\n", "garbage", "--daemon").wantCode(t, 2)
}

func TestGroupMarkersAreNotRecords(t *testing.T) {
	dump := filepath.Join(t.TempDir(), "dump")
	filterRun(t, "a\nb\n", "notouch", "--group", "--stats", "--dump-chunk", dump).wantCode(t, 0).
		wantOut(t, record(`"log":"a"`), record(`"log":"b"`)).wantLog(t, "records_out=2 group_markers=2 not_events=0")
	if !strings.HasSuffix(readFile(t, dump), "\xdf\x00\x00\x00\x00\xdf\x00\x00\x00\x00") {
		t.Error("the dump does not end with a group end")
	}
}
