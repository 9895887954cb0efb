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

	arena *arena.Arena
}

// ReadHeader begins with another line and reads its header. Derived values will be kept in
// a, which the caller resets. text must stay unchanged as long as l is in use.
func (l *Line) ReadHeader(text []byte, a *arena.Arena) {
	l.arena = a
	l.CEF = CEF{}
	l.Pairs.Reset(a)
	l.Clean = trimFraming(text)
	if !utf8.Valid(l.Clean) {
		l.Clean = a.Keep(AppendValid(a.Start(len(text)+64), l.Clean))
	}
	l.Body, l.Stray = l.Header.parse(l.Clean)
}

// trimFraming drops the CR, LF and NUL that framing leaves at the end of a line.
func trimFraming(s []byte) []byte {
	n := len(s)
	for n > 0 && (s[n-1] == '\n' || s[n-1] == '\r' || s[n-1] == 0) {
		n--
	}
	return s[:n]
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

var ceePrefix = []byte("@cee:")

// ReadPairs reads the pairs of the body, after ReadHeader.
func (l *Line) ReadPairs() {
	s := ascii.TrimLeft(bytes.TrimPrefix(l.Body, ceePrefix))
	switch {
	case len(s) == 0:
		return
	case s[0] == '{' && l.readJSON(s):
		return
	case isXML(s):
		// The attributes of an XML body are not pairs.
		_, k := l.scanXML(s, 0)
		l.scanPairs(s, k)
		return
	}
	for i := 0; i < len(s); {
		k := nextKey(s, i)
		// Look for CEF before glued keys: its header may be one word with the first key.
		if !k.found() && bytes.HasPrefix(s[k.start:], cefPrefix) {
			l.setStray(s[:k.start])
			l.readCEF(s[k.start:])
			return
		}
		if !k.found() {
			k = gluedKey(s, k.start)
		}
		if k.found() {
			l.setStray(s[:k.start])
			l.scanPairs(s, k)
			return
		}
		i = k.start + ascii.WordEnd(s[k.start:])
	}
}

// setStray notes text before the first pair.
func (l *Line) setStray(text []byte) {
	if text = ascii.TrimRight(text); len(text) > 0 {
		l.Stray = text
	}
}

// gluedKey finds a key inside the word at s[i] that follows the rest of a broken header
// without a blank, as in "<999>dtime=" or "[x]type=".
func gluedKey(s []byte, i int) keySpan {
	word := s[i : i+ascii.WordEnd(s[i:])]
	eq := bytes.IndexByte(word, '=')
	k := eq
	for k > 0 && keyBytes[word[k-1]] {
		k--
	}
	if k > 0 && k < eq && (word[k-1] == '>' || word[k-1] == ']' || word[k-1] == '|') {
		return keySpan{i + k, keyEnd(s, i+k)}
	}
	return keySpan{i, -1}
}
