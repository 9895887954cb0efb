package esbulk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/test/fakees"
	"fluent-bit-fortiems/test/hostile"
)

// rawBody makes a body request of a chunk and returns it with what could not be
// converted.
func body(chunk []byte) (text []byte, docs int, bad []unconvertible) {
	id := identify("tag", chunk)
	r := &reader{enc: newEncoder(), target: fixedTarget("i"), id: &id, ids: true, rest: chunk}
	var b batch
	for len(r.rest) > 0 {
		more := r.fill(&b, 1<<20, 1000)
		for _, u := range more {
			u.raw = bytes.Clone(u.raw)
			bad = append(bad, u)
		}
		for i := range b.docs {
			text = append(text, b.buf[b.docs[i].action:b.docs[i].end]...)
			docs++
		}
	}
	return text, docs, bad
}

// document returns the document of a record, without its time.
func document(t *testing.T, record any) string {
	t.Helper()
	text, docs, bad := body(appendEvent(nil, 1, 2, record))
	if docs != 1 || len(bad) != 0 {
		t.Fatalf("%d documents, %v", docs, bad)
	}
	if _, err := fakees.Parse(text); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	_, line, _ := strings.Cut(string(text), "\n")
	rest, ok := strings.CutPrefix(line, `{"@timestamp":"1970-01-01T00:00:01.000000002Z"`)
	if !ok {
		t.Fatalf("got %s", line)
	}
	return strings.TrimSuffix(strings.TrimPrefix(rest, ","), "}\n")
}

func ext(kind byte, data ...byte) msgp.Raw {
	return append(msgp.Raw{0xc7, byte(len(data)), kind}, data...)
}

func TestValues(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"text":                {"a", `"a"`},
		"empty text":          {"", `""`},
		"escapes":             {"\"\\/\b\f\n\r\t\x00\x1f\x7f", `"\"\\/\u0008\u000c\n\r\t\u0000\u001f` + "\x7f\""},
		"escape in each of 9": {"12345678\n", `"12345678\n"`},
		"not ASCII":           {"äöü 😀 \u2028", "\"äöü 😀 \u2028\""},
		"broken UTF-8":        {"a\xffb\xc3\x28\xed\xa0\x80", "\"a\uFFFDb\uFFFD(\uFFFD\uFFFD\uFFFD\""},
		"bin":                 {[]byte("bin\xff"), "\"bin\uFFFD\""},
		"long text":           {strings.Repeat("x", 70000), `"` + strings.Repeat("x", 70000) + `"`},
		"nil":                 {nil, `null`},
		"true":                {true, `true`},
		"false":               {false, `false`},
		"zero":                {0, `0`},
		"small":               {127, `127`},
		"negative":            {-1, `-1`},
		"int8":                {int8(-128), `-128`},
		"int64":               {int64(math.MinInt64), `-9223372036854775808`},
		"uint64":              {uint64(math.MaxUint64), `18446744073709551615`},
		"float":               {1.5, `1.5`},
		"whole float":         {1.0, `1.0`},
		"float32":             {float32(0.1), `0.1`},
		"large float":         {1e300, `1e+300`},
		"small float":         {-1e-9, `-1e-09`},
		"NaN":                 {math.NaN(), `null`},
		"infinite":            {math.Inf(-1), `null`},
		"infinite float32":    {float32(math.Inf(1)), `null`},
		"list":                {[]any{1, "a", nil, []any{}}, `[1,"a",null,[]]`},
		"map":                 {pairs{"a", pairs{"b", 1}, "c", pairs{}}, `{"a":{"b":1},"c":{}}`},
		"time of Fluent":      {msgp.Raw(event.AppendTime(nil, 1, 500)), `"1970-01-01T00:00:01.000000500Z"`},
		"time of MessagePack": {ext(0xff, 0, 0, 0, 1), `"1970-01-01T00:00:01.000000000Z"`},
		"other extension":     {ext(5, 1, 2, 3), `"AQID"`},
		"empty extension":     {ext(5), `""`},
		"wide int":            {msgp.Raw{0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, `-2`},
		"wide text":           {msgp.Raw{0xdb, 0, 0, 0, 1, 'x'}, `"x"`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := document(t, pairs{"k", c.value}); got != `"k":`+c.want {
				t.Errorf("got  %.200s\nwant %.200s", got, `"k":`+c.want)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	large := pairs{}
	want := []string{}
	for i := range 100 {
		large = append(large, fmt.Sprint("k", i), 0)
	}
	for i := range 100 {
		large = append(large, fmt.Sprint("k", i), i)
		want = append(want, fmt.Sprintf(`"k%d":%d`, i, i))
	}
	for name, c := range map[string]struct {
		record pairs
		want   string
	}{
		"last of equal keys":           {pairs{"a", 1, "b", 2, "a", 3}, `"b":2,"a":3`},
		"three times":                  {pairs{"a", 1, "a", 2, "a", 3}, `"a":3`},
		"first pair goes":              {pairs{"a", pairs{"x", 1}, "b", 1, "a", 2}, `"b":1,"a":2`},
		"equal within a map":           {pairs{"m", pairs{"a", 1, "a", 2, "b", 3}}, `"m":{"a":2,"b":3}`},
		"equal within a list":          {pairs{"l", []any{pairs{"a", 1, "a", 2}}}, `"l":[{"a":2}]`},
		"equal in two maps":            {pairs{"x", pairs{"a", 1}, "y", pairs{"a", 2}}, `"x":{"a":1},"y":{"a":2}`},
		"many equal ones":              {large, strings.Join(want, ",")},
		"str and bin are equal":        {pairs{"a", 1, msgp.Raw{0xc4, 1, 'a'}, 2}, `"a":2`},
		"equal after renaming":         {pairs{"_", 1, "", 2}, `"_":2`},
		"an incoming time":             {pairs{"@timestamp", "x", "a", 1, "@timestamp", pairs{"b", 1}}, `"a":1`},
		"a time below":                 {pairs{"a", pairs{"@timestamp", 1}}, `"a":{"@timestamp":1}`},
		"only a time":                  {pairs{"@timestamp", "x"}, ``},
		"empty":                        {pairs{"", 1}, `"_":1`},
		"blank":                        {pairs{"  ", 1, "\t", 2}, `"_":2`},
		"dots at the edges":            {pairs{".a", 1, "b.", 2, "..c", 3}, `"_a":1,"b_":2,"__c":3`},
		"only dots":                    {pairs{".", 1, "..", 2, "...", 3}, `"_":1,"__":2,"___":3`},
		"dots together":                {pairs{"a..b", 1}, `"a__b":1`},
		"a dot between":                {pairs{"a.b", 1}, `"a.b":1`},
		"blank between dots":           {pairs{"a. .b", 1, "c.\u2003", 2}, `"a._.b":1,"c._":2`},
		"kept for the server":          {pairs{"_id", 1, "_source", 2, "_x", 3, "m", pairs{"_id", 4}}, `"_id_":1,"_source_":2,"_x":3,"m":{"_id":4}`},
		"escapes":                      {pairs{"a\"\n\xff", 1}, "\"a\\\"\\n\uFFFD\":1"},
		"a number":                     {pairs{1, 1, -2, 2, 1.5, 3}, `"1":1,"-2":2,"1.5":3`},
		"nil, booleans, a list, a map": {pairs{nil, 1, true, 2, []any{1, "x"}, 3, pairs{"a", 1}, 4}, `"null":1,"true":2,"[1,\"x\"]":3,"{\"a\":1}":4`},
		"a number and its text":        {pairs{1, "n", "1", "t"}, `"1":"t"`},
		"nothing at all":               {pairs{}, ``},
	} {
		t.Run(name, func(t *testing.T) {
			if got := document(t, c.record); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Time in proportion to the record, whatever its keys.
func TestManyKeysAreLinear(t *testing.T) {
	record := pairs{}
	for i := range 100_000 {
		record = append(record, fmt.Sprintf("%08x", i/2), i)
	}
	chunk := appendEvent(nil, 1, 0, pairs{"m", record})
	start := time.Now()
	text, docs, _ := body(chunk)
	if took := time.Since(start); docs != 1 || took > 5*time.Second || bytes.Count(text, []byte(":")) < 50_000 {
		t.Errorf("%d documents in %v", docs, took)
	}
}

func nested(depth int) msgp.Raw {
	return append(bytes.Repeat([]byte{0x91}, depth), 0xc0)
}

func TestWhatCannotBeConverted(t *testing.T) {
	good := appendEvent(nil, 1, 0, pairs{"a", 1})
	marker := append(event.AppendTime([]byte{0x92, 0x92}, -1, 0), 0x80, 0x80)
	for name, c := range map[string]struct {
		chunk  []byte
		docs   int
		bad    int
		reason error
	}{
		"too deep":           {append(appendEvent(good, 1, 0, pairs{"a", nested(200)}), good...), 2, 1, errDepth},
		"deep enough":        {appendEvent(good, 1, 0, pairs{"a", nested(100)}), 2, 0, nil},
		"deep keys":          {appendEvent(good, 1, 0, pairs{append(bytes.Repeat([]byte{0x81}, 200), make([]byte, 201)...), 1}), 2, 0, nil},
		"a group":            {append(append(append([]byte{}, marker...), good...), marker...), 1, 0, nil},
		"no map":             {appendEvent(good, 1, 0, "text"), 1, 1, errNoMap},
		"no event":           {append([]byte{0xc0}, good...), 1, 1, errNoEvent},
		"cut":                {append(append([]byte{}, good...), good[:5]...), 1, 1, errCorrupt},
		"garbage":            {[]byte{0xc1, 1, 2}, 0, 1, errCorrupt},
		"nothing":            {nil, 0, 0, nil},
		"the old form":       {append(event.AppendTime([]byte{0x92}, 1, 0), 0x80), 1, 0, nil},
		"an unheard-of time": {append(event.AppendTime([]byte{0x92, 0x92}, -100, 0), 0x80, 0x80), 0, 1, errNoEvent},
	} {
		t.Run(name, func(t *testing.T) {
			text, docs, bad := body(c.chunk)
			if docs != c.docs || len(bad) != c.bad || c.bad > 0 && bad[0].reason != c.reason {
				t.Fatalf("%d documents, %+v", docs, bad)
			}
			if docs > 0 {
				if _, err := fakees.Parse(text); err != nil {
					t.Error(err)
				}
			}
			es := fake(t)
			s, _ := shipper(t, map[string]string{"hosts": es.URL})
			engine(t, s, c.chunk, 1)
			if n, m := len(es.Stored(stream)), len(es.Stored(grave)); n != c.docs || m != c.bad {
				t.Errorf("%d stored, %d dead letters", n, m)
			}
			for _, d := range es.Stored(grave) {
				if _, l := readLetter(t, d.Source); l.Letter.Encoding != inMsgpack || l.Error.Message != c.reason.Error() || l.Letter.Document == "" {
					t.Errorf("%+v", l)
				}
			}
		})
	}
}

func TestTargets(t *testing.T) {
	record := pairs{"a", pairs{"b", "Value/1"}, "c.d", "dotted", "n", 7, "f", true, "l", []any{1}, "e", "", "long", strings.Repeat("ä", 300), "dash", "-_x"}
	for pattern, want := range map[string]string{
		"fixed":               "fixed",
		"fortiems-%Y.%m.%d":   "fortiems-2024.10.01",
		"x-%y-%H-%j-%G-%V-%%": "x-24-22-275-2024-40-%",
		"x-{a.b}":             "x-value_1",
		"x-{c.d}-{n}-{f}":     "x-dotted-7-true",
		"x-{missing}-{a.x}":   "x-unknown-unknown",
		"x-{l}-{e}-{a}":       "x-unknown-unknown-unknown",
		"{dash}":              "x",
		"x{long}":             "x" + strings.Repeat("ä", 127),
	} {
		tgt, err := parseTarget(pattern)
		if err != nil {
			t.Errorf("%s: %v", pattern, err)
			continue
		}
		ev, _, err := event.Next(appendEvent(nil, 1727821050, 0, record))
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got := string(tgt.clone().of(ev.Sec, ev.Body, ev.Count)); got != want {
				t.Errorf("%s: got %q, want %q", pattern, got, want)
			}
		}
	}
	for _, pattern := range []string{"%", "x-%Q", "x-{a", "x-{}", "x}", "Upper", "x-{a{b}"} {
		if _, err := parseTarget(pattern); err == nil {
			t.Errorf("%s is taken", pattern)
		}
	}
}

func TestIndexPatternIsUsed(t *testing.T) {
	es := fake(t)
	s, _ := shipper(t, map[string]string{"hosts": es.URL, "index": "ems-{n}-%Y"})
	engine(t, s, chunkOf(3), 1)
	if got := fmt.Sprint(es.Indices()); got != "map[ems-0-2024:1 ems-1-2024:1 ems-2-2024:1]" {
		t.Error(got)
	}
}

func TestIdsTellChunksTagsAndPlacesApart(t *testing.T) {
	ids := map[string]bool{}
	for _, c := range []struct{ tag, chunk string }{{"a", "bc"}, {"ab", "c"}, {"", "abc"}, {"a", "bd"}} {
		id := identify(c.tag, []byte(c.chunk))
		again := identify(c.tag, []byte(c.chunk))
		for i := range 3 {
			name := string(id.appendDocID(nil, i))
			if name != string(again.appendDocID(nil, i)) {
				t.Error("the same chunk has other ids")
			}
			ids[name] = true
		}
	}
	if len(ids) != 12 {
		t.Errorf("%d different ids", len(ids))
	}
}

func TestWithoutIds(t *testing.T) {
	es := fake(t)
	s, _ := shipper(t, map[string]string{"hosts": es.URL, "generate_id": "off"})
	engine(t, s, chunkOf(3), 1)
	if docs := es.Requests()[0].Docs; len(docs) != 3 || docs[0].ID != "" {
		t.Errorf("%v", docs)
	}
	checkAll(t, es, 3, 0)
}

func TestRequestsAreBounded(t *testing.T) {
	es := fake(t)
	s, _ := shipper(t, map[string]string{"hosts": es.URL, "bulk_max_bytes": "2000", "bulk_max_docs": "100"})
	chunk := appendEvent(chunkOf(50), 1, 0, pairs{"message", "long", "x", strings.Repeat("y", 5000)})
	engine(t, s, chunk, 1)
	for _, r := range es.Requests() {
		if r.Bytes > 2000 && len(r.Docs) > 1 {
			t.Errorf("%d bytes in %d documents", r.Bytes, len(r.Docs))
		}
	}
	if n := len(es.Stored(stream)); n != 51 {
		t.Errorf("%d documents", n)
	}
}

// FuzzBody: whatever a chunk holds, every event is a document, a letter or a group
// marker, and what is sent is what a strict server takes.
func FuzzBody(f *testing.F) {
	f.Add(chunkOf(2))
	f.Add(appendEvent(nil, 1, 0, pairs{".", nil, "", 1.0, "a..", []any{pairs{1, 2, 1, 3}}, nil, ext(0, 1, 2)}))
	f.Add([]byte{0x92, 0x92, 0xd7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x81, 0xc4, 1, 0xff, 0xca, 0x7f, 0xc0, 0, 0})
	f.Fuzz(checkBody)
}

// FuzzBuiltBody is FuzzBody with chunks that are built, not mutated.
func FuzzBuiltBody(f *testing.F) {
	hostile.Seed(f.Add)
	f.Fuzz(func(t *testing.T, program []byte) { checkBody(t, hostile.Build(program).Bytes) })
}

func checkBody(t *testing.T, chunk []byte) {
	text, docs, bad := body(chunk)
	events, markers, rest := 0, 0, chunk
	for len(rest) > 0 {
		ev, next, err := event.Next(rest)
		events++
		if err != nil {
			break
		}
		if len(ev.Record) == 0 && isMarker(&ev) {
			markers++
		}
		rest = next
	}
	if docs+len(bad)+markers != events {
		t.Fatalf("%d documents, %d letters, %d markers of %d events", docs, len(bad), markers, events)
	}
	if docs == 0 {
		return
	}
	parsed, err := fakees.Parse(text)
	if err != nil || len(parsed) != docs {
		t.Fatalf("%d of %d documents: %v in %q", len(parsed), docs, err, text)
	}
	again, _, _ := body(chunk)
	if !bytes.Equal(text, again) {
		t.Fatal("a second time gives another body")
	}
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		if !json.Valid(line) {
			t.Fatalf("%q", line)
		}
	}
}
