package line

import (
	"bytes"

	"fluent-bit-fortiems/parser/ascii"
)

// keySpan is the place of a key in a text. Its "=" is at end.
type keySpan struct {
	start int // len of the text if nothing but white space is left
	end   int // -1 if there is no key
}

func (k keySpan) found() bool { return k.end >= 0 }

// keyBytes has the bytes that may be part of a key.
var keyBytes = func() (t [256]bool) {
	for c := range t {
		t[c] = ascii.IsLetter(byte(c)) || ascii.IsDigit(byte(c)) || c == '_' || c == '-' || c == '.'
	}
	return t
}()

// keyEnd returns the index of the "=" of a key that starts at s[i], or -1.
func keyEnd(s []byte, i int) int {
	if i >= len(s) || s[i] == '-' || s[i] == '.' {
		return -1
	}
	for j := i; j < len(s); j++ {
		if !keyBytes[s[j]] {
			if s[j] == '=' && j > i {
				return j
			}
			return -1
		}
	}
	return -1
}

// nextKey returns the key that follows the white space at s[i], if any. Without a key,
// start is where to go on looking.
func nextKey(s []byte, i int) keySpan {
	i = ascii.SkipBlanks(s, i)
	return keySpan{i, keyEnd(s, i)}
}

// scanPairs adds the pairs of s, whose first key is k. The search for the end of a value
// also finds the next key, so each byte is looked at a bounded number of times.
func (l *Line) scanPairs(s []byte, k keySpan) {
	t := pad(s, l.arena)
	s = t.text()
	for k.found() {
		k = l.Pairs.scanKnown(t, k)
		value, next := l.scanValue(s, k.end+1)
		l.Pairs.Add(s[k.start:k.end], value)
		k = next
	}
}

// scanValue reads the value at s[i] and finds the next key.
func (l *Line) scanValue(s []byte, i int) (value []byte, next keySpan) {
	switch {
	case i >= len(s):
		return nil, keySpan{i, -1}
	case s[i] == '"':
		return l.scanQuoted(s, i+1)
	case isXML(s[i:]):
		return l.scanXML(s, i)
	}
	for j := i; j < len(s); {
		if !ascii.IsBlank(s[j]) {
			j++
			continue
		}
		next = nextKey(s, j)
		if next.found() || next.start == len(s) {
			return s[i:j], next
		}
		j = next.start
	}
	return s[i:], keySpan{len(s), -1}
}

// scanQuoted reads a quoted value that begins at s[i], after the quote. A quote, escaped or
// not, closes it only before white space and the next key, or at the end. A value that is
// never closed extends to the end of the line: a relay cut the line, and pairs in a text
// that somebody else chose (a file name, a message) must not become fields.
func (l *Line) scanQuoted(s []byte, i int) (value []byte, next keySpan) {
	next = keySpan{len(s), -1}
	escaped := false
	for j := i; ; j++ {
		n := bytes.IndexByte(s[j:], '"')
		if n < 0 {
			value = s[i:]
			break
		}
		if j += n; j+1 == len(s) {
			value = s[i:j]
			break
		}
		if ascii.IsBlank(s[j+1]) {
			if k := nextKey(s, j+1); k.found() || k.start == len(s) {
				value, next = s[i:j], k
				break
			}
		}
		escaped = escaped || j > i && s[j-1] == '\\'
	}
	if n := len(value); n > 0 && value[0] == '"' {
		// Doubled quotes, k=""v"", come from a CSV export on the way.
		if n == 1 {
			value = nil
		} else if value[n-1] == '"' {
			value = l.undoubleQuotes(value[1 : n-1])
		}
	}
	if escaped {
		value = l.unescapeQuotes(value)
	}
	return value, next
}

// undoubleQuotes turns "" into ".
func (l *Line) undoubleQuotes(v []byte) []byte {
	if !bytes.Contains(v, []byte(`""`)) {
		return v
	}
	b := l.arena.Start(len(v))
	for i := 0; i < len(v); i++ {
		b = append(b, v[i])
		if v[i] == '"' && i+1 < len(v) && v[i+1] == '"' {
			i++
		}
	}
	return l.arena.Keep(b)
}

// unescapeQuotes turns \" into ". Other backslashes are part of the value, as in Windows
// paths.
func (l *Line) unescapeQuotes(v []byte) []byte {
	b := l.arena.Start(len(v))
	for i, c := range v {
		if c != '\\' || i+1 == len(v) || v[i+1] != '"' {
			b = append(b, c)
		}
	}
	return l.arena.Keep(b)
}

// isXML reports whether s begins with the start tag of an XML element.
func isXML(s []byte) bool { return len(s) > 1 && s[0] == '<' && ascii.IsLetter(s[1]) }

// scanXML reads the XML element at s[i], up to its end tag if a key or the end of the line
// follows, else up to the end of the line, because attributes look like pairs.
func (l *Line) scanXML(s []byte, i int) (value []byte, next keySpan) {
	j := i + 1
	for j < len(s) && (keyBytes[s[j]] || s[j] == ':') {
		j++
	}
	name := s[i+1 : j]
	// The name has no "<", so comparing it at every "</" stays linear.
	for {
		n := bytes.Index(s[j:], []byte("</"))
		if n < 0 {
			return s[i:], keySpan{len(s), -1}
		}
		j += n + len("</")
		if !bytes.HasPrefix(s[j:], name) || j+len(name) >= len(s) || s[j+len(name)] != '>' {
			continue
		}
		j += len(name) + 1
		if next = nextKey(s, j); next.found() && next.start > j || next.start == len(s) {
			return s[i:j], next
		}
	}
}
