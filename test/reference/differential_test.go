package reference

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
)

var received = time.Date(2024, 12, 5, 10, 0, 0, 123456789, time.UTC)

// side is the parser with one set of options. It reuses its memory from line to line, as
// the filter does. Not safe for concurrent use.
type side struct {
	Options
	parser *parser.Parser
	arena  arena.Arena
	line   line.Line
	event  parser.Event
}

func sides(t testing.TB) (all []*side) {
	t.Helper()
	for i, name := range []string{"UTC", "Europe/Paris", "America/St_Johns", "Australia/Lord_Howe"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Location: zone, ReceiptTime: i == 2, Received: received}
		all = append(all, &side{Options: o, parser: parser.New(parser.Options{Location: zone, ReceiptTime: o.ReceiptTime})})
	}
	return all
}

// parse returns the reading of the parser.
func (sd *side) parse(text string) *Reading {
	defer func() {
		if e := recover(); e != nil {
			panic(fmt.Sprintf("%q: %v", text, e))
		}
	}()
	// In a chunk, a line is followed by other bytes.
	b := append([]byte(text), `" msg="x" type=y`...)[:len(text)]
	l, h := &sd.line, &sd.line.Header
	sd.arena.Reset()
	l.ReadHeader(b, &sd.arena)
	l.ReadPairs()
	r := &Reading{
		Clean: string(l.Clean), Priority: h.Priority, Hostname: string(h.Hostname), AppName: string(h.AppName),
		ProcID: string(h.ProcID), MsgID: string(h.MsgID), StructuredData: string(h.StructuredData),
		Body: string(l.Body), Stray: string(l.Stray), CEFName: string(l.CEF.Name), CEFEndpoint: l.CEF.Endpoint,
	}
	line.EachSD(h.StructuredData, func(id []byte) { r.Elements = append(r.Elements, "["+string(id)) }, func(name, v []byte) {
		r.Elements = append(r.Elements, string(name)+"="+string(line.UnescapeSD(nil, v)))
	})
	if d := h.Time.Local; h.HasTime {
		r.Stamp = stamp{
			int(d.Year), int(d.Month), int(d.Day), int(d.Hour), int(d.Min), int(d.Sec), int(d.Nsec),
			h.Time.NoYear, h.Time.HasZone, h.Time.Leap, int(h.Time.Offset), nil,
		}.String()
	}
	r.Pairs = pairsOf(&l.Pairs)
	if r.FortiEMS = sd.parser.Parse(&sd.event, b, ecs.Instant{Sec: received.Unix(), Nsec: int32(received.Nanosecond())}); r.FortiEMS {
		r.Time = time.Unix(sd.event.Time.Sec, int64(sd.event.Time.Nsec)).UTC()
		r.Timezone = string(sd.event.Record.Text(ecs.EventTimezone))
		for _, name := range timeKeys {
			if p := sd.event.Line.Pairs.Pair(dict.Lookup([]byte(name))); p != nil && p.Unmapped() {
				r.Kept = append(r.Kept, name)
			}
		}
	}
	return r
}

// pairsOf groups pairs by key.
func pairsOf(pairs *line.Pairs) (all []Pair) {
	seen := map[string]bool{}
	for i := range pairs.List {
		p := &pairs.List[i]
		pair := Pair{Key: string(p.Name())}
		if seen[pair.Key] {
			continue // among the values of an earlier pair, or a null marker
		}
		seen[pair.Key] = true
		if p.NonEmpty() {
			values := [][]byte{p.Value}
			if p.Repeats() {
				values = pairs.AppendValues(nil, p)
			}
			for _, v := range values {
				pair.Values = append(pair.Values, string(v))
			}
		}
		all = append(all, pair)
	}
	return all
}

// difference is a member that parser and reference read differently.
type difference struct{ member, text string }

func (sd *side) differences(text string) []difference {
	all, _ := sd.compare(text)
	return all
}

// ofHeader are the members that do not depend on how the body is read.
var ofHeader = strings.Fields("Clean Priority Hostname AppName ProcID MsgID StructuredData Elements Stamp Body")

// compare returns the differences, and whether all members were compared. They are not if
// the reference does not know the notation of the body: then the header must be the same,
// keys have their written form, and values are parts of the line.
func (sd *side) compare(text string) (all []difference, fully bool) {
	parsed, read := sd.parse(text), Read(text, sd.Options)
	if read.other {
		all = oddPairs(parsed)
	}
	got, want := reflect.ValueOf(parsed).Elem(), reflect.ValueOf(read).Elem()
	for i := range got.NumField() {
		f := got.Type().Field(i)
		switch {
		case !f.IsExported():
			continue
		case read.other && (f.Name != "Clean" && mayWrap.MatchString(read.Body) || !slices.Contains(ofHeader, f.Name)):
			continue
		}
		if g, w := got.Field(i).Interface(), want.Field(i).Interface(); !reflect.DeepEqual(g, w) {
			all = append(all, difference{f.Name, fmt.Sprintf("%s: parser %+q, reference %+q", f.Name, fmt.Sprint(g), fmt.Sprint(w))})
		}
	}
	return all, !read.other
}

var (
	mayWrap = regexp.MustCompile(`^(?:@cee:)?[ \t\r\n\v\f]*(?:[{\["]|\\")`) // the line may be in JSON
	escape  = regexp.MustCompile(`&(?:quot|apos|lt|gt|amp|#39);?|\\[nrtbf]|\\u[0-9A-Fa-f]{4}|[^A-Za-z0-9]`)
	derived = regexp.MustCompile(`^(?:date|time|logid|direction)$`) // keys whose values CEF may have in another form
	exotic  = regexp.MustCompile(`[0-9][.eE]`)                      // numbers of JSON, which may become integers
)

// oddPairs returns the pairs whose key is not in its written form, or whose value the line
// does not have. Only letters and digits count, because quotes and escapes are undone.
func oddPairs(r *Reading) (all []difference) {
	text := escape.ReplaceAllString(r.Clean, "")
	for _, p := range r.Pairs {
		if p.Key != normalKey(p.Key) {
			all = append(all, difference{"Key", fmt.Sprintf("key %q", p.Key)})
		}
		for _, v := range p.Values {
			if derived.MatchString(p.Key) || strings.Contains(r.Clean, "{") && exotic.MatchString(r.Clean) {
				continue
			}
			if !strings.Contains(text, escape.ReplaceAllString(v, "")) {
				all = append(all, difference{"Value", fmt.Sprintf("%s=%q is not in the line", p.Key, v)})
			}
		}
	}
	return all
}

// kind is which members differ.
func kind(all []difference) (names string) {
	for _, d := range all {
		names += d.member + " "
	}
	return names
}

// minimise removes bytes from a line while the same members differ.
func (sd *side) minimise(text string) string {
	want := kind(sd.differences(text))
	for n := len(text) / 2; n > 0; n /= 2 {
		for i := 0; i+n <= len(text); {
			if shorter := text[:i] + text[i+n:]; kind(sd.differences(shorter)) == want {
				text = shorter
			} else {
				i += n
			}
		}
	}
	return text
}

// describe returns the shortest line that differs as text does, with its differences.
func (sd *side) describe(text string) string {
	text = sd.minimise(text)
	s := fmt.Sprintf("%q (zone %v)", text, sd.Location)
	for _, d := range sd.differences(text) {
		s += "\n  " + d.text
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

// report reports each kind of difference once, at most maxReported of them.
type report struct {
	sync.Mutex
	kinds      map[string]bool
	all, fully int // lines, and those whose members were all compared
}

// leastFully is which part of the lines must be compared fully.
const leastFully = 0.6

func (r *report) end(t *testing.T, what string) {
	t.Helper()
	part := float64(r.fully) / float64(max(r.all, 1))
	fmt.Printf("%d %s, %.1f %% of them compared fully\n", r.all, what, 100*part)
	if part < leastFully {
		t.Errorf("%.1f %% of the lines compared fully, less than %.0f %%", 100*part, 100*leastFully)
	}
}

const maxReported = 10

func (r *report) full() bool {
	r.Lock()
	defer r.Unlock()
	return len(r.kinds) >= maxReported
}

func (r *report) check(t *testing.T, sd *side, text string) {
	all, fully := sd.compare(text)
	r.Lock()
	defer r.Unlock()
	r.all++
	if fully {
		r.fully++
	}
	if all == nil {
		return
	}
	if k := kind(all); !r.kinds[k] && len(r.kinds) < maxReported {
		r.kinds[k] = true
		t.Error(sd.describe(text))
	}
}

func TestSameReadingOfCorpus(t *testing.T) {
	r := &report{kinds: map[string]bool{}}
	for _, text := range corpusLines(t) {
		for _, sd := range sides(t) {
			r.check(t, sd, text)
		}
	}
	r.end(t, "lines of the corpus and zones")
}

// FORTIEMS_DIFFERENTIAL and FORTIEMS_SEED replace these.
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

// TestSameReadingOfRandomLines compares lines of a grammar, lines of the corpus, and
// mutated ones. Line i of a seed is always the same.
func TestSameReadingOfRandomLines(t *testing.T) {
	n, seed := fromEnv(t, "FORTIEMS_DIFFERENTIAL", defaultLines), fromEnv(t, "FORTIEMS_SEED", defaultSeed)
	corpus := corpusLines(t)
	r := &report{kinds: map[string]bool{}}
	workers := uint64(runtime.GOMAXPROCS(0))
	begun := time.Now()
	var wg sync.WaitGroup
	for w := range workers {
		all := sides(t)
		wg.Go(func() {
			for i := w; i < n && !r.full(); i += workers {
				g := &generator{Rand: rand.New(rand.NewPCG(seed, i)), corpus: corpus}
				sd := all[g.IntN(len(all))]
				r.check(t, sd, g.line())
			}
		})
	}
	wg.Wait()
	r.end(t, fmt.Sprintf("lines of seed %d in %v", seed, time.Since(begun).Round(time.Second/10)))
}
