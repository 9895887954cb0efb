package esbulk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"
)

// itemsOf reads an answer byte by byte.
func itemsOf(text string) (list []item, ids []string, err error) {
	n, err := readItems(iotest.OneByteReader(strings.NewReader(text)), func(i int, it *item, id []byte) error {
		if i != len(list) {
			return errors.New("not in order")
		}
		list, ids = append(list, *it), append(ids, string(id))
		return nil
	})
	if err == nil && n != len(list) {
		err = errors.New("another count")
	}
	return list, ids, err
}

func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string // of the items, or the error
	}{
		"created":           {`{"took":1,"errors":false,"items":[{"create":{"_id":"a","status":201}}]}`, "a 201  "},
		"white space":       {" {\n\t\"items\" : [ { \"create\" : { \"status\" : 201 , \"_id\" : \"a\" } } ] }\r\n", "a 201  "},
		"unknown fields":    {`{"x":{"y":[1,{"z":null}],"items":[1]},"items":[{"index":{"a":[[]],"b":-1.5e3,"status":200,"c":true,"d":false}}],"z":""}`, " 200  "},
		"an error":          {`{"items":[{"create":{"_id":"a","status":400,"error":{"type":"t","reason":"r","caused_by":{"type":"u","reason":"s","caused_by":{"reason":"q"}}}}}]}`, "a 400 t r: s: q"},
		"cause first":       {`{"items":[{"create":{"error":{"caused_by":{"reason":"s"},"reason":"r"},"status":400}}]}`, " 400  r: s"},
		"no type":           {`{"items":[{"create":{"status":400,"error":{"type":"a line: x=y","reason":"r"}}}]}`, " 400  r"},
		"an error in words": {`{"items":[{"create":{"error":"words","status":400}}]}`, " 400  words"},
		"a null error":      {`{"items":[{"create":{"error":null,"_id":null,"status":201}}]}`, " 201  "},
		"failure store":     {`{"items":[{"create":{"_id":"x","failure_store":"used","status":201}}]}`, "x 201   inFailureStore"},
		"no failure store":  {`{"items":[{"create":{"failure_store":"not_enabled","status":400}},{"create":{"status":400,"failure_store":"failed"}},{"create":{"status":201,"failure_store":["used"]}}]}`, " 400  , 400  , 201  "},
		"escapes":           {`{"items":[{"create":{"_id":"\u0061\"\\\/\n\ud83d\ude00\ud800x\ud800\n","status":201}}]}`, "a\"\\/\n😀\uFFFDx\uFFFD\n 201  "},
		"no items":          {`{"errors":false,"items":[]}`, ""},
		"none at all":       {`{"errors":false}`, errNoItems.Error()},
		"an error answer":   {`{"error":{"type":"x"},"status":500}`, errNoItems.Error()},
		"no status":         {`{"items":[{"create":{"_id":"a"}}]}`, errNoStatus.Error()},
		"an empty item":     {`{"items":[{}]}`, errNoStatus.Error()},
		"two actions":       {`{"items":[{"create":{"status":201},"index":{"status":201}}]}`, errNoStatus.Error()},
		"a wild status":     {`{"items":[{"create":{"status":99999999999999999999}}]}`, errNoStatus.Error()},
		"a text as status":  {`{"items":[{"create":{"status":"201"}}]}`, errNoStatus.Error()},
		"a list":            {`[1]`, errNotJSON.Error()},
		"a word":            {`OK`, errNotJSON.Error()},
		"items no list":     {`{"items":{}}`, errNotJSON.Error()},
		"something behind":  {`{"items":[]} x`, errNotJSON.Error()},
		"a second answer":   {`{"items":[]}{"items":[]}`, errNotJSON.Error()},
		"trailing comma":    {`{"items":[{"create":{"status":201}},]}`, errNotJSON.Error()},
		"a missing comma":   {`{"items":[{"create":{"status":201}}{"create":{"status":201}}]}`, errNotJSON.Error()},
		"a wrong end":       {`{"items":[{"create":{"status":201}}}}`, errNotJSON.Error()},
		"a control code":    {"{\"a\nb\":1,\"items\":[]}", errNotJSON.Error()},
		"deep":              {`{"a":` + strings.Repeat("[", 20000), errNotJSON.Error()},
		"empty":             {``, errCut.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			list, ids, err := itemsOf(c.text)
			var got []string
			for i, it := range list {
				text := fmt.Sprintf("%s %d %s %s", ids[i], it.status, it.kind, it.reason)
				if it.inFailureStore {
					text += " inFailureStore"
				}
				got = append(got, text)
			}
			text := strings.Join(got, ",")
			if err != nil {
				text = err.Error()
			}
			if text != c.want {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}

func TestEveryCutIsNoticed(t *testing.T) {
	whole := `{"took":1,"errors":true,"items":[{"create":{"_id":"a","status":201}},{"create":{"_id":"b","status":400,"error":{"type":"t","reason":"r\u00e4\n"}}}]}`
	for i := range len(whole) {
		if _, _, err := itemsOf(whole[:i]); !errors.Is(err, errCut) {
			t.Errorf("cut after %d bytes: %v", i, err)
		}
	}
	if _, err := readItems(iotest.TimeoutReader(strings.NewReader(strings.Repeat(" ", 9000)+whole)), nil); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("got %v", err)
	}
}

// endless repeats a text.
type endless string

func (e endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

func TestAnswersAreBounded(t *testing.T) {
	for name, text := range map[string]string{"a field": `{"junk":"`, "a reason": `{"items":[{"create":{"status":400,"error":{"reason":"`} {
		_, err := readItems(io.MultiReader(strings.NewReader(text), endless("xxxxxxxx")), nil)
		if !errors.Is(err, errTooLong) {
			t.Errorf("%s without an end: %v", name, err)
		}
	}
	list, _, err := itemsOf(`{"items":[{"create":{"status":400,"error":{"reason":"` + strings.Repeat("x\u00e4", 9000) + `"}}}]}`)
	if err != nil || len(list[0].reason) > maxReason || len(list[0].reason) < maxReason-4 || !utf8.ValidString(list[0].reason) {
		t.Errorf("a long reason: %v", err)
	}
	// Items are not kept, so that many of them take no memory.
	items := func(n int) io.Reader {
		return strings.NewReader(`{"items":[` + strings.Repeat(`{"create":{"status":201}},`, n) + `{"create":{"status":201}}]}`)
	}
	cost := func(n int) uint64 {
		r := items(n)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := readItems(r, func(int, *item, []byte) error { return nil }); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if n := cost(100000); n > 200<<10 {
		t.Errorf("%d bytes allocated", n)
	}
}

// BenchmarkAnswer reads the answer to 1 000 documents.
func BenchmarkAnswer(b *testing.B) {
	text := `{"errors":false,"items":[{"create":{"_id":"TrZEzsXPoBwIRUivL7wG-0","status":201}}` +
		strings.Repeat(`,{"create":{"_id":"TrZEzsXPoBwIRUivL7wG-1234","status":201}}`, 999) + `]}`
	b.ReportAllocs()
	for b.Loop() {
		if _, err := readItems(strings.NewReader(text), func(int, *item, []byte) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/doc")
}

// FuzzAnswer compares with encoding/json: what is taken is JSON, with the same
// statuses.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"took":1,"items":[{"create":{"_id":"a","status":201}},{"create":{"status":400,"error":{"type":"t","reason":"r"}}}]}`))
	f.Add([]byte(`{"items":[{"create":{"_index":".fs-a","_id":"x","status":201,"failure_store":"used"}},{"create":{"failure_store":{"a":1},"status":400}}]}`))
	f.Add([]byte(`{"error":"x"}`))
	f.Add([]byte(`{"items":[{"create":{"status":2e2,"x":"\ud800\u0061"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var statuses []int
		n, err := readItems(bytes.NewReader(text), func(_ int, it *item, _ []byte) error {
			statuses = append(statuses, it.status)
			return nil
		})
		if err != nil {
			return
		}
		var want struct {
			Items []map[string]map[string]any `json:"items"`
		}
		if json.Unmarshal(text, &want) != nil {
			return // numbers and words are read loosely, keys may be doubled
		}
		if n != len(statuses) || len(want.Items) > n {
			t.Fatalf("%d items, want %d, in %q", n, len(want.Items), text)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "0": 0, "-1": 0, "soon": 0, "1.5": 0, "99999999999": 0,
		"Fri, 02 Jan 2026 03:04:35 GMT": 30 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q: got %v, want %v", value, got, want)
		}
	}
}

func TestBackoffGrowsWithJitter(t *testing.T) {
	var least, most state
	last := time.Duration(0)
	for i := range 40 {
		lo, hi := least.pause(0.999999), most.pause(0)
		if hi < last || hi > longestPause || lo < hi/2 || lo > hi || i == 0 && hi != firstPause || i > 10 && hi != longestPause {
			t.Errorf("pause %d: %v to %v", i, lo, hi)
		}
		last = hi
	}
}

func TestDeliveredDocsAreBounded(t *testing.T) {
	var m deliveredDocs
	var id chunkID
	for i := range maxChunks + 10 {
		id[0], id[1] = byte(i), byte(i>>8)
		p := &positions{}
		p.add(i)
		m.put(id, p)
	}
	if m.age.Len() > maxChunks || len(m.chunks) != m.age.Len() {
		t.Errorf("%d chunks", m.age.Len())
	}
	if p := m.take(id); p == nil || !p.has(maxChunks+9) || p.has(0) {
		t.Error("the newest is forgotten")
	}
	if m.take(id) != nil {
		t.Error("taken twice")
	}
	// Two flushes of equal chunks know what both did.
	a, b := &positions{}, &positions{}
	a.add(3)
	b.add(300)
	m.put(id, a)
	m.put(id, b)
	if p := m.take(id); !p.has(3) || !p.has(300) || p.n != 2 {
		t.Errorf("%+v", p)
	}
	for i := range 4 {
		id[0] = byte(i)
		p := &positions{}
		p.add(maxWords * 32)
		m.put(id, p)
	}
	if m.words > maxWords {
		t.Errorf("%d words", m.words)
	}
}
