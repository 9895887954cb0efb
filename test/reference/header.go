package reference

import (
	"fmt"
	"regexp"
	"slices"
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
	octetCount = regexp.MustCompile(`^[0-9]{1,8} <`)
	priority   = regexp.MustCompile(`^<([0-9]{1,3})>`)
	version    = regexp.MustCompile(`^[1-9] `)
	isoStamp   = regexp.MustCompile(`^(?:(\d{4})-(\d\d)-(\d\d)|(\d{4})/(\d\d)/(\d\d))[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?`)
	bsdStamp   = regexp.MustCompile(`^([A-Za-z]{3}) ( \d|\d\d|\d) (?:(\d{4}) )?(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?`)
	// After a blank, an offset has all its digits.
	blankOffset = regexp.MustCompile(`^ ([+-]\d\d(?::\d\d|\d\d))(?:[^0-9]|$)`)
	yearAfter   = regexp.MustCompile(`^ (\d{4})(?:[ \t\r\n\v\f]|$)`)
	offsetForm  = regexp.MustCompile(`^(?:[Zz]|([+-])(\d\d?)(?::(\d\d)|(\d\d))?)`)
	sdata       = regexp.MustCompile(`(?s)^((?:\[(?:[^"\]]|"(?:[^"\\]|\\.)*")*\])+)(?: |$|` + key + `)`)
	startsKey   = regexp.MustCompile(`^` + key)
	startsBody  = regexp.MustCompile(`^(?:$|[{<"\[]|CEF:|` + key + `)`)
	hostWord    = regexp.MustCompile(`^[A-Za-z0-9._:%-]{0,254}[A-Za-z0-9._%-]$`)
	tagWord     = regexp.MustCompile(`^[A-Za-z0-9._/-]{1,48}$`)
	tagPID      = regexp.MustCompile(`(?s)^([^\[]+)\[(.*)\]$`)
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
	offset                                 int // seconds east of UTC
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

// readISO reads an ISO 8601 stamp at the start of s and returns its length.
func readISO(s string) (t stamp, n int) {
	m := isoStamp.FindStringSubmatch(s)
	if m == nil {
		return t, 0
	}
	d := m[1:4]
	if m[1] == "" {
		d = m[4:7]
	}
	t = stamp{year: atoi(d[0]), month: atoi(d[1]), day: atoi(d[2]), hour: atoi(m[7]), min: atoi(m[8]), sec: atoi(m[9]), nsec: nanoseconds(m[10])}
	if !t.possible() {
		return t, 0
	}
	n = len(m[0])
	if offset, z := readOffset(s[n:]); z > 0 {
		t.hasZone, t.offset = true, offset
		n += z
	}
	return t, n
}

var months = []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

// readBSD reads the stamp of RFC 3164, also with a year or a fraction.
func readBSD(s string) (t stamp, n int) {
	m := bsdStamp.FindStringSubmatch(s)
	if m == nil || !slices.Contains(months, lowerASCII(m[1])) {
		return t, 0
	}
	t = stamp{
		year: atoi(m[3]), month: 1 + slices.Index(months, lowerASCII(m[1])), day: atoi(strings.TrimSpace(m[2])),
		hour: atoi(m[4]), min: atoi(m[5]), sec: atoi(m[6]), nsec: nanoseconds(m[7]),
	}
	n = len(m[0])
	if y := yearAfter.FindStringSubmatch(s[n:]); y != nil && t.year == 0 {
		t.year = atoi(y[1])
		n += len(" 2024")
	}
	if t.noYear = t.year == 0; !t.possible() {
		return t, 0
	}
	return t, n
}

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

// readHeader reads the header of the line; the rest is the body.
func (r *Reading) readHeader() {
	s := r.Clean
	r.Priority = -1
	if octetCount.MatchString(s) {
		_, s, _ = strings.Cut(s, " ")
	}
	if m := priority.FindStringSubmatch(s); m != nil && atoi(m[1]) <= 191 {
		r.Priority = atoi(m[1])
		s = s[len(m[0]):]
	}
	var ok bool
	if r.Body, ok = r.read5424(s); !ok {
		r.Body = r.read3164(s)
	}
	if r.stamp != nil {
		r.Stamp = r.stamp.String()
	}
}

func (r *Reading) read5424(s string) (body string, ok bool) {
	if !version.MatchString(s) {
		return s, false
	}
	s = s[2:]
	if strings.HasPrefix(s, "- ") && r.Priority >= 0 {
		s = s[2:]
	} else {
		t, n := readISO(s)
		if n == 0 || !strings.HasPrefix(s[n:], " ") {
			return s, false
		}
		r.stamp = &t
		s = s[n+1:]
	}
	for _, member := range []*string{&r.Hostname, &r.AppName, &r.ProcID, &r.MsgID} {
		word, rest, _ := strings.Cut(s, " ")
		if startsKey.MatchString(word) || len(word) > 255 {
			return s, true // the header was cut short
		}
		if word != "-" {
			*member = word
		}
		s = rest
	}
	if m := sdata.FindStringSubmatch(s); m != nil {
		r.StructuredData = m[1]
		r.readElements(m[1])
		s = s[len(m[1]):]
	} else if s == "-" || strings.HasPrefix(s, "- ") {
		s = s[1:]
	}
	return strings.TrimPrefix(strings.TrimLeft(s, spaces), "\uFEFF"), true
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

// read3164 reads any number of stamps, a host name if the last stamp is whole, and a tag.
func (r *Reading) read3164(s string) (body string) {
	whole := false
	for {
		s = strings.TrimLeft(s, spaces)
		t, n := readISO(s)
		if m := blankOffset.FindStringSubmatch(s[n:]); n > 0 && m != nil && !t.hasZone {
			if offset, z := readOffset(m[1]); z > 0 {
				t.hasZone, t.offset = true, offset
				n += 1 + z
			}
		}
		if n == 0 {
			t, n = readBSD(s)
		}
		if n == 0 {
			break
		}
		if r.stamp == nil || t.hasZone && !r.stamp.hasZone {
			r.stamp = &t
		}
		letters := firstWord(s[n:]) // directly after the stamp
		if strings.Contains(letters, "=") {
			letters = "" // a pair without the blank before it
		}
		whole = letters == "" || letters == ":"
		s = s[n+len(letters):]
	}
	w := firstWord(s)
	rest := strings.TrimLeft(s[len(w):], spaces)
	if whole && !startsBody.MatchString(s) && hostWord.MatchString(w) && (!typeToken.MatchString(w) || followsHost(firstWord(rest))) {
		r.Hostname, s = w, rest
	}
	return r.readTag(s)
}

// followsHost reports whether w is a tag that makes the word before it a host name, even
// one with the form of a token: "app[pid]", "app[pid]:", a token with or without a colon.
func followsHost(w string) bool {
	name, colon := strings.CutSuffix(w, ":")
	if m := tagPID.FindStringSubmatch(name); m != nil {
		return tagWord.MatchString(m[1])
	}
	return tagWord.MatchString(name) && (colon && emsToken.MatchString(name) || typeToken.MatchString(name))
}

// readTag reads "app[pid]:", "app:", "app[pid]", or the token of a category.
func (r *Reading) readTag(s string) (body string) {
	if startsBody.MatchString(s) {
		return s
	}
	w := firstWord(s)
	name, colon := strings.CutSuffix(w, ":")
	pid, hasPID := "", false
	if m := tagPID.FindStringSubmatch(name); m != nil {
		name, pid, hasPID = m[1], m[2], true
	}
	if !tagWord.MatchString(name) || !colon && !hasPID && !typeToken.MatchString(name) {
		return s
	}
	r.AppName, r.ProcID = name, pid
	return strings.TrimLeft(s[len(w):], spaces)
}
