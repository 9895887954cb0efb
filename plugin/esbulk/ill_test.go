package esbulk

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/fakees"
)

// TestIllHostOfTwo: whatever one of two hosts does, every flush ends with OK at its first
// try, and the ill host is hardly asked.
func TestIllHostOfTwo(t *testing.T) {
	page := map[string]string{"Content-Type": "text/html"}
	for name, r := range map[string]*fakees.Reply{
		"500":                      {Status: 500, Body: `{"error":"x"}`},
		"503 of a proxy":           {Status: 503, Header: page, Body: "<html>"},
		"401 of a proxy":           {Status: 401, Header: map[string]string{"Content-Type": "text/plain"}, Body: "login"},
		"403 of a proxy":           {Status: 403, Header: page, Body: "<html>"},
		"404 of another service":   {Status: 404, Header: map[string]string{"Content-Type": "text/plain"}, Body: "404 page not found"},
		"400 of another service":   {Status: 400, Body: "Bad Request"},
		"a page":                   {Header: page, Body: "<html>Kibana</html>"},
		"a redirect":               {Status: 302, Header: map[string]string{"Location": "https://login.example/x?secret=1"}},
		"no answer":                {Hang: true},
		"stored, but no answer":    {Store: true, Hang: true},
		"the connection breaks":    {Hangup: true},
		"stored, connection broke": {Store: true, Hangup: true},
		"an answer without items":  {Body: `{"items":[]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ill, well := fake(t), fake(t)
			ill.Script(func(*fakees.Request) *fakees.Reply { return r })
			s, log := shipper(t, map[string]string{"hosts": ill.URL + "," + well.URL, "flush_timeout": "4s"})
			for i := range 6 {
				if s.Flush(context.Background(), fmt.Sprint(i), chunkOf(10)) != OK {
					t.Fatalf("flush %d is handed back: %q", i, log.all())
				}
			}
			if n := len(ill.Requests()); n != 1 {
				t.Errorf("the ill host is asked %d times", n)
			}
			if n := len(well.Stored(stream)); n != 60 {
				t.Errorf("%d documents are stored, not 60", n)
			}
			if log.count("the next host is asked and this one rests for 2s: "+ill.URL) != 1 || log.count("secret") > 0 {
				t.Errorf("log %q", log.all())
			}
		})
	}
}

// TestIllHostIsTriedAgain lets the time of the rest pass.
func TestIllHostIsTriedAgain(t *testing.T) {
	ill, well := fake(t), fake(t)
	ill.Script(first(1, &fakees.Reply{Status: 503}))
	s, log := shipper(t, map[string]string{"hosts": ill.URL + "," + well.URL})
	for i := 0; len(ill.Requests()) < 2 && i < 400; i++ {
		if s.Flush(context.Background(), fmt.Sprint(i), chunkOf(1)) != OK {
			t.Fatalf("%q", log.all())
		}
		time.Sleep(10 * time.Millisecond)
	}
	if len(ill.Requests()) < 2 || len(ill.Stored(stream)) == 0 {
		t.Errorf("the host is not asked again within 4 s: %q", log.all())
	}
}

// TestLoneDocument fails in a chunk of its own: it is handed back until documents of other
// chunks got through, and is a dead letter then.
func TestLoneDocument(t *testing.T) {
	for name, r := range map[string]*fakees.Reply{"400": {Status: 400}, "breaks": {Hangup: true}} {
		es := fake(t)
		es.Script(func(q *fakees.Request) *fakees.Reply {
			if has(q, "bad") {
				return r
			}
			return nil
		})
		s, log := shipper(t, map[string]string{"hosts": es.URL})
		bad := appendEvent(nil, 1, 0, pairs{"message", "bad"})
		for range 3 {
			if s.Flush(context.Background(), "tag", bad) != Retry {
				t.Errorf("%s: given up although nothing else got through: %q", name, log.all())
			}
		}
		if s.Flush(context.Background(), "tag", chunkOf(3)) != OK {
			t.Errorf("%s: %q", name, log.all())
		}
		if s.Flush(context.Background(), "tag", bad) != OK || len(es.Stored(grave)) != 1 {
			t.Errorf("%s: no dead letter: %q", name, log.all())
		}
	}
}

// TestLargeRequestsBreak: a proxy resets connections of larger requests. That is found out
// once, not for each chunk.
func TestLargeRequestsBreak(t *testing.T) {
	es := fake(t)
	broke := 0
	es.Script(func(q *fakees.Request) *fakees.Reply {
		if q.Bytes > 300000 {
			broke++
			return &fakees.Reply{Hangup: true}
		}
		return nil
	})
	var chunk []byte
	for i := range 1000 {
		chunk = appendEvent(chunk, 1727821050, int32(i), pairs{"message", strings.Repeat("x", 2000)})
	}
	s, log := shipper(t, map[string]string{"hosts": es.URL})
	for i := range 5 {
		if s.Flush(context.Background(), fmt.Sprint(i), chunk) != OK {
			t.Fatalf("%q", log.all())
		}
		if i == 1 && broke == 0 {
			t.Fatal("nothing broke")
		}
		if i == 1 {
			broke = 0
		}
	}
	if broke > 0 || len(es.Stored(stream)) != 5000 || log.count("from now on requests have at most") != 1 {
		t.Errorf("%d requests broke after two chunks, %d documents stored, log %q", broke, len(es.Stored(stream)), log.all())
	}
}

// TestBusyDocumentsDoNotHoldAWorker: the pauses of a flush with a document that is always
// busy are short, and shorter when its chunk comes again.
func TestBusyDocumentsDoNotHoldAWorker(t *testing.T) {
	for _, code := range []int{429, 503} {
		es := fake(t)
		es.Answer(func(*fakees.Doc) *fakees.Item { return &fakees.Item{Status: code} })
		s, log := shipper(t, map[string]string{"hosts": es.URL})
		var waited time.Duration
		s.pause = func(_ context.Context, d time.Duration) bool { waited += d; return true }
		for i, most := range []time.Duration{time.Second, 0, 0} {
			waited = 0
			if s.Flush(context.Background(), "tag", chunkOf(5)) != Retry || waited > most {
				t.Errorf("%d, try %d: waited %v, log %q", code, i, waited, log.all())
			}
		}
	}
}

// TestSlowServer gets smaller requests, and larger ones again when it is faster.
func TestSlowServer(t *testing.T) {
	es := fake(t)
	slow := true
	es.Script(func(q *fakees.Request) *fakees.Reply {
		if q.Timeout >= time.Second || q.Timeout < 100*time.Millisecond {
			t.Errorf("timeout %v", q.Timeout)
		}
		if slow && len(q.Docs) > 30 {
			time.Sleep(600 * time.Millisecond)
		}
		return nil
	})
	s, log := shipper(t, map[string]string{"hosts": es.URL, "flush_timeout": "1s", "bulk_max_docs": "100"})
	for i := range 4 {
		s.Flush(context.Background(), fmt.Sprint(i), chunkOf(100))
	}
	if _, docs := s.limits.now(); docs > 50 || log.count("the next requests have half as many") != 1 {
		t.Errorf("%d documents in a request, log %q", docs, log.all())
	}
	slow = false
	for i := range 6 {
		s.Flush(context.Background(), fmt.Sprint("fast", i), chunkOf(100))
	}
	if _, docs := s.limits.now(); docs != 100 {
		t.Errorf("%d documents in a request of a fast server", docs)
	}
}

// TestNothingListens is a host that refuses, one that answers nothing at all, and a good one.
func TestNothingListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // connections stay in its queue
	es := fake(t)
	s, log := shipper(t, map[string]string{"hosts": "http://127.0.0.1:1,http://" + l.Addr().String() + "," + es.URL, "flush_timeout": "4s"})
	for i := range 3 {
		if s.Flush(context.Background(), fmt.Sprint(i), chunkOf(3)) != OK {
			t.Fatalf("flush %d: %q", i, log.all())
		}
	}
	if n := len(es.Stored(stream)); n != 9 {
		t.Errorf("%d documents", n)
	}
}
