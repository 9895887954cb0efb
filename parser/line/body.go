package line

import (
	"bytes"
	"strings"

	"fluent-bit-fortiems/parser/ascii"
)

var ceePrefix = []byte("@cee:")

// ReadPairs reads the pairs of the body, after ReadHeader.
func (l *Line) ReadPairs() { l.readBody(l.Body, 0) }

// readBody reads the pairs of s: key=value, CEF, LEEF, JSON or XML. depth is how many JSON
// objects or texts s was wrapped in.
func (l *Line) readBody(s []byte, depth int) {
	l.notation, l.unusual = notation{}, false
	before := l.Stray // of the header
	s = ascii.TrimLeft(bytes.TrimPrefix(s, ceePrefix))
	if len(s) == 0 || l.readJSONBody(s, depth) {
		return
	}
	if isXML(s) {
		// The attributes of an XML body are not pairs.
		_, k := l.scanXML(s, 0)
		l.scanPairs(s, k)
		return
	}
	if bytes.IndexByte(s, '=') < 0 && !bytes.Contains(s, formatMark) {
		l.readUnusual(s, depth, before)
		return
	}
	for i := 0; i < len(s); {
		k := nextKey(s, i)
		// Look for CEF before glued keys: its header may be one word with the first key.
		if !k.found() && l.readFormat(s, k.start) {
			return
		}
		if !k.found() {
			k = gluedKey(s, k.start)
		}
		if k.found() {
			l.setStray(s[:k.start])
			plain := l.scanPairs(s, k)
			if !l.isUsual(s, k) {
				l.readUnusual(s, depth, before)
			} else if n := len(l.Clean) - len(s); n >= 0 && depth == 0 {
				// Only what is not in plain pairs can begin another message.
				l.one = !maySplit(l.Clean[:n+k.start]) && !maySplit(s[plain:])
			}
			return
		}
		i = k.start + ascii.WordEnd(s[k.start:])
	}
	l.readUnusual(s, depth, before)
}

// formatMark is what the names of CEF and LEEF end with.
var formatMark = []byte("EF:")

// readFormat reads a body of CEF or LEEF that begins at s[i].
func (l *Line) readFormat(s []byte, i int) bool {
	switch {
	case bytes.HasPrefix(s[i:], cefPrefix):
		l.readCEF(s[i:])
	case isLEEF(s[i:]):
		l.readLEEF(s[i:])
	default:
		return false
	}
	l.setStray(s[:i])
	return true
}

// setStray notes text before the first pair.
func (l *Line) setStray(text []byte) {
	if text = ascii.TrimRight(text); len(text) > 0 {
		l.Stray = text
	}
}

// leave notes text behind the pairs that belongs to none of them, unless there is text before
// them.
func (l *Line) leave(text []byte) {
	if text = trimBlanks(text); len(text) > 0 && len(l.Stray) == 0 {
		l.Stray = text
	}
}

// A relay that speaks XML or HTML writes quotes so.
var (
	htmlQuote = []byte("&quot;")
	htmlPair  = []byte("=&quot;")

	xmlEntities = strings.NewReplacer("&quot;", `"`, "&apos;", "'", "&#39;", "'", "&lt;", "<", "&gt;", ">", "&amp;", "&")
)

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
		return keySpan{start: i + k, end: keyEnd(s, i+k)}
	}
	return keySpan{start: i, end: -1}
}

// isUsual reports whether s, whose pairs from k on have been read, has no sign of another
// notation. Only then are the pairs right.
func (l *Line) isUsual(s []byte, k keySpan) bool {
	quoted := k.end+1 < len(s) && s[k.end+1] == '"'
	if l.unusual || !quoted && markOf(l.Pairs.List[0].Value) != 0 {
		return false
	}
	return k.start == 0 || closingOf(lastByte(l.Stray)) == 0 && bytes.IndexByte(l.Stray, '=') < 0
}

func lastByte(s []byte) byte {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1]
}

// markOf returns the mark that separates the pairs of a line whose first value, up to a
// blank and a key, is v; 0 for none.
func markOf(v []byte) byte {
	for i, c := range v {
		if !isMark(c) {
			continue
		}
		if j := skipBlanks(v, i+1); j == len(v) || keyEnd(v, j) >= 0 {
			return c
		}
	}
	return 0
}

// closingOf returns the byte that closes what c opens, or 0.
func closingOf(c byte) byte {
	switch c {
	case '[':
		return ']'
	case '(':
		return ')'
	case '{':
		return '}'
	case '<':
		return '>'
	case '"', '\'', '`':
		return c
	}
	return 0
}

// readUnusual reads the pairs of s in a notation that the usual scan does not know. It
// reads all of them again. stray is the text that the header has left over.
func (l *Line) readUnusual(s []byte, depth int, stray []byte) {
	if bytes.IndexByte(s, '=') < 0 && bytes.IndexByte(s, '"') < 0 {
		return
	}
	if depth < maxDepth && allQuotesEscaped(s) {
		l.Pairs.Reset(l.arena)
		l.Stray = stray
		l.readBody(l.unescapeLevel(s), depth+1)
		return
	}
	if depth < maxDepth && bytes.Contains(s, htmlPair) {
		l.Pairs.Reset(l.arena)
		l.Stray = stray
		l.readBody([]byte(xmlEntities.Replace(string(s))), depth+1)
		return
	}
	k, n := firstUnusualKey(s)
	if !k.found() {
		return
	}
	l.Pairs.Reset(l.arena)
	l.notation = n
	l.Stray = trimEscapedBlanks(s[:keyStart(s, k)])
	if closing := closingOf(lastByte(l.Stray)); closing != 0 {
		l.Stray = ascii.TrimRight(l.Stray[:len(l.Stray)-1])
		s = dropClosing(s, keyStart(s, k), closing)
	}
	if len(l.Stray) == 0 {
		l.Stray = stray
	}
	l.notation.mark = l.firstMark(s, k)
	for k.found() {
		k = l.scanPair(s, k)
	}
}

// keyStart returns where a key starts, with its quote if it has one.
func keyStart(s []byte, k keySpan) int {
	if k.start > 0 && k.end < len(s) && s[k.end] == s[k.start-1] && s[k.end] != '=' && !ascii.IsBlank(s[k.end]) {
		return k.start - 1
	}
	return k.start
}

// trimEscapedBlanks returns s without blanks at its end, escaped ones too.
func trimEscapedBlanks(s []byte) []byte {
	for {
		s = ascii.TrimRight(s)
		if n := len(s) - escapeLen; n < 0 || !isEscapedBlank(s, n) {
			return s
		}
		s = s[:len(s)-escapeLen]
	}
}

// dropClosing drops the byte at the end of s, or before marks there, that closes what was
// opened before s[from]. A quote counts only if the others are pairs.
func dropClosing(s []byte, from int, closing byte) []byte {
	t := ascii.TrimRight(s)
	for len(t) > from && isMark(t[len(t)-1]) {
		t = ascii.TrimRight(t[:len(t)-1])
	}
	if len(t) <= from || t[len(t)-1] != closing {
		return s
	}
	if closing == '"' && bytes.Count(t[from:], []byte{'"'})%2 == 0 {
		return s
	}
	return t[:len(t)-1]
}

// firstUnusualKey finds the first key of s in any notation, at the start of a word or after
// a bracket, a quote or an escaped blank.
func firstUnusualKey(s []byte) (keySpan, notation) {
	l := Line{notation: notation{spaced: true, quoted: true}}
	for i := 0; i < len(s); i++ {
		if i > 0 && !startsWord(s, i) {
			continue
		}
		if end := keyEnd(s, i); end >= 0 {
			return keySpan{start: i, end: end}, notation{}
		}
		if c := s[i]; c == '"' || c == '\'' {
			if k := quotedKey(s, i); k.found() {
				return k, notation{quoted: true}
			}
			continue
		}
		end := i
		for end < len(s) && keyBytes[s[end]] {
			end++
		}
		if end > i && end < len(s) && ascii.IsBlank(s[end]) {
			if k := l.spacedKey(s, i, end); k.found() {
				return k, notation{spaced: true}
			}
			i = end - 1
		}
	}
	return noKey(s), notation{}
}

// startsWord reports whether a key may start at s[i].
func startsWord(s []byte, i int) bool {
	c := s[i-1]
	return ascii.IsBlank(c) || closingOf(c) != 0 || c == '>' || c == ']' || c == ')' || c == '}' || c == '|' ||
		i >= escapeLen && isEscapedBlank(s, i-escapeLen)
}

// firstMark returns the mark after the value of the first key of s, or 0.
func (l *Line) firstMark(s []byte, k keySpan) byte {
	i := k.valueStart()
	if i < len(s) && (s[i] == '"' || s[i] == '\'') {
		for j := i + 1; j < len(s); j++ {
			if s[j] != s[i] {
				continue
			}
			if m := skipBlanks(s, j+1); m < len(s) && isMark(s[m]) && l.keyAt(s, skipBlanks(s, m+1), true).found() {
				return s[m]
			}
			if _, ok := l.closes(s, i+1, j); ok {
				return 0
			}
		}
		return 0
	}
	for j := i; j < len(s); j++ {
		switch m := skipBlanks(s, j); {
		case m < len(s) && isMark(s[m]) && l.keyAt(s, skipBlanks(s, m+1), false).found():
			return s[m]
		case m > j && (m == len(s) || l.keyAt(s, m, false).found()):
			return 0
		case m > j:
			j = m - 1
		}
	}
	return 0
}

// allQuotesEscaped reports whether s has quotes, and a backslash before each of them.
func allQuotesEscaped(s []byte) bool {
	some := false
	for i, c := range s {
		if c == '"' {
			if i == 0 || s[i-1] != '\\' {
				return false
			}
			some = true
		}
	}
	return some
}

// unescapeLevel undoes the escaping of a whole text: \" and, if whoever escaped it doubled
// all backslashes, \\.
func (l *Line) unescapeLevel(s []byte) []byte {
	doubled := true
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' {
			i++
			doubled = doubled && i < len(s) && (s[i] == '\\' || s[i] == '"')
		}
	}
	b := l.arena.Start(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || doubled && s[i+1] == '\\') {
			i++
		}
		b = append(b, s[i])
	}
	return l.arena.Keep(b)
}
