package line

import (
	"bytes"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
)

// NextMessage finds the first message of s: it ends at end, and the next one begins at
// next. Both are len(s) if s is one message, as almost always.
//
// Relays and inputs put several messages into one text: two lines in a datagram, frames
// with octet counts on an input that expects lines, batches. A line break, a NUL or an
// octet count separates messages only where something follows that begins one: PRI, a
// stamp, a tag with a process id, CEF, LEEF, JSON, or a key that begins a FortiEMS line. So
// does a line break or NUL that a relay wrote as text ("#012", "#000", "\n"), and nothing at
// all before PRI with a stamp or such a key behind it. Nothing separates inside a quoted
// value that goes on behind it: other texts may be quoted there. The objects of a JSON array
// and JSON objects one after another are messages each.
func NextMessage(s []byte) (end, next int) {
	if !maySplit(s) {
		return len(s), len(s)
	}
	var m Messages
	m.Reset(s)
	first := m.Next()
	if !m.More() {
		return len(s), len(s)
	}
	return len(first), m.at
}

// maySplit reports whether s has a byte that may separate messages. It is false for nearly
// all lines.
func maySplit(s []byte) bool {
	if len(s) == 0 {
		return false
	}
	if bytes.IndexByte(s, '\n') >= 0 || bytes.IndexByte(s[1:], '<') >= 0 || bytes.IndexByte(s, 0) >= 0 {
		return true
	}
	if s[0] == '{' || s[0] == '[' || s[len(s)-1] == ']' {
		return true
	}
	if i := bytes.IndexByte(s, '#'); i >= 0 && bytes.Contains(s[i:], []byte("#0")) {
		return true
	}
	i := bytes.IndexByte(s, '\\')
	return i >= 0 && bytes.Contains(s[i:], []byte(`\n`))
}

// Messages reads the messages of a text one after another, in time linear in the text. The
// zero value holds none. See [NextMessage] for what separates them.
type Messages struct {
	all []byte // the text
	at  int    // where the next message begins
	q   quoting

	array  bool // the objects are those of an array
	broken bool // an object of the text does not end
}

// Reset begins with another text, which must stay unchanged as long as its messages are in
// use.
func (m *Messages) Reset(text []byte) {
	*m = Messages{all: text, q: quoting{s: trimFraming(text)}}
}

// More reports whether there is another message.
func (m *Messages) More() bool { return m.at < len(m.all) }

// Next returns the next message, which points into the text.
func (m *Messages) Next() []byte {
	s, t, q, first := m.all, m.q.s, &m.q, m.at
	start := skipFraming(t, first)
	q.at, q.open = start, false
	behind, next := m.object(t, start)
	if next > 0 {
		m.at = next
		return s[first:behind]
	}
	for i := max(start+1, behind); i < len(t); {
		n := q.nextSeparator(i)
		if n < 0 {
			break
		}
		if t[n] == '<' {
			if end := q.gluedMessage(s, start, n); end > start && !q.inValue(end) {
				m.at = skipFraming(t, end)
				return s[first:end]
			}
			i = n + 1
			continue
		}
		if t[n] == '#' || t[n] == '\\' {
			to := skipEscaped(t, n)
			if to == n {
				i = n + 1
				continue
			}
			i = to
		} else {
			i = skipFraming(t, n)
		}
		if i < len(t) && !isBare(t[start:n]) && beginsMessage(t[start:n], t[i:]) && !q.inValue(n) {
			m.at = i
			return s[first:n]
		}
	}
	m.at = len(s)
	return s[first:]
}

// object returns the end of the JSON object that begins at t[start], or behind the bracket
// there, and where the next one begins, len(m.all) behind the last one of an array. behind is
// 0 if there is no object that ends, next if another message does not follow.
func (m *Messages) object(t []byte, start int) (behind, next int) {
	if m.broken || start >= len(t) {
		return 0, 0
	}
	i := start
	if !m.array && t[i] != '{' {
		if t[i] != '[' {
			if m.at > 0 {
				return 0, 0
			}
			if i = arrayBehindHeader(t); i < 0 {
				return 0, 0
			}
		}
		i = skipFraming(t, i+1)
		if i == len(t) || t[i] != '{' {
			return 0, 0
		}
		m.array = true
	}
	if behind = objectEnd(t, i); behind == 0 {
		m.broken, m.array = true, false
		return 0, 0
	}
	next = skipFraming(t, behind)
	if m.array && next < len(t) && t[next] == ']' && skipFraming(t, next+1) == len(t) {
		return behind, len(m.all)
	}
	if next < len(t) && t[next] == ',' {
		next = skipFraming(t, next+1)
	}
	if next < len(t) && t[next] == '{' {
		return behind, next
	}
	m.array = false
	return behind, 0
}

// arrayBehindHeader returns where the array of objects begins that ends t, -1 without one.
func arrayBehindHeader(t []byte) int {
	if lastByte(ascii.TrimRight(t)) != ']' {
		return -1
	}
	i := bytes.Index(t, []byte("[{"))
	if i >= 0 && bytes.IndexByte(t[:i], '=') >= 0 {
		return -1 // it is a value
	}
	return i
}

// objectEnd returns the end of the JSON object at t[i], 0 if it does not end.
func objectEnd(t []byte, i int) int {
	depth, quoted := 0, false
	for ; i < len(t); i++ {
		switch c := t[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// isBare reports whether s has nothing but a byte order mark or PRI, which begin a message.
func isBare(s []byte) bool {
	s = bytes.TrimPrefix(s[:min(len(s), maxBeginning)], utf8BOM)
	if n, text := parsePriority(s); n >= 0 {
		s = text
	}
	return skipFraming(s, 0) == len(s)
}

// skipEscaped returns the index behind the line breaks and NULs at t[i] that are written as
// text, and the blanks behind them.
func skipEscaped(t []byte, i int) int {
	for {
		n := 0
		for _, text := range [...]string{"#012", "#015", "#000", `\n`, `\r`} {
			if bytes.HasPrefix(t[i:], []byte(text)) {
				n = len(text)
				break
			}
		}
		if n == 0 {
			return i
		}
		i = skipFraming(t, i+n)
	}
}

// nextSeparator returns the index of the first byte of q.s[i:] that may separate messages:
// a line break, NUL, the "<" of a PRI, or the start of a line break as text; -1 without one.
func (q *quoting) nextSeparator(i int) int {
	first := -1
	for k := range separators {
		if n := q.find(k, i); n >= 0 && (first < 0 || n < first) {
			first = n
		}
	}
	return first
}

// searched are the bytes that find looks for; all but the last may separate messages.
var searched = [...]byte{'\n', 0, '<', '#', '\\', '='}

const separators, equalsSign = 5, 5

// find returns the index of the first searched[k] in q.s[i:], -1 without one. It remembers
// the place, so that each byte of the text is looked at once; i must not become smaller.
func (q *quoting) find(k, i int) int {
	at := &q.next[k]
	if *at < i && *at >= 0 || !q.known[k] {
		q.known[k] = true
		if *at = bytes.IndexByte(q.s[i:], searched[k]); *at >= 0 {
			*at += i
		}
	}
	return *at
}

// skipFraming returns the index of the first byte of s[i:] that is neither blank nor NUL.
func skipFraming(s []byte, i int) int {
	for i < len(s) && (ascii.IsBlank(s[i]) || s[i] == 0) {
		i++
	}
	return i
}

// maxBeginning is how much of a text is looked at to see whether it begins a message.
const maxBeginning = 400

// beginsMessage reports whether rest, which follows a separator, begins a message. before
// is the message so far.
func beginsMessage(before, rest []byte) bool {
	rest = rest[:min(len(rest), maxBeginning)]
	if n := bytes.IndexByte(rest, '\n'); n >= 0 {
		rest = rest[:n]
	}
	rest = skipOctetCount(bytes.TrimPrefix(rest, utf8BOM))
	if n, text := parsePriority(rest); n >= 0 {
		return len(text) > 0
	}
	switch {
	case len(rest) == 0:
		return false
	case rest[0] == '{':
		// In JSON over several lines another object follows one of these.
		last := ascii.TrimRight(before)
		return len(last) > 0 && bytes.IndexByte([]byte("{[,:"), last[len(last)-1]) < 0
	case bytes.HasPrefix(rest, cefPrefix), bytes.HasPrefix(rest, []byte("LEEF:")):
		return true
	}
	if k := keyEnd(rest, 0); k > 0 {
		return beginsLine(before, rest, rest[:k])
	}
	if n := bytes.IndexByte(rest, '<'); n > 0 {
		rest = rest[:n] // a PRI behind it begins a message of its own
	}
	var h Header
	h.parse(rest)
	return h.HasTime || len(h.ProcID) > 0 || dict.IsToken(h.AppName)
}

// beginsLine reports whether rest, which begins with key, begins another line of pairs and
// does not go on with those before it: the line has the key already, or the key is one
// that comes first; and other pairs follow on its line.
func beginsLine(before, rest, key []byte) bool {
	first, ok := firstKeys[string(key)]
	pairs := bytes.Count(rest, []byte{'='})
	return ok && (pairs > 1 && hasKey(before, key) || pairs > 2 && first)
}

// firstKeys are the keys that lines are seen to begin with. The value is true for those
// that are not seen in other places.
var firstKeys = map[string]bool{
	"date": true, "dtime": true, "logver": true, "timestamp": true, "itime": true, "devname": true,
	"time": false, "devid": false, "eventtime": false, "type": false, "id": false, "logid": false, "emsserial": false,
}

// hasKey reports whether s has the key.
func hasKey(s, key []byte) bool {
	for i := 0; ; {
		n := bytes.Index(s[i:], key)
		if n < 0 {
			return false
		}
		i += n + len(key)
		if i < len(s) && s[i] == '=' && (i == len(key) || !keyBytes[s[i-len(key)-1]]) {
			return true
		}
	}
}

// gluedMessage returns where the message before the PRI at q.s[i] ends, 0 if no message
// begins there. s is q.s with its framing.
func (q *quoting) gluedMessage(s []byte, start, i int) (end int) {
	t := q.s
	pri, text := parsePriority(t[i:])
	if pri < 0 || len(text) == 0 {
		return 0
	}
	if eq := q.find(equalsSign, start); eq < 0 || eq > i {
		return 0 // without pairs before it, it is the header of a relay
	}
	text = text[:min(len(text), maxBeginning)]
	if k := keyEnd(text, 0); k > 0 {
		if _, ok := firstKeys[string(text[:k])]; !ok {
			return 0
		}
	} else if !bytes.HasPrefix(text, cefPrefix) && !isStamped(text) {
		return 0
	}
	switch c := t[i-1]; {
	case c == ' ':
		return beforeCount(s, t, i)
	case c == '\r':
		return i - 1
	case c == '"', c == '}', c == ';', ascii.IsLetter(c), ascii.IsDigit(c):
		return i
	}
	return 0
}

// isStamped reports whether text begins with a header that has a time.
func isStamped(text []byte) bool {
	var h Header
	h.parse(text)
	return h.HasTime
}

// beforeCount returns the start of the octet count before the PRI at t[i], 0 if there is
// none. A count that follows a digit is the one that leads to the next count or to the end.
func beforeCount(s, t []byte, i int) int {
	last := i - 1 // the blank
	size, unit, at := 0, 1, last
	for at > 0 && last-at < 6 && ascii.IsDigit(t[at-1]) {
		at--
		size += int(t[at]-'0') * unit
		unit *= 10
		switch to := i + size; {
		case t[at] == '0':
		case to >= len(t) && to <= len(s):
			return at
		case to < len(t) && len(skipOctetCount(t[to:])) < len(t)-to:
			return at
		}
	}
	if at < last && at > 0 && (t[at-1] == '"' || t[at-1] == '}') {
		return at // the relay counted otherwise, or the message is cut
	}
	return 0
}

// quoting follows the quoted values of a text.
type quoting struct {
	s       []byte
	at      int // everything before it is read
	open    bool
	mark    byte               // the quote that opened the value
	decided int                // goesOn is known for places before it
	onward  bool               // what goesOn says of them
	next    [len(searched)]int // where find found it
	known   [len(searched)]bool
}

// inValue reports whether s[to] is inside a quoted value that goes on behind it. to must
// not become smaller.
func (q *quoting) inValue(to int) bool {
	for q.at < to {
		n := bytes.IndexAny(q.s[q.at:to], `"'`)
		if n < 0 {
			q.at = to
			break
		}
		i := q.at + n
		switch {
		case !q.open:
			q.open, q.mark = q.opens(i), q.s[i]
		case q.s[i] != q.mark:
		case q.closes(i):
			q.open = false
		case skipFraming(q.s[:to], i+1) == to:
			q.at = i
			return false // it closes the value if a message ends here
		}
		q.at = i + 1
	}
	return q.open && q.goesOn(to)
}

// opens reports whether the quote at s[i] opens a value.
func (q *quoting) opens(i int) bool {
	if i > 0 && q.s[i-1] == '\\' {
		i--
	}
	return i > 1 && q.s[i-1] == '=' && keyBytes[q.s[i-2]]
}

// closes reports whether the quote at s[i] closes a value: a key follows, or nothing.
func (q *quoting) closes(i int) bool {
	j := i + 1
	for j < len(q.s) && (ascii.IsBlank(q.s[j]) || q.s[j] == ',' || q.s[j] == ';' || q.s[j] == '|') {
		j++
	}
	return j == len(q.s) || j > i+1 && keyEnd(q.s, j) > 0
}

// goesOn reports whether a value that is open at s[to] is closed behind it, before another
// one opens: one that is cut is not.
func (q *quoting) goesOn(to int) bool {
	if to < q.decided {
		return q.onward
	}
	q.decided, q.onward = len(q.s), false
	for i := to; ; i++ {
		n := bytes.IndexAny(q.s[i:], `"'`)
		if n < 0 {
			return false
		}
		if i += n; q.opens(i) {
			q.decided = i
			return false
		}
		if q.s[i] == q.mark && q.closes(i) {
			q.decided, q.onward = i, true
			return true
		}
	}
}
