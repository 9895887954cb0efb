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

// number is what every line carries. JSON and dead letters leave it as it is.
var number = regexp.MustCompile(`soak-([0-9]{8})`)

// reconcile reads everything that is stored and compares it with what was sent, line by
// line, and with what filter and output say they did.
func reconcile(t *testing.T, s *servers.Server, ship *shipper, send *sender, sent int) {
	t.Helper()
	var want, stored, letters [malformed + 1]int
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
	meet := func(document []byte) (line string, k kind, ok bool) {
		i := -1
		for _, m := range number.FindAllSubmatch(document, -1) {
			n, _ := strconv.Atoi(string(m[1])) // digits
			if i >= 0 && n != i {
				complain("a document of two lines: %.300s", document)
			}
			i = n
		}
		if i < 0 || i >= sent {
			complain("a document of no line: %.300s", document)
			return "", 0, false
		}
		if seen[i] < 255 {
			seen[i]++
		}
		line, k = lineOf(i)
		return line, k, true
	}
	each(t, s, stream, func(document []byte) {
		line, k, ok := meet(document)
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
			complain("taken for what it is not: %.300q is %.300s", line, document)
		}
		// A line that passes is the same text, with U+FFFD for what is none.
		if d.Fortinet == nil && d.Message != string([]rune(line)) {
			complain("changed on its way: %.300q is %.300q", line, d.Message)
		}
	})
	each(t, s, dead, func(document []byte) {
		if _, k, ok := meet(document); ok {
			letters[k]++
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
	inStream, inLetters := outcome(t, c, "stored")+outcome(t, c, "duplicate"), outcome(t, c, "dead_lettered")
	t.Logf("sent %d = FortiEMS %d + other lines of the corpus %d + garbage %d + with a malformed value %d", sent, want[fortiems], want[other], want[garbage], want[malformed])
	t.Logf("stored %d + dead letters %d; lost %d, more than once %d", sum(stored), sum(letters), lost, twice)
	t.Logf("filter: matched %d + unmatched %d; output: stored %d (%d of them had by the server already) + dead letters %d, %d sent again, %d chunks handed back",
		matched, unmatched, inStream, outcome(t, c, "duplicate"), inLetters,
		counted(t, c, `fortiems_output_retried_documents_total{name="fortiems_es.0"}`), counted(t, c, `fortiems_output_flushes_total{name="fortiems_es.0",result="retry"}`))
	if lost != 0 || twice != 0 || sum(stored)+sum(letters) != sent {
		t.Error("sent is not stored + dead letters")
	}
	if letters != [malformed + 1]int{malformed: want[malformed]} {
		t.Errorf("dead letters by kind: %v of %v", letters, want)
	}
	if first > 0 && want[malformed] == 0 || want[garbage] < sent/garbageIn*9/10 {
		t.Errorf("not the lines that were to be sent: %v", want)
	}
	if matched != want[fortiems]+want[malformed] || unmatched != want[other]+want[garbage] {
		t.Errorf("the filter took %d for FortiEMS and %d for others, not %d and %d", matched, unmatched, want[fortiems]+want[malformed], want[other]+want[garbage])
	}
	if inStream != sum(stored) || inLetters != sum(letters) {
		t.Errorf("the output says %d and %d, the server has %d and %d", inStream, inLetters, sum(stored), sum(letters))
	}
	if strange > 0 {
		t.Errorf("%d documents are not what they should be", strange)
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

// digits differ between lines that tell the same.
var (
	digits  = regexp.MustCompile(`[0-9]+`)
	logLine = regexp.MustCompile(`(?m)\[(?: warn|error)\] \[(?:output:fortiems_es|filter:fortiems):[^\]]*\] (.*?)(?: \(\d+ more like this since the last line\))?$`)
)

// told checks that trouble is told, and each kind of it at most once a minute, and
// prints what was told.
func told(t *testing.T, log string, took time.Duration, want ...string) {
	t.Helper()
	times := map[string]int{}
	for _, m := range logLine.FindAllStringSubmatch(log, -1) {
		times[digits.ReplaceAllString(m[1], "N")]++
	}
	most := int(took/time.Minute) + 1
	for text, n := range times {
		t.Logf("told %d times: %s", n, text)
		if n > most {
			t.Errorf("told %d times in %s: %s", n, took.Round(time.Second), text)
		}
	}
	for _, w := range want {
		if !strings.Contains(log, w) {
			t.Errorf("nowhere is told: %s", w)
		}
	}
}
