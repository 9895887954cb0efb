package line

import (
	"bytes"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/timestamp"
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
	Time           timestamp.Stamp
}

// parse reads the header of s and returns the rest. It never fails: what does not look
// like a header is left in the rest. unread is text before a tag that is no header.
func (h *Header) parse(s []byte) (rest, unread []byte) {
	*h = Header{Priority: -1}
	if rest, ok := h.parseUsual(s); ok {
		return rest, nil
	}
	*h = Header{Priority: -1}
	return h.parseUnusual(s)
}

// parseUsual reads the headers that FortiEMS and most relays write, followed by a pair, JSON
// or CEF. ok is false for others, and where parseUnusual would read more.
func (h *Header) parseUsual(s []byte) (rest []byte, ok bool) {
	s = skipOctetCount(s)
	if n, rest := parsePriority(s); n >= 0 {
		h.Priority, s = n, rest
	}
	if rest, ok = h.parse5424(s); ok {
		if n := len(h.AppName); n > 0 && (h.AppName[n-1] == ':' || h.AppName[n-1] == ']') || ascii.WordEnd(h.Hostname) < len(h.Hostname) {
			return nil, false
		}
	} else if rest, ok = h.parse3164(s); !ok {
		return nil, false
	}
	return rest, beginsPairs(rest) || len(h.ProcID) > 0 && len(h.Hostname) > 0 && isPlainText(rest)
}

// isPlainText reports whether s is a message of words: no header, and no token in it.
func isPlainText(s []byte) bool {
	if !ascii.IsLetter(s[0]) || (bytes.IndexByte(s, '-') >= 0 || bytes.IndexByte(s, '_') >= 0) && ascii.ContainsFold(s, "ems") {
		return false
	}
	return !beginsStamp(s)
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
		n := h.Time.ReadISO(s)
		if n == 0 || n >= len(s) || s[n] != ' ' || s[10] == ' ' {
			return s, false
		}
		h.HasTime = true
		s = s[n+1:]
	}
	return h.parseFields(s), true
}

// parseFields reads what RFC 5424 has after TIMESTAMP. Senders leave out fields.
func (h *Header) parseFields(s []byte) []byte {
	for _, word := range [...]*[]byte{&h.Hostname, &h.AppName, &h.ProcID, &h.MsgID} {
		w, rest, _ := bytes.Cut(s, []byte{' '})
		if len(w) > 0 && beginsPairs(s) || len(w) > 255 {
			return s // the header was cut short: the body begins here
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
	return bytes.TrimPrefix(ascii.TrimLeft(s), utf8BOM)
}

// parse3164 reads [TIMESTAMP] [HOSTNAME] [TAG[PID]:], and the two stamps of FortiEMS 7.2. ok
// is false where parseUnusual would read more.
func (h *Header) parse3164(s []byte) (rest []byte, ok bool) {
	s = ascii.TrimLeft(s)
	if n := h.Time.ReadUsual(s); n > 0 {
		h.HasTime = true
		whole := n == len(s) || ascii.IsBlank(s[n])
		s = s[n:]
		if !whole {
			if s, ok = skipBroken(s); !ok {
				return nil, false
			}
		}
		s = ascii.TrimLeft(s)
		if len(s) > 0 && isMonthOrDigit(s) {
			// FortiEMS 7.2 writes a broken stamp of RFC 3164 after one of ISO 8601.
			var second timestamp.Stamp
			n := second.ReadUsual(s)
			if n == 0 {
				n, _ = second.Read(s)
			}
			if n > 0 {
				if s, ok = skipBroken(s[n:]); !ok || !h.Time.HasZone {
					return nil, false
				}
				whole, s = false, ascii.TrimLeft(s)
			}
		}
		if w := ascii.WordEnd(s); whole && !beginsPairs(s) && isHostname(s[:w]) {
			if s[0] == '-' || timestamp.IsStampWord(s[:w]) || isLevel(s[:w]) {
				return nil, false
			}
			if rest := ascii.TrimLeft(s[w:]); !dict.IsToken(s[:w]) || beginsTag(rest) {
				h.Hostname, s = s[:w], rest
			}
		}
	}
	if beginsPairs(s) {
		return s, true
	}
	name, pid, n := tagAt(s)
	if n == 0 || ascii.IsDigit(name[0]) || name[0] == '-' || timestamp.IsStampWord(name) {
		return nil, false
	}
	h.AppName, h.ProcID = name, pid
	return ascii.TrimLeft(s[n:]), true
}

func isMonthOrDigit(s []byte) bool { return ascii.IsDigit(s[0]) || timestamp.Month(s) > 0 }

// skipBroken skips the "s" that FortiEMS 7.2 writes directly after a stamp.
func skipBroken(s []byte) (rest []byte, ok bool) {
	if len(s) > 1 && s[0] == 's' && ascii.IsBlank(s[1]) {
		return s[1:], true
	}
	return s, false
}

// tagAt reads "app[pid]:", or the token of a category without a colon, at the start of s.
// Its length is n, 0 for anything else; pid is nil without one.
func tagAt(s []byte) (name, pid []byte, n int) {
	n = ascii.WordEnd(s)
	name, pid, colon := splitTag(s[:n])
	if !IsTagName(name) || !colon && pid == nil && !dict.IsToken(name) {
		return nil, nil, 0
	}
	return name, pid, n
}

// splitTag splits a word that may be "app[pid]:" or, for a token, "app(pid):"; pid is nil
// without one.
func splitTag(w []byte) (name, pid []byte, colon bool) {
	w, colon = bytes.CutSuffix(w, []byte{':'})
	n := len(w)
	if n > 0 && w[n-1] == ']' {
		if i := bytes.IndexByte(w, '['); i > 0 {
			return w[:i], w[i+1 : n-1], colon
		}
	}
	if n > 0 && w[n-1] == ')' {
		if i := bytes.IndexByte(w, '('); i > 0 && ascii.AllDigits(w[i+1:n-1]) && dict.IsToken(w[:i]) {
			return w[:i], w[i+1 : n-1], colon
		}
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

// beginsPairs reports whether s is empty or begins with a pair, JSON, CEF or LEEF.
func beginsPairs(s []byte) bool {
	return len(s) == 0 || s[0] == '{' || s[0] == '[' && isJSONArray(s) || keyEnd(s, 0) > 0 || bytes.HasPrefix(s, cefPrefix) || isLEEF(s)
}

// isJSONArray reports whether s begins with an array of objects.
func isJSONArray(s []byte) bool {
	s = ascii.TrimLeft(s[1:])
	return len(s) > 0 && s[0] == '{'
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
