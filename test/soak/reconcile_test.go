package soak_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/servers"
)

// number matches the number in every line. JSON and dead letters keep it unchanged.
var number = regexp.MustCompile(`soak-([0-9]{8})`)

// reconcile compares all stored documents with the lines sent, one by one, and with the
// counters of filter and output.
func reconcile(t *testing.T, s *servers.Server, ship *shipper, send *sender, sent int) {
	t.Helper()
	var want, stored, deadLetters [malformed + 1]int
	first := int(send.first.Load())
	lineOf := func(i int) (string, kind) { return send.load.line(i, first > 0 && i >= first) }
	for i := range sent {
		_, k := lineOf(i)
		want[k]++
	}
	seen := make([]uint8, sent)
	strange := 0
	complain := func(format string, args ...any) {
		if strange++; strange <= 10 {
			t.Errorf(format, args...)
		}
	}
	find := func(document []byte) (line string, k kind, ok bool) {
		i := -1
		for _, m := range number.FindAllSubmatch(document, -1) {
			n, _ := strconv.Atoi(string(m[1])) // digits
			if i >= 0 && n != i {
				complain("a line stored twice: %.300s", document)
			}
			i = n
		}
		if i < 0 || i >= sent {
			complain("a document without a line that was sent: %.300s", document)
			return "", 0, false
		}
		if seen[i] < 255 {
			seen[i]++
		}
		line, k = lineOf(i)
		return line, k, true
	}
	each(t, s, stream, func(document []byte) {
		line, k, ok := find(document)
		if !ok {
			return
		}
		stored[k]++
		var d struct {
			Message  string
			Fortinet json.RawMessage
		}
		if err := json.Unmarshal(document, &d); err != nil {
			t.Fatalf("%v: %.300s", err, document)
		}
		if (d.Fortinet != nil) != (k == fortiems || k == malformed) {
			complain("wrong kind: %.300q is stored as %.300s", line, document)
		}
		// An unmatched line keeps its text, with U+FFFD for invalid UTF-8.
		if d.Fortinet == nil && d.Message != string([]rune(line)) {
			complain("changed: %.300q is stored as %.300q", line, d.Message)
		}
	})
	each(t, s, dead, func(document []byte) {
		if _, k, ok := find(document); ok {
			deadLetters[k]++
		}
	})
	lost, twice := 0, 0
	for _, n := range seen {
		switch {
		case n == 0:
			lost++
		case n > 1:
			twice++
		}
	}
	c := ship.counters(t)
	matched, unmatched := filtered(t, c, "matched"), filtered(t, c, "unmatched")
	inStream, inDeadLetters := outcome(t, c, "stored")+outcome(t, c, "duplicate"), outcome(t, c, "dead_lettered")
	t.Logf("sent %d = FortiEMS %d + other lines of the corpus %d + garbage %d + with a malformed value %d", sent, want[fortiems], want[other], want[garbage], want[malformed])
	t.Logf("stored %d + dead letters %d; lost %d, more than once %d", sum(stored), sum(deadLetters), lost, twice)
	t.Logf("filter: matched %d + unmatched %d; output: stored %d (%d of them duplicates) + dead letters %d, %d sent again, %d chunks handed back",
		matched, unmatched, inStream, outcome(t, c, "duplicate"), inDeadLetters,
		counted(t, c, `fortiems_output_retried_documents_total{name="fortiems_es.0"}`), counted(t, c, `fortiems_output_flushes_total{name="fortiems_es.0",result="retry"}`))
	if lost != 0 || twice != 0 || sum(stored)+sum(deadLetters) != sent {
		t.Error("the lines sent are not stored + dead letters")
	}
	if deadLetters != [malformed + 1]int{malformed: want[malformed]} {
		t.Errorf("dead letters by kind: %v, want only malformed of %v", deadLetters, want)
	}
	if first > 0 && want[malformed] == 0 || want[garbage] < sent/garbageIn*9/10 {
		t.Errorf("unexpected numbers of lines sent by kind: %v", want)
	}
	if matched != want[fortiems]+want[malformed] || unmatched != want[other]+want[garbage] {
		t.Errorf("the filter counts %d matched and %d unmatched, want %d and %d", matched, unmatched, want[fortiems]+want[malformed], want[other]+want[garbage])
	}
	if inStream != sum(stored) || inDeadLetters != sum(deadLetters) {
		t.Errorf("the output counts %d stored and %d dead letters, the server has %d and %d", inStream, inDeadLetters, sum(stored), sum(deadLetters))
	}
	if strange > 0 {
		t.Errorf("%d documents are wrong", strange)
	}
}

func sum(counts [malformed + 1]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// each reads all documents of a target.
func each(t *testing.T, s *servers.Server, target string, do func(document []byte)) {
	t.Helper()
	if s.Count(t, target, "") == 0 {
		return
	}
	var page struct {
		Scroll string `json:"_scroll_id"`
		Hits   struct {
			Hits []struct {
				Source json.RawMessage `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	s.Must(t, "POST", "/"+target+"/_search?scroll=1m&size=2000", `{"sort":["_doc"]}`, &page)
	for len(page.Hits.Hits) > 0 {
		for _, h := range page.Hits.Hits {
			do(h.Source)
		}
		page.Hits.Hits = nil
		s.Must(t, "POST", "/_search/scroll", fmt.Sprintf(`{"scroll":"1m","scroll_id":%q}`, page.Scroll), &page)
	}
}

// digits are masked, so that log lines of one kind become equal.
var (
	digits  = regexp.MustCompile(`[0-9]+`)
	logLine = regexp.MustCompile(`(?m)\[(?: warn|error)\] \[(?:output:fortiems_es|filter:fortiems):[^\]]*\] (.*?)(?: \(\d+ more like this since the last line\))?$`)
)

// checkTroubleLog checks that the expected errors and warnings are logged, each kind at
// most once a minute, and prints them.
func checkTroubleLog(t *testing.T, log string, took time.Duration, want ...string) {
	t.Helper()
	times := map[string]int{}
	for _, m := range logLine.FindAllStringSubmatch(log, -1) {
		times[digits.ReplaceAllString(m[1], "N")]++
	}
	most := int(took/time.Minute) + 1
	for text, n := range times {
		t.Logf("logged %d times: %s", n, text)
		if n > most {
			t.Errorf("logged %d times in %s: %s", n, took.Round(time.Second), text)
		}
	}
	for _, w := range want {
		if !strings.Contains(log, w) {
			t.Errorf("not logged: %s", w)
		}
	}
}
