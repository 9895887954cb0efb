package esbulk

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mockes "github.com/elastic/mock-es/pkg/api"

	"fluent-bit-fortiems/test/fakees"
)

// engine flushes a chunk as Fluent Bit would, at most tries times, and returns how
// often it was handed back.
func engine(t *testing.T, s *Shipper, chunk []byte, tries int) (retries int) {
	t.Helper()
	for ; retries < tries; retries++ {
		if s.Flush(context.Background(), "tag", chunk) == OK {
			return retries
		}
	}
	t.Fatalf("not delivered in %d tries", tries)
	return 0
}

// edit changes the answers to documents that would be stored.
func edit(f func(i int, it *fakees.Item)) *fakees.Reply {
	return &fakees.Reply{Edit: func(items []fakees.Item) []fakees.Item {
		for i := range items {
			if items[i].Status == 201 {
				f(i, &items[i])
			}
		}
		return items
	}}
}

func status(code int, kind string) func(i int, it *fakees.Item) {
	return func(_ int, it *fakees.Item) { it.Status, it.Type, it.Reason = code, kind, "the reason" }
}

// first answers the first n requests with r, the others normally.
func first(n int, r *fakees.Reply) func(*fakees.Request) *fakees.Reply {
	return func(q *fakees.Request) *fakees.Reply {
		if q.Number < n {
			return r
		}
		return nil
	}
}

// has reports whether a document of the target in a request has a text.
func has(q *fakees.Request, text string) bool {
	for _, d := range q.Docs {
		if d.Index == stream && strings.Contains(string(d.Source), text) {
			return true
		}
	}
	return false
}

// trouble is what a server does, and what has to come of it.
var trouble = map[string]struct {
	script  func(q *fakees.Request) *fakees.Reply
	set     map[string]string
	retries int    // how often the chunk is handed back; -1: at least once, as often as time makes it
	dead    int    // documents in the dead letters
	log     string // part of one log line; none if empty
	sent    int    // documents that are sent in all, if not 0
}{
	"all stored": {sent: 1000},
	"one 201 and 999 times 429": {
		script: first(1, edit(func(i int, it *fakees.Item) {
			if i > 0 {
				status(429, "es_rejected_execution_exception")(i, it)
			}
		})), sent: 1999,
	},
	"429 with Retry-After for items": {script: first(1, &fakees.Reply{Header: map[string]string{"Retry-After": "1"}, Edit: func(items []fakees.Item) []fakees.Item {
		items[3].Status = 429
		return items
	}}), sent: 1001},
	"5xx items":                     {script: first(2, edit(func(i int, it *fakees.Item) { it.Status = 500 + 3*(i%2) })), sent: 3000},
	"stored, but the answer is cut": {script: first(1, &fakees.Reply{Store: true, Cut: 5000}), sent: 2000, log: "the answer is cut"},
	"answer is half a JSON text":    {script: first(1, &fakees.Reply{Store: true, Body: `{"took":1,"errors":false,"items":[{"create":{"_id":"x","sta`}), sent: 2000, log: "the answer is cut"},
	"answer is no JSON":             {script: first(1, &fakees.Reply{Store: true, Body: `OK`}), sent: 2000, log: "not JSON"},
	"answer is empty":               {script: first(1, &fakees.Reply{Store: true, Body: " "}), sent: 2000, log: "cut"},
	"answer without items":          {script: first(1, &fakees.Reply{Store: true, Body: `{"errors":false}`}), sent: 2000, log: "no items"},
	"no items":                      {script: first(1, &fakees.Reply{Body: `{"errors":false,"items":[]}`}), sent: 2000, log: "does the server understand gzip"},
	"no items, ever, then normal":   {script: first(5, &fakees.Reply{Body: `{"errors":false,"items":[]}`}), retries: 1, log: "another number of items"},
	"items without a status":        {script: first(1, &fakees.Reply{Store: true, Body: `{"items":[{"create":{"_id":"x"}}]}`}), sent: 2000, log: "without a status"},
	"fewer items than sent": {script: first(1, &fakees.Reply{Edit: func(items []fakees.Item) []fakees.Item {
		return items[:len(items)-1]
	}}), sent: 2000, log: "another number of items"},
	"more items than sent": {script: first(1, &fakees.Reply{Edit: func(items []fakees.Item) []fakees.Item {
		return append(items, items[0])
	}}), sent: 2000, log: "another number of items"},
	"items in another order": {script: first(1, &fakees.Reply{Edit: func(items []fakees.Item) []fakees.Item {
		items[0], items[1] = items[1], items[0]
		items[0].Status = 400
		return items
	}}), sent: 2000, log: "about other documents"},
	"connection cut after all was stored": {script: first(1, &fakees.Reply{Store: true, Hangup: true}), sent: 2000, log: "connection broke"},
	"connection always cut, then normal":  {script: first(4, &fakees.Reply{Store: true, Hangup: true}), log: "connection broke"},
	"slow past the deadline":              {script: first(1, &fakees.Reply{Store: true, Hang: true}), set: map[string]string{"flush_timeout": "1s"}, retries: 1, log: "no answer before flush_timeout (1s) passed"},
	"429 for the request":                 {script: first(2, &fakees.Reply{Status: 429, Header: map[string]string{"Retry-After": "1"}}), sent: 3000},
	"429 for longer than the deadline":    {script: first(1, &fakees.Reply{Status: 429, Header: map[string]string{"Retry-After": "3600"}}), set: map[string]string{"flush_timeout": "1s"}, retries: -1, log: "answered 429: the server is overloaded"},
	"503 with Retry-After":                {script: first(1, &fakees.Reply{Status: 503, Header: map[string]string{"Retry-After": "1"}}), retries: 1, log: "answered 503"},
	"redirect":                            {script: first(1, &fakees.Reply{Status: 302, Header: map[string]string{"Location": "http://127.0.0.1:1/"}}), retries: 1, log: "a redirect is not followed"},
	"page of a proxy":                     {script: first(4, &fakees.Reply{Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>Sign in</html>"}), retries: 1, log: "web page"},
	"page of a proxy with 403":            {script: first(1, &fakees.Reply{Status: 403, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>"}), retries: 1, log: "403 with a web page"},
	"page of a proxy with 502":            {script: first(1, &fakees.Reply{Status: 502, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>"}), retries: 1, log: "502 with a web page"},
	"400 for every request":               {script: first(12, &fakees.Reply{Status: 400, Body: `{"error":{"type":"parse_exception","reason":"x"},"status":400}`}), set: map[string]string{"bulk_max_docs": "1"}, retries: 12, log: "400 parse_exception"},
	"400 for one document": {script: func(q *fakees.Request) *fakees.Reply {
		if has(q, `"line 77"`) {
			return &fakees.Reply{Status: 400, Body: `{"error":{"type":"parse_exception","reason":"x"},"status":400}`}
		}
		return nil
	}, dead: 1, log: "1 documents that cannot be stored went to the dead letters in " + grave + "; the first: HOST answered 400 parse_exception"},
	"the connection breaks for one document": {script: func(q *fakees.Request) *fakees.Reply {
		if has(q, `"line 0"`) {
			return &fakees.Reply{Hangup: true}
		}
		return nil
	}, dead: 1, log: "went to the dead letters in " + grave + "; the first: HOST: request_broken"},
	"503 for one document, for ever": {script: func(q *fakees.Request) *fakees.Reply {
		return edit(func(i int, it *fakees.Item) {
			if it.Index == stream && position(it.ID) == 5 {
				status(503, "unavailable_shards_exception")(i, it)
			}
		})
	}, set: map[string]string{"bulk_max_docs": "100"}, retries: -1, dead: 1, log: "went to the dead letters in " + grave + "; the first: HOST answered 503 unavailable_shards_exception"},
	"400 for the request": {script: first(1, &fakees.Reply{Status: 400, Body: `{"error":{"type":"parse_exception","reason":"x"},"status":400}`}), sent: 2000},
	"401 for the request": {script: first(1, &fakees.Reply{Status: 401}), retries: 1, log: "credentials are not accepted"},
	"403 for the request": {script: first(1, &fakees.Reply{Status: 403, Body: `{"error":{"type":"security_exception"}}`}), retries: 1, log: "check its privileges"},
	"404 for the request": {script: first(1, &fakees.Reply{Status: 404}), retries: 1, log: "no bulk endpoint or no such target"},
	"500 for the request": {script: first(1, &fakees.Reply{Status: 500, Body: `{"error":"text"}`}), retries: 1, log: "answered 500"},
	"401 items":           {script: first(1, edit(status(401, "security_exception"))), retries: 1, log: "401 security_exception"},
	"403 items, a read-only index": {script: first(1, edit(func(i int, it *fakees.Item) {
		if i >= 10 {
			status(403, "cluster_block_exception")(i, it)
		}
	})), retries: 1, log: "990 documents handed back", sent: 1990},
	"shards are used up": {script: first(1, edit(func(_ int, it *fakees.Item) {
		it.Status, it.Type, it.Reason = 400, "validation_exception", "Validation Failed: 1: this action would add [2] total shards, but this cluster currently has [8]/[1] maximum shards open;"
	})), retries: 1, log: "400 validation_exception: the cluster has as many shards as it may"},
	"the disk of the server is full": {script: first(1, edit(func(_ int, it *fakees.Item) {
		it.Status, it.Type, it.Reason = 429, "cluster_block_exception", "index [a1] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];"
	})), retries: 1, sent: 2000, log: "429 cluster_block_exception: the disk of a node is full"},
	"a pipeline sets _id":       {script: first(1, edit(func(i int, it *fakees.Item) { it.ID = fmt.Sprint("pipeline-", i) })), sent: 1000, log: "a pipeline sets or removes _id"},
	"404 items":                 {script: first(1, edit(status(404, "index_not_found_exception"))), retries: 1, log: "404 index_not_found_exception"},
	"an unheard-of item status": {script: first(1, edit(status(302, ""))), retries: 1, log: "302"},
	"413 above 100 documents": {script: func(q *fakees.Request) *fakees.Reply {
		if len(q.Docs) > 100 {
			return &fakees.Reply{Status: 413}
		}
		return nil
	}},
	"413 for single documents": {script: func(q *fakees.Request) *fakees.Reply {
		for _, d := range q.Docs {
			if d.Index == stream && strings.Contains(string(d.Source), `"line 77"`) {
				return &fakees.Reply{Status: 413, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>"}
			}
		}
		return nil
	}, dead: 1, log: "went to the dead letters in " + grave + "; the first: HOST answered 413"},
	"413 items": {script: first(1, edit(func(i int, it *fakees.Item) {
		if i == 5 {
			it.Status = 413
		}
	})), dead: 1, log: "dead letters"},
	"mixed 201, 400, 429, 409, 503": {script: func(q *fakees.Request) *fakees.Reply {
		if q.Docs[0].Index != stream {
			return nil
		}
		r := edit(func(i int, it *fakees.Item) {
			switch n := position(it.ID); {
			case n%10 == 3:
				status(400, "mapper_parsing_exception")(i, it)
			case n%10 == 4 && q.Number < 4:
				status(429, "es_rejected_execution_exception")(i, it)
			case n%10 == 5 && q.Number < 4:
				status(503, "unavailable_shards_exception")(i, it)
			}
		})
		return r
	}, dead: 100, log: "100 documents that cannot be stored went to the dead letters in " + grave + "; the first: HOST answered 400 mapper_parsing_exception", sent: 1000 + 3*200},
	"dead letters are refused at first": {script: func(q *fakees.Request) *fakees.Reply {
		switch {
		case q.Docs[0].Index == stream:
			return edit(func(i int, it *fakees.Item) {
				if i == 0 {
					status(400, "mapper_parsing_exception")(i, it)
				}
			})
		case q.Number < 2:
			return edit(status(403, "security_exception"))
		}
		return nil
	}, retries: 1, dead: 1, log: "dead letters handed back for another try"},
	"dead letters are rejected at first": {script: func(q *fakees.Request) *fakees.Reply {
		switch {
		case q.Docs[0].Index == stream:
			return edit(func(i int, it *fakees.Item) {
				if i == 0 {
					status(400, "mapper_parsing_exception")(i, it)
				}
			})
		case q.Number < 2:
			return edit(status(400, "mapper_parsing_exception"))
		}
		return nil
	}, retries: 1, dead: 1, log: "HOST answered 400 mapper_parsing_exception to a dead letter for " + grave},
}

// TestFailureStore rejects a document that Elasticsearch then keeps in the failure
// store of its data stream: the answer is 201, with another index and id.
func TestFailureStore(t *testing.T) {
	divert := func(state string, code int) func(d *fakees.Doc) *fakees.Item {
		return func(d *fakees.Doc) *fakees.Item {
			if d.Index == stream && strings.Contains(string(d.Source), `"line 3"`) {
				return &fakees.Item{Status: code, Type: "document_parsing_exception", Reason: "the reason", FailureStore: state}
			}
			return nil
		}
	}
	const told = "HOST rejected 1 documents and keeps them"
	for name, c := range map[string]struct {
		answer       func(d *fakees.Doc) *fakees.Item
		first        *fakees.Reply // of the first request
		copies, dead int           // of the document, in the failure store and in the dead letters
		retries      int
		log          string
	}{
		"used":                        {answer: divert("used", 201), copies: 1, log: told},
		"used, and the answer is cut": {answer: divert("used", 201), first: &fakees.Reply{Store: true, Cut: 50}, copies: 2, log: told},
		"not enabled":                 {answer: divert("not_enabled", 400), dead: 1, log: "went to the dead letters in " + grave + "; the first: HOST answered 400 document_parsing_exception"},
		"not applicable":              {answer: divert("not_applicable_or_unknown", 400), dead: 1, log: "went to the dead letters"},
		"failed":                      {answer: divert("failed", 400), dead: 1, log: "went to the dead letters"},
		"of the dead letters": {answer: func(d *fakees.Doc) *fakees.Item {
			if d.Index == grave {
				return &fakees.Item{Status: 201, FailureStore: "used"}
			}
			return divert("not_enabled", 400)(d)
		}, log: "HOST rejected 1 dead letters and keeps them"},
	} {
		t.Run(name, func(t *testing.T) {
			es := fake(t)
			es.Answer(c.answer)
			if c.first != nil {
				es.Script(first(1, c.first))
			}
			s, log := shipper(t, map[string]string{"hosts": es.URL})
			if n := engine(t, s, chunkOf(10), 10); n != c.retries {
				t.Errorf("handed back %d times, want %d: %q", n, c.retries, log.all())
			}
			if n := len(es.Stored(stream)); n != 9 {
				t.Errorf("%d documents are stored, not 9", n)
			}
			if n := len(es.Stored(fakees.FailureStore(stream))); n != c.copies {
				t.Errorf("%d copies in the failure store, want %d", n, c.copies)
			}
			if n := len(es.Stored(grave)); n != c.dead {
				t.Errorf("%d dead letters, want %d", n, c.dead)
			}
			if n := log.count(strings.ReplaceAll(c.log, "HOST", es.URL)); n != 1 {
				t.Errorf("%d lines with %q in %q", n, c.log, log.all())
			}
			if n := s.count.documents[deadLettered].Load(); n != 1 {
				t.Errorf("%d documents are counted as dead letters, want 1", n)
			}
		})
	}
}

// TestHoldEndsWhenTheClockStepsBack sets the clock back by an hour while the server's
// Retry-After is waited for.
func TestHoldEndsWhenTheClockStepsBack(t *testing.T) {
	es := fake(t)
	es.Script(first(1, &fakees.Reply{Status: 503, Header: map[string]string{"Retry-After": "3600"}}))
	s, log := shipper(t, map[string]string{"hosts": es.URL})
	now := time.Now()
	s.now = func() time.Time { return now }
	for i, want := range []Result{Retry, Retry} { // the first is answered 503, the second held
		if got := s.Flush(context.Background(), "tag", chunkOf(3)); got != want || len(es.Requests()) != 1 {
			t.Fatalf("flush %d: %v after %d requests", i, got, len(es.Requests()))
		}
	}
	now = now.Add(-time.Hour)
	if s.Flush(context.Background(), "tag", chunkOf(3)) != OK {
		t.Errorf("still held with the clock set back: %q", log.all())
	}
}

// position reads the position at the end of an id.
func position(id string) (n int) {
	fmt.Sscanf(id[idPrefix+1:], "%d", &n)
	return n
}

// between runs before each flush.
type between func()

func (b between) Ready(context.Context) error { b(); return nil }
func (b between) Recheck()                    {}

func TestNothingIsLostNothingIsTwice(t *testing.T) {
	chunk := chunkOf(1000)
	for name, c := range trouble {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			es := fake(t)
			es.Script(c.script)
			set := map[string]string{"hosts": es.URL}
			for k, v := range c.set {
				set[k] = v
			}
			s, log := shipper(t, set)
			if c.retries < 0 { // documents of other chunks get through between the tries
				s.bootstrap = between(func() { s.through.Add(1) })
			}
			if n := engine(t, s, chunk, 1000); n != c.retries && (c.retries >= 0 || n == 0) {
				t.Errorf("handed back %d times, want %d", n, c.retries)
			}
			checkAll(t, es, 1000, c.dead)
			if c.log != "" && log.count(strings.ReplaceAll(c.log, "HOST", es.URL)) != 1 {
				t.Errorf("not one line with %q in %q", c.log, log.all())
			}
			if c.log == "" && len(log.all()) > 0 {
				t.Errorf("log %q", log.all())
			}
			sent := 0
			for _, r := range es.Requests() {
				if r.Docs[0].Index == stream {
					sent += len(r.Docs)
				}
			}
			if c.sent != 0 && sent != c.sent {
				t.Errorf("%d documents sent, want %d", sent, c.sent)
			}
			if n := s.delivered.age.Len(); n != 0 {
				t.Errorf("%d chunks are still remembered", n)
			}
		})
	}
}

// checkAll wants every line of chunkOf(n) once, dead of them in the dead letters.
func checkAll(t *testing.T, es *fakees.Server, n, dead int) {
	t.Helper()
	seen := make(map[string]int)
	for _, d := range es.Stored(stream) {
		var got struct {
			Message string `json:"message"`
		}
		if err := json.Unmarshal(d.Source, &got); err != nil {
			t.Fatal(err)
		}
		seen[got.Message]++
	}
	letters := es.Stored(grave)
	for _, d := range letters {
		message, _ := readLetter(t, d.Source)
		seen[message]++
	}
	for i := range n {
		if k := seen[fmt.Sprintf("line %d", i)]; k != 1 {
			t.Errorf("line %d is there %d times", i, k)
			break
		}
	}
	if len(seen) != n || len(letters) != dead || len(es.Stored(stream)) != n-dead {
		t.Errorf("%d different documents, %d stored, %d dead letters, want %d dead of %d", len(seen), len(es.Stored(stream)), len(letters), dead, n)
	}
}

// letterDoc is a dead letter as its readers see it.
type letterDoc struct {
	Time  string `json:"@timestamp"`
	Error struct {
		Type    string `json:"type"`
		Message string `json:"message"`
	} `json:"error"`
	HTTP struct {
		Response struct {
			Status int `json:"status_code"`
		} `json:"response"`
	} `json:"http"`
	Letter struct {
		Document string `json:"document"`
		Encoding string `json:"encoding"`
		Target   string `json:"target"`
		ID       string `json:"id"`
		Time     string `json:"time"`
		Tag      string `json:"tag"`
		Part     int    `json:"part"`
		Parts    int    `json:"parts"`
	} `json:"dead_letter"`
}

func readLetter(t *testing.T, source []byte) (message string, l letterDoc) {
	t.Helper()
	if err := json.Unmarshal(source, &l); err != nil {
		t.Fatalf("%v in %s", err, source)
	}
	var got struct {
		Message string `json:"message"`
	}
	if l.Letter.Encoding == inJSON && l.Letter.Parts == 0 {
		if err := json.Unmarshal([]byte(l.Letter.Document), &got); err != nil {
			t.Fatalf("%v in %s", err, l.Letter.Document)
		}
	}
	return got.Message, l
}

func TestDeadLetterSaysEverything(t *testing.T) {
	es := fake(t)
	es.Answer(func(d *fakees.Doc) *fakees.Item {
		if d.Index == stream && position(d.ID) == 3 {
			return &fakees.Item{Status: 400, Type: "mapper_parsing_exception", Reason: "failed to parse field [n]"}
		}
		return nil
	})
	s, _ := shipper(t, map[string]string{"hosts": es.URL})
	engine(t, s, chunkOf(5), 1)
	_, l := readLetter(t, es.Stored(grave)[0].Source)
	id := identify("tag", chunkOf(5))
	wantID := string(id.appendDocID(nil, 3))
	if l.Error.Type != "mapper_parsing_exception" || l.Error.Message != `failed to parse field [n]: the "cause"` || l.HTTP.Response.Status != 400 ||
		l.Letter.Target != stream || l.Letter.ID != wantID || l.Letter.Time != "2024-10-01T22:17:30.000000003Z" || l.Letter.Tag != "tag" ||
		l.Letter.Document != `{"@timestamp":"2024-10-01T22:17:30.000000003Z","message":"line 3","n":3}` {
		t.Errorf("%+v", l)
	}
	if es.Stored(grave)[0].ID != wantID {
		t.Errorf("id %s", es.Stored(grave)[0].ID)
	}
}

func TestDeadLetterIsCutWhenItIsTooLarge(t *testing.T) {
	es := fake(t)
	es.Script(func(q *fakees.Request) *fakees.Reply {
		if q.Bytes > 20000 {
			return &fakees.Reply{Status: 413}
		}
		return nil
	})
	chunk := appendEvent(nil, 1, 0, pairs{"message", "line 0", "long", strings.Repeat("é\"", 25000)})
	s, _ := shipper(t, map[string]string{"hosts": es.URL})
	engine(t, s, chunk, 1)
	whole := map[int]string{}
	for _, d := range es.Stored(grave) {
		_, l := readLetter(t, d.Source)
		whole[l.Letter.Part] += l.Letter.Document
	}
	var text strings.Builder
	for i := 1; i <= len(whole); i++ {
		text.WriteString(whole[i])
	}
	var got map[string]string
	if err := json.Unmarshal([]byte(text.String()), &got); err != nil || got["long"] != strings.Repeat("é\"", 25000) {
		t.Errorf("%d pieces, %v", len(whole), err)
	}
}

func TestDeadLettersInAFile(t *testing.T) {
	es := fake(t)
	es.Answer(func(d *fakees.Doc) *fakees.Item {
		if position(d.ID)%2 == 0 {
			return &fakees.Item{Status: 400, Type: "x", Reason: "y"}
		}
		return nil
	})
	path := filepath.Join(t.TempDir(), "dead.ndjson")
	if err := os.WriteFile(path, []byte(`{"half a li`), 0o600); err != nil {
		t.Fatal(err)
	}
	one, _ := shipper(t, map[string]string{"hosts": es.URL, "dead_letter": "file:" + path})
	two, _ := shipper(t, map[string]string{"hosts": es.URL, "dead_letter": "file:" + path})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			s := one
			if i%2 == 0 {
				s = two
			}
			if s.Flush(context.Background(), fmt.Sprint("tag", i), chunkOf(10)) != OK {
				t.Error("not delivered")
			}
		})
	}
	wg.Wait()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ids := make(map[string]bool)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, line := range lines[1:] {
		_, l := readLetter(t, []byte(line))
		ids[l.Letter.ID] = true
	}
	if len(ids) != 100 || len(lines) != 101 || lines[0] != `{"half a li` {
		t.Errorf("%d ids in %d lines", len(ids), len(lines))
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st.Mode(), err)
	}
}

func TestLetterFileRotatesAndSurvivesMoving(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dead.ndjson")
	x, err := openFileSink(path, 100)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(strings.Repeat("x", 59) + "\n")
	for range 3 {
		if err := x.append(line, "stamp"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(path, path+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := x.append(line, "stamp"); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(path + "*")
	if len(files) != 4 {
		t.Errorf("files %q", files)
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err != nil || string(b) != string(line) {
			t.Errorf("%s has %d bytes, %v", f, len(b), err)
		}
	}
}

func TestUnwritableDeadLetterHandsBack(t *testing.T) {
	es := fake(t)
	es.Answer(func(*fakees.Doc) *fakees.Item { return &fakees.Item{Status: 400} })
	dir := t.TempDir()
	path := filepath.Join(dir, "sub", "dead.ndjson")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	s, log := shipper(t, map[string]string{"hosts": es.URL, "dead_letter": "file:" + path})
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	if s.Flush(context.Background(), "tag", chunkOf(3)) != Retry || log.count("cannot write dead letters") != 1 {
		t.Errorf("log %q", log.all())
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if s.Flush(context.Background(), "tag", chunkOf(3)) != OK {
		t.Errorf("log %q", log.all())
	}
}

func TestDeadLetterOffDrops(t *testing.T) {
	es := fake(t)
	es.Answer(func(d *fakees.Doc) *fakees.Item { return &fakees.Item{Status: 400, Type: "x"} })
	s, log := shipper(t, map[string]string{"hosts": es.URL, "dead_letter": "off"})
	engine(t, s, chunkOf(3), 1)
	if log.count("3 documents that cannot be stored are dropped (dead_letter off)") != 1 || !strings.Contains(s.Summary(), "3 dropped") {
		t.Errorf("%q %s", log.all(), s.Summary())
	}
}

func TestManyWorkers(t *testing.T) {
	es := fake(t)
	es.Script(func(q *fakees.Request) *fakees.Reply {
		switch q.Number % 5 {
		case 0:
			return &fakees.Reply{Status: 503}
		case 1:
			return &fakees.Reply{Store: true, Hangup: true}
		case 2:
			return &fakees.Reply{Status: 413}
		}
		return nil
	})
	s, _ := shipper(t, map[string]string{"hosts": es.URL, "bulk_max_docs": "50"})
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for try := 0; s.Flush(context.Background(), fmt.Sprint(w), chunkOf(200)) != OK; try++ {
				if try > 200 {
					t.Error("not delivered")
					return
				}
			}
		})
	}
	wg.Wait()
	// A document that was stored while its answer got lost, and refused alone when it
	// was sent again, is in both.
	ids := map[string]bool{}
	for _, index := range []string{stream, grave} {
		for _, d := range es.Stored(index) {
			ids[d.ID] = true
		}
	}
	if len(ids) != 8*200 || es.Indices()[stream] > 8*200 {
		t.Errorf("%d documents, stored %v", len(ids), es.Indices())
	}
}

// With several hosts a dead one is passed over.
func TestDeadHostIsPassedOver(t *testing.T) {
	es := fake(t)
	s, log := shipper(t, map[string]string{"hosts": "http://127.0.0.1:1, " + es.URL})
	for i := range 5 {
		if s.Flush(context.Background(), fmt.Sprint(i), chunkOf(3)) != OK {
			t.Fatalf("log %q", log.all())
		}
	}
	alone, log := shipper(t, map[string]string{"hosts": "http://127.0.0.1:1"})
	for range 3 {
		if alone.Flush(context.Background(), "x", chunkOf(3)) != Retry {
			t.Error("OK without a server")
		}
	}
	if log.count("http://127.0.0.1:1 cannot be reached") != 1 || len(log.all()) != 1 {
		t.Errorf("log %q", log.all())
	}
}

func TestCloseEndsFlushesInFlight(t *testing.T) {
	es := fake(t)
	var began atomic.Int32
	es.Script(func(*fakees.Request) *fakees.Reply { began.Add(1); return &fakees.Reply{Hang: true} })
	s, _ := shipper(t, map[string]string{"hosts": es.URL})
	results := make(chan Result, 3)
	for i := range cap(results) {
		go func() { results <- s.Flush(context.Background(), fmt.Sprint(i), chunkOf(1)) }()
	}
	for deadline := time.Now().Add(10 * time.Second); began.Load() < 3 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
	}
	start := time.Now()
	s.Close()
	for range cap(results) {
		if <-results != Retry {
			t.Error("OK from a flush that was ended")
		}
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
	if s.Flush(context.Background(), "x", chunkOf(1)) != Retry {
		t.Error("OK after Close")
	}
	s.Close()
}

// bootstrapper is not ready until it is.
type bootstrapper struct{ left, again atomic.Int32 }

func (b *bootstrapper) Recheck() { b.again.Add(1) }

func (b *bootstrapper) Ready(context.Context) error {
	if b.left.Add(-1) >= 0 {
		return fmt.Errorf("the template is missing")
	}
	return nil
}

func TestNothingIsSentBeforeTheBootstrap(t *testing.T) {
	es := fake(t)
	s, log := shipper(t, map[string]string{"hosts": es.URL})
	b := &bootstrapper{}
	b.left.Store(3)
	s.bootstrap = b
	if n := engine(t, s, chunkOf(3), 10); n != 3 || len(es.Requests()) != 1 || log.count("chunk handed back: the template is missing") != 1 {
		t.Errorf("%d retries, %d requests, log %q", n, len(es.Requests()), log.all())
	}
}

// The target is looked at again after the connection was lost and after a 404.
func TestRecheck(t *testing.T) {
	for _, r := range []*fakees.Reply{{Status: 404, Body: `{"error":{"type":"index_not_found_exception","reason":"no such index [x]"},"status":404}`}, edit(status(404, "index_not_found_exception"))} {
		es := fake(t)
		es.Script(first(1, r))
		s, log := shipper(t, map[string]string{"hosts": es.URL})
		b := &bootstrapper{}
		s.bootstrap = b
		if engine(t, s, chunkOf(3), 3); b.again.Load() != 1 {
			t.Errorf("%d times, log %q", b.again.Load(), log.all())
		}
	}
	b := &bootstrapper{}
	s, _ := shipper(t, map[string]string{"hosts": "http://127.0.0.1:1"})
	s.bootstrap = b
	if s.Flush(context.Background(), "tag", chunkOf(1)) != Retry || b.again.Load() != 1 {
		t.Errorf("%d times after a lost connection", b.again.Load())
	}
}

type uuid struct{}

func (uuid) String() string { return "00000000-0000-0000-0000-000000000000" }

// Elastic's own mock answers items with a status and nothing else.
func TestElasticMock(t *testing.T) {
	var mu sync.Mutex
	seen, final := map[string]int{}, map[string]int{}
	handler := mockes.NewDeterministicAPIHandler(uuid{}, "", nil, time.Now().Add(time.Hour), 0, 0, func(a mockes.Action, event []byte) int {
		mu.Lock()
		defer mu.Unlock()
		var meta struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
		if err := json.Unmarshal(a.Meta, &meta); err != nil || a.Action != "create" {
			t.Errorf("%s %s", a.Action, a.Meta)
		}
		key := meta.Index + " " + meta.ID
		seen[key]++
		switch n := position(meta.ID); {
		case meta.Index == stream && n%10 == 1:
			final[key] = http.StatusBadRequest
		case final[key] != 0:
			t.Errorf("%s was sent again after it was stored", key)
			return http.StatusConflict
		case n%10 == 2 && seen[key] < 3:
			return http.StatusTooManyRequests
		case n%10 == 3:
			final[key] = http.StatusConflict
		default:
			final[key] = http.StatusOK
		}
		return final[key]
	})
	srv := newHTTP(t, handler)
	s, _ := shipper(t, map[string]string{"hosts": srv})
	engine(t, s, chunkOf(100), 1)
	count := map[int]int{}
	for key, code := range final {
		if strings.HasPrefix(key, stream) {
			count[code]++
		}
	}
	if count[200] != 80 || count[409] != 10 || count[400] != 10 || len(final) != 110 {
		t.Errorf("%v, %d", count, len(final))
	}
}
