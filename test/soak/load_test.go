package soak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/event"
)

const (
	usualRate = 2000 // lines a second, unless FORTIEMS_RATE is set
	garbageIn = 100  // one line in so many is garbage
	rejectIn  = 1000 // one line in so many is rejected by the server
)

// kind is the expected result of a line.
type kind byte

const (
	fortiems  kind = iota // stored as a categorised record
	other                 // from the corpus, but not FortiEMS: passes unchanged
	garbage               // passes unchanged
	malformed             // FortiEMS with a value that the server rejects: a dead letter
)

// load generates lines by number: the same number gives the same line, which contains it.
type load struct {
	rate               int // lines a second
	matched, unmatched []string
}

// newLoad reads the lines of the corpus that can be sent as text lines. Their golden
// records show which are FortiEMS.
func newLoad(t *testing.T) *load {
	t.Helper()
	dirs, err := filepath.Glob("../corpus/*")
	if err != nil {
		t.Fatal(err)
	}
	l := &load{rate: usualRate}
	if text := os.Getenv("FORTIEMS_RATE"); text != "" {
		if l.rate, err = strconv.Atoi(text); err != nil || l.rate < 1 {
			t.Fatalf("FORTIEMS_RATE=%q is no number of lines a second", text)
		}
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "options.yaml")); err == nil {
			continue // the shipper has the defaults
		}
		input, err := os.ReadFile(filepath.Join(dir, "input.log"))
		if err != nil {
			t.Fatal(err)
		}
		golden, err := os.ReadFile(filepath.Join(dir, "expected.ndjson"))
		if err != nil {
			t.Fatal(err)
		}
		lines, records := strings.Split(string(input), "\n"), strings.Split(string(golden), "\n")
		if len(lines) != len(records) {
			t.Fatalf("%s: %d lines, %d records", dir, len(lines), len(records))
		}
		for i, line := range lines {
			line = strings.TrimRight(line, "\r")
			// Fluent Bit splits at NUL. Longer lines are rare and would dominate the measurement.
			if line == "" || len(line) > 4096 || strings.Contains(line, "\x00") {
				continue
			}
			var r struct{ Fortinet json.RawMessage }
			if err := json.Unmarshal([]byte(records[i]), &r); err != nil {
				t.Fatalf("%s: %v", dir, err)
			}
			switch {
			case r.Fortinet == nil:
				l.unmatched = append(l.unmatched, line)
			case keepsNumber(t, line): // some notations end before it
				l.matched = append(l.matched, line)
			}
		}
	}
	if len(l.matched) < 300 || len(l.unmatched) < 5 {
		t.Fatalf("%d and %d lines of the corpus", len(l.matched), len(l.unmatched))
	}
	return l
}

// keepsNumber reports whether the record of a FortiEMS line has the number that with puts into it.
func keepsNumber(t *testing.T, line string) bool {
	t.Helper()
	const id = "soak-00000000"
	chunk := event.AppendTime([]byte{0x92, 0x92}, 1727821050, 0)
	chunk = append(chunk, 0xdf, 0, 0, 0, 0, 0x81)
	chunk = msgp.AppendString(msgp.AppendString(chunk, "message"), with(line, id))
	out, _, err := enrich.New(enrich.Options{KeyNames: []string{"message"}, EventTime: true}).Run(nil, chunk)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(out), id)
}

// line returns line i without its line end.
func (l *load) line(i int, rejectable bool) (string, kind) {
	id := fmt.Sprintf("soak-%08d", i)
	switch {
	case rejectable && i%rejectIn == 3:
		return `emsserial=FCTEMS0000000001 type=event msg="offline" policyname="` + id + `" ` + badKey + `="neither"`, malformed
	case i%garbageIn == 7:
		return junk(i, id), garbage
	case i%50 == 11:
		return with(l.unmatched[i/50%len(l.unmatched)], id), other
	}
	return with(l.matched[i%len(l.matched)], id), fortiems
}

// with inserts the number into a line.
func with(line, id string) string {
	if open := strings.IndexByte(line, '{'); open >= 0 && strings.HasSuffix(strings.TrimSpace(line), "}") && !strings.HasPrefix(line[open:], "{}") {
		return line[:open+1] + `"soak":"` + id + `",` + line[open+1:]
	}
	return line + " soak=" + id
}

// junk returns what an open port receives: never a FortiEMS line, never an empty one.
func junk(i int, id string) string {
	r := rand.New(rand.NewPCG(1, uint64(i)))
	noise := make([]byte, 20+r.IntN(200))
	for k := range noise {
		if noise[k] = byte(0x80 + r.IntN(0x80)); r.IntN(4) == 0 {
			noise[k] = "\x01\x02\x07\x08\x1b\x7f\t\x1f"[r.IntN(8)]
		}
	}
	switch i / garbageIn % 9 {
	case 0:
		return string(noise) + id
	case 1:
		return id + string(noise)
	case 2:
		return "\x16\x03\x01\x02\x01\xfc\x03\x03" + string(noise) + id
	case 3:
		return "GET /" + id + "?a=%00 HTTP/1.1"
	case 4:
		return strings.Repeat(`{"a":[`, 500) + id
	case 5:
		return "<99999>1 - - - - - [" + id + ` a="\`
	case 6:
		return strings.Repeat("= ", 2000) + id + strings.Repeat(`"'\`, 300)
	case 7:
		return strings.Repeat("x", 20<<10) + id
	}
	return "CEF:0|||||||" + id + "=|\xc3\x28\xf0\x9f"
}

// sender writes lines at the configured rate. When the shipper stops reading, the sender
// catches up as soon as reading resumes.
type sender struct {
	rejectable atomic.Bool  // also send lines that the server rejects
	first      atomic.Int64 // number of the first line sent after rejectable was set; 0: none yet
	sent       atomic.Int64
	worst      atomic.Int64 // largest backlog so far, in lines
	cancel     context.CancelFunc
	done       chan error
	load       *load
}

// startSender sends to addr until it is stopped.
func startSender(t *testing.T, l *load, addr string) *sender {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &sender{cancel: cancel, done: make(chan error, 1), load: l}
	t.Cleanup(func() { conn.Close(); cancel() })
	go func() { s.done <- s.run(ctx, conn) }()
	return s
}

func (s *sender) run(ctx context.Context, conn net.Conn) error {
	begun := time.Now()
	var b bytes.Buffer
	for i := 0; ; {
		due := int(time.Since(begun).Seconds() * float64(s.load.rate))
		if backlog := int64(due - i); backlog > s.worst.Load() {
			s.worst.Store(backlog)
		}
		if ctx.Err() != nil {
			return nil
		}
		b.Reset()
		from := i
		for ; i < due && b.Len() < 256<<10; i++ {
			reject := s.rejectable.Load()
			if reject && s.first.Load() == 0 {
				s.first.Store(int64(i))
			}
			line, _ := s.load.line(i, reject)
			b.WriteString(line)
			b.WriteByte('\n')
		}
		if i == from {
			pause(ctx, 10*time.Millisecond)
			continue
		}
		if _, err := conn.Write(b.Bytes()); err != nil {
			return fmt.Errorf("after %d lines: %w", i, err)
		}
		s.sent.Store(int64(i))
	}
}

// stop ends the stream at a line end and returns the number of lines.
func (s *sender) stop(t *testing.T) int {
	t.Helper()
	s.cancel()
	select {
	case err := <-s.done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(patience):
		t.Fatal("the shipper no longer reads")
	}
	return int(s.sent.Load())
}

// lag is the delay of the most delayed line.
func (s *sender) lag() time.Duration {
	return time.Duration(s.worst.Load()) * time.Second / time.Duration(s.load.rate)
}
