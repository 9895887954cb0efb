// Package hostlog writes log lines through a host's own logger, at the host's
// level and in the form of its own plugins: "[filter:fortiems:NAME] text".
//
// Lines never carry log payloads: callers pass counts, option values, file names
// and errors. Control characters are replaced, so that a value cannot forge a second
// line. The caller injects the Writer, so the package depends on no host. Everything in
// it is safe for concurrent use, and a nil *Logger discards.
package hostlog

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Level is a log level with the numbers of Fluent Bit.
type Level int

// The levels, from few lines to many. A Logger at Off writes nothing.
const (
	Off   Level = 0
	Error Level = 1
	Warn  Level = 2
	Info  Level = 3
	Debug Level = 4
)

// Writer puts one line, without a newline at its end, into the host's log. It must be
// safe for concurrent use and must not keep line.
type Writer func(level Level, line string)

// maxLine bounds a line in bytes: the hosts cut at 4 KB, some without a mark.
const maxLine = 3000

// Logger writes the lines of one plugin instance.
type Logger struct {
	prefix string
	level  Level
	write  Writer
	limit  *Throttle
}

// New returns the logger of the instance called name of a plugin; kind is
// "filter" or "output". every is the interval of Limited.
func New(kind, plugin, name string, level Level, every time.Duration, write Writer) *Logger {
	return &Logger{
		prefix: "[" + kind + ":" + plugin + ":" + clean(name) + "] ",
		level:  level,
		write:  write,
		limit:  NewThrottle(every),
	}
}

// Enabled reports whether lines of level are written. Ask before preparing
// something costly.
func (l *Logger) Enabled(level Level) bool {
	return l != nil && l.write != nil && level > Off && level <= l.level
}

// Printf writes one line at level.
func (l *Logger) Printf(level Level, format string, args ...any) {
	if !l.Enabled(level) {
		return
	}
	line := clean(fmt.Sprintf(format, args...))
	if len(line) > maxLine {
		cut := maxLine
		for cut > 0 && !utf8.RuneStart(line[cut]) {
			cut--
		}
		line = line[:cut] + " ... (cut)"
	}
	l.write(level, l.prefix+line)
}

// Limited writes like Printf, but at most one line of each kind per interval.
// The next line of a kind says how many were left out before it. kind is one of
// a few constants, never made from data: the kinds are kept for good.
func (l *Logger) Limited(level Level, kind string, now time.Time, format string, args ...any) {
	if !l.Enabled(level) {
		return
	}
	left, ok := l.limit.Allow(kind, now)
	if !ok {
		return
	}
	if left > 0 {
		format += " (%d more like this since the last line)"
		args = append(args[:len(args):len(args)], left)
	}
	l.Printf(level, format, args...)
}

// clean replaces control characters and broken UTF-8.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// Throttle lets one event of each kind pass per interval and counts the others.
type Throttle struct {
	every time.Duration

	mu    sync.Mutex
	kinds map[string]*kindState
}

type kindState struct {
	last time.Time // when one passed
	left uint64    // held back since then
}

// NewThrottle returns a throttle with the interval every.
func NewThrottle(every time.Duration) *Throttle {
	return &Throttle{every: every, kinds: make(map[string]*kindState)}
}

// Allow reports whether an event of kind may pass at now, and if so how many of its kind
// were held back since the last one that passed. When the clock jumps back before the last
// one, the event passes: nothing would be logged until the clock catches up.
func (t *Throttle) Allow(kind string, now time.Time) (left uint64, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := t.kinds[kind]
	if k == nil {
		t.kinds[kind] = &kindState{last: now}
		return 0, true
	}
	if since := now.Sub(k.last); since >= 0 && since < t.every {
		k.left++
		return 0, false
	}
	left, k.left = k.left, 0
	k.last = now
	return left, true
}
