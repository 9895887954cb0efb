package line

import (
	"bytes"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
)

// Header is what a line has before its message: a header of RFC 3164 or RFC 5424, an ISO
// 8601 stamp as relays write it, a broken one, or nothing. Its texts point into the line.
type Header struct {
	Priority       int // PRI of RFC 5424, 0 to 191; -1 without one
	Hostname       []byte
	AppName        []byte
	ProcID         []byte
	MsgID          []byte
	StructuredData []byte // of RFC 5424, with its brackets
	HasTime        bool   // Time is set
	Time           Stamp
}

// parse reads the header of s and returns the rest. It never fails: what does not look
// like a header is left in the rest.
func (h *Header) parse(s []byte) []byte {
	*h = Header{Priority: -1}
	s = skipOctetCount(s)
	if n, rest := parsePriority(s); n >= 0 {
		h.Priority, s = n, rest
	}
	if rest, ok := h.parse5424(s); ok {
		return rest
	}
	return h.parse3164(s)
}

// skipOctetCount drops the message length of RFC 6587 octet counting.
func skipOctetCount(s []byte) []byte {
	n := 0
	for n < len(s) && n < 8 && ascii.IsDigit(s[n]) {
		n++
	}
	if n > 0 && n+1 < len(s) && s[n] == ' ' && s[n+1] == '<' {
		return s[n+1:]
	}
	return s
}

// parsePriority reads <0> to <191>; n is -1 for anything else.
func parsePriority(s []byte) (n int, rest []byte) {
	if len(s) < 3 || s[0] != '<' {
		return -1, s
	}
	for i := 1; i < len(s) && i <= 4; i++ {
		if s[i] == '>' && i > 1 {
			if n > 191 {
				return -1, s
			}
			return n, s[i+1:]
		}
		if !ascii.IsDigit(s[i]) {
			return -1, s
		}
		n = n*10 + int(s[i]-'0')
	}
	return -1, s
}

var utf8BOM = []byte("\xEF\xBB\xBF")

// parse5424 reads VERSION TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA (RFC
// 5424 section 6). ok is false if s does not begin with a version and a timestamp.
func (h *Header) parse5424(s []byte) (rest []byte, ok bool) {
	if len(s) < 4 || s[0] < '1' || s[0] > '9' || s[1] != ' ' {
		return s, false
	}
	s = s[2:]
	if s[0] == '-' && s[1] == ' ' {
		if h.Priority < 0 {
			return s, false
		}
		s = s[2:]
	} else {
		n := h.Time.parseISO(s)
		if n == 0 || n >= len(s) || s[n] != ' ' {
			return s, false
		}
		h.HasTime = true
		s = s[n+1:]
	}
	for _, word := range [...]*[]byte{&h.Hostname, &h.AppName, &h.ProcID, &h.MsgID} {
		w, rest, _ := bytes.Cut(s, []byte{' '})
		if keyEnd(w, 0) >= 0 || len(w) > 255 {
			return s, true // the header was cut short: the pairs begin here
		}
		if string(w) != "-" {
			*word = w
		}
		s = rest
	}
	switch {
	case len(s) > 0 && s[0] == '[':
		if n := structuredDataEnd(s); n > 0 {
			h.StructuredData, s = s[:n], s[n:]
		}
	case len(s) > 0 && s[0] == '-' && (len(s) == 1 || s[1] == ' '):
		s = s[1:]
	}
	return bytes.TrimPrefix(ascii.TrimLeft(s), utf8BOM), true
}

// parse3164 reads [TIMESTAMP ...] [HOSTNAME] [TAG[PID]:] in the forms that relays and
// FortiEMS write.
func (h *Header) parse3164(s []byte) []byte {
	s = ascii.TrimLeft(s)
	stamped := false
	for len(s) > 0 {
		n, broken := h.parseStamp(s)
		if n == 0 {
			break
		}
		stamped = !broken
		s = s[ascii.SkipBlanks(s, n):]
	}
	if beginsBody(s) {
		return s
	}
	if stamped {
		w := ascii.WordEnd(s)
		if rest := ascii.TrimLeft(s[w:]); isHostname(s[:w]) && (!dict.IsToken(s[:w]) || beginsTag(rest)) {
			h.Hostname, s = s[:w], rest
			if beginsBody(s) {
				return s
			}
		}
	}
	return h.parseTag(s)
}

// parseStamp reads one timestamp at the start of s and returns its length. broken means
// that letters are glued to it, as FortiEMS 7.2 writes it; no host name follows then. The
// first stamp with a zone counts, else the first one.
func (h *Header) parseStamp(s []byte) (n int, broken bool) {
	var t Stamp
	if n = t.parse(s); n == 0 {
		return 0, false
	}
	if !h.HasTime || t.HasZone && !h.Time.HasZone {
		h.HasTime, h.Time = true, t
	}
	end := n
	for end < len(s) && !ascii.IsBlank(s[end]) {
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

// parseTag reads "app[pid]: ", or the token of a category without a colon.
func (h *Header) parseTag(s []byte) []byte {
	w := ascii.WordEnd(s)
	name, pid, colon := splitTag(s[:w])
	if !IsTagName(name) || !colon && pid == nil && !dict.IsToken(name) {
		return s
	}
	h.AppName, h.ProcID = name, pid
	return ascii.TrimLeft(s[w:])
}

// splitTag splits a word that may be "app[pid]:"; pid is nil without one.
func splitTag(w []byte) (name, pid []byte, colon bool) {
	w, colon = bytes.CutSuffix(w, []byte{':'})
	if i := bytes.IndexByte(w, '['); i > 0 && w[len(w)-1] == ']' {
		return w[:i], w[i+1 : len(w)-1], colon
	}
	return w, nil, colon
}

// beginsTag reports whether s begins with a tag that has a process id or is a token. The
// word before it is then the host name, even one that looks like a token. Other words with
// a colon may begin the message.
func beginsTag(s []byte) bool {
	name, pid, colon := splitTag(s[:ascii.WordEnd(s)])
	return IsTagName(name) && (pid != nil || colon && dict.FindToken(name) != dict.NoToken || dict.IsToken(name))
}

// beginsBody reports whether s begins with the message rather than a header word.
func beginsBody(s []byte) bool {
	return len(s) == 0 || s[0] == '{' || s[0] == '<' || s[0] == '"' || s[0] == '[' ||
		keyEnd(s, 0) > 0 || bytes.HasPrefix(s, cefPrefix)
}

// isHostname reports whether w can be the HOSTNAME of RFC 3164: a name or an address, and
// not a tag with a colon.
func isHostname(w []byte) bool {
	if len(w) == 0 || len(w) > 255 || w[len(w)-1] == ':' {
		return false
	}
	for _, c := range w {
		if !(ascii.IsLetter(c) || ascii.IsDigit(c) || c == '.' || c == '-' || c == '_' || c == ':' || c == '%') {
			return false
		}
	}
	return true
}

// IsTagName reports whether w can be the TAG of RFC 3164, with the characters that daemons
// use beyond letters and digits.
func IsTagName(w []byte) bool {
	if len(w) == 0 || len(w) > 48 {
		return false
	}
	for _, c := range w {
		if !(ascii.IsLetter(c) || ascii.IsDigit(c) || c == '.' || c == '-' || c == '_' || c == '/') {
			return false
		}
	}
	return true
}
