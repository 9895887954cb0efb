package line

import (
	"bytes"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
)

// keySpan is the place of a key in a text.
type keySpan struct {
	start int // len of the text if nothing but white space is left
	end   int // -1 if there is no key
	value int // start of the value; 0: the "=" is at end, and the value directly after it
}

func (k keySpan) found() bool { return k.end >= 0 }

// valueStart returns where the value of the key starts.
func (k keySpan) valueStart() int {
	if k.value > 0 {
		return k.value
	}
	return k.end + 1
}

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
	return keySpan{start: i, end: keyEnd(s, i)}
}

// noKey is the key at the end of s.
func noKey(s []byte) keySpan { return keySpan{start: len(s), end: -1} }

// scanPairs adds the pairs of s, whose first key is k. The search for the end of a value
// also finds the next key, so each byte is looked at a bounded number of times. It returns
// the place of the first pair that is not plain, see scanKnown.
func (l *Line) scanPairs(s []byte, k keySpan) (plain int) {
	if !k.found() {
		return k.start
	}
	t := pad(s, l.arena)
	k = l.Pairs.scanKnown(t, k)
	for plain = k.start; k.found(); {
		if k = l.scanPair(t.text(), k); k.found() {
			k = l.Pairs.scanKnown(t, k)
		}
	}
	return plain
}

// scanPair adds the pair of k and returns the next key.
func (l *Line) scanPair(s []byte, k keySpan) (next keySpan) {
	value, next := l.scanValue(s, k)
	l.Pairs.Add(s[k.start:k.end], trimBlanks(value))
	return next
}

// scanValue reads the value of k and finds the next key.
func (l *Line) scanValue(s []byte, k keySpan) (value []byte, next keySpan) {
	i := k.valueStart()
	if i >= len(s) {
		return nil, noKey(s)
	}
	if ascii.IsBlank(s[i]) { // k= "v"
		if j := ascii.SkipBlanks(s, i); j < len(s) && (s[j] == '"' || s[j] == '\'') {
			i = j
		}
	}
	switch s[i] {
	case '"':
		return l.scanQuoted(s, i+1)
	case '\'':
		if v, next, ok := l.scanSingle(s, i+1); ok {
			return v, next
		}
	case '\\':
		l.unusual = l.unusual || bytes.HasPrefix(bytes.TrimLeft(s[i:], `\`), []byte{'"'})
	case '&':
		l.unusual = l.unusual || bytes.HasPrefix(s[i:], htmlQuote)
	case '<':
		if isXML(s[i:]) {
			return l.scanXML(s, i)
		}
	}
	return l.scanBare(s, i, k)
}

// scanBare reads the value of k without quotes at s[i].
func (l *Line) scanBare(s []byte, i int, k keySpan) (value []byte, next keySpan) {
	if g := l.gluedToEmpty(s, i, k); g.found() {
		return nil, g
	}
	for j := i; j < len(s); {
		c := s[j]
		if c == '\\' {
			if next = keyBehindTab(s, j); next.found() {
				l.notation.tabs = true
				return s[i:j], next
			}
		}
		if !ascii.IsBlank(c) && c != '#' && (c != l.notation.mark || c == 0) {
			j++
			continue
		}
		at := l.notation.skipSeparator(s, j, false)
		if at == len(s) {
			return s[i:j], noKey(s)
		}
		if at > j {
			if next = l.keyAt(s, at, false); next.found() {
				return s[i:j], next
			}
		}
		j = max(at, j+1)
	}
	return l.cutTail(s[i:], dict.Lookup(s[k.start:k.end])), noKey(s)
}

// keyBehindTab returns the key of the dictionary behind a tab that is written at s[i] as C
// and JSON escape it. Other such texts are parts of Windows paths.
func keyBehindTab(s []byte, i int) keySpan {
	if bytes.HasPrefix(s[i:], []byte(`\t`)) {
		i += len(`\t`)
		if end := keyEnd(s, i); end > 0 && dict.Lookup(s[i:end]) != dict.NoKey {
			return keySpan{start: i, end: end}
		}
	}
	return keySpan{start: i, end: -1}
}

// scanQuoted reads a quoted value that begins at s[i], after the quote. A quote, escaped or
// not, closes it only before the next key, or at the end. A value that is never closed
// extends to the end of the line: a relay cut the line, and pairs in a text that somebody
// else chose (a file name, a message) must not become fields.
func (l *Line) scanQuoted(s []byte, i int) (value []byte, next keySpan) {
	next = noKey(s)
	escaped := false
	for j := i; ; j++ {
		n := bytes.IndexByte(s[j:], '"')
		if n < 0 {
			value = l.cutMarks(s[i:])
			break
		}
		if j += n; j+1 == len(s) {
			value = trimAllEscaped(s[i:j])
			break
		}
		if ascii.IsBlank(s[j+1]) { // nearly always
			if k := nextKey(s, j+1); k.found() || k.start == len(s) {
				value, next = s[i:j], k
				break
			}
		}
		if k, ok := l.closes(s, i, j); ok {
			value, next = s[i:j], k
			break
		}
		escaped = escaped || j > i && s[j-1] == '\\'
	}
	if n := len(value); n > 0 && value[0] == '"' {
		// Doubled quotes, k=""v"", come from a CSV export on the way.
		if n == 1 {
			value = nil
		} else if value[n-1] == '"' {
			value = l.undoubleQuotes(value[1 : n-1])
		} else if !next.found() && bytes.IndexByte(value[1:], '"') < 0 {
			value = value[1:] // doubled quotes, cut before the closing ones
		}
	}
	if escaped {
		value = l.unescapeQuotes(value)
	}
	return value, next
}

// cutMarks returns the value v, which the end of the line ends, without its closing quote if
// only marks follow that, a full stop or a bracket, or a line break: text on the next line,
// without quotes, is no part of a value.
func (l *Line) cutMarks(v []byte) []byte {
	i := bytes.LastIndexByte(v, '"')
	if i <= 0 || bytes.Count(v[:i], []byte{'"'})%2 != 0 {
		return v
	}
	rest := v[i+1:]
	if len(bytes.TrimLeft(rest, ".,;:)]}>'")) == 0 {
		return v[:i]
	}
	if bytes.HasPrefix(bytes.TrimLeft(rest, "\r"), []byte{'\n'}) {
		l.leave(rest)
		return v[:i]
	}
	return v
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

// isXML reports whether s begins with the start tag of an XML element, not with "<key=".
func isXML(s []byte) bool {
	return len(s) > 1 && s[0] == '<' && ascii.IsLetter(s[1]) && keyEnd(s, 1) < 0
}

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
			return s[i:], noKey(s)
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

// trimBlanks returns v without blanks at either end.
func trimBlanks(v []byte) []byte { return ascii.TrimRight(ascii.TrimLeft(v)) }
