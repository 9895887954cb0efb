package hostlog

import (
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

type sink struct {
	mu    sync.Mutex
	lines []string
	at    []Level
}

func (s *sink) write(level Level, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, line)
	s.at = append(s.at, level)
}

func logger(level Level) (*Logger, *sink) {
	s := &sink{}
	return New("filter", "fortiems", "fortiems.0", level, time.Minute, s.write), s
}

func TestLineHasTheFormOfTheHost(t *testing.T) {
	l, s := logger(Info)
	l.Printf(Info, "%d records", 3)
	if len(s.lines) != 1 || s.lines[0] != "[filter:fortiems:fortiems.0] 3 records" || s.at[0] != Info {
		t.Errorf("got %q at %v", s.lines, s.at)
	}
}

func TestLevelIsRespected(t *testing.T) {
	for level := Off; level <= Debug; level++ {
		l, s := logger(level)
		for at := Error; at <= Debug; at++ {
			l.Printf(at, "x")
			l.Limited(at, "kind", time.Unix(int64(at)*3600, 0), "y")
		}
		if want := 2 * int(level); len(s.lines) != want {
			t.Errorf("level %d: %d lines, want %d", level, len(s.lines), want)
		}
	}
}

func TestNothingIsWrittenWithoutALogger(t *testing.T) {
	var l *Logger
	l.Printf(Error, "x")
	l.Limited(Error, "kind", time.Unix(0, 0), "x")
	New("filter", "fortiems", "x", Debug, time.Minute, nil).Printf(Error, "x")
	if l.Enabled(Error) {
		t.Error("a nil logger says it is enabled")
	}
}

func TestValueCannotForgeALine(t *testing.T) {
	l, s := logger(Info)
	l.Printf(Error, "file %s", "a\r\n[2026/01/01] [error] forged\x00\x1b[31m\xff\u0085")
	if got := s.lines[0]; strings.ContainsAny(got, "\r\n\x00\x1b\u0085") || !utf8.ValidString(got) {
		t.Errorf("got %q", got)
	}
}

func TestLongLineIsCutAtARune(t *testing.T) {
	l, s := logger(Info)
	l.Printf(Error, "%s", strings.Repeat("ä", 5000))
	if got := s.lines[0]; len(got) > maxLine+100 || !utf8.ValidString(got) || !strings.HasSuffix(got, "(cut)") {
		t.Errorf("%d bytes, ends in %q", len(got), got[len(got)-20:])
	}
}

func TestOneLinePerKindAndInterval(t *testing.T) {
	l, s := logger(Info)
	at := time.Unix(1000, 0)
	for i := range 10 {
		l.Limited(Error, "corrupt", at.Add(time.Duration(i)*time.Second), "corrupt %d", i)
	}
	l.Limited(Warn, "ahead", at, "ahead")
	l.Limited(Error, "corrupt", at.Add(time.Minute), "corrupt again")
	l.Limited(Error, "corrupt", at.Add(2*time.Minute), "corrupt later")
	want := []string{"corrupt 0", "ahead", "corrupt again (9 more like this since the last line)", "corrupt later"}
	if len(s.lines) != len(want) {
		t.Fatalf("got %q", s.lines)
	}
	for i, w := range want {
		if !strings.HasSuffix(s.lines[i], "] "+w) {
			t.Errorf("line %d: got %q, want %q", i, s.lines[i], w)
		}
	}
}

func TestClockThatJumpsBackDoesNotSilence(t *testing.T) {
	th := NewThrottle(time.Minute)
	at := time.Unix(100000, 0)
	if _, ok := th.Allow("k", at); !ok {
		t.Fatal("the first is held back")
	}
	if _, ok := th.Allow("k", at.Add(-time.Hour)); !ok {
		t.Error("held back after the clock went back")
	}
}

func TestConcurrentUse(t *testing.T) {
	l, s := logger(Info)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				l.Limited(Error, "k", time.Unix(1, 0), "x")
				l.Printf(Error, "y")
			}
		})
	}
	wg.Wait()
	if len(s.lines) != 801 {
		t.Errorf("got %d lines", len(s.lines))
	}
	if left, ok := l.limit.Allow("k", time.Unix(1000, 0)); !ok || left != 799 {
		t.Errorf("got %d held back, %v", left, ok)
	}
}
