package esbulk

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/test/fakees"
)

// TestCourse reads the lines of level info about the course of things: the first success,
// and the end of a time in which nothing got through, with how many chunks waited for how
// long. A chunk that comes again counts once.
func TestCourse(t *testing.T) {
	es := fake(t)
	s, _ := shipper(t, map[string]string{"hosts": es.URL})
	now := time.Now()
	s.now = func() time.Time { return now }
	var lines []string
	s.log = hostlog.New("output", "fortiems_es", "x", hostlog.Info, time.Hour, func(level hostlog.Level, line string) {
		if level == hostlog.Info {
			lines = append(lines, line)
		}
	})
	flush := func(after time.Duration, tag string, want Result) {
		t.Helper()
		now = now.Add(after)
		if got := s.Flush(context.Background(), tag, chunkOf(5)); got != want {
			t.Fatalf("%v", got)
		}
	}
	down := func(*fakees.Request) *fakees.Reply { return &fakees.Reply{Status: 503} }
	flush(0, "a", OK)
	flush(0, "b", OK)
	es.Script(down)
	for range 3 { // two chunks, each three times
		flush(2*time.Second, "c", Retry)
		flush(2*time.Second, "d", Retry)
	}
	es.Script(nil)
	flush(35*time.Second, "c", OK) // 10 s of tries before
	flush(time.Second, "d", OK)
	es.Script(down)
	flush(0, "e", Retry)
	es.Script(nil)
	flush(3*time.Second, "e", OK) // too short to be worth a line
	es.Script(down)
	flush(0, "f", Retry)
	es.Script(nil)
	flush(7*time.Second, "f", OK)
	const prefix = "[output:fortiems_es:x] "
	want := []string{
		prefix + "first 5 documents stored in " + stream,
		prefix + "again delivering, 2 chunks waited 45 s",
		prefix + "again delivering, 1 chunk waited 7 s",
	}
	if !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
}

// TestWaitingChunksAreCountedWithoutAServer: also those that were held back before anything
// was sent.
func TestWaitingChunksAreCountedWithoutAServer(t *testing.T) {
	es := fake(t)
	s, _ := shipper(t, map[string]string{"hosts": es.URL})
	now := time.Now()
	s.now = func() time.Time { return now }
	var lines []string
	s.log = hostlog.New("output", "fortiems_es", "x", hostlog.Info, time.Hour, func(_ hostlog.Level, line string) { lines = append(lines, line) })
	b := &bootstrapper{}
	b.left.Store(20)
	s.bootstrap = b
	for i := range 20 {
		s.Flush(context.Background(), fmt.Sprint(i%10), chunkOf(1))
	}
	now = now.Add(time.Minute)
	if s.Flush(context.Background(), "0", chunkOf(1)) != OK || !strings.Contains(strings.Join(lines, "\n"), "again delivering, 10 chunks waited 60 s") {
		t.Errorf("%q", lines)
	}
}

// TestEveryLineNamesTheHost makes each kind of trouble that has a line and wants the host,
// or the file, and what to do in it.
func TestEveryLineNamesTheHost(t *testing.T) {
	long := &fakees.Reply{Status: 503, Header: map[string]string{"Retry-After": "3600"}}
	for name, c := range map[string]struct {
		set     map[string]string
		script  func(*fakees.Request) *fakees.Reply
		flushes int
		want    []string // in the last line
	}{
		"Retry-After":           {nil, first(1, long), 2, []string{"HOST asked to wait for another 30s (Retry-After)", "is it overloaded?"}},
		"a rejected document":   {nil, first(1, edit(status(400, "mapper_parsing_exception"))), 1, []string{"dead letters in " + grave, "HOST answered 400 mapper_parsing_exception", "remove the cause and replay them"}},
		"dropped":               {map[string]string{"dead_letter": "off"}, first(1, edit(status(400, "mapper_parsing_exception"))), 1, []string{"are dropped (dead_letter off)", "HOST answered 400", "set dead_letter to keep them"}},
		"a dead letter refused": {nil, func(*fakees.Request) *fakees.Reply { return edit(status(400, "mapper_parsing_exception")) }, 1, []string{"HOST answered 400", "to a dead letter for " + grave, "mend the mapping of " + grave}},
		"a dead letter that is too large": {nil, func(q *fakees.Request) *fakees.Reply {
			return &fakees.Reply{Status: 413}
		}, 1, []string{"too large for HOST even in pieces of", "http.max_content_length"}},
		"busy":            {nil, func(*fakees.Request) *fakees.Reply { return edit(status(429, "es_rejected_execution_exception")) }, 1, []string{"HOST answered 429", "overloaded"}},
		"about the index": {nil, func(*fakees.Request) *fakees.Reply { return edit(status(400, "index_closed_exception")) }, 1, []string{"HOST answered 400 index_closed_exception", "open the index"}},
		"a pipeline's id": {nil, edit1(func(it *fakees.Item) { it.ID = "pipeline" }), 1, []string{"HOST gives documents other ids than ours", "let the pipeline leave _id alone"}},
	} {
		t.Run(name, func(t *testing.T) {
			es := fake(t)
			es.Script(c.script)
			set := map[string]string{"hosts": es.URL}
			for k, v := range c.set {
				set[k] = v
			}
			s, log := shipper(t, set)
			now := time.Now()
			s.now = func() time.Time { return now }
			for range c.flushes {
				s.Flush(context.Background(), "tag", chunkOf(1))
			}
			all := log.all()
			if len(all) == 0 {
				t.Fatal("no line")
			}
			for _, part := range c.want {
				if part = strings.ReplaceAll(part, "HOST", es.URL); !strings.Contains(strings.Join(all, "\n"), part) {
					t.Errorf("no %q in %q", part, all)
				}
			}
		})
	}
}

// edit1 changes every answer to a document that is stored.
func edit1(f func(it *fakees.Item)) func(*fakees.Request) *fakees.Reply {
	return func(*fakees.Request) *fakees.Reply { return edit(func(_ int, it *fakees.Item) { f(it) }) }
}

// TestForeignIDsAreCounted: only those that were stored, in the line at the end as well.
func TestForeignIDsAreCounted(t *testing.T) {
	es := fake(t)
	es.Script(first(1, &fakees.Reply{Edit: func(items []fakees.Item) []fakees.Item {
		for i := range items {
			switch i % 4 {
			case 0:
				items[i].ID = fmt.Sprint("pipeline-", i)
			case 1: // refused: nothing is stored under this id
				items[i].ID, items[i].Status, items[i].Type = fmt.Sprint("pipeline-", i), 400, "mapper_parsing_exception"
			}
		}
		return items
	}}))
	s, log := shipper(t, map[string]string{"hosts": es.URL, "dead_letter": "off"})
	if s.Flush(context.Background(), "tag", chunkOf(100)) != OK {
		t.Fatalf("log %q", log.all())
	}
	if want := "documents: 75 stored, 25 dropped, 25 stored under an id that a pipeline gave them"; !strings.Contains(s.Summary(), want) {
		t.Errorf("%q, want %q", s.Summary(), want)
	}
}
