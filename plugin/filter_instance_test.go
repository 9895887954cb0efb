package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime/cgo"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/option"
)

// lines collects what is logged.
type lines struct {
	mu   sync.Mutex
	text []string
}

func (l *lines) write(_ hostlog.Level, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, line)
}

func (l *lines) count(part string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, t := range l.text {
		if strings.Contains(t, part) {
			n++
		}
	}
	return n
}

func testLog() (*hostlog.Logger, *lines) {
	l := &lines{}
	return hostlog.New("filter", "fortiems", "fortiems.0", hostlog.Info, time.Hour, l.write), l
}

// fake answers Run with what the test wants.
type fake func(dst, chunk []byte) ([]byte, enrich.Stats, error)

func (f fake) Run(dst, chunk []byte) ([]byte, enrich.Stats, error) { return f(dst, chunk) }

func TestInstanceStart(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("version: 1\nrules:\n  - nonsense: true\n  - rubbish: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		set  map[string]string
		want []string // parts of the single errors; none means that it starts
	}{
		"defaults":                   {nil, nil},
		"all set":                    {map[string]string{"key_name": "raw", "schema": "flat", "timezone": "+02:00", "event_time": "off", "preserve_original": "on", "unmatched": "mark"}, nil},
		"missing rules file":         {map[string]string{"rules_file": "/nonexistent/rules.yaml"}, []string{"rules_file: reading rules: stat /nonexistent/rules.yaml: no such file or directory; valid: the path of a readable YAML rules file"}},
		"bad rules, file and line":   {map[string]string{"rules_file": bad}, []string{"rules_file: " + bad + ":3:", "rules_file: " + bad + ":4:"}},
		"bad option and rules file":  {map[string]string{"schema": "x", "rules_file": bad}, []string{`schema: "x"`, bad + ":3:", bad + ":4:"}},
		"metrics on no such host":    {map[string]string{"metrics_listen": "192.0.2.1:2112"}, []string{`metrics_listen: cannot listen on "192.0.2.1:2112": `}},
		"bad options come first":     {map[string]string{"metrics_listen": "192.0.2.1:2112", "schema": "x"}, []string{"schema"}},
		"directory as rules file":    {map[string]string{"rules_file": t.TempDir()}, []string{"not a regular file; valid: the path of a readable YAML rules file"}},
		"two bad options, two lines": {map[string]string{"schema": "x", "unmatched": "y"}, []string{"schema", "unmatched"}},
	} {
		t.Run(name, func(t *testing.T) {
			log, out := testLog()
			f, err := newFilter("fortiems.0", func(k string) string { return c.set[k] }, log)
			got := option.Errors(err)
			if len(got) != len(c.want) || (f == nil) != (len(c.want) > 0) {
				t.Fatalf("got %v, %v", f, err)
			}
			for i, part := range c.want {
				if !strings.Contains(got[i].Error(), part) {
					t.Errorf("got %q, want %q in it", got[i], part)
				}
			}
			started := 1
			if len(c.want) > 0 {
				started = 0
			}
			if out.count("version "+buildVersion()+", key_name=") != started {
				t.Errorf("log: %q", out.text)
			}
		})
	}
}

func TestOptionsReachTheEnricher(t *testing.T) {
	set := map[string]string{"key_name": "a,b", "schema": "flat", "event_time": "off", "unmatched": "drop"}
	log, _ := testLog()
	f, err := newFilter("fortiems.0", func(k string) string { return set[k] }, log)
	if err != nil {
		t.Fatal(err)
	}
	matched := []byte("\x92\x00\x81\xa1b\xbeemsserial=FCTEMS1 msg=\"offline\"")
	unmatched := []byte("\x92\x00\x81\xa1b\xa4sshd")
	out, v := f.run(nil, append(matched, unmatched...))
	if v != modified || !strings.Contains(string(out), "fortinet_ems_category") || strings.Contains(string(out), "sshd") {
		t.Errorf("%v %q", v, out)
	}
	if n := f.counts[count.Dropped].Load(); n != 1 {
		t.Errorf("%d dropped", n)
	}
}

// The estimate follows the chunks: a result that outgrows it is the exception.
func TestRoomIsLearnt(t *testing.T) {
	f := &filter{}
	const chunk = 100_000
	if f.room(0) < 4096 || f.room(chunk) < 4*chunk {
		t.Errorf("%d and %d bytes at first", f.room(0), f.room(chunk))
	}
	for _, growth := range []int{2, 7, 3, 3} {
		for range 40 {
			f.learn(growth*chunk, chunk)
		}
		if room := f.room(chunk); room < growth*chunk || room > (growth+1)*chunk {
			t.Errorf("%d times: room for %d bytes", growth, room)
		}
	}
	f.learn(1<<40, 1)
	f.learn(1, 1<<40)
	if room := f.room(1 << 30); room < 1<<30 || room > 1<<40 {
		t.Errorf("room for %d bytes", room)
	}
}

// The host gets memory of the C allocator, whether or not the result fits the estimate.
func TestResultIsInCMemory(t *testing.T) {
	log, _ := testLog()
	var first *byte // of the memory to write to
	f := &filter{log: log, enrich: fake(func(dst, chunk []byte) ([]byte, enrich.Stats, error) {
		first = unsafe.SliceData(dst)
		out := append(dst, bytes.Repeat([]byte("x"), len(chunk)*50)...)
		return append(out, 'y'), enrich.Stats{Changed: true}, nil
	})}
	handle := cgo.NewHandle(f)
	defer handle.Delete()
	data := make([]byte, 1000)
	for i, inPlace := range []bool{false, true} {
		var out unsafe.Pointer
		var n _Ctype_size_t
		if got := ftntFilterRun(_Ctype_uintptr_t(handle), unsafe.Pointer(&data[0]), _Ctype_size_t(len(data)), &out, &n); got != 1 {
			t.Fatalf("got %d", got)
		}
		if text := unsafe.Slice((*byte)(out), int(n)); len(text) != 50_001 || text[0] != 'x' || text[50_000] != 'y' {
			t.Errorf("%d bytes: %.20q", n, text)
		}
		if ((*byte)(out) == first) != inPlace {
			t.Errorf("call %d: in place %v", i, !inPlace)
		}
		_Cfunc_free(out)
	}
}

func TestVerdicts(t *testing.T) {
	for name, c := range map[string]struct {
		out  string
		st   enrich.Stats
		err  error
		want verdict
		log  string
	}{
		"nothing changed":             {"", enrich.Stats{Counts: count.Counts{count.Records: 1, count.Unmatched: 1}}, nil, untouched, ""},
		"changed":                     {"new", enrich.Stats{Counts: count.Counts{count.Records: 1, count.Matched: 1}, Changed: true}, nil, modified, ""},
		"all dropped":                 {"", enrich.Stats{Counts: count.Counts{count.Records: 2, count.Unmatched: 2, count.Dropped: 2}, Changed: true}, nil, dropped, ""},
		"corrupt":                     {"", enrich.Stats{}, errors.New("corrupt msgpack"), untouched, "passed untouched: corrupt msgpack"},
		"corrupt with half a result":  {"half", enrich.Stats{Changed: true}, errors.New("corrupt msgpack"), untouched, "corrupt msgpack"},
		"empty though one was kept":   {"", enrich.Stats{Counts: count.Counts{count.Records: 2, count.Dropped: 1}, Changed: true}, nil, untouched, "empty result"},
		"empty though none is to go":  {"", enrich.Stats{Counts: count.Counts{count.Records: 2, count.Matched: 2}, Changed: true}, nil, untouched, "empty result"},
		"empty without a record":      {"", enrich.Stats{Changed: true}, nil, untouched, "empty result"},
		"event time ahead of receipt": {"new", enrich.Stats{Counts: count.Counts{count.Records: 3, count.Matched: 3, count.Ahead: 2}, Changed: true}, nil, modified, "event time of 2 records is more than 10 minutes ahead"},
	} {
		t.Run(name, func(t *testing.T) {
			log, out := testLog()
			f := &filter{log: log, enrich: fake(func(dst, chunk []byte) ([]byte, enrich.Stats, error) {
				if string(chunk) != "chunk" || len(dst) != 0 {
					t.Errorf("Run got dst %q, chunk %q", dst, chunk)
				}
				return append(dst, c.out...), c.st, c.err
			})}
			for range 3 {
				out, got := f.run(make([]byte, 0, 8), []byte("chunk"))
				if got != c.want {
					t.Fatalf("got %v, want %v", got, c.want)
				}
				if c.want == modified && string(out) != c.out || c.want != modified && out != nil {
					t.Errorf("got %q", out)
				}
			}
			if c.log == "" && len(out.text) > 0 || c.log != "" && (len(out.text) != 1 || out.count(c.log) != 1) {
				t.Errorf("log: %q, want one line with %q", out.text, c.log)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	log, out := testLog()
	f := &filter{log: log, enrich: fake(func(dst, chunk []byte) ([]byte, enrich.Stats, error) {
		if len(chunk) == 0 {
			return dst, enrich.Stats{}, errors.New("corrupt")
		}
		st := enrich.Stats{Counts: count.Counts{count.Records: 11, count.Matched: 6, count.Unmatched: 4, count.Passed: 1, count.Dropped: 3, count.Marked: 1, count.Ahead: 2}, Changed: true}
		st.Counts[count.Category(dict.VPN)] = 4
		st.Counts[count.Category(dict.Unknown)] = 2
		return append(dst, 'x'), st, nil
	})}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 25 {
				f.run(nil, []byte("chunk"))
			}
		})
	}
	wg.Wait()
	f.run(nil, nil)
	f.outOfMemory(1, time.Now())
	f.panicked("x", time.Now())
	f.close()
	want := "filtered 1100 records: 600 FortiEMS, 400 unmatched, 100 marked, 300 dropped, 100 without a raw line, 200 ahead of time," +
		" 1 corrupt chunks, 1 chunks without memory, 1 internal errors; unknown 200, ems-vpn 400"
	if out.count("[filter:fortiems:fortiems.0] "+want) != 1 {
		t.Errorf("got %q\nwant %q", out.text[len(out.text)-1], want)
	}
}

// What C hands over is checked before it is used, whatever it is.
func TestHostileCalls(t *testing.T) {
	var out unsafe.Pointer
	data := []byte("chunk")
	at := unsafe.Pointer(&data[0])
	log, _ := testLog()
	handle := cgo.NewHandle(&filter{log: log, enrich: fake(func(dst, _ []byte) ([]byte, enrich.Stats, error) {
		t.Error("the enricher was called")
		return dst, enrich.Stats{}, nil
	})})
	defer handle.Delete()
	for name, answer := range map[string]int{
		"no instance":    int(ftntFilterRun(0, at, 5, &out, new(_Ctype_size_t))),
		"stale instance": int(ftntFilterRun(1<<40, at, 5, &out, new(_Ctype_size_t))),
		"no data":        int(ftntFilterRun(_Ctype_uintptr_t(handle), nil, 5, &out, new(_Ctype_size_t))),
		"no bytes":       int(ftntFilterRun(_Ctype_uintptr_t(handle), at, 0, &out, new(_Ctype_size_t))),
		"endless":        int(ftntFilterRun(_Ctype_uintptr_t(handle), at, 1<<63, &out, new(_Ctype_size_t))),
		"no out":         int(ftntFilterRun(_Ctype_uintptr_t(handle), at, 5, nil, new(_Ctype_size_t))),
		"no out size":    int(ftntFilterRun(_Ctype_uintptr_t(handle), at, 5, &out, nil)),
	} {
		if answer != 2 || out != nil {
			t.Errorf("%s: got %d, %v", name, answer, out)
		}
	}
	ftntFilterExit(0)
	ftntFilterExit(1 << 40)
	if FLBPluginRegister(nil) != -1 || ftntOutputFlush(0, at, 5, nil) != 2 || ftntOutputFlush(1<<40, at, 5, nil) != 2 || ftntOutputExit(0) != 1 || ftntOutputExit(1<<40) != 1 {
		t.Error("the output takes what it cannot handle")
	}
	FLBPluginUnregister(nil)
}

func TestPanicPassesTheChunkUntouched(t *testing.T) {
	log, lines := testLog()
	f := &filter{log: log, enrich: fake(func(dst, chunk []byte) ([]byte, enrich.Stats, error) {
		if len(chunk) == 5 {
			panic("secret payload")
		}
		return dst[:cap(dst)+len(chunk)], enrich.Stats{}, nil // a bounds error of the runtime
	})}
	handle := _Ctype_uintptr_t(cgo.NewHandle(f))
	var out unsafe.Pointer
	data := []byte("chunk")
	for n := 1; n <= 5; n++ {
		if got := ftntFilterRun(handle, unsafe.Pointer(&data[0]), _Ctype_size_t(n), &out, new(_Ctype_size_t)); got != 2 || out != nil {
			t.Errorf("%d bytes: got %d, %v", n, got, out)
		}
	}
	ftntFilterExit(handle)
	if f.counts[count.Panics].Load() != 5 || lines.count("internal error, chunk passed untouched: ") != 1 || lines.count("secret") != 0 || lines.count("5 internal errors") != 1 {
		t.Errorf("%d panics, log %q", f.counts[count.Panics].Load(), lines.text)
	}
	f.enrich = fake(func(dst, _ []byte) ([]byte, enrich.Stats, error) {
		t.Error("an ended instance takes a chunk")
		return dst, enrich.Stats{}, nil
	})
	ftntFilterRun(handle, unsafe.Pointer(&data[0]), 1, &out, new(_Ctype_size_t))
}

func TestStartWithoutAHost(t *testing.T) {
	// The host's functions are not in this process: every option reads as unset.
	handle := ftntFilterInit(nil, nil, 0)
	if handle == 0 {
		t.Fatal("defaults are refused")
	}
	ftntFilterExit(handle)
}

func TestHostLevel(t *testing.T) {
	for in, want := range map[int]hostlog.Level{-1: hostlog.Info, 0: hostlog.Off, 1: hostlog.Error, 4: hostlog.Debug, 5: 5} {
		if got := hostLevel(in); got != want {
			t.Errorf("%d: got %d, want %d", in, got, want)
		}
	}
}
