package esbulk

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/elastic/go-elasticsearch/v8/esapi"

	"fluent-bit-fortiems/test/fakees"
)

// server answers bulk requests as a program says, a byte for each choice. When the
// program is used up it stores everything. It keeps what it has told the client in an
// answer that is whole.
type server struct {
	program  []byte
	requests int
	stored   map[string]bool // document or letter by its id
	letters  map[string]bool
}

func (v *server) choose(n int) int {
	if len(v.program) == 0 {
		return 0
	}
	c := int(v.program[0])
	v.program = v.program[1:]
	return c % n
}

// statuses of items, those first that end a document.
var statuses = []int{201, 201, 201, 200, 409, 429, 503, 500, 403, 404, 400, 413, 302, 299, 600, 0, 99}

// RoundTrip implements http.RoundTripper.
func (v *server) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	v.requests++
	docs, err := fakees.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("a strict server would refuse this: %w", err)
	}
	resp := &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Request: r, ProtoMajor: 1, ProtoMinor: 1}
	answer := func(s string) (*http.Response, error) {
		resp.Body = io.NopCloser(strings.NewReader(s))
		return resp, nil
	}
	switch v.choose(12) {
	case 1:
		return nil, io.ErrUnexpectedEOF // after the request was read
	case 2:
		resp.StatusCode = []int{429, 413, 503, 401, 403, 404, 400, 301, 204, 500, 600}[v.choose(11)]
		resp.Header.Set("Retry-After", []string{"", "1", "-1", "soon", "99999999999999"}[v.choose(5)])
		return answer([]string{"", "<html>", `{"error":{"type":"x","reason":"y"}}`, `{"error":"x"}`, strings.Repeat("[", 300)}[v.choose(5)])
	case 3:
		resp.Header.Set("Content-Type", "text/html")
		return answer("<html>welcome")
	}
	var items []string
	told := map[string]bool{}
	for _, d := range docs {
		code := statuses[v.choose(len(statuses))]
		failure := ""
		if code >= 300 || v.choose(8) == 1 {
			failure = []string{`,"error":{"type":"t","reason":"r","caused_by":{"reason":"c"}}`, `,"error":"t"`, `,"error":null`, `,"error":[{}]`, `,"error":{"type":7,"reason":{"a":[1]}}`}[v.choose(5)]
		}
		told[d.ID] = code/100 == 2 || code == http.StatusConflict
		items = append(items, fmt.Sprintf(`{"create":{"_index":%q,"_id":%q,"status":%d%s}}`, d.Index, d.ID, code, failure))
	}
	whole := true
	switch n := v.choose(16); {
	case n == 1 && len(items) > 0:
		items, whole = items[:len(items)-1], false
	case n == 2:
		items, whole = append(items, items[0]), false
	case n == 3 && len(items) > 1:
		items[0], items[1], whole = items[1], items[0], false
	case n == 4:
		items[0], whole = `{"create":{"status":201},"index":{"status":201}}`, false
	case n == 5:
		// A pipeline set the id.
		items[0], told[docs[0].ID] = `{"create":{"_id":"another","status":201}}`, true
	case n == 6:
		// The failure store took it, under another id.
		items[0], told[docs[0].ID] = `{"create":{"_id":"another","status":201,"failure_store":"used"}}`, true
	case n == 7:
		items[0], told[docs[0].ID] = `{"create":{"_id":"another","status":201,"failure_store":"not_enabled"}}`, true
	}
	body := `{"took":1,"errors":true,"items":[` + strings.Join(items, ",") + `]}`
	switch v.choose(10) {
	case 1:
		body, whole = body[:v.choose(256)*len(body)/256], false
	case 2:
		body, whole = body+"x", false
	case 3:
		body = strings.NewReplacer(":", " :\n ", ",", "\t,\r\n").Replace(body)
	case 4:
		body, whole = strings.Replace(body, `"items"`, `"item"`, 1), false
	case 5:
		body = `{"deep":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "," + body[1:]
	case 6:
		body, whole = `{"deep":`+strings.Repeat("[", 20000)+strings.Repeat("]", 20000)+","+body[1:], false
	}
	for _, i := range items {
		// A status that is none makes the answer one that says nothing.
		whole = whole && !strings.Contains(i, `"status":0`) && !strings.Contains(i, `"status":99`) && !strings.Contains(i, `"status":600`)
	}
	if whole {
		for _, d := range docs {
			if told[d.ID] && d.Index == grave {
				v.letters[d.ID] = true
			} else if told[d.ID] {
				v.stored[d.ID] = true
			}
		}
	}
	return answer(body)
}

// FuzzAnswers flushes a chunk against a server that answers as it likes. OK means that
// the server has said of every document that it is stored, itself or as a dead letter, in
// an answer that is whole; a server that is well again gets the rest.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte{}, uint8(3))
	f.Add([]byte{0, 0, 0, 10, 0, 5, 0, 8, 0, 0, 0}, uint8(4))
	f.Add([]byte{1, 2, 0, 1, 2, 2, 1, 0, 0, 0, 0, 3, 0, 0}, uint8(7))
	f.Add(bytes.Repeat([]byte{0, 11, 0, 10, 4, 1, 5, 12}, 8), uint8(9))
	for k := range byte(16) {
		f.Add([]byte{0, 0, 0, 0, 0, k, k}, uint8(2))
	}
	f.Fuzz(flushAgainst)
}

// TestManyAnswers is FuzzAnswers with programs by chance, always the same ones.
func TestManyAnswers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		program := make([]byte, r.IntN(120))
		for i := range program {
			// Half of the choices are the first, or hardly an answer would be whole.
			if r.IntN(2) == 0 {
				program[i] = byte(r.IntN(256))
			}
		}
		if flushAgainst(t, program, uint8(r.IntN(10))); t.Failed() {
			t.Fatalf("program % x", program)
		}
	}
}

// scripted is a client with one host.
type scripted struct{ esapi.Transport }

func (scripted) Hosts() int               { return 1 }
func (scripted) Ill(string) time.Duration { return 0 }
func (scripted) Well(string)              {}

func flushAgainst(t *testing.T, program []byte, n uint8) {
	count := int(n%10) + 1
	s, log := shipper(t, map[string]string{"bulk_max_docs": "4", "compress": "off"})
	v := &server{program: program[:min(len(program), 400)], stored: map[string]bool{}, letters: map[string]bool{}}
	client, err := elastictransport.NewClient(elastictransport.WithURLs(&url.URL{Scheme: "http", Host: "es"}), elastictransport.WithTransport(v), elastictransport.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	s.client = scripted{client}
	s.pause = func(ctx context.Context, d time.Duration) bool { return ctx.Err() == nil && d < 10*time.Second }
	chunk := chunkOf(count)
	for tries := 0; s.Flush(t.Context(), "tag", chunk) != OK; tries++ {
		s.hold.Store(nil) // as if the time that the server asked for were over
		if len(v.program) == 0 && tries > 500 {
			t.Fatalf("not OK with a server that stores everything: %q", log.all())
		}
	}
	id := identify("tag", chunk)
	for i := range count {
		want := string(id.appendDocID(nil, i))
		letter := v.letters[want]
		for l := range v.letters { // a letter in pieces
			letter = letter || strings.HasPrefix(l, want+".")
		}
		if !v.stored[want] && !letter {
			t.Fatalf("OK, but document %d is nowhere: stored %v, letters %v", i, v.stored, v.letters)
		}
	}
	if limit := 50 * (len(program) + count + 10); v.requests > limit {
		t.Fatalf("%d requests", v.requests)
	}
}
