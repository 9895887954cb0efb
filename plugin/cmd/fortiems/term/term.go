// Package term writes for people: colours, progress, and texts of logs that must not
// control the terminal.
package term

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
)

// Is reports whether w is a terminal.
func Is(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Width returns the columns of the terminal w, or otherwise if it is none.
func Width(w any, otherwise int) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return otherwise
}

// Palette colours texts. The zero value leaves them as they are.
type Palette struct{ on bool }

// Colors returns the palette for w by mode: always, never or auto. With auto there are
// colours on a terminal, unless NO_COLOR (https://no-color.org) is set or TERM is dumb.
func Colors(mode string, w io.Writer, env func(string) string) Palette {
	switch mode {
	case "always":
		return Palette{true}
	case "never":
		return Palette{}
	}
	// The console of older Windows prints the codes; Windows Terminal sets WT_SESSION.
	plain := env("NO_COLOR") != "" || env("TERM") == "dumb" || runtime.GOOS == "windows" && env("WT_SESSION") == ""
	return Palette{!plain && Is(w)}
}

func (p Palette) code(code, s string) string {
	if !p.on || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// The styles.
func (p Palette) Bold(s string) string   { return p.code("1", s) }
func (p Palette) Dim(s string) string    { return p.code("2", s) }
func (p Palette) Red(s string) string    { return p.code("31", s) }
func (p Palette) Green(s string) string  { return p.code("32", s) }
func (p Palette) Yellow(s string) string { return p.code("33", s) }
func (p Palette) Cyan(s string) string   { return p.code("36", s) }

// Safe returns s with every character that could control a terminal or reorder the text
// written as an escape, and with invalid UTF-8 replaced.
func Safe(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f {
			return safe(s)
		}
	}
	return s
}

func safe(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r == utf8.RuneError:
			b.WriteRune(r)
		case !unicode.IsPrint(r):
			fmt.Fprintf(&b, `\u%04x`, r) // C1 controls, bidirectional marks, separators
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Cut returns at most n characters of s; the last one is … if there were more.
func Cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	count := 0
	for i := range s {
		if count == max(n-1, 0) {
			return s[:i] + "…"
		}
		count++
	}
	return s
}

// Pad returns s filled with blanks up to n characters, or cut to n.
func Pad(s string, n int) string {
	s = Cut(s, n)
	return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s)))
}

// Progress shows on w, once a second, what line returns. It shows nothing unless w is a
// terminal. The returned function ends it and clears the line.
func Progress(w io.Writer, line func() string) (stop func()) {
	if !Is(w) {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		shown := false
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				if shown {
					fmt.Fprint(w, "\r\x1b[K")
				}
				return
			case <-tick.C:
				shown = true
				fmt.Fprintf(w, "\r\x1b[K%s", Cut(line(), Width(w, 80)-1))
			}
		}
	}()
	return sync.OnceFunc(func() { close(done); <-ended })
}
