package line

import (
	"bytes"
	"unicode/utf8"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/ascii"
)

// Line is one line taken apart. The zero value is ready for ReadHeader. Reuse it: once its
// slices have grown, reading allocates nothing.
type Line struct {
	// Clean is the line as valid UTF-8, without CR, LF and NUL at its end.
	Clean  []byte
	Header Header
	// Body is what Clean has after the header.
	Body []byte
	// Stray is text between the header and the first pair, or before the tag of the header.
	Stray []byte
	CEF   CEF
	Pairs Pairs

	arena    *arena.Arena
	notation notation
	unusual  bool // a value shows another notation
	one      bool // nothing in the text can begin another message
}

// ReadHeader begins with another line and reads its header. Derived values will be kept in
// a, which the caller resets. text must stay unchanged as long as l is in use.
func (l *Line) ReadHeader(text []byte, a *arena.Arena) {
	l.arena = a
	l.CEF, l.one = CEF{}, false
	l.Pairs.Reset(a)
	l.Clean = trimFraming(text)
	if !utf8.Valid(l.Clean) {
		l.Clean = a.Keep(AppendValid(a.Start(len(text)+64), l.Clean))
	}
	l.Body, l.Stray = l.Header.parse(l.Clean)
}

// IsOneMessage reports, after ReadPairs, whether nothing in the text can begin another
// message. If not, [NextMessage] looks for one.
func (l *Line) IsOneMessage() bool { return l.one }

// trimFraming drops the CR, LF and NUL that framing leaves at the end of a line, also in the
// escaped form that a relay wrote.
func trimFraming(s []byte) []byte {
	for n := len(s); n > 0; n = len(s) {
		switch s[n-1] {
		case '\n', '\r', 0:
			s = s[:n-1]
		case '0', '2', '5', 'n', 'r':
			rest := trimEscaped(s)
			if len(rest) == n {
				return s
			}
			s = rest
		default:
			return s
		}
	}
	return s
}

// AppendValid appends s with every byte that is not UTF-8 replaced by U+FFFD.
func AppendValid(dst, s []byte) []byte {
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, "\uFFFD"...)
		} else {
			dst = append(dst, s[:n]...)
		}
		s = s[n:]
	}
	return dst
}

// HoldsSign reports whether a text that could not be read as pairs is one of FortiEMS: it
// has the name of one of its keys, or a serial number. Parameters of a URL do not count.
func HoldsSign(s []byte) bool {
	for _, sign := range [...]string{"emsserial", "fctver", "FCTEMS"} {
		for rest := s; ; {
			i := bytes.Index(rest, []byte(sign))
			if i < 0 {
				break
			}
			end := i + len(sign)
			if sign != "FCTEMS" && (i == 0 || rest[i-1] != '?' && rest[i-1] != '&') ||
				sign == "FCTEMS" && end < len(rest) && ascii.IsDigit(rest[end]) {
				return true
			}
			rest = rest[end:]
		}
	}
	return false
}
