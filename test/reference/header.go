package reference

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	space = `[ \t\r\n\v\f]`
	key   = `[A-Za-z0-9_][A-Za-z0-9_.-]*=`
)

const spaces = " \t\r\n\v\f"

var (
	octetCount  = regexp.MustCompile(`^[0-9]{1,8}[ \t\r\n\v\f]+<`)
	priority    = regexp.MustCompile(`^<([0-9]{1,3})>`)
	badPriority = regexp.MustCompile(`^<[0-9]{0,5}>`)
	version     = regexp.MustCompile(`^[1-9][0-9]{0,2}[ \t\r\n\v\f]+`)
	number      = regexp.MustCompile(`^[0-9]+:$`)
	stream      = regexp.MustCompile(`^std(?:out|err) [FP] `)
	level       = regexp.MustCompile(`(?i)^(?:local[0-9]|kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp)\.(?:emerg|emergency|alert|crit|critical|err|error|warn|warning|notice|info|informational|debug)$`)
	stampLike   = regexp.MustCompile(`^[0-9][0-9:.+TZ-]{9,}$`)
	bracketed   = regexp.MustCompile(`^\[(.*[:.].*)\]$`)
	gluedWord   = regexp.MustCompile(`^([A-Za-z0-9._/-]{1,48})(?:\[([^\] \t\r\n\v\f]*)\])?:`)
	unknownType = regexp.MustCompile(`^(?i:ems|fcems)[-_][A-Za-z]+$`)
	offsetForm  = regexp.MustCompile(`^(?:[Zz]|([+-])(\d\d?)(?::(\d\d)|(\d\d))?)`)
	sdata       = regexp.MustCompile(`(?s)^((?:\[(?:[^"\]]|"(?:[^"\\]|\\.)*")*\])+)(?: |$|` + key + `)`)
	startsKey   = regexp.MustCompile(`^` + key)
	// The end of a stamp whose date is none, and the host.
	unreadStamp = regexp.MustCompile(`^((?s:.* |)[0-9.,][0-9:.,]*:[0-9:.,]*[\s\v]*(?: AM[\s\v]*)?(?: PM)?[\s\v]*) ([^ ]+)$`)
	startsBody  = regexp.MustCompile(`^(?:$|\{|\[` + space + `*\{|CEF:|LEEF:[0-9 ]|` + key + `)`)
	hostWord    = regexp.MustCompile(`^[A-Za-z0-9._:%-]{0,254}[A-Za-z0-9._%-]$`)
	tagWord     = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,48}$`)
	tagPID      = regexp.MustCompile(`(?s)^([^\[]+)\[(.*)\]$`)
	tokenPID    = regexp.MustCompile(`(?i)^((?:fc)?ems[-_](?:` + logTypes + `|` + services + `))\(([0-9]+)\)$`)
	pidWord     = regexp.MustCompile(`^\[([0-9]{1,10})\](?::|$)?$`)
	clockMark   = regexp.MustCompile(`^[:*.]`)
	typeToken   = regexp.MustCompile(`(?i)^(?:fc)?ems[-_](?:` + logTypes + `|` + services + `)$`)
	sdElement   = regexp.MustCompile(`(?s)^\[((?:[^"\]]|"(?:[^"\\]|\\.)*")*)\]`)
	sdParam     = regexp.MustCompile(`(?s)^([^=]*)="((?:[^"\\]|\\.|\\$)*)(?:"|$)`)
	sdEscapes   = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\]`, `]`)
	emsToken    = regexp.MustCompile(`(?:^|[^0-9A-Za-z\x{80}-\x{10FFFF}])(?:[fF][cC])?[eE][mM][sS][-_]([0-9A-Za-z\x{80}-\x{10FFFF}]+)`)
)

// Names behind "ems-": the log types and the services of EMS.
const (
	logTypes = `(?:adconnector|addaemon|update|event|error|client|vpn|authentication|policy|network)(?:worker)?`
	services = `(?:adtask|adevtsrv|upgrade|deploy|installer|ftntdbimporter|monitor|task|das|dbop|pgbouncer|wspgbouncer|` +
		`licenseso|upload|apache2|reg|ka|probe|ecsocksrv|notify|tag|ztna|chromebook|mdmproxy|scep|forensics|sip|emsworkers)(?:worker)?`
)

// stamp is a time as written.
type stamp struct {
	year, month, day, hour, min, sec, nsec int
	noYear                                 bool // as in RFC 3164
	hasZone                                bool
	leap                                   bool // the second was 60
	offset                                 int  // seconds east of UTC
	name                                   *time.Location
}

// String returns all of it, for comparison.
func (s stamp) String() string {
	text := fmt.Sprintf("%04d-%02d-%02d %02d:%02d:%02d.%09d", s.year, s.month, s.day, s.hour, s.min, s.sec, s.nsec)
	if s.hasZone {
		text += fmt.Sprintf(" %+d", s.offset)
	}
	if s.noYear {
		text += " without a year"
	}
	return text
}

func (s stamp) in(loc *time.Location) time.Time {
	return time.Date(s.year, time.Month(s.month), s.day, s.hour, s.min, s.sec, s.nsec, loc)
}

// possible reports whether the calendar has this moment; a missing year (0) is a leap year.
func (s stamp) possible() bool {
	year := s.year
	if year == 0 {
		year = 2000
	}
	t := time.Date(year, time.Month(s.month), s.day, s.hour, s.min, s.sec, 0, time.UTC)
	return int(t.Month()) == s.month && t.Day() == s.day && t.Hour() == s.hour && t.Minute() == s.min && t.Second() == s.sec
}

func atoi(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// nanoseconds reads the digits after a decimal point.
func nanoseconds(digits string) int { return atoi((digits + "000000000")[:9]) }

var months = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

// readOffset reads Z, +01:00, +0100 or -5 at the start of s.
func readOffset(s string) (seconds, n int) {
	m := offsetForm.FindStringSubmatch(s)
	if m == nil {
		return 0, 0
	}
	n = len(m[0])
	if m[1] == "" {
		return 0, n
	}
	h, min := atoi(m[2]), atoi(m[3]+m[4])
	if len(m[2]) == 1 && m[4] != "" || h > 14 || min > 59 || n < len(s) && s[n] >= '0' && s[n] <= '9' {
		return 0, 0
	}
	seconds = h*3600 + min*60
	if m[1] == "-" {
		seconds = -seconds
	}
	return seconds, n
}

// header is what one sender or relay has put before the message.
type header struct {
	priority                         int
	hostname, appname, procid, msgid string
	data                             string
	hasPID                           bool
	stamp                            *stamp
	stamped                          bool // with a stamp, even one that is no time
}

func (h *header) isToken() bool { return emsToken.MatchString(h.appname) }

// readHeader reads the header of the line; the rest is the body.
func (r *Reading) readHeader() {
	var all header
	s := all.readOne(r.Clean)
	words := ""
	for range 3 {
		inner, rest, ok := readNext(s, all.appname != "")
		if !ok && words == "" && all.appname == "" && all.procid == "" {
			before, after, found := wordsBeforePriority(s)
			if !found {
				break
			}
			if host, _ := hostIn(before); host == "" {
				words = before
			} else if all.hostname == "" {
				all.hostname = host
			} else {
				words = host
			}
			inner, rest, ok = readNext(after, true)
		}
		if !ok {
			break
		}
		all = all.with(inner)
		s = rest
	}
	r.Stray = words
	if !all.isToken() {
		s = all.findToken(s, r)
	}
	r.Body = trimJunk(s)
	r.Priority, r.Hostname, r.AppName, r.ProcID, r.MsgID = all.priority, all.hostname, all.appname, all.procid, all.msgid
	if r.StructuredData = all.data; all.data != "" {
		r.readElements(all.data)
	}
	if r.stamp = all.stamp; r.stamp != nil {
		r.Stamp = r.stamp.String()
	}
}

// wordsBeforePriority splits s before the PRI of a header, which words precede.
func wordsBeforePriority(s string) (words, rest string, found bool) {
	for at, n := 0, 0; n < 8 && at < len(s) && !startsBody.MatchString(s[at:]); n++ {
		at += len(firstWord(s[at:]))
		at = len(s) - len(trimJunk(s[at:]))
		if m := priority.FindStringSubmatch(s[at:]); m == nil || atoi(m[1]) > 191 {
			continue
		}
		if inner, _, _ := readNext(s[at:], true); inner.stamp == nil && inner.appname == "" {
			break
		}
		return strings.TrimRight(s[:at], spaces), s[at:], true
	}
	return "", s, false
}

func trimJunk(s string) string { return strings.TrimLeft(s, spaces+"\x00\uFEFF") }

func (h *header) readOne(s string) string {
	h.priority = -1
	s = trimJunk(s)
	if m := octetCount.FindString(s); m != "" {
		s = s[len(m)-1:]
	}
	if m := priority.FindStringSubmatch(s); m != nil && atoi(m[1]) <= 191 {
		h.priority = atoi(m[1])
		s = trimJunk(s[len(m[0]):])
	} else if m := badPriority.FindString(s); m != "" {
		if after := trimJunk(s[len(m):]); func() bool { _, n, _ := readStamp(after); return n > 0 }() {
			s = after
		}
	}
	if rest, ok := h.read5424(s); ok {
		return trimJunk(rest)
	}
	return h.readWords(s)
}

// readNext reads the header that follows another one.
func readNext(s string, tagged bool) (h header, rest string, ok bool) {
	h.priority = -1
	if m := priority.FindStringSubmatch(s); m != nil && atoi(m[1]) <= 191 {
		rest = h.readOne(s)
		return h, rest, h.stamped || h.appname != "" || h.hostname != "" || startsBody.MatchString(rest)
	}
	if _, n, _ := readStamp(s); n == 0 {
		return h, s, false
	}
	rest = h.readWords(s)
	if h.appname != "" {
		return h, rest, !tagged || h.isToken() || h.hasPID || startsBody.MatchString(rest)
	}
	return h, rest, startsBody.MatchString(rest)
}

// with returns an outer header with an inner one.
func (h header) with(inner header) header {
	all := inner
	if inner.priority >= 0 {
		if inner.hostname == "" && inner.stamp == nil {
			all.hostname = h.hostname
		}
	} else {
		all.priority = h.priority
		if inner.appname == "" {
			all.appname, all.procid, all.msgid, all.data = h.appname, h.procid, h.msgid, h.data
		}
		if inner.hostname == "" {
			all.hostname = h.hostname
		}
	}
	all.stamp = h.stamp
	if inner.stamp != nil {
		all.addStamp(*inner.stamp)
	}
	return all
}

// addStamp takes a stamp behind another one.
func (h *header) addStamp(inner stamp) {
	if h.stamp == nil {
		h.stamp = &inner
		return
	}
	outer := *h.stamp
	switch {
	case outer.noYear && inner.noYear, !inner.noYear && (outer.noYear || inner.hasZone || !outer.hasZone):
		h.stamp = &inner
		return
	case outer.noYear:
		return
	}
	years := []int{inner.year}
	if inner.noYear {
		years = []int{outer.year, outer.year - 1, outer.year + 1}
	}
	for _, y := range years {
		t := inner
		t.year, t.noYear = y, false
		difference := t.in(time.UTC).Unix() - outer.in(time.UTC).Unix() + int64(outer.offset)
		offset, ok := nearestOffset(difference)
		if !ok || !t.possible() || inner.hasZone && offset != inner.offset || !inner.hasZone && !outer.hasZone && offset != 0 {
			continue
		}
		if int64(offset) == difference && offset == outer.offset && t.nsec == 0 {
			return
		}
		if outer.hasZone {
			t.hasZone, t.offset = true, offset
		}
		h.stamp = &t
		return
	}
	if !inner.noYear {
		h.stamp = &inner
	}
}

func (h *header) read5424(s string) (body string, ok bool) {
	v := version.FindString(s)
	if v == "" {
		return s, false
	}
	s = s[len(v):]
	word := firstWord(s)
	t, n, valid := readStamp(word)
	if n != len(word) || n == 0 {
		if word == "-" && h.priority >= 0 {
			n, valid = 1, false
		} else if t, n, valid = readStamp(s); n == 0 || n < len(s) && !strings.ContainsRune(spaces, rune(s[n])) {
			if valid = false; h.priority < 0 || !stampLike.MatchString(word) {
				return s, false
			}
			n = len(word)
		}
	}
	h.stamped = true
	if valid {
		h.addStamp(t)
	}
	s = s[min(n+1, len(s)):]
	if host := firstWord(s); host != "" && !startsBody.MatchString(s) {
		app := firstWord(s[min(len(host)+1, len(s)):])
		if strings.HasSuffix(app, ":") || strings.HasSuffix(app, "]") && strings.Index(app, "[") > 0 {
			return h.readHost(s, true), true
		}
	}
	for _, member := range []*string{&h.hostname, &h.appname, &h.procid, &h.msgid} {
		word, rest, _ := strings.Cut(s, " ")
		if word != "" && startsBody.MatchString(s) || len(word) > 255 {
			return s, true // the header was cut short
		}
		if word != "-" {
			*member = word
		}
		s = rest
	}
	h.hasPID = h.procid != ""
	if m := sdata.FindStringSubmatch(s); m != nil {
		h.data = m[1]
		s = s[len(m[1]):]
	} else if s == "-" || strings.HasPrefix(s, "- ") {
		s = s[1:]
	}
	return s, true
}

// readElements reads structured data.
func (r *Reading) readElements(s string) {
	for m := sdElement.FindStringSubmatch(s); m != nil; m = sdElement.FindStringSubmatch(s) {
		s = s[len(m[0]):]
		id := firstWord(m[1])
		r.Elements = append(r.Elements, "["+id)
		for rest := strings.TrimLeft(m[1][len(id):], spaces); rest != ""; rest = strings.TrimLeft(rest, spaces) {
			p := sdParam.FindStringSubmatch(rest)
			if p == nil {
				p = []string{rest, rest, ""}
			}
			r.Elements = append(r.Elements, p[1]+"="+sdEscapes.Replace(p[2]))
			rest = rest[len(p[0]):]
		}
	}
}

func firstWord(s string) string {
	if i := strings.IndexAny(s, spaces); i >= 0 {
		return s[:i]
	}
	return s
}

// readWords reads stamps, sequence numbers and level words, then host and tag.
func (h *header) readWords(s string) (body string) {
	whole := false
	for range 8 {
		s = trimJunk(s)
		if startsBody.MatchString(s) {
			return s
		}
		word := firstWord(s)
		t, n, valid := readStamp(s)
		switch {
		case n > 0:
			glued := firstWord(s[n:])
			if strings.Contains(glued, "=") {
				glued = "" // a pair without the blank before it
			}
			whole = glued == "" || glued == ":"
			if valid && (whole || h.stamp == nil) {
				h.addStamp(t)
			}
			h.stamped = true
			s = s[n+len(glued):]
		case whole && stream.MatchString(s):
			whole = false
			s = s[len("stdout F"):]
		case word == ":", level.MatchString(word), !h.stamped && number.MatchString(word):
			s = s[len(word):]
		case !h.stamped && clockMark.MatchString(s) && isStamp(s[1:]):
			s = s[1:]
		case !h.stamped && h.hostname == "" && isCiscoHost(s):
			h.hostname = strings.TrimSuffix(word, ":")
			s = s[len(word):]
		default:
			return h.readHost(s, whole)
		}
	}
	return s
}

func isStamp(s string) bool {
	_, n, _ := readStamp(s)
	return n > 0
}

// isCiscoHost reports whether s begins with a host name, a colon, perhaps a sequence number,
// and a stamp.
func isCiscoHost(s string) bool {
	word := firstWord(s)
	if name, colon := hostIn(word); !colon || name+":" != word || typeToken.MatchString(name) {
		return false
	}
	s = trimJunk(s[len(word):])
	if n := firstWord(s); number.MatchString(n) {
		s = trimJunk(s[len(n):])
	}
	return isStamp(s) || len(s) > 0 && (s[0] == '*' || s[0] == '.') && isStamp(s[1:])
}

// hostIn returns the host name in a word.
func hostIn(w string) (name string, colon bool) {
	name, colon = strings.CutSuffix(w, ":")
	if strings.HasSuffix(w, "::") {
		return "", false
	}
	if strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]") && len(name) > 2 {
		m := bracketed.FindStringSubmatch(name)
		if m == nil {
			return "", false
		}
		name = m[1]
	} else if i := strings.IndexAny(name, "@/"); i > 0 {
		name = name[:i]
	}
	if !hostWord.MatchString(name) {
		return "", false
	}
	return name, colon
}

func (h *header) readHost(s string, stamped bool) (body string) {
	s = trimJunk(s)
	if startsBody.MatchString(s) {
		return s
	}
	w := firstWord(s)
	host, colon := hostIn(w)
	rest := trimJunk(s[len(w):])
	for host != "" {
		word := firstWord(rest)
		next := trimJunk(rest[len(word):])
		again, _ := hostIn(word)
		if word == "" || word != ":" && !level.MatchString(word) && (again != host || typeToken.MatchString(host) || strings.HasSuffix(word, ":") && !followsHost(firstWord(next))) {
			break
		}
		rest = next
	}
	strong := followsHost(firstWord(rest))
	if host != "" && (strong && (!colon || !followsHost(w)) && (stamped || h.priority >= 0 || strings.Trim(host, "0123456789") != "" && isTokenAndPairs(rest)) || stamped && !colon && !typeToken.MatchString(host)) {
		h.hostname, s = host, rest
	}
	return h.readTag(s)
}

// isTokenAndPairs reports whether s begins with a tag of FortiEMS and a body.
func isTokenAndPairs(s string) bool {
	w := firstWord(s)
	name, _, hasPID, colon := splitTagWord(w)
	rest := trimJunk(s[len(w):])
	return (hasPID || colon) && emsToken.MatchString(name) && rest != "" && startsBody.MatchString(rest)
}

// splitTagWord splits "app[pid]:" and, of a token, "app(pid):".
func splitTagWord(w string) (name, pid string, hasPID, colon bool) {
	name, colon = strings.CutSuffix(w, ":")
	for _, form := range []*regexp.Regexp{tagPID, tokenPID} {
		if m := form.FindStringSubmatch(name); m != nil {
			return m[1], m[2], true, colon
		}
	}
	return name, "", false, colon
}

// findToken looks for a tag of FortiEMS among words that were not understood.
func (h *header) findToken(s string, r *Reading) (body string) {
	for at, n := 0, 0; n < 8; n++ {
		at = len(s) - len(trimJunk(s[at:]))
		if startsBody.MatchString(s[at:]) {
			break
		}
		word := firstWord(s[at:])
		name, pid, hasPID, colon := splitTagWord(word)
		length := len(word)
		if !tagWord.MatchString(name) {
			name, pid, hasPID, length = gluedTagOf(s[at:])
			colon = length > 0
		}
		if after := trimJunk(s[at+length:]); length > 0 && emsToken.MatchString(name) && (hasPID || colon) &&
			(h.appname == "" || hasPID || startsBody.MatchString(after)) {
			h.appname, h.procid = name, pid
			if words := strings.TrimRight(s[:at], spaces+"\x00"); words != "" {
				r.Stray = words
			}
			if m := unreadStamp.FindStringSubmatch(strings.TrimRight(s[:at], spaces+"\x00")); m != nil && h.hostname == "" {
				if host, _ := hostIn(m[2]); host != "" {
					h.hostname, r.Stray = host, strings.TrimRight(m[1], spaces)
				}
			}
			return after
		}
		at += len(word)
	}
	return s
}

// gluedTagOf reads a tag that has the body directly behind it.
func gluedTagOf(s string) (name, pid string, hasPID bool, n int) {
	m := gluedWord.FindStringSubmatchIndex(s)
	if m == nil {
		return "", "", false, 0
	}
	if name = s[m[2]:m[3]]; m[4] >= 0 {
		pid, hasPID = s[m[4]:m[5]], true
	}
	rest := s[m[1]:]
	if !hasPID && !emsToken.MatchString(name) || rest == "" || !startsBody.MatchString(trimJunk(rest)) && !strings.HasPrefix(rest, "\uFEFF") {
		return "", "", false, 0
	}
	return name, pid, hasPID, m[1]
}

// followsHost reports whether w is a tag that makes the word before it a host name, even
// one with the form of a token: "app[pid]", "app[pid]:", a token with or without a colon.
func followsHost(w string) bool {
	name, _, hasPID, colon := splitTagWord(w)
	if hasPID {
		return tagWord.MatchString(name)
	}
	return tagWord.MatchString(name) && (colon && emsToken.MatchString(name) || typeToken.MatchString(name))
}

// readTag reads "app[pid]:", "app:", "app[pid]", or the token of a category.
func (h *header) readTag(s string) (body string) {
	if startsBody.MatchString(s) {
		return s
	}
	w := firstWord(s)
	name, pid, hasPID, colon := splitTagWord(w)
	n := len(w)
	if !tagWord.MatchString(name) || !colon && !hasPID && !typeToken.MatchString(name) {
		name, pid, hasPID, n = gluedTagOf(s)
	}
	if rest := trimJunk(s[len(w):]); n == 0 && h.hostname != "" && unknownType.MatchString(w) && len(w) <= 48 && rest != "" && startsBody.MatchString(rest) {
		name, n = w, len(w)
	}
	if n == 0 {
		return s
	}
	s = trimJunk(s[n:])
	if m := pidWord.FindStringSubmatch(firstWord(s)); m != nil && !hasPID {
		pid, hasPID = m[1], true
		s = trimJunk(s[len(firstWord(s)):])
	}
	h.appname, h.procid, h.hasPID = name, pid, hasPID
	if after := strings.TrimPrefix(s, ":"); after != s && after != "" && strings.ContainsRune(spaces, rune(after[0])) {
		s = trimJunk(after)
	}
	return s
}
