package parser

import "bytes"

// header is what stands before the message: RFC 3164, RFC 5424, an ISO 8601
// stamp as relays write it, a broken one, or nothing.
type header struct {
	pri      int // -1 without one
	hostname []byte
	appname  []byte
	procid   []byte
	msgid    []byte
	sdata    []byte // RFC 5424 structured data with its brackets
	stray    []byte // text before the first pair that is no header
	first    span   // the key that the rest begins with, when end is not 0

	hasTime bool // stamp is set
	stamp
}

// stamp is a timestamp of a header.
type stamp struct {
	hasZone bool  // it names its offset
	noYear  bool  // RFC 3164: the year of local is 0
	local   civil // as written
	offset  int32 // seconds east of UTC
}

// parseHeader reads the header of line and returns the rest. Whatever does not
// look like a header is left in the rest: a broken header is never an error.
func (h *header) parseHeader(line []byte) []byte {
	h.pri = -1
	s := skipOctetCount(line)
	if n, rest := parsePRI(s); n >= 0 {
		h.pri, s = n, rest
	}
	if rest, ok := h.parse5424(s); ok {
		return rest
	}
	return h.parse3164(s)
}

// skipOctetCount drops the length of RFC 6587 framing.
func skipOctetCount(s []byte) []byte {
	n := 0
	for n < len(s) && n < 8 && isDigit(s[n]) {
		n++
	}
	if n > 0 && n+1 < len(s) && s[n] == ' ' && s[n+1] == '<' {
		return s[n+1:]
	}
	return s
}

// parsePRI reads <0> to <191>.
func parsePRI(s []byte) (int, []byte) {
	if len(s) < 3 || s[0] != '<' {
		return -1, s
	}
	n := 0
	for i := 1; i < len(s) && i <= 4; i++ {
		if s[i] == '>' && i > 1 {
			if n > 191 {
				return -1, s
			}
			return n, s[i+1:]
		}
		if !isDigit(s[i]) {
			return -1, s
		}
		n = n*10 + int(s[i]-'0')
	}
	return -1, s
}

// parse5424 reads VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID SD (RFC 5424
// section 6). ok is false when s does not begin like one.
func (h *header) parse5424(s []byte) (rest []byte, ok bool) {
	if len(s) < 4 || s[0] < '1' || s[0] > '9' || s[1] != ' ' {
		return s, false
	}
	s = s[2:]
	if s[0] == '-' && s[1] == ' ' {
		if h.pri < 0 {
			return s, false
		}
		s = s[2:]
	} else {
		n := h.stamp.parseISO(s)
		if n == 0 || n >= len(s) || s[n] != ' ' {
			return s, false
		}
		h.hasTime = true
		s = s[n+1:]
	}
	for _, word := range [...]*[]byte{&h.hostname, &h.appname, &h.procid, &h.msgid} {
		n := bytes.IndexByte(s, ' ')
		if n < 0 {
			n = len(s)
		}
		w := s[:n]
		if keyEnd(w, 0) >= 0 || len(w) > 255 {
			return s, true // a header cut short, the pairs begin here
		}
		if !(len(w) == 1 && w[0] == '-') {
			*word = w
		}
		s = s[min(n+1, len(s)):]
	}
	switch {
	case len(s) > 0 && s[0] == '[':
		if n := sdataEnd(s); n > 0 {
			h.sdata, s = s[:n], s[n:]
		}
	case len(s) > 0 && s[0] == '-' && (len(s) == 1 || s[1] == ' '):
		s = s[1:]
	}
	s = trimLeft(s)
	return bytes.TrimPrefix(s, utf8BOM), true
}

var utf8BOM = []byte("\xEF\xBB\xBF")

// sdataEnd returns the length of the structured data at the start of s, or 0
// when it is not well formed. Quotes are honoured: a "]" inside one is text. The
// blank behind it may be missing before a pair.
func sdataEnd(s []byte) int {
	i := 0
	for i < len(s) && s[i] == '[' {
		n := elementEnd(s[i:])
		if n == 0 {
			return 0
		}
		i += n
	}
	if i < len(s) && s[i] != ' ' && keyEnd(s, i) < 0 {
		return 0
	}
	return i
}

// elementEnd returns the length of the SD-ELEMENT at the start of s, or 0.
func elementEnd(s []byte) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ']' && !quoted:
			return i + 1
		}
	}
	return 0
}

// EachSD calls element with the id of every SD-ELEMENT of RFC 5424 structured
// data and then param with its parameters, values with their escapes undone by
// UnescapeSD. Either may be called with what a sloppy sender wrote.
func EachSD(s []byte, element func(id []byte), param func(name, value []byte)) {
	for len(s) > 0 && s[0] == '[' {
		n := elementEnd(s)
		if n == 0 {
			return
		}
		e := s[1 : n-1]
		s = s[n:]
		w := wordEnd(e)
		element(e[:w])
		eachParam(e[w:], param)
	}
}

func eachParam(e []byte, param func(name, value []byte)) {
	for {
		e = trimLeft(e)
		n := bytes.IndexByte(e, '=')
		if n < 0 || n+1 >= len(e) || e[n+1] != '"' {
			if len(e) > 0 {
				param(e, nil)
			}
			return
		}
		name := e[:n]
		v := e[n+2:]
		i := 0
		for i < len(v) && v[i] != '"' {
			if v[i] == '\\' {
				i++
			}
			i++
		}
		i = min(i, len(v))
		param(name, v[:i])
		e = v[min(i+1, len(v)):]
	}
}

// UnescapeSD appends the value of a parameter with \" \\ \] undone.
func UnescapeSD(dst, v []byte) []byte {
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) && (v[i+1] == '"' || v[i+1] == '\\' || v[i+1] == ']') {
			i++
		}
		dst = append(dst, v[i])
	}
	return dst
}

// parse3164 reads [TIMESTAMP ...] [HOSTNAME] [TAG[PID]:] in the forms that
// relays and FortiEMS write.
func (h *header) parse3164(s []byte) []byte {
	s = trimLeft(s)
	stamped := false
	for len(s) > 0 {
		n, broken := h.parseStamp(s)
		if n == 0 {
			break
		}
		stamped = !broken
		s = s[skipBlanks(s, n):]
	}
	if h.isBody(s) {
		return s
	}
	if stamped {
		w := wordEnd(s)
		if rest := trimLeft(s[w:]); isHostname(s[:w]) && (!isTypeToken(s[:w]) || followsHost(rest)) {
			h.hostname, s = s[:w], rest
			if h.isBody(s) {
				return s
			}
		}
	}
	return h.parseTag(s)
}

// parseStamp reads one timestamp at the start of s and returns its length.
// broken tells of letters glued to it, as FortiEMS 7.2 does; no host follows.
// The first stamp that names its zone is kept, else the first one.
func (h *header) parseStamp(s []byte) (n int, broken bool) {
	if len(s) < 15 {
		return 0, false
	}
	t := &h.stamp
	if h.hasTime {
		t = new(stamp)
	}
	switch {
	case isDigit(s[0]):
		n = t.parseISO(s)
		if n > 0 && !t.hasZone && n+1 < len(s) && s[n] == ' ' {
			// Behind a blank with all its digits, +0200 or +02:00.
			if z, offset := parseOffset(s[n+1:]); z >= len("+0200") && isDigit(s[n+3]) {
				t.hasZone, t.offset = true, offset
				n += 1 + z
			}
		}
	case s[3] == ' ':
		n = t.parseBSD(s)
	}
	if n == 0 {
		return 0, false
	}
	if h.hasTime && t.hasZone && !h.hasZone {
		h.stamp = *t
	}
	h.hasTime = true
	end := n
	for end < len(s) && !blank[s[end]] {
		if s[end] == '=' {
			return n, false // a pair without the blank before it
		}
		end++
	}
	if end == n+1 && s[n] == ':' {
		return end, false
	}
	return end, end > n
}

// parseBSD reads "Oct  1 22:17:30", also with a year before or behind the time, or
// a fraction. s has 15 bytes at least, the blank behind the month among them.
func (t *stamp) parseBSD(s []byte) int {
	month := monthOf(s[:3])
	if month == 0 {
		return 0
	}
	c := &t.local
	c.year, c.month = 0, int32(month)
	i := 7
	switch {
	case s[6] != ' ':
		// "Oct 1 22:17:30", with one blank and one digit.
		if i = 6; s[5] != ' ' || !isDigit(s[4]) {
			return 0
		}
		c.day = int32(s[4] - '0')
	case s[4] == ' ' && isDigit(s[5]):
		c.day = int32(s[5] - '0')
	default:
		if c.day = pair(s[4], s[5]); c.day >= 100 {
			return 0
		}
	}
	if s[i+2] != ':' {
		if y, n := digits(s[i:], 4); n == 4 && i+4 < len(s) && s[i+4] == ' ' {
			c.year = int32(y)
			i += 5
		}
	}
	n, ok := c.parseClock(s[i:])
	i += n
	if ok && c.year == 0 && len(s)-i >= 5 && s[i] == ' ' {
		// The year behind the time, as ctime writes it.
		if y, n := digits(s[i+1:], 4); n == 4 && (i+5 == len(s) || blank[s[i+5]]) {
			c.year = int32(y)
			i += 5
		}
	}
	if !ok || !c.valid() {
		return 0
	}
	t.hasZone, t.noYear = false, c.year == 0
	return i
}

// parseISO reads 2024-10-01T22:17:30.112143+00:00, also with a space for the T
// and without an offset.
func (t *stamp) parseISO(s []byte) int {
	c := &t.local
	if len(s) < 19 || !c.parseDate(s[:10]) || s[10] != 'T' && s[10] != ' ' {
		return 0
	}
	n, ok := c.parseClock(s[11:])
	if !ok || !c.valid() {
		return 0
	}
	n += 11
	z, offset := parseOffset(s[n:])
	t.hasZone, t.offset, t.noYear = z > 0, offset, false
	return n + z
}

// parseTag reads "app[pid]: " or the token of a type without a colon.
func (h *header) parseTag(s []byte) []byte {
	w := wordEnd(s)
	if w == 0 {
		return s
	}
	tag := s[:w]
	name, pid, colon := splitTag(tag)
	if !isTagName(name) || !colon && pid == nil && !isTypeToken(name) {
		return s
	}
	h.appname, h.procid = name, pid
	return trimLeft(s[w:])
}

// splitTag takes a word apart that may be "app[pid]:"; pid is nil without one.
func splitTag(w []byte) (name, pid []byte, colon bool) {
	if colon = len(w) > 0 && w[len(w)-1] == ':'; colon {
		w = w[:len(w)-1]
	}
	if i := bytes.IndexByte(w, '['); i > 0 && w[len(w)-1] == ']' {
		return w[:i], w[i+1 : len(w)-1], colon
	}
	return w, nil, colon
}

// followsHost reports whether s begins with a tag that has a process id or is a
// token. The word before it is the host then, even one called like a type; other
// words with a colon may begin the message.
func followsHost(s []byte) bool {
	name, pid, colon := splitTag(s[:wordEnd(s)])
	return isTagName(name) && (pid != nil || colon && findToken(name) != noToken || isTypeToken(name))
}

// isTypeToken reports whether a word is the token of a type as a whole: "ems-vpn",
// not "ems-vpn-01", which is a host.
func isTypeToken(w []byte) bool {
	return len(w) > len("ems-") && hasPrefixFold(w, "ems") && (w[3] == '-' || w[3] == '_') && tokenIn(&allTokens, w[4:]) >= 0
}

// isBody reports whether the message begins here rather than a header word. It
// notes the key that it begins with.
func (h *header) isBody(s []byte) bool {
	if k := nextKey(s, 0); k.end > 0 {
		h.first = k
		return true
	}
	return len(s) == 0 || s[0] == '{' || s[0] == '<' || s[0] == '"' || s[0] == '[' || bytes.HasPrefix(s, cefPrefix)
}

// isHostname reports whether w can be the HOSTNAME of RFC 3164: a name or an
// address, and no tag with a colon.
func isHostname(w []byte) bool {
	if len(w) == 0 || len(w) > 255 || w[len(w)-1] == ':' {
		return false
	}
	for _, c := range w {
		if !(isLetter(c) || isDigit(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '%') {
			return false
		}
	}
	return true
}

// isTagName reports whether w can be the TAG of RFC 3164, with the characters
// that daemons use beyond its letters and digits.
func isTagName(w []byte) bool {
	if len(w) == 0 || len(w) > 48 {
		return false
	}
	for _, c := range w {
		if !(isLetter(c) || isDigit(c) || c == '.' || c == '-' || c == '_' || c == '/') {
			return false
		}
	}
	return true
}

func wordEnd(s []byte) int {
	for i, c := range s {
		if blank[c] {
			return i
		}
	}
	return len(s)
}

func trimLeft(s []byte) []byte { return s[skipBlanks(s, 0):] }

// skipBlanks returns the index of the first byte of s[i:] that is not blank, or
// len(s).
func skipBlanks(s []byte, i int) int {
	for i < len(s) && blank[s[i]] {
		i++
	}
	return i
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
