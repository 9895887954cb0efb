package reference

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
)

// Every line is received at 2024-12-05T10:00:00.123456789Z.
const receivedSec, receivedNsec = 1733392800, 123456789

var received = time.Unix(receivedSec, receivedNsec)

const builtinRules = "../../parser/rules.yaml"

// defaultLines is how many lines are compared unless FORTIEMS_DIFFERENTIAL says
// otherwise, and a seed may be set with FORTIEMS_SEED.
const defaultLines, defaultSeed = 20_000, 1

func fromEnv(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s: %v", name, text, err)
	}
	return n
}

// side is one set of options, for both.
type side struct {
	slow Options
	fast *enrich.Enricher
}

func sides(t testing.TB) (all []side) {
	t.Helper()
	zone := func(name string) *time.Location {
		loc, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return loc
	}
	rules, err := ReadRules(builtinRules)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{
		{Location: time.UTC, EventTime: true},
		{Location: zone("Europe/Paris"), EventTime: true, Mark: true},
		{Location: zone("America/St_Johns"), PreserveOriginal: true},
		{Location: zone("Australia/Lord_Howe"), EventTime: true, Flat: true, Mark: true, PreserveOriginal: true},
	} {
		o.Rules = rules
		eo := enrich.Options{Location: o.Location, EventTime: o.EventTime, PreserveOriginal: o.PreserveOriginal}
		if o.Flat {
			eo.Schema = option.Flat
		}
		if o.Mark {
			eo.Unmatched = option.Mark
		}
		all = append(all, side{o, enrich.New(eo)})
	}
	return all
}

// sample is one incoming record. The raw line stands at raw.
type sample struct {
	in  []Incoming
	raw int
}

func (s sample) line() string { return textOf(s.in[s.raw].Value) }

// withLine returns the sample with another line.
func (s sample) withLine(line string) sample {
	s.in = slices.Clone(s.in)
	if _, ok := s.in[s.raw].Value.([]byte); ok {
		s.in[s.raw].Value = []byte(line)
	} else {
		s.in[s.raw].Value = line
	}
	return s
}

func (s sample) chunk(t testing.TB) []byte {
	b := event.AppendTime([]byte{0x92, 0x92}, receivedSec, receivedNsec)
	b = msgp.AppendMapHeader(append(b, 0xdf, 0, 0, 0, 0), uint32(len(s.in)))
	for _, p := range s.in {
		var err error
		if b, err = msgp.AppendIntf(msgp.AppendString(b, p.Key), p.Value); err != nil {
			t.Error(err)
		}
	}
	return b
}

// decode is a plain reader of MessagePack that refuses a key that is there twice.
func decode(b []byte) (v any, rest []byte, err error) {
	switch msgp.NextType(b) {
	case msgp.MapType:
		n, rest, err := msgp.ReadMapHeaderBytes(b)
		m := map[string]any{}
		for ; n > 0 && err == nil; n-- {
			var k string
			if k, rest, err = msgp.ReadStringBytes(rest); err != nil {
				break
			}
			if _, ok := m[k]; ok {
				return nil, nil, fmt.Errorf("%q is there twice", k)
			}
			m[k], rest, err = decode(rest)
		}
		return m, rest, err
	case msgp.ArrayType:
		n, rest, err := msgp.ReadArrayHeaderBytes(b)
		l := []any{}
		for ; n > 0 && err == nil; n-- {
			var v any
			v, rest, err = decode(rest)
			l = append(l, v)
		}
		return l, rest, err
	case msgp.BinType:
		v, rest, err := msgp.ReadBytesZC(b)
		return append([]byte{}, v...), rest, err
	case msgp.IntType, msgp.UintType:
		return discard3(msgp.ReadInt64Bytes(b))
	}
	return discard3(msgp.ReadIntfBytes(b))
}

func discard3[T any](v T, rest []byte, err error) (any, []byte, error) { return v, rest, err }

// differences tells where both disagree about a sample, nothing when they agree.
func (sd side) differences(t testing.TB, s sample) (where []string) {
	want := Enrich(s.in, s.raw, received, sd.slow)
	chunk := s.chunk(t)
	out, st, err := sd.fast.Run(nil, chunk)
	if err != nil {
		return []string{"error: " + err.Error()}
	}
	if matched := st.Counts[count.Matched] == 1; matched != want.Matched {
		return []string{fmt.Sprintf("matched: fast %v, reference %v", matched, want.Matched)}
	}
	if !st.Changed {
		if want.Record != nil {
			return []string{"passed by the fast path"}
		}
		return nil
	}
	ev, rest, err := event.Next(out)
	if err != nil || len(rest) > 0 {
		return []string{"not one event"}
	}
	v, _, err := decode(ev.Record)
	if err != nil {
		return []string{"record: " + err.Error()}
	}
	got := v.(map[string]any)
	if at := time.Unix(ev.Sec, int64(ev.Nsec)); !at.Equal(want.Time) {
		where = append(where, fmt.Sprintf("@timestamp: fast %v, reference %v", at.UTC(), want.Time.UTC()))
	}
	return compare(where, "", got, want.Record)
}

func compare(where []string, path string, got, want map[string]any) []string {
	for _, k := range slices.Sorted(keysOf(got, want)) {
		g, inGot := got[k]
		w, inWant := want[k]
		gm, isMap := g.(map[string]any)
		wm, areMaps := w.(map[string]any)
		switch {
		case isMap && areMaps:
			where = compare(where, path+k+".", gm, wm)
		case inGot != inWant || !reflect.DeepEqual(g, w):
			where = append(where, fmt.Sprintf("%s%s: fast %#v, reference %#v", path, k, g, w))
		}
	}
	return where
}

func keysOf(maps ...map[string]any) func(yield func(string) bool) {
	all := map[string]bool{}
	for _, m := range maps {
		for k := range m {
			all[k] = true
		}
	}
	return func(yield func(string) bool) {
		for k := range all {
			if !yield(k) {
				return
			}
		}
	}
}

// kind is what differs without the values, so that a defect is told once.
func kind(where []string) string {
	var names []string
	for _, w := range where {
		name, _, _ := strings.Cut(w, ": ")
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// minimise cuts bytes off a line as long as the same kind of difference stays.
func (sd side) minimise(t testing.TB, s sample) sample {
	want := kind(sd.differences(t, s))
	for n := len(s.line()) / 2; n > 0; n /= 2 {
		for i := 0; i+n <= len(s.line()); {
			if shorter := s.withLine(s.line()[:i] + s.line()[i+n:]); kind(sd.differences(t, shorter)) == want {
				s = shorter
			} else {
				i += n
			}
		}
	}
	return s
}

func corpusLines(t testing.TB) (lines []string) {
	t.Helper()
	files, err := filepath.Glob("../corpus/*/input.log")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files of the corpus, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
	}
	return lines
}

// report tells of a difference, each kind once, at most ten of them.
type report struct {
	sync.Mutex
	told map[string]bool
}

// full tells that enough was told.
func (r *report) full() bool {
	r.Lock()
	defer r.Unlock()
	return len(r.told) >= mostTold
}

const mostTold = 10

func (r *report) tell(t *testing.T, sd side, s sample, where []string) {
	r.Lock()
	defer r.Unlock()
	k := kind(where)
	if r.told[k] || len(r.told) >= mostTold {
		return
	}
	r.told[k] = true
	s = sd.minimise(t, s)
	t.Errorf("%q (schema flat: %v, zone %v)\n  %s", s.line(), sd.slow.Flat, sd.slow.Location, strings.Join(sd.differences(t, s), "\n  "))
}

func TestCorpusGivesTheSameRecords(t *testing.T) {
	r := &report{told: map[string]bool{}}
	matched, all := 0, sides(t)
	for _, line := range corpusLines(t) {
		for _, sd := range all {
			s := sample{in: []Incoming{{"message", line}}}
			if Enrich(s.in, 0, received, sd.slow).Matched {
				matched++
			}
			if where := sd.differences(t, s); where != nil {
				r.tell(t, sd, s, where)
			}
		}
	}
	if matched < 1000 {
		t.Errorf("only %d records were compared", matched)
	}
}

// TestRandomLinesGiveTheSameRecords compares lines of a grammar and mutated lines
// of the corpus. Line i of a seed is always the same.
func TestRandomLinesGiveTheSameRecords(t *testing.T) {
	n, seed := fromEnv(t, "FORTIEMS_DIFFERENTIAL", defaultLines), fromEnv(t, "FORTIEMS_SEED", defaultSeed)
	corpus, all := corpusLines(t), sides(t)
	r := &report{told: map[string]bool{}}
	workers := uint64(runtime.GOMAXPROCS(0))
	var done atomic.Uint64
	begun := time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n && !r.full(); i += workers {
				g := &generator{Rand: rand.New(rand.NewPCG(seed, i)), corpus: corpus}
				s, sd := g.sample(), all[i%uint64(len(all))]
				if where := sd.differences(t, s); where != nil {
					r.tell(t, sd, s, where)
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	fmt.Printf("%d lines of seed %d compared in %v\n", done.Load(), seed, time.Since(begun).Round(time.Second/10))
}
