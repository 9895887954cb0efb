package event

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/tinylib/msgp/msgp"
)

const sec, nsec = 1733392800, 123456789

// eventTime is the time of most events here, as in_syslog writes it.
func eventTime() []byte { return AppendTime(nil, sec, nsec) }

// record is a record of three pairs: str to str, bin to bin, str to nil.
func record() []byte {
	b := msgp.AppendMapHeader(nil, 3)
	b = msgp.AppendString(msgp.AppendString(b, "log"), "a line")
	b = msgp.AppendBytes(msgp.AppendBytes(b, []byte("raw")), []byte{0xff, 0})
	return msgp.AppendNil(msgp.AppendString(b, "empty"))
}

// newForm is [[time, metadata], record], oldForm [time, record].
func newForm(time, metadata, record []byte) []byte {
	return slices.Concat([]byte{0x92, 0x92}, time, metadata, record)
}

func oldForm(time, record []byte) []byte { return slices.Concat([]byte{0x92}, time, record) }

// metadata is empty, as a map 32, a map 16 and a fixmap, and one with content.
var metadata = map[string][]byte{
	"map32":    {0xdf, 0, 0, 0, 0},
	"map16":    {0xde, 0, 0},
	"fixmap":   {0x80},
	"content":  slices.Concat([]byte{0xde, 0, 1}, msgp.AppendString(nil, "otlp"), []byte{0x81, 0xa1, 'x', 0x93, 1, 2, 3}),
	"no map":   {0xc0},
	"a string": msgp.AppendString(nil, "meta"),
}

func TestBothFormsWithAnyMetadata(t *testing.T) {
	chunks := map[string][]byte{"old form": oldForm(eventTime(), record())}
	for name, m := range metadata {
		chunks["metadata "+name] = newForm(eventTime(), m, record())
	}
	chunks["time alone in its array"] = slices.Concat([]byte{0x92, 0x91}, eventTime(), record())
	chunks["three before the record"] = slices.Concat([]byte{0x92, 0x93}, eventTime(), []byte{0x80, 7}, record())
	chunks["array16 of array32"] = slices.Concat([]byte{0xdc, 0, 2, 0xdd, 0, 0, 0, 2}, eventTime(), []byte{0x80}, record())
	behind := newForm(eventTime(), metadata["map32"], record())
	for name, raw := range chunks {
		t.Run(name, func(t *testing.T) {
			chunk := slices.Concat(raw, behind)
			ev, rest, err := Next(chunk)
			if err != nil || !bytes.Equal(rest, behind) {
				t.Fatalf("%v, rest % x", err, rest)
			}
			if ev.Sec != sec || ev.Nsec != nsec || !bytes.Equal(ev.Head[ev.TimeStart:ev.TimeEnd], eventTime()) {
				t.Errorf("time %d.%d % x", ev.Sec, ev.Nsec, ev.Head[ev.TimeStart:ev.TimeEnd])
			}
			if !bytes.Equal(slices.Concat(ev.Head, ev.Record), raw) || !bytes.Equal(ev.Record, record()) ||
				!bytes.Equal(ev.Body, record()[1:]) || ev.Count != 3 {
				t.Errorf("%+v", ev)
			}
			inside(t, chunk, ev.Head, ev.Record, ev.Body, rest)
		})
	}
}

func TestRecordHeaders(t *testing.T) {
	pair := msgp.AppendString(msgp.AppendString(nil, "k"), "v")
	for name, header := range map[string][]byte{"fixmap": {0x81}, "map16": {0xde, 0, 1}, "map32": {0xdf, 0, 0, 0, 1}} {
		raw := newForm(eventTime(), metadata["map32"], slices.Concat(header, pair))
		if ev, rest, err := Next(raw); err != nil || len(rest) > 0 || ev.Count != 1 || !bytes.Equal(ev.Body, pair) {
			t.Errorf("%s: %+v, % x, %v", name, ev, rest, err)
		}
	}
	if ev, _, err := Next(newForm(eventTime(), metadata["map32"], []byte{0x80})); err != nil || ev.Count != 0 || len(ev.Record) != 1 || len(ev.Body) != 0 {
		t.Errorf("no pairs: %+v, %v", ev, err)
	}
}

// ext is an EventTime, or what looks like one, with the header given.
func ext(header []byte, sec, nsec uint32) []byte {
	b := binary.BigEndian.AppendUint32(slices.Clone(header), sec)
	return binary.BigEndian.AppendUint32(b, nsec)
}

func TestTimes(t *testing.T) {
	marker := uint32(math.MaxUint32) // -1: start of a group
	for name, c := range map[string]struct {
		time []byte
		sec  int64
		nsec int32
		ok   bool // the event may be changed
	}{
		"fixext8":                      {ext([]byte{0xd7, 0}, sec, nsec), sec, nsec, true},
		"ext8":                         {ext([]byte{0xc7, 8, 0}, sec, nsec), sec, nsec, true},
		"last second of 2038's clock":  {ext([]byte{0xd7, 0}, math.MaxInt32, 999999999), math.MaxInt32, 999999999, true},
		"1970":                         {ext([]byte{0xd7, 0}, 0, 0), 0, 0, true},
		"group start":                  {ext([]byte{0xd7, 0}, marker, 0), 0, 0, false},
		"group end":                    {ext([]byte{0xd7, 0}, marker-1, 0), 0, 0, false},
		"group start in ext8":          {ext([]byte{0xc7, 8, 0}, marker, 0), 0, 0, false},
		"a second of nanoseconds":      {ext([]byte{0xd7, 0}, sec, 1e9), 0, 0, false},
		"another ext type":             {ext([]byte{0xd7, 1}, sec, nsec), 0, 0, false},
		"msgpack's own timestamp":      {ext([]byte{0xd7, 0xff}, sec, nsec), 0, 0, false},
		"ext8 of nine bytes":           {append(ext([]byte{0xc7, 9, 0}, sec, nsec), 0), 0, 0, false},
		"ext8 of no bytes":             {[]byte{0xc7, 0, 0}, 0, 0, false},
		"ext16":                        {ext([]byte{0xc8, 0, 8, 0}, sec, nsec), 0, 0, false},
		"positive fixint":              {[]byte{5}, 5, 0, true},
		"uint32":                       {binary.BigEndian.AppendUint32([]byte{0xce}, sec), sec, 0, true},
		"uint64":                       {binary.BigEndian.AppendUint64([]byte{0xcf}, sec), sec, 0, true},
		"int64":                        {binary.BigEndian.AppendUint64([]byte{0xd3}, sec), sec, 0, true},
		"uint64 beyond any int":        {binary.BigEndian.AppendUint64([]byte{0xcf}, math.MaxUint64), 0, 0, false},
		"uint32 after 2038":            {binary.BigEndian.AppendUint32([]byte{0xce}, 1<<31), 0, 0, false},
		"negative fixint":              {[]byte{0xff}, 0, 0, false},
		"negative int32":               {[]byte{0xd2, 0xff, 0xff, 0xff, 0xfe}, 0, 0, false},
		"float64":                      {msgp.AppendFloat64(nil, sec+0.5), sec, 500000000, true},
		"float64 just below a second":  {msgp.AppendFloat64(nil, math.Nextafter(1, 0)), 0, 999999999, true},
		"float64 below zero":           {msgp.AppendFloat64(nil, -1), 0, 0, false},
		"float64 too large":            {msgp.AppendFloat64(nil, 1e18), 0, 0, false},
		"NaN":                          {msgp.AppendFloat64(nil, math.NaN()), 0, 0, false},
		"infinity":                     {msgp.AppendFloat64(nil, math.Inf(1)), 0, 0, false},
		"float32, which no host reads": {msgp.AppendFloat32(nil, 5), 0, 0, false},
		"nil":                          {[]byte{0xc0}, 0, 0, false},
		"text":                         {msgp.AppendString(nil, "now"), 0, 0, false},
		"map":                          {[]byte{0x80}, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			for form, raw := range map[string][]byte{
				"new": newForm(c.time, metadata["map32"], record()), "old": oldForm(c.time, record()),
			} {
				ev, rest, err := Next(append(slices.Clone(raw), 0xc0))
				if err != nil || !bytes.Equal(rest, []byte{0xc0}) {
					t.Fatalf("%s: %v, rest % x", form, err, rest)
				}
				if c.ok && (ev.Sec != c.sec || ev.Nsec != c.nsec || !bytes.Equal(ev.Record, record())) || !c.ok && (ev.Record != nil || ev.Head != nil) {
					t.Errorf("%s: %+v", form, ev)
				}
			}
		})
	}
}

func TestAppendedTimeReadsBack(t *testing.T) {
	for _, c := range []struct {
		sec  int64
		nsec int32
	}{{0, 0}, {sec, nsec}, {math.MaxInt32, 999999999}} {
		b := AppendTime([]byte("before"), c.sec, c.nsec)
		var ev Event
		if rest, ok := ev.readTime(b[len("before"):]); !ok || len(rest) != 0 || ev.Sec != c.sec || ev.Nsec != c.nsec || !bytes.HasPrefix(b, []byte("before")) {
			t.Errorf("%v: %v, %d.%d", c, ok, ev.Sec, ev.Nsec)
		}
	}
}

// What is no event of a map is skipped whole and has no record.
func TestWhatIsNoRecordIsPassed(t *testing.T) {
	for name, raw := range map[string][]byte{
		"nil":                     {0xc0},
		"number":                  {7},
		"text":                    msgp.AppendString(nil, "log"),
		"map":                     record(),
		"empty array":             {0x90},
		"array of one":            {0x91, 0xc0},
		"array of three":          slices.Concat([]byte{0x93}, eventTime(), record(), record()),
		"empty inner array":       slices.Concat([]byte{0x92, 0x90}, record()),
		"record is a text":        newForm(eventTime(), metadata["map32"], msgp.AppendString(nil, "x")),
		"record is nil":           newForm(eventTime(), metadata["map32"], []byte{0xc0}),
		"record is an array":      newForm(eventTime(), metadata["map32"], []byte{0x91, 0x80}),
		"old form, text":          oldForm(eventTime(), msgp.AppendString(nil, "x")),
		"inner array of an array": slices.Concat([]byte{0x92, 0x91, 0x91}, eventTime(), record()),
	} {
		t.Run(name, func(t *testing.T) {
			behind := oldForm(eventTime(), record())
			ev, rest, err := Next(slices.Concat(raw, behind))
			if err != nil || ev.Record != nil || ev.Body != nil || ev.Head != nil || !bytes.Equal(rest, behind) {
				t.Errorf("%+v, rest % x, %v", ev, rest, err)
			}
		})
	}
}

func TestEveryCutIsCorrupt(t *testing.T) {
	for name, raw := range map[string][]byte{
		"new form":    newForm(eventTime(), metadata["content"], record()),
		"old form":    oldForm(eventTime(), record()),
		"ext8":        oldForm(ext([]byte{0xc7, 8, 0}, sec, nsec), record()),
		"float":       oldForm(msgp.AppendFloat64(nil, sec), record()),
		"record bin8": oldForm(eventTime(), msgp.AppendBytes([]byte{0x81, 0xa1, 'k'}, make([]byte, 70))),
	} {
		for n := range raw {
			chunk := raw[:n:n]
			ev, rest, err := Next(chunk)
			if !errors.Is(err, ErrCorrupt) || !bytes.Equal(rest, chunk) || ev.Record != nil {
				t.Errorf("%s cut to %d bytes: %+v, rest % x, %v", name, n, ev, rest, err)
			}
		}
	}
}

func TestLyingLengthsAreCorrupt(t *testing.T) {
	most := []byte{0xff, 0xff, 0xff, 0xff}
	for name, record := range map[string][]byte{
		"fixmap one too many": {0x82, 0xa1, 'k', 1},
		"map16":               {0xde, 0xff, 0xff, 0xa1, 'k', 1},
		"map32":               slices.Concat([]byte{0xdf}, most, []byte{0xa1, 'k', 1}),
		"array32 value":       slices.Concat([]byte{0x81, 0xa1, 'k', 0xdd}, most),
		"str32 value":         slices.Concat([]byte{0x81, 0xa1, 'k', 0xdb}, most, []byte("text")),
		"bin32 value":         slices.Concat([]byte{0x81, 0xa1, 'k', 0xc6}, most, []byte("text")),
		"ext32 value":         slices.Concat([]byte{0x81, 0xa1, 'k', 0xc9}, most, []byte{0, 1}),
		"str8 key":            {0x81, 0xd9, 0xff, 'k', 1},
		"fixstr key":          {0x81, 0xbf, 'k', 1},
		"never used type":     {0x81, 0xa1, 'k', 0xc1},
	} {
		t.Run(name, func(t *testing.T) {
			for _, chunk := range [][]byte{newForm(eventTime(), metadata["map32"], record), oldForm(eventTime(), record)} {
				if ev, rest, err := Next(chunk); !errors.Is(err, ErrCorrupt) || ev.Record != nil || !bytes.Equal(rest, chunk) {
					t.Errorf("%+v, rest % x, %v", ev, rest, err)
				}
			}
		})
	}
	for name, chunk := range map[string][]byte{
		"outer array32": slices.Concat([]byte{0xdd}, most, record()),
		"inner array32": slices.Concat([]byte{0x92, 0xdd}, most, eventTime(), record()),
		"metadata":      newForm(eventTime(), slices.Concat([]byte{0xdf}, most), record()),
	} {
		if _, _, err := Next(chunk); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Deep nesting costs time in proportion to its bytes, whatever comes of it.
func TestDeepNesting(t *testing.T) {
	for name, c := range map[string]struct {
		level, end string
		depth      int
		ok         bool
	}{
		"arrays":                 {"\x91", "\xc0", 1000, true},
		"maps":                   {"\x81\xa1k", "\xc0", 1000, true},
		"arrays without an end":  {"\x91", "", 1000, false},
		"arrays beyond patience": {"\x91", "\xc0", 2_000_000, false},
		"maps beyond patience":   {"\x81\xa1k", "\xc0", 2_000_000, false},
	} {
		t.Run(name, func(t *testing.T) {
			value := strings.Repeat(c.level, c.depth) + c.end
			chunk := newForm(eventTime(), metadata["map32"], []byte("\x81\xa1k"+value))
			ev, _, err := Next(chunk)
			if !c.ok {
				if !errors.Is(err, ErrCorrupt) || ev.Record != nil {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if p, rest, err := NextPair(ev.Body); err != nil || len(rest) > 0 || string(p.Value) != value {
				t.Errorf("%d bytes of value, %v", len(p.Value), err)
			}
		})
	}
}

func TestPairs(t *testing.T) {
	long := strings.Repeat("k", 70000)
	for name, c := range map[string]struct {
		key  []byte // raw
		text string // "" with no text
		none bool   // the key is no text
	}{
		"fixstr":       {msgp.AppendString(nil, "log"), "log", false},
		"fixstr empty": {[]byte{0xa0}, "", false},
		"str8":         {[]byte{0xd9, 3, 'l', 'o', 'g'}, "log", false},
		"str16":        {[]byte{0xda, 0, 3, 'l', 'o', 'g'}, "log", false},
		"str32":        {msgp.AppendString(nil, long), long, false},
		"bin8":         {msgp.AppendBytes(nil, []byte("log")), "log", false},
		"bin16":        {[]byte{0xc5, 0, 3, 'l', 'o', 'g'}, "log", false},
		"bin32":        {[]byte{0xc6, 0, 0, 0, 3, 'l', 'o', 'g'}, "log", false},
		"number":       {[]byte{7}, "", true},
		"nil":          {[]byte{0xc0}, "", true},
		"ext":          {eventTime(), "", true},
		"map":          {record(), "", true},
		"array":        {[]byte{0x91, 0xa1, 'x'}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			for what, value := range map[string][]byte{"nil": {0xc0}, "bin": {0xc4, 1, 0xff}, "map": record(), "time": eventTime()} {
				behind := msgp.AppendNil(msgp.AppendString(nil, "next"))
				body := slices.Concat(c.key, value, behind)
				p, rest, err := NextPair(body)
				if err != nil || !bytes.Equal(rest, behind) || !bytes.Equal(p.Raw, slices.Concat(c.key, value)) || !bytes.Equal(p.Value, value) {
					t.Fatalf("%s: %v, rest % x, %+v", what, err, rest, p)
				}
				if string(p.Key) != c.text || (p.Key == nil) != c.none {
					t.Errorf("%s: key %q", what, p.Key)
				}
				inside(t, body, p.Raw, p.Key, p.Value, rest)
			}
		})
	}
}

func TestCutPairsAreCorrupt(t *testing.T) {
	for name, body := range map[string][]byte{
		"text":   msgp.AppendString(msgp.AppendString(nil, "key"), "value"),
		"bin":    msgp.AppendBytes(msgp.AppendBytes(nil, []byte("key")), []byte("value")),
		"number": {0xcd, 1, 2, 0xce, 1, 2, 3, 4},
		"map":    append(msgp.AppendString(nil, "key"), record()...),
	} {
		for n := range body {
			cut := body[:n:n]
			if p, rest, err := NextPair(cut); !errors.Is(err, ErrCorrupt) || !bytes.Equal(rest, cut) || p.Raw != nil || p.Value != nil {
				t.Errorf("%s cut to %d bytes: %+v, % x, %v", name, n, p, rest, err)
			}
		}
	}
}

func TestText(t *testing.T) {
	for name, c := range map[string]struct {
		value []byte
		text  string
		ok    bool
	}{
		"str":              {msgp.AppendString(nil, "a"), "a", true},
		"str empty":        {[]byte{0xa0}, "", true},
		"str of any bytes": {msgp.AppendString(nil, "\xff\x00"), "\xff\x00", true},
		"bin":              {msgp.AppendBytes(nil, []byte("a")), "a", true},
		"bin empty":        {[]byte{0xc4, 0}, "", true},
		"nil":              {[]byte{0xc0}, "", false},
		"number":           {[]byte{1}, "", false},
		"ext":              {eventTime(), "", false},
		"more behind it":   {[]byte{0xa1, 'a', 0xc0}, "a", false},
		"cut":              {[]byte{0xa2, 'a'}, "", false},
		"nothing":          {nil, "", false},
	} {
		if text, ok := Text(c.value); string(text) != c.text || ok != c.ok {
			t.Errorf("%s: %q, %v", name, text, ok)
		}
	}
}

// Read is given the same event again and again: nothing of the one before may show.
func TestReadOverwritesTheEvent(t *testing.T) {
	var ev Event
	pairs, rest, err := ev.Read(newForm(eventTime(), metadata["content"], record()), nil)
	if err != nil || len(rest) > 0 || len(pairs) != 3 || ev.Nsec != nsec {
		t.Fatalf("%+v, %d pairs, rest % x, %v", ev, len(pairs), rest, err)
	}
	pairs, rest, err = ev.Read(append(oldForm([]byte{5}, record()), 7), pairs)
	if err != nil || !bytes.Equal(rest, []byte{7}) || len(pairs) != 6 || ev.Sec != 5 || ev.Nsec != 0 || !bytes.Equal(ev.Head, []byte{0x92, 5}) {
		t.Errorf("%+v, %d pairs, rest % x, %v", ev, len(pairs), rest, err)
	}
	if pairs, rest, err = ev.Read([]byte{7}, pairs); err != nil || len(rest) > 0 || len(pairs) != 6 || ev.Record != nil || ev.Head != nil {
		t.Errorf("no event: %+v, %d pairs, rest % x, %v", ev, len(pairs), rest, err)
	}
	cut := newForm(eventTime(), metadata["map32"], record())
	cut = cut[:len(cut)-1]
	if pairs, rest, err = ev.Read(cut, pairs); !errors.Is(err, ErrCorrupt) || len(pairs) != 6 || !bytes.Equal(rest, cut) {
		t.Errorf("cut: %d pairs, rest % x, %v", len(pairs), rest, err)
	}
}

// checkRead checks that Read, which walks an event once, reads what Next and NextPair
// do. read is used again for every event.
func checkRead(t *testing.T, read *Event, pairs []Pair, chunk []byte, ev Event, rest []byte, err error) []Pair {
	t.Helper()
	pairs, gotRest, gotErr := read.Read(chunk, pairs[:0])
	if !errors.Is(gotErr, err) || len(gotRest) != len(rest) {
		t.Fatalf("Read: %v, %d bytes left; Next: %v, %d bytes left", gotErr, len(gotRest), err, len(rest))
	}
	if err != nil {
		return pairs
	}
	if !bytes.Equal(read.Record, ev.Record) || len(pairs) != ev.Count {
		t.Fatalf("Read: record % x, %d pairs; Next: % x, %d pairs", read.Record, len(pairs), ev.Record, ev.Count)
	}
	if ev.Record == nil {
		return pairs
	}
	if read.Sec != ev.Sec || read.Nsec != ev.Nsec || read.TimeStart != ev.TimeStart || read.TimeEnd != ev.TimeEnd || !bytes.Equal(read.Head, ev.Head) || !bytes.Equal(read.Body, ev.Body) {
		t.Fatalf("Read: %+v; Next: %+v", read, ev)
	}
	body := ev.Body
	for i := range pairs {
		p, behind, err := NextPair(body)
		if err != nil || !bytes.Equal(p.Raw, pairs[i].Raw) || !bytes.Equal(p.Key, pairs[i].Key) || (p.Key == nil) != (pairs[i].Key == nil) || !bytes.Equal(p.Value, pairs[i].Value) {
			t.Fatalf("pair %d: Read %+v, NextPair %+v, %v", i, pairs[i], p, err)
		}
		body = behind
	}
	return pairs
}

func TestReadingAllocatesNothing(t *testing.T) {
	chunk := slices.Concat(newForm(eventTime(), metadata["content"], record()), oldForm(msgp.AppendFloat64(nil, sec), record()))
	if n := testing.AllocsPerRun(100, func() {
		for rest := chunk; len(rest) > 0; {
			ev, behind, err := Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			for body := ev.Body; len(body) > 0; {
				if _, body, err = NextPair(body); err != nil {
					t.Fatal(err)
				}
			}
			rest = behind
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// inside checks that parts are sub-slices of whole, and not of the memory behind it.
func inside(t testing.TB, whole []byte, parts ...[]byte) {
	t.Helper()
	start := uintptr(unsafe.Pointer(unsafe.SliceData(whole)))
	for i, p := range parts {
		if len(p) == 0 {
			continue
		}
		at := uintptr(unsafe.Pointer(unsafe.SliceData(p)))
		if at < start || at+uintptr(len(p)) > start+uintptr(len(whole)) {
			t.Fatalf("part %d of %d bytes lies outside", i, len(p))
		}
	}
}

// FuzzNext walks a chunk to its end or to what is corrupt. The pieces are the input:
// nothing is left out, nothing is read twice, nothing comes from outside.
func FuzzNext(f *testing.F) {
	f.Add(newForm(eventTime(), metadata["map32"], record()))
	f.Add(slices.Concat(oldForm([]byte{0xce, 0x67, 0x51, 0x78, 0x20}, record()), newForm(eventTime(), metadata["content"], record())))
	f.Add(oldForm(msgp.AppendFloat64(nil, sec+0.25), record()))
	f.Add(newForm(ext([]byte{0xd7, 0}, math.MaxUint32, 0), metadata["map16"], []byte{0x80}))
	f.Add(newForm(ext([]byte{0xc7, 8, 0}, sec, nsec), metadata["no map"], record()))
	f.Add([]byte{0x92, 0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0xc1})
	f.Fuzz(func(t *testing.T, chunk []byte) {
		given := slices.Clone(chunk)
		var walked []byte
		var read Event
		var pairs []Pair
		for rest := chunk; len(rest) > 0; {
			var usual, anyHead Event
			if usual.readUsualHead(rest) && (!anyHead.readAnyHead(rest) || !reflect.DeepEqual(usual, anyHead)) {
				t.Fatalf("% x: %+v, not %+v", rest, usual, anyHead)
			}
			ev, behind, err := Next(rest)
			pairs = checkRead(t, &read, pairs, rest, ev, behind, err)
			if err != nil {
				if !errors.Is(err, ErrCorrupt) || len(behind) != len(rest) || ev.Record != nil {
					t.Fatalf("%v, %d of %d bytes left, %+v", err, len(behind), len(rest), ev)
				}
				if _, skip := msgp.Skip(rest); skip == nil {
					t.Fatalf("called corrupt: % x", rest)
				}
				walked = append(walked, rest...)
				break
			}
			if len(behind) >= len(rest) {
				t.Fatal("no progress")
			}
			raw := rest[:len(rest)-len(behind)]
			inside(t, rest, behind)
			inside(t, raw, ev.Head, ev.Record, ev.Body)
			if ev.Record != nil {
				checkEvent(t, raw, &ev)
			}
			walked = append(walked, raw...)
			rest = behind
		}
		if !bytes.Equal(walked, given) || !bytes.Equal(chunk, given) {
			t.Fatalf("the pieces are % x\nthe chunk is % x", walked, given)
		}
	})
}

// checkEvent checks an event that may be changed: head and record are all of it,
// the pairs are all of the record, and a new time leaves the rest as it is.
func checkEvent(t *testing.T, raw []byte, ev *Event) {
	if !bytes.Equal(slices.Concat(ev.Head, ev.Record), raw) {
		t.Fatalf("head % x, record % x of % x", ev.Head, ev.Record, raw)
	}
	if ev.Sec < 0 || ev.Sec > math.MaxInt32 || ev.Nsec < 0 || ev.Nsec > 999999999 {
		t.Fatalf("time %d.%d", ev.Sec, ev.Nsec)
	}
	body, pairs := ev.Body, []byte(nil)
	for range ev.Count {
		p, rest, err := NextPair(body)
		if err != nil {
			t.Fatalf("pair of a good record: %v", err)
		}
		inside(t, body, p.Raw, p.Key, p.Value)
		if text, ok := Text(p.Value); ok {
			inside(t, p.Value, text)
		}
		pairs, body = append(pairs, p.Raw...), rest
	}
	if len(body) > 0 || !bytes.Equal(pairs, ev.Body) {
		t.Fatalf("%d pairs are % x of % x", ev.Count, pairs, ev.Body)
	}
	changed := slices.Concat(ev.Head[:ev.TimeStart], AppendTime(nil, ev.Sec, ev.Nsec), ev.Head[ev.TimeEnd:], ev.Record)
	again, rest, err := Next(changed)
	if err != nil || len(rest) > 0 || again.Sec != ev.Sec || again.Nsec != ev.Nsec || !bytes.Equal(again.Record, ev.Record) || again.Count != ev.Count {
		t.Fatalf("with its time written anew: %+v, %v, was %+v", again, err, ev)
	}
}
