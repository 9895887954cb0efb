package line

import (
	"bytes"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
)

// notation is how a line writes its pairs where that differs from key=value and
// key="value" with blanks between them. The first pair shows it.
type notation struct {
	mark   byte // between pairs: "," ";" or "|"; 0 for none
	spaced bool // blanks around "="
	quoted bool // keys in quotes

	tabs   bool // tabs are written as \t
	single bool // a value before was in single quotes
	open   bool // no single quote of the rest closes a value
}

// maxOddKey is the longest key with odd characters, in bytes.
const maxOddKey = maxNameLen

// isMark reports whether c separates pairs in some notations.
func isMark(c byte) bool { return c == ',' || c == ';' || c == '|' }

// isOddKeyByte reports whether c may be part of a key with odd characters.
func isOddKeyByte(c byte) bool {
	switch c {
	case '=', '"', '\'', '`', '<', '>', ',', ';', '|', '?', '&', '\\', '{', '}', 0:
		return false
	}
	return !ascii.IsBlank(c)
}

// escapeLen is the length of a control character as rsyslog escapes it: # and three octal
// digits.
const escapeLen = len("#011")

// isEscapedBlank reports whether s[i:] begins with a tab, LF or CR as rsyslog escapes it.
func isEscapedBlank(s []byte, i int) bool {
	return i+escapeLen <= len(s) && s[i] == '#' && s[i+1] == '0' && s[i+2] == '1' &&
		(s[i+3] == '1' || s[i+3] == '2' || s[i+3] == '5')
}

// trimEscaped drops one escaped CR, LF or NUL at the end of s: #015, #012, #000 of rsyslog,
// \r\n of others. A single \n or \r counts after a quote only, because a path or an account
// may end so.
func trimEscaped(s []byte) []byte {
	n := len(s)
	if n < escapeLen || s[n-escapeLen] != '#' && s[n-2] != '\\' {
		return s
	}
	for _, tail := range [...]string{"#012", "#015", "#000", `\r\n`} {
		if n >= len(tail) && string(s[n-len(tail):]) == tail {
			return s[:n-len(tail)]
		}
	}
	if n > 2 && s[n-2] == '\\' && (s[n-1] == 'n' || s[n-1] == 'r') && s[n-3] == '"' {
		return s[:n-2]
	}
	return s
}

// trimAllEscaped is trimEscaped as often as it drops something.
func trimAllEscaped(s []byte) []byte {
	for {
		rest := trimEscaped(s)
		if len(rest) == len(s) {
			return s
		}
		s = rest
	}
}

func skipBlanks(s []byte, i int) int {
	for i < len(s) {
		switch {
		case ascii.IsBlank(s[i]):
			i++
		case isEscapedBlank(s, i):
			i += escapeLen
		default:
			return i
		}
	}
	return i
}

// skipSeparator returns the index of the first byte of s[i:] that does not separate pairs:
// blanks, and at most one mark, that of the notation or any.
func (n *notation) skipSeparator(s []byte, i int, anyMark bool) int {
	i = skipBlanks(s, i)
	if i < len(s) && isMark(s[i]) && (anyMark || s[i] == n.mark) {
		i = skipBlanks(s, i+1)
	}
	return i
}

// keyAt returns the key at s[i], in any notation. closed says that a quoted value ended
// before it: then a key may have odd characters whatever its value is. Else they count only
// before a quoted value.
func (l *Line) keyAt(s []byte, i int, closed bool) keySpan {
	none := keySpan{start: i, end: -1}
	if i >= len(s) {
		return none
	}
	if end := keyEnd(s, i); end >= 0 {
		if l.notation.spaced {
			return keySpan{i, end, ascii.SkipBlanks(s, end+1)}
		}
		return keySpan{start: i, end: end}
	}
	if c := s[i]; l.notation.quoted && (c == '"' || c == '\'') {
		return quotedKey(s, i)
	}
	end := i
	for end < len(s) && end-i <= maxOddKey && isOddKeyByte(s[end]) {
		end++
	}
	if end == i || end == len(s) || s[i] == '(' || s[i] == ')' || s[i] == '[' || s[i] == ']' {
		return none
	}
	if ascii.IsBlank(s[end]) {
		return l.spacedKey(s, i, end)
	}
	if s[end] == '=' && (closed || end+1 < len(s) && s[end+1] == '"') {
		return keySpan{start: i, end: end}
	}
	return none
}

// spacedKey returns the key s[i:end] if blanks and "=" follow. In a line of another notation
// it counts before a quoted value only.
func (l *Line) spacedKey(s []byte, i, end int) keySpan {
	none := keySpan{start: i, end: -1}
	eq := ascii.SkipBlanks(s, end)
	if eq == len(s) || s[eq] != '=' || s[i] == '-' || s[i] == '.' {
		return none
	}
	for _, c := range s[i:end] {
		if !keyBytes[c] {
			return none
		}
	}
	v := ascii.SkipBlanks(s, eq+1)
	if l.notation.spaced || v < len(s) && s[v] == '"' {
		return keySpan{i, end, v}
	}
	return none
}

// quotedKey returns the key in quotes at s[i], with "=" or ":" after it.
func quotedKey(s []byte, i int) keySpan {
	end := i + 1
	for end < len(s) && end-i <= maxOddKey && isOddKeyByte(s[end]) {
		end++
	}
	if end > i+1 && end < len(s) && s[end] == s[i] {
		if eq := ascii.SkipBlanks(s, end+1); eq < len(s) && (s[eq] == '=' || s[eq] == ':') {
			return keySpan{i + 1, end, ascii.SkipBlanks(s, eq+1)}
		}
	}
	return keySpan{start: i, end: -1}
}

// closes reports whether the quote at s[q] closes the value that begins at s[from], and
// which key follows.
func (l *Line) closes(s []byte, from, q int) (next keySpan, ok bool) {
	i := q + 1
	at := l.notation.skipSeparator(s, i, true)
	switch {
	case at == len(s):
		return noKey(s), true
	case s[at] == '<' && startsMessage(s[at:]):
		return noKey(s), true // what follows is another message
	case at > i:
		if next = l.keyAt(s, at, true); next.found() {
			l.unusual = l.unusual || isMark(s[skipBlanks(s, i)])
			return next, true
		}
		return noKey(s), isCutKey(s[at:])
	case s[i] == '#' && len(s)-i < escapeLen && bytes.HasPrefix([]byte("#01"), s[i:]):
		return noKey(s), true // a separator that was cut
	}
	if next = keyBehindTab(s, i); next.found() {
		return next, true
	}
	// A key glued to the quote. A quote after a blank begins a text rather than ending one.
	end := keyEnd(s, i)
	if q > from && (ascii.IsBlank(s[q-1]) || s[q-1] == '=') {
		return noKey(s), false
	}
	if end < 0 {
		return noKey(s), q > from && beginsKey(s[i:])
	}
	quoted := end+1 < len(s) && s[end+1] == '"'
	if q == from && quoted && end+2 < len(s) && s[end+2] == '"' {
		return noKey(s), false // doubled quotes
	}
	if quoted || q > from && dict.Lookup(s[i:end]) != dict.NoKey {
		return keySpan{start: i, end: end}, true
	}
	return noKey(s), false
}

// startsMessage reports whether s begins with a PRI.
func startsMessage(s []byte) bool { n, _ := parsePriority(s); return n >= 0 }

// isCutKey reports whether s, after a quoted value, is the beginning of a key that was cut.
func isCutKey(s []byte) bool {
	s = ascii.TrimRight(s)
	if n := len(s); n > 1 && (s[0] == '"' || s[0] == '\'') {
		if s[n-1] == s[0] {
			s = s[:n-1]
		}
		s = s[1:]
	}
	for _, c := range s {
		if !isOddKeyByte(c) {
			return false
		}
	}
	return len(s) <= maxOddKey
}

// scanSingle reads a value in single quotes that begins at s[i], after the quote. ok is
// false if no quote closes it: then the quote is part of the value, unless the line had
// such a value before.
func (l *Line) scanSingle(s []byte, i int) (value []byte, next keySpan, ok bool) {
	for j := i; !l.notation.open; j++ {
		n := bytes.IndexByte(s[j:], '\'')
		if n < 0 {
			l.notation.open = true
			break
		}
		j += n
		if next, ok = l.closes(s, i, j); ok {
			l.notation.single = true
			return s[i:j], next, true
		}
	}
	return s[i:], noKey(s), l.notation.single
}

func keySet(names ...string) (set dict.KeySet) {
	for _, name := range names {
		if k := dict.Lookup([]byte(name)); k != dict.NoKey {
			set.Add(k)
		}
	}
	return set
}

var (
	// textKeys hold text that may look like a pair, or end with a word that looks like a key.
	textKeys = keySet("msg", "logdesc", "url", "os", "description", "reason", "failed_reason", "file", "path", "apppath",
		"detectedpath", "usingpolicy", "policyname", "virus", "vulnname", "vulnref", "app", "appvendor", "srcproduct", "threat",
		"ref", "ae_reason", "from", "to", "activity", "affected_prod_list", "vulnproducts")
	// wordKeys hold one word.
	wordKeys = keySet("id", "logid", "log_id", "type", "subtype", "level", "eventtime", "date", "time", "timestamp", "itime", "tz",
		"emsserial", "fctemssn", "devid", "device_id", "fctsn", "fctver", "fctuid", "uid", "deviceip", "devicemac", "regip", "ip",
		"srcip", "locip", "srcport", "srcmac", "dstip", "dstport", "destport", "gatewayport", "sentbyte", "rcvdbyte", "proto",
		"direction", "sessionid", "logver", "filesize", "checksum", "analyticscksum", "eventtype", "fgtserial", "url")
	keyNames = dict.Names()[1:]
)

// gluedToEmpty returns the key at s[i] if the value of k is empty and the next pair follows
// its "=" directly, as in dstip=authid="x".
func (l *Line) gluedToEmpty(s []byte, i int, k keySpan) keySpan {
	none := keySpan{start: i, end: -1}
	end := keyEnd(s, i)
	if end < 0 {
		if l.notation.spaced {
			word := i
			for word < len(s) && keyBytes[s[word]] {
				word++
			}
			if word > i && word < len(s) && ascii.IsBlank(s[word]) {
				return l.spacedKey(s, i, word)
			}
		}
		return none
	}
	if end+1 < len(s) && s[end+1] == '"' || dict.Lookup(s[i:end]) != dict.NoKey {
		if key := dict.Lookup(s[k.start:k.end]); !textKeys.Has(key) {
			return keySpan{start: i, end: end}
		}
	}
	return none
}

// cutTail returns the value v of a key, which extends to the end of the line, without a mark
// there and without a last word that is the beginning of another key: a relay cut the line.
// A key of one word has no other word; others lose the beginning of a dictionary key only.
func (l *Line) cutTail(v []byte, k dict.Key) []byte {
	v = ascii.TrimRight(v)
	for n := len(v); n > 1 && isMark(v[n-1]); n = len(v) {
		v = ascii.TrimRight(v[:n-1])
	}
	if k != dict.NoKey && !textKeys.Has(k) {
		for _, cut := range [...]string{"#", "#0", "#01"} { // of an escaped blank
			if rest, ok := bytes.CutSuffix(v, []byte(cut)); ok {
				return trimFraming(rest)
			}
		}
	}
	if i := bytes.LastIndexByte(v, '\\'); i >= 0 && (l.notation.tabs && !textKeys.Has(k) || wordKeys.Has(k)) {
		if w, tab := bytes.CutPrefix(v[i+1:], []byte{'t'}); len(v[i+1:]) == 0 || tab && beginsKey(w) {
			return v[:i] // an escaped tab, and a key that was cut
		}
	}
	last := len(v)
	for last > 0 && keyBytes[v[last-1]] {
		last--
	}
	if last == 0 || last == len(v) {
		return v
	}
	w := v[last:]
	// Separators before the last word, and the end of what is before them.
	end := last
	for end > 0 && ascii.IsBlank(v[end-1]) {
		end--
	}
	if end > 0 && isMark(v[end-1]) && (v[end-1] == l.notation.mark || wordKeys.Has(k) && beginsKey(w)) {
		end--
	}
	if end == last {
		// An escaped blank ends with digits, which are part of the word.
		if n := last; n > 0 && v[n-1] == '#' && isEscapedBlank(v, n-1) && len(w) > escapeLen-1 {
			end, w = n-1, w[escapeLen-1:]
		} else {
			return v
		}
	}
	rest := trimBlanks(v[:end])
	oneWord := ascii.WordEnd(rest) == len(rest)
	switch {
	case isNull(rest), oneWord && wordKeys.Has(k), k != dict.NoKey && !textKeys.Has(k) && beginsKey(w):
		return rest
	}
	return v
}

// beginsKey reports whether a key of the dictionary begins with w.
func beginsKey(w []byte) bool {
	for _, name := range keyNames {
		if len(w) <= len(name) && name[:len(w)] == string(w) {
			return true
		}
	}
	return false
}
