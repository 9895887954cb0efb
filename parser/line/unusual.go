package line

import (
	"bytes"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/timestamp"
)

// This file reads headers that relays have changed. Header.parseUsual reads the others, with
// the same result; the differential test of test/reference compares both with a third
// reading.

const (
	maxHeaders = 4 // of relays, one before the other
	maxWords   = 8 // of one header that are skipped
)

// parseUnusual reads any header. A PRI or a stamp inside the header begins another one: that
// of the sender, to which a relay has added its own. What the sender says counts.
func (h *Header) parseUnusual(s []byte) (rest, unread []byte) {
	s, _ = h.parseLevel(s)
	for range maxHeaders - 1 {
		inner := Header{Priority: -1}
		after, inside := inner.parseInner(s, len(h.AppName) > 0)
		if !inside && unread == nil && len(h.AppName) == 0 && len(h.ProcID) == 0 {
			var host []byte
			if s, host, unread = skipToPriority(s); host == nil && unread == nil {
				break
			}
			if len(h.Hostname) == 0 {
				h.Hostname = host
			} else if unread == nil {
				unread = host
			}
			inner = Header{Priority: -1}
			after, inside = inner.parseInner(s, true)
		}
		if !inside {
			break
		}
		h.enter(&inner)
		s = after
	}
	s, words := h.findTag(s)
	if len(words) > 0 {
		unread = words
	}
	return skipJunk(s), unread
}

// skipToPriority skips words before a PRI that begins a header with a stamp or a tag. One word
// that is a host name or an address is the host as the relay knows it; others are unread.
func skipToPriority(s []byte) (rest, host, unread []byte) {
	at := 0
	for range maxWords {
		if at == len(s) || beginsPairs(s[at:]) {
			break
		}
		at += ascii.WordEnd(s[at:])
		at = len(s) - len(skipJunk(s[at:]))
		if n, _ := parsePriority(s[at:]); n < 0 {
			continue
		}
		var inner Header
		if inner.parseInner(s[at:], true); !inner.HasTime && len(inner.AppName) == 0 {
			break
		}
		words := ascii.TrimRight(s[:at])
		if host, _ = hostOf(words); host == nil {
			unread = words
		}
		return s[at:], host, unread
	}
	return s, nil, nil
}

// parseInner reads a header at s, which follows another one. ok is false if s begins with the
// message: a time may be its first word.
func (h *Header) parseInner(s []byte, tagged bool) (rest []byte, ok bool) {
	if n, _ := parsePriority(s); n >= 0 {
		rest, stamped := h.parseLevel(s)
		return rest, stamped || len(h.AppName) > 0 || len(h.Hostname) > 0 || beginsPairs(rest)
	}
	if !beginsStamp(s) {
		return s, false
	}
	rest, _ = h.parse3164Words(s)
	if len(h.AppName) > 0 {
		return rest, !tagged || dict.FindToken(h.AppName) != dict.NoToken || h.ProcID != nil || beginsPairs(rest)
	}
	if len(h.Hostname) > 0 && !beginsPairs(rest) {
		return s, false // the message begins with a time and words
	}
	return rest, beginsPairs(rest)
}

// enter takes what an inner header says. The host before a header that names neither time
// nor host is that of the sender, as the relay knows it (RFC 3164 section 4.3.3).
func (h *Header) enter(inner *Header) {
	outer := *h
	if *h = *inner; inner.Priority < 0 {
		h.Priority = outer.Priority
		if len(h.AppName) == 0 {
			h.AppName, h.ProcID, h.MsgID, h.StructuredData = outer.AppName, outer.ProcID, outer.MsgID, outer.StructuredData
		}
		if len(h.Hostname) == 0 {
			h.Hostname = outer.Hostname
		}
	} else if len(h.Hostname) == 0 && !h.HasTime {
		h.Hostname = outer.Hostname
	}
	if outer.HasTime {
		stamp, ok := h.Time, h.HasTime
		h.Time, h.HasTime = outer.Time, true
		if ok {
			h.setStamp(&stamp)
		}
	}
}

// setStamp takes a stamp that follows the one of h. Of two stamps the second is that of the
// sender. If it has no year, or names no offset, it takes those of the first one when both
// are the same time within 5 s; else the one with a year counts.
func (h *Header) setStamp(t *timestamp.Stamp) {
	if !h.HasTime {
		h.HasTime, h.Time = true, *t
		return
	}
	outer, inner := &h.Time, *t
	if outer.NoYear || !inner.NoYear && (inner.HasZone || !outer.HasZone) {
		if outer.NoYear || !inner.NoYear {
			h.Time = inner
		}
		return
	}
	years := []int32{inner.Local.Year}
	if inner.NoYear {
		years = []int32{outer.Local.Year, outer.Local.Year - 1, outer.Local.Year + 1}
	}
	for _, year := range years {
		local := inner.Local
		local.Year = year
		difference := local.UTC() - (outer.Local.UTC() - int64(outer.Offset)) // Offset is 0 without a zone
		offset, ok := timestamp.NearOffset(difference)
		if !local.Valid() || !ok || inner.HasZone && offset != inner.Offset || !outer.HasZone && offset != 0 && !inner.HasZone {
			continue
		}
		if difference == int64(offset) && local.Nsec == 0 && offset == outer.Offset {
			return // the first one has the same second, and perhaps a fraction
		}
		inner.Local, inner.NoYear = local, false
		if outer.HasZone {
			inner.HasZone, inner.Offset = true, offset
		}
		h.Time = inner
		return
	}
	if !inner.NoYear {
		h.Time = inner
	}
}

// skipJunk skips white space, NUL and byte order marks.
func skipJunk(s []byte) []byte {
	for len(s) > 0 {
		switch {
		case ascii.IsBlank(s[0]) || s[0] == 0:
			s = s[1:]
		case bytes.HasPrefix(s, utf8BOM):
			s = s[len(utf8BOM):]
		default:
			return s
		}
	}
	return s
}

// parseLevel reads one header and returns the rest. stamped reports whether there was a
// stamp, even one that is no time.
func (h *Header) parseLevel(s []byte) (rest []byte, stamped bool) {
	s = skipCount(skipJunk(s))
	if n, rest := parsePriority(s); n >= 0 {
		h.Priority, s = n, skipJunk(rest)
	} else if n := badPriority(s); n > 0 {
		if after := skipJunk(s[n:]); beginsStamp(after) {
			s = after
		}
	}
	if rest, ok := h.parseVersion(s); ok {
		return skipJunk(rest), true
	}
	return h.parse3164Words(s)
}

// skipCount drops the message length of RFC 6587 octet counting.
func skipCount(s []byte) []byte {
	n := 0
	for n < len(s) && n < 8 && ascii.IsDigit(s[n]) {
		n++
	}
	if rest := ascii.TrimLeft(s[n:]); n > 0 && len(rest) > 0 && len(rest) < len(s)-n && rest[0] == '<' {
		return rest
	}
	return s
}

// badPriority returns the length of a PRI that is no priority: "<>" or "<999>".
func badPriority(s []byte) int {
	if len(s) < 2 || s[0] != '<' {
		return 0
	}
	n := 1
	for n < len(s) && n < 6 && ascii.IsDigit(s[n]) {
		n++
	}
	if n < len(s) && s[n] == '>' {
		return n + 1
	}
	return 0
}

// parseVersion reads a header of RFC 5424 with any stamp. ok is false if s does not begin
// with a version and a stamp.
func (h *Header) parseVersion(s []byte) (rest []byte, ok bool) {
	n := 0
	for n < len(s) && n < 3 && ascii.IsDigit(s[n]) {
		n++
	}
	if n == 0 || s[0] == '0' || n == len(s) || !ascii.IsBlank(s[n]) {
		return s, false
	}
	s = ascii.TrimLeft(s[n:])
	w := ascii.WordEnd(s)
	var t timestamp.Stamp
	n, valid := t.Read(s[:w])
	switch {
	case n > 0 && n == w:
	case string(s[:w]) == "-" && h.Priority >= 0:
		valid = false
	default:
		if n, valid = t.Read(s); n > 0 && (n == len(s) || ascii.IsBlank(s[n])) {
			w = n
		} else if valid = false; h.Priority < 0 || !looksLikeStamp(s[:w]) {
			return s, false
		}
	}
	if valid {
		h.setStamp(&t)
	}
	if w < len(s) {
		w++ // one blank: an empty field is between two
	}
	s = s[w:]
	host := ascii.WordEnd(s)
	if app := s[min(host+1, len(s)):]; host > 0 && !beginsPairs(s) {
		app = app[:ascii.WordEnd(app)]
		if a := len(app); a > 0 && (app[a-1] == ':' || app[a-1] == ']' && bytes.IndexByte(app, '[') > 0) {
			return h.parseHost(s, true), true // RFC 3164 from here on
		}
	}
	return h.parseFields(s), true
}

// parse3164Words reads words of any order before the host name: stamps, Cisco sequence
// numbers, level words, the stream of a container log; then host name and tag.
func (h *Header) parse3164Words(s []byte) (rest []byte, stamped bool) {
	whole := false
	for range maxWords {
		s = skipJunk(s)
		if beginsPairs(s) {
			return s, stamped
		}
		w := ascii.WordEnd(s)
		var t timestamp.Stamp
		n, valid := t.Read(s)
		switch {
		case n > 0:
			letters := ascii.WordEnd(s[n:])
			if bytes.IndexByte(s[n:n+letters], '=') >= 0 {
				letters = 0 // a pair without the blank before it
			}
			whole = letters == 0 || letters == 1 && s[n] == ':'
			if valid && (whole || !h.HasTime) {
				h.setStamp(&t)
			}
			s, stamped = s[n+letters:], true
		case whole && isStream(s):
			s, whole = ascii.TrimLeft(s[w:])[1:], false
		case w == 1 && s[0] == ':', isLevel(s[:w]), !stamped && s[w-1] == ':' && ascii.AllDigits(s[:w-1]):
			s = s[w:]
		case !stamped && beginsStamp(s[1:]) && (s[0] == ':' || s[0] == '*' || s[0] == '.'):
			s = s[1:] // the marks of a clock that is not set, on Cisco devices
		case !stamped && len(h.Hostname) == 0 && hostBeforeStamp(s, w):
			h.Hostname = s[:w-1]
			s = s[w:]
		default:
			return h.parseHost(s, whole), stamped
		}
	}
	return s, stamped
}

// beginsStamp reports whether s begins with a time.
func beginsStamp(s []byte) bool {
	var t timestamp.Stamp
	n, _ := t.Read(s)
	return n > 0
}

// hostBeforeStamp reports whether the word s[:w] is a host name with a colon before a stamp,
// or before a sequence number and a stamp, as Cisco devices write with an origin id.
func hostBeforeStamp(s []byte, w int) bool {
	if name, colon := hostOf(s[:w]); !colon || len(name) != w-1 || dict.IsToken(name) {
		return false
	}
	rest := skipJunk(s[w:])
	if n := ascii.WordEnd(rest); n > 1 && rest[n-1] == ':' && ascii.AllDigits(rest[:n-1]) {
		rest = skipJunk(rest[n:])
	}
	return len(rest) > 0 && (beginsStamp(rest) || beginsStamp(rest[1:]) && (rest[0] == '*' || rest[0] == '.'))
}

// parseHost reads [HOSTNAME] [TAG[PID]:] in the forms that relays write. With stamped, a
// stamp is before it, so the first word is the host name unless it is a tag; else it is one
// only before a tag of FortiEMS or with a process id.
func (h *Header) parseHost(s []byte, stamped bool) []byte {
	s = skipJunk(s)
	if beginsPairs(s) {
		return s
	}
	w := ascii.WordEnd(s)
	name, colon := hostOf(s[:w])
	rest := skipJunk(s[w:])
	for name != nil { // the host name again, level words, a colon
		n := ascii.WordEnd(rest)
		if again, _ := hostOf(rest[:n]); n == 0 || string(rest[:n]) != ":" && !isLevel(rest[:n]) && (!bytes.Equal(again, name) || dict.IsToken(name) || rest[n-1] == ':' && !beginsTag(skipJunk(rest[n:]))) {
			break
		}
		rest = skipJunk(rest[n:])
	}
	switch {
	case name == nil:
	case beginsTag(rest) && !(colon && beginsTag(s)) && (stamped || h.Priority >= 0 || !ascii.AllDigits(name) && beginsToken(rest)), stamped && !colon && !dict.IsToken(name):
		h.Hostname, s = name, rest
	}
	if beginsPairs(s) {
		return s
	}
	name, pid, n := tagAt(s)
	if n == 0 {
		name, pid, n = gluedTag(s)
	}
	if n == 0 && len(h.Hostname) > 0 {
		name, n = typeBeforePairs(s)
	}
	if n == 0 {
		return s
	}
	if s = skipJunk(s[n:]); pid == nil {
		pid, s = pidApart(s)
	}
	h.AppName, h.ProcID = name, pid
	if len(s) > 1 && s[0] == ':' && ascii.IsBlank(s[1]) {
		s = skipJunk(s[1:])
	}
	return s
}

// pidApart reads a process id that a blank separates from the tag: "[77]:".
func pidApart(s []byte) (pid, rest []byte) {
	w := ascii.WordEnd(s)
	word, _ := bytes.CutSuffix(s[:w], []byte{':'})
	if n := len(word); n > 2 && n < 13 && word[0] == '[' && word[n-1] == ']' && ascii.AllDigits(word[1:n-1]) {
		return word[1 : n-1], skipJunk(s[w:])
	}
	return nil, s
}

// beginsToken reports whether s begins with a tag that has a token of FortiEMS and a colon or
// process id, and pairs behind it.
func beginsToken(s []byte) bool {
	n := ascii.WordEnd(s)
	name, pid, colon := splitTag(s[:n])
	rest := skipJunk(s[n:])
	return (pid != nil || colon) && dict.FindToken(name) != dict.NoToken && len(rest) > 0 && beginsPairs(rest)
}

// hostOf returns the host name that a word is: "host", "host:", "host@relay", "host/relay",
// "[2001:db8::1]"; nil for other words.
func hostOf(w []byte) (name []byte, colon bool) {
	name, colon = bytes.CutSuffix(w, []byte{':'})
	if colon && bytes.HasSuffix(name, []byte{':'}) {
		return nil, false
	}
	if n := len(name); n > 2 && name[0] == '[' && name[n-1] == ']' {
		if name = name[1 : n-1]; bytes.IndexByte(name, ':') < 0 && bytes.IndexByte(name, '.') < 0 {
			return nil, false
		}
	} else if i := bytes.IndexAny(name, "@/"); i > 0 {
		name = name[:i]
	}
	if !isHostname(name) {
		return nil, false
	}
	return name, colon
}

// gluedTag reads a tag with a colon or a process id that has the body directly after it.
func gluedTag(s []byte) (name, pid []byte, n int) {
	for n < len(s) && n <= 48 && IsTagName(s[n:n+1]) {
		n++
	}
	name = s[:n]
	if n < len(s) && s[n] == '[' {
		end := bytes.IndexByte(s[n:n+ascii.WordEnd(s[n:])], ']')
		if end < 0 {
			return nil, nil, 0
		}
		pid = s[n+1 : n+end]
		n += end + 1
	}
	if !IsTagName(name) || n == len(s) || s[n] != ':' || pid == nil && dict.FindToken(name) == dict.NoToken {
		return nil, nil, 0
	}
	n++
	if rest := skipJunk(s[n:]); !beginsPairs(rest) && !bytes.HasPrefix(s[n:], utf8BOM) {
		return nil, nil, 0
	}
	return name, pid, n
}

// typeBeforePairs reads a token without a colon whose type nobody knows. "ems-01" is a host.
func typeBeforePairs(s []byte) (name []byte, n int) {
	n = ascii.WordEnd(s)
	name = s[:n]
	if i := bytes.LastIndexAny(name, "-_"); i < 0 || !IsTagName(name) || !allLetters(name[i+1:]) ||
		!ascii.EqualFold(name[:i], "ems") && !ascii.EqualFold(name[:i], "fcems") {
		return nil, 0
	}
	if rest := skipJunk(s[n:]); len(rest) == 0 || !beginsPairs(rest) {
		return nil, 0
	}
	return name, n
}

func allLetters(w []byte) bool {
	for _, c := range w {
		if !ascii.IsLetter(c) {
			return false
		}
	}
	return len(w) > 0
}

// findTag looks for the tag among words that were not understood: a token of FortiEMS with a
// process id or a colon. unread is the text before it. A tag that is there already stays,
// unless the token has a process id or the pairs follow it.
func (h *Header) findTag(s []byte) (rest, unread []byte) {
	if dict.FindToken(h.AppName) != dict.NoToken {
		return s, nil
	}
	at := 0
	for range maxWords {
		at = len(s) - len(skipJunk(s[at:]))
		word := s[at:]
		if beginsPairs(word) {
			break
		}
		n := ascii.WordEnd(word)
		name, pid, colon := splitTag(word[:n])
		if !IsTagName(name) {
			name, pid, n = gluedTag(word)
			colon = n > 0
		}
		if n > 0 && dict.FindToken(name) != dict.NoToken && (pid != nil || colon) {
			after := skipJunk(word[n:])
			if len(h.AppName) == 0 || pid != nil || beginsPairs(after) {
				h.AppName, h.ProcID = name, pid
				unread = bytes.TrimRight(s[:at], " \t\r\n\v\f\x00")
				if len(h.Hostname) == 0 {
					h.Hostname, unread = hostAfterClock(unread)
				}
				return after, unread
			}
		}
		at += ascii.WordEnd(word)
	}
	return s, nil
}

// hostAfterClock returns the last word of s as the host name if a time of day is before it: the
// end of a stamp whose date was not understood, as 10/01/2024 or a month in another language.
func hostAfterClock(s []byte) (host, before []byte) {
	at := bytes.LastIndexByte(s, ' ') + 1
	before = ascii.TrimRight(s[:at])
	stamp := before
	for _, half := range [...]string{" AM", " PM"} {
		stamp = ascii.TrimRight(bytes.TrimSuffix(stamp, []byte(half)))
	}
	clock := stamp[bytes.LastIndexByte(stamp, ' ')+1:]
	if bytes.IndexByte(clock, ':') < 1 || len(bytes.TrimLeft(clock, "0123456789:.,")) > 0 {
		return nil, s
	}
	if host, _ = hostOf(s[at:]); host == nil {
		return nil, s
	}
	return host, before
}

// isStream reports whether s begins as the lines of container logs do after their stamp:
// "stdout F" or "stderr P".
func isStream(s []byte) bool {
	return len(s) > 8 && (bytes.HasPrefix(s, []byte("stdout ")) || bytes.HasPrefix(s, []byte("stderr "))) &&
		(s[7] == 'F' || s[7] == 'P') && s[8] == ' '
}

// isLevel reports whether w is facility and level as syslog.conf names them: "local7.info".
func isLevel(w []byte) bool {
	dot := bytes.IndexByte(w, '.')
	if dot < 3 {
		return false
	}
	facility, level := w[:dot], w[dot+1:]
	if n := len(facility); n == len("local0") && ascii.IsDigit(facility[n-1]) {
		facility = facility[:n-1]
		return ascii.EqualFold(facility, "local") && isLevelName(level)
	}
	for _, name := range [...]string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"} {
		if ascii.EqualFold(facility, name) {
			return isLevelName(level)
		}
	}
	return false
}

func isLevelName(w []byte) bool {
	for _, name := range [...]string{
		"emerg", "emergency", "alert", "crit", "critical", "err", "error", "warn", "warning", "notice", "info", "informational", "debug",
	} {
		if ascii.EqualFold(w, name) {
			return true
		}
	}
	return false
}

// looksLikeStamp reports whether w has the form of a time that no calendar has.
func looksLikeStamp(w []byte) bool {
	for _, c := range w {
		if !ascii.IsDigit(c) && bytes.IndexByte([]byte("-:.+TZ"), c) < 0 {
			return false
		}
	}
	return len(w) >= len("2024-10-01") && ascii.IsDigit(w[0])
}
