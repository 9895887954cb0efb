package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fluent-bit-fortiems/test/servers"
)

// between puts a gateway in front of s. before runs before a bulk request is forwarded.
// pass runs after the server has handled it: true forwards the response, false cuts the
// connection.
func between(t *testing.T, s *servers.Server, before func(), pass func(bulk int) bool) string {
	t.Helper()
	var bulks atomic.Int32
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client gave up
		}
		isBulk := strings.HasSuffix(r.URL.Path, "/_bulk")
		if isBulk {
			before()
		}
		req, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), r.Method, s.URL()+r.URL.RequestURI(), bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = r.Header.Clone()
		resp, err := s.Access().RoundTrip(req)
		if err != nil {
			panic(http.ErrAbortHandler) // as the server did
		}
		defer resp.Body.Close()
		if isBulk && !pass(int(bulks.Add(1))) {
			panic(http.ErrAbortHandler)
		}
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
	}))
	t.Cleanup(gateway.Close)
	return gateway.URL
}

func TestAnswersLostAfterTheServerStored(t *testing.T) { answersLost(t, start(t), streams) }

func answersLost(t *testing.T, s *servers.Server, p place) {
	const n = 10000
	url := between(t, s, func() {}, func(bulk int) bool { return bulk%2 == 0 })
	run(t, url, p.with("--input", numbered(t, n), "--output-prop", "bulk_max_docs=500")...).wait(t)
	exactlyOnce(t, s, p.target, n)
}

func TestReadOnlyBlock(t *testing.T) { readOnly(t, start(t), streams) }

func readOnly(t *testing.T, s *servers.Server, at place) {
	const n = 3000
	run(t, s.URL(), at.with("--input", numbered(t, 1), "--tag", "first")...).wait(t)
	s.Must(t, "PUT", "/"+at.target+"/_settings", `{"index.blocks.write":true}`, nil)
	p := run(t, s.URL(), at.with("--input", numbered(t, n), "--tag", "second")...)
	until(t, "the block is logged", func() bool { return strings.Contains(p.log.String(), "answered 403 cluster_block_exception") })
	s.Must(t, "PUT", "/"+at.target+"/_settings", `{"index.blocks.write":null}`, nil)
	p.wait(t)
	seen := numbers(t, s, at.target)
	if seen["n000000"] != 2 || len(seen) != n || s.Count(t, at.target, "") != n+1 {
		t.Errorf("%d documents, %d different", s.Count(t, at.target, ""), len(seen))
	}
	if d := s.Count(t, at.dead, ""); d != 0 {
		t.Errorf("%d dead letters: only an operator can remove a block", d)
	}
}

func TestRequestsLargerThanTheServerTakes(t *testing.T) {
	tooLarge(t, start(t, "http.max_content_length=200kb"), streams)
}

func tooLarge(t *testing.T, s *servers.Server, p place) {
	const n = 5000
	run(t, s.URL(), p.with("--input", numbered(t, n), "--chunk", "5000", "--output-prop", "compress=off")...).wait(t)
	exactlyOnce(t, s, p.target, n)
	if d := s.Count(t, p.dead, ""); d != 0 {
		t.Errorf("%d dead letters", d)
	}
}

func TestServerRestartsInMidFlush(t *testing.T) {
	for name, down := range map[string]func(*servers.Server){
		"killed":  func(s *servers.Server) { s.Kill() },
		"stopped": func(s *servers.Server) { _ = s.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // the host pauses most of the time
			s := start(t)
			const n = 40000
			var once sync.Once
			some := make(chan struct{})
			url := between(t, s, func() { time.Sleep(20 * time.Millisecond) }, func(bulk int) bool {
				if bulk > 5 {
					once.Do(func() { close(some) })
				}
				return true
			})
			p := run(t, url, "--input", numbered(t, n), "--chunk", "5000", "--flush-threads", "2", "--output-prop", "bulk_max_docs=200")
			select {
			case <-some: // 200 requests of 20 ms each follow
			case <-p.done:
				t.Fatal("everything was delivered before the server went down")
			case <-time.After(patience):
				t.Fatal("nothing is stored")
			}
			down(s)
			if err := s.Start(context.Background()); err != nil {
				t.Fatal(err)
			}
			p.wait(t)
			exactlyOnce(t, s, stream, n)
			if d := s.Count(t, dead, ""); d != 0 {
				t.Errorf("%d dead letters", d)
			}
		})
	}
}

// TestStrictMapping makes the server reject some documents permanently, corrects the
// mapping, and replays them from the dead letters under their own ids.
func TestStrictMapping(t *testing.T) { strictMapping(t, start(t), streams) }

func strictMapping(t *testing.T, s *servers.Server, p place) {
	const n = 1000
	// An operator's mapping: every tenth line has a field that it does not take.
	const mapping = `{"mappings":{"dynamic":"strict","properties":{
		"@timestamp":{"type":"date"},"message":{"type":"text"},
		"ecs":{"type":"object","enabled":false},"event":{"type":"object","enabled":false},"observer":{"type":"object","enabled":false},
		"host":{"type":"object","enabled":false},"related":{"type":"object","enabled":false},
		"fortinet":{"properties":{"ems":{"type":"object","enabled":false}}}}}}`
	if p == streams {
		s.Must(t, "PUT", "/_index_template/own", `{"index_patterns":["`+stream+`"],"priority":500,"data_stream":{},"template":`+mapping+`}`, nil)
		s.Must(t, "PUT", "/_data_stream/"+stream, "", nil) // with bootstrap on such a template would be refused
	} else {
		s.Must(t, "PUT", "/"+p.target, mapping, nil)
		s.Must(t, "PUT", "/"+p.dead, `{"mappings":{"dynamic_templates":[{"text":{"match_mapping_type":"string","mapping":{"type":"keyword","ignore_above":8191}}}]}}`, nil)
	}
	var input strings.Builder
	for i := range n {
		line := numberedLine(i)
		if i%10 == 0 {
			line += ` user="strict"` // user.name is not mapped
			if i == 0 {
				line += ` detectedpath="` + strings.Repeat("x", 50000) + `"` // longer than the longest term
			}
		}
		fmt.Fprintln(&input, line)
	}
	file := write(t, input.String())
	run(t, s.URL(), p.with("--input", file)...).wait(t)
	stored, deadLetters := s.Count(t, p.target, ""), s.Count(t, p.dead, "")
	if stored != n-n/10 || deadLetters != n/10 {
		t.Fatalf("%d stored, %d dead letters", stored, deadLetters)
	}
	if got := s.Count(t, p.dead, `{"term":{"dead_letter.target":"`+p.target+`"}}`); got != deadLetters {
		t.Errorf("%d dead letters name their target", got)
	}
	if got := s.Count(t, p.dead, `{"term":{"error.type":"strict_dynamic_mapping_exception"}}`); got != deadLetters {
		t.Errorf("%d dead letters name the reason", got)
	}

	s.Must(t, "PUT", "/"+p.target+"/_mapping", `{"dynamic":true}`, nil)
	for range 2 { // the second time all documents exist already
		if left := replay(t, s, p); left != 0 {
			t.Errorf("%d dead letters are not replayed", left)
		}
	}
	exactlyOnce(t, s, p.target, n)
	if got := s.Count(t, p.target, `{"term":{"user.name":"strict"}}`); got != deadLetters {
		t.Errorf("%d of %d documents are found by the value they were rejected for", got, deadLetters)
	}
}

// replay creates every dead-lettered document in its target under its id and returns how
// many are still rejected.
func replay(t *testing.T, s *servers.Server, p place) int {
	t.Helper()
	var page struct {
		Hits struct {
			Hits []struct {
				Source struct {
					Letter struct {
						Target, ID, Document, Encoding string
					} `json:"dead_letter"`
				} `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	s.Must(t, "POST", "/"+p.dead+"/_search?size=10000", `{"sort":["@timestamp"]}`, &page)
	var bulk bytes.Buffer
	for _, h := range page.Hits.Hits {
		l := h.Source.Letter
		if l.Encoding != "json" || l.Document == "" || strings.Contains(l.Document, "\n") {
			t.Fatalf("a dead letter that is not a line of JSON: %+v", l)
		}
		fmt.Fprintf(&bulk, "{\"create\":{\"_index\":%q,\"_id\":%q}}\n%s\n", l.Target, l.ID, l.Document)
	}
	var answer struct {
		Items []map[string]struct{ Status int }
	}
	s.Must(t, "POST", "/_bulk", bulk.String(), &answer)
	if len(answer.Items) != len(page.Hits.Hits) {
		t.Fatalf("%d answers to %d documents", len(answer.Items), len(page.Hits.Hits))
	}
	left := 0
	for _, i := range answer.Items {
		if c := i["create"].Status; c/100 != 2 && c != http.StatusConflict {
			left++
		}
	}
	return left
}
