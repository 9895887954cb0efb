package reference

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// text is a time that a whole text says.
type text struct {
	stamp
	zone   *time.Location // with an IANA name and no offset
	unix   bool
	partly bool // the text is not the same as the time: it stays under fortinet.ems
}

var (
	decimal    = regexp.MustCompile(`^([1-9][0-9]*)(?:[.,]([0-9]*))?(?:[eE]\+?([0-9]{1,2}))?$`)
	unicode    = strings.NewReplacer("\u2212", "-", "\u202F", " ", "\u2009", " ", "\u00A0", " ", "\u200E", "", "\u200F", "")
	framed     = regexp.MustCompile(`(?s)^\[(.+)\]$`)
	dottedHalf = regexp.MustCompile(`^(?i:([ap])m|([ap])\.m\.)(?:$|[^A-Za-z])`)
	plainClock = regexp.MustCompile(`^([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+)|:([0-9]{3})(?:$|[^0-9]))?)?`)
	clockStart = regexp.MustCompile(`^[0-9]{1,2}:`)
	joinedDate = regexp.MustCompile(`^([0-9]{4})([0-9]{2})([0-9]{2})(?:([0-9]{2})([0-9]{2})(?:([0-9]{2})(?:(?:[.,]([0-9]+)|:([0-9]{3})(?:$|[^0-9])))?)?)?(?:$|[^0-9])`)
	sixDigits  = regexp.MustCompile(`^([0-9]{2})([0-9]{2})([0-9]{2})(?:(?:[.,]([0-9]+)|:([0-9]{3})(?:$|[^0-9])))?(?:$|[^0-9])`)
	fourDigits = regexp.MustCompile(`^([0-9]{2})([0-9]{2})(?:$|[^0-9])`)
	anyDate    = regexp.MustCompile(`^([0-9]{1,4})([-/.])`)
	threeParts = regexp.MustCompile(`^([0-9]{1,4})([-/.])([0-9]{1,2}|[A-Za-z]+)([-/.])([0-9]+)`)
	anyNumber  = regexp.MustCompile(`^([0-9]+)(?:(?:st|nd|rd|th)(?:$|[^A-Za-z]))?`)
	anyWord    = regexp.MustCompile(`^([A-Za-z]+)(\.?)`)
	fillings   = regexp.MustCompile(`^[ \t\r\n\v\f,]+`)
	glue       = regexp.MustCompile(`^[Tt_:-]([0-9])`)
)

// readText reads a text that is a time with a year.
func readText(s string) (text, bool) {
	s = strings.Trim(s, spaces)
	if t, ok := readWholeStamp(s); ok && t.name == nil {
		return text{stamp: t, unix: epochStamp.MatchString(s)}, true
	}
	if len(s) < 5 || len(s) > 96 {
		return text{}, false
	}
	s = strings.Trim(unicode.Replace(s), spaces)
	if m := framed.FindStringSubmatch(s); m != nil {
		s = m[1]
	}
	if t, ok := readDecimal(s); ok {
		return t, true
	}
	return readLoose(s)
}

// readDecimal reads a Unix time with an exponent, or with a fraction of any unit.
func readDecimal(s string) (t text, ok bool) {
	m := decimal.FindStringSubmatch(s)
	if m == nil || len(m[1]+m[2]) > 24 || m[2] == "" && m[3] == "" {
		return text{}, false
	}
	whole, fraction := m[1], m[2]
	for range atoi(m[3]) {
		if fraction += "0"; len(whole) > 19 {
			return text{}, false
		}
		whole, fraction = whole+fraction[:1], fraction[1:]
	}
	if len(whole) > 19 {
		return text{}, false
	}
	e := readEpoch(whole)
	if !e.ok {
		return text{}, false
	}
	unit := int64(1)
	for _, limit := range []int{17, 14, 11} {
		if n, _ := strconv.ParseInt(whole, 10, 64); len(strconv.FormatInt(n, 10)) <= limit {
			unit *= 1000
		}
	}
	u := e.Add(time.Duration(int64(nanoseconds(fraction)) * unit / 1e9)).UTC()
	return text{
		stamp: stamp{year: u.Year(), month: int(u.Month()), day: u.Day(), hour: u.Hour(), min: u.Minute(), sec: u.Second(), nsec: u.Nanosecond(), hasZone: true},
		unix:  true, partly: m[3] != "" && len(m[1]+m[2]) < 8,
	}, true
}

var allMonths = append(slices.Clone(monthNames[:4:4]), append([]string{"May"}, monthNames[4:]...)...)

// beginningOf returns which of names in lower case begins with a word, -1 for none.
func beginningOf(word string, names []string) int {
	return slices.IndexFunc(names, func(name string) bool {
		return len(word) >= 3 && strings.HasPrefix(strings.ToLower(name), lowerASCII(word))
	})
}

// loose are the parts of a text that have been read.
type loose struct {
	text
	zones
	hasClock, hasDay, hasMonth, hasYear, hasWeekday, hasAt bool
	wasDate                                                bool
	half                                                   string
	american, guess                                        bool
}

// readLoose reads parts in any order.
func readLoose(s string) (text, bool) {
	var t loose
	for {
		filling := fillings.FindString(s)
		if s = s[len(filling):]; s == "" {
			break
		}
		if t.wasDate && filling == "" && glue.MatchString(s) {
			s = s[1:]
		}
		wasDate := t.wasDate
		t.wasDate = false
		n := 0
		switch c := s[0]; {
		case c >= '0' && c <= '9':
			n = t.number(s, wasDate)
		case strings.ContainsRune("+-([", rune(c)):
			if t.hasClock {
				n = t.zones.read(s)
			}
		default:
			n = t.word(s)
		}
		if n == 0 {
			return text{}, false
		}
		s = s[n:]
	}
	if !t.hasClock || !t.hasDay || !t.hasMonth || !t.hasYear || t.american && t.half == "" {
		return text{}, false
	}
	switch {
	case t.half == "p" && t.hour < 12:
		t.hour += 12
	case t.half == "a" && t.hour == 12:
		t.hour = 0
	}
	if t.sec == 60 {
		t.sec, t.leap = 59, true
	}
	t.endDay()
	t.partly = t.american && t.guess || t.named
	switch {
	case t.zones.hasOffset:
		t.hasZone, t.stamp.offset = true, t.zones.offset
	case t.hasShort:
		t.hasZone, t.stamp.offset = true, t.short
	default:
		t.zone = t.location
	}
	return t.text, t.possible()
}

func (t *loose) setDate(year, month, day int) {
	t.year, t.month, t.day = year, month, day
	t.hasYear, t.hasMonth, t.hasDay, t.wasDate = true, true, true, true
}

func (t *loose) number(s string, wasDate bool) int {
	dated := t.hasYear || t.hasMonth || t.hasDay
	all := anyNumber.FindStringSubmatch(s)
	digits, n := all[1], len(all[1])
	if !t.hasClock && clockStart.MatchString(s) {
		m := plainClock.FindStringSubmatch(s)
		if m == nil || len(m[0]) < len(s) && m[3] == "" && s[len(m[0])] == ':' || endsInDigits(m[0], s) {
			return 0
		}
		t.hour, t.min, t.sec, t.nsec, t.hasClock = atoi(m[1]), atoi(m[2]), atoi(m[3]), nanoseconds(m[4]+m[5]), true
		end := plainClock.FindStringSubmatchIndex(s)
		for _, i := range []int{11, 9, 7, 5} {
			if end[i] > 0 {
				return end[i]
			}
		}
	}
	if !dated && anyDate.MatchString(s) {
		return t.date(s)
	}
	if m := joinedDate.FindStringSubmatchIndex(s); m != nil && !dated && (m[8] < 0 || !t.hasClock) {
		part := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return s[m[2*i]:m[2*i+1]]
		}
		t.setDate(atoi(part(1)), atoi(part(2)), atoi(part(3)))
		end := m[7]
		if part(4) != "" {
			t.hour, t.min, t.sec, t.nsec = atoi(part(4)), atoi(part(5)), atoi(part(6)), nanoseconds(part(7)+part(8))
			t.hasClock, t.wasDate = true, false
		}
		for _, i := range []int{5, 6, 7, 8} {
			end = max(end, m[2*i+1])
		}
		return end
	}
	whole := t.hasYear && t.hasMonth && t.hasDay
	if m := sixDigits.FindStringSubmatchIndex(s); m != nil && whole && !t.hasClock {
		t.hour, t.min, t.sec, t.hasClock = atoi(s[:2]), atoi(s[2:4]), atoi(s[4:6]), true
		end := max(6, m[9], m[11])
		if end > 6 {
			t.nsec = nanoseconds(s[7:end])
		}
		return end
	}
	if wasDate && whole && !t.hasClock && fourDigits.MatchString(s) {
		t.hour, t.min, t.hasClock = atoi(s[:2]), atoi(s[2:4]), true
		return 4
	}
	switch {
	case n == 4 && !t.hasYear:
		t.year, t.hasYear = atoi(digits), true
		return n
	case n > 2:
		return 0
	case !t.hasDay:
		t.day, t.hasDay = atoi(digits), true
		if rest := s[n:]; anyWord.MatchString(rest) && len(anyWord.FindStringSubmatch(rest)[1]) == 2 && slices.Contains([]string{"st", "nd", "rd", "th"}, rest[:2]) {
			n += 2
		}
		return n
	case n == 2 && t.hasMonth && !t.hasYear:
		t.year, t.hasYear = 2000+atoi(digits), true
		return n
	}
	return 0
}

// endsInDigits reports whether a digit follows a time of day without a fraction.
func endsInDigits(clock, s string) bool {
	rest := s[len(clock):]
	return !strings.ContainsAny(clock, ".,") && strings.Count(clock, ":") < 3 && rest != "" && rest[0] >= '0' && rest[0] <= '9'
}

// date reads three parts with a separator, in the order that they can only have.
func (t *loose) date(s string) int {
	m := threeParts.FindStringSubmatch(s)
	if m == nil || m[2] != m[4] {
		return 0
	}
	first, middle, last := m[1], m[3], m[5]
	month, named := 1+beginningOf(middle, allMonths), middle[0] > '9'
	if !named {
		month = atoi(middle)
	}
	year := atoi(last)
	if len(last) == 2 {
		year += 2000
	}
	n := len(m[0])
	a, b := atoi(first), month
	switch {
	case month == 0:
		return 0
	case len(first) == 4 && len(last) <= 2:
		t.setDate(a, month, atoi(last))
	case len(first) > 2 || len(last) != 2 && len(last) != 4:
		return 0
	case named, m[2] == ".", len(last) == 4 && a > 12, len(last) == 4 && a == b:
		t.setDate(year, month, a)
	case len(last) == 4 && b > 12:
		t.setDate(year, a, b)
	case m[2] == "/":
		t.setDate(year, a, b)
		t.american, t.guess = true, b <= 12 && a != b
	default:
		return 0
	}
	return n
}

func (t *loose) word(s string) int {
	m := anyWord.FindStringSubmatch(s)
	if m == nil {
		return 0
	}
	half := dottedHalf.FindStringSubmatch(s)
	month, weekday := beginningOf(m[1], allMonths), beginningOf(m[1], weekdays[7:])
	switch {
	case half != nil && t.half == "" && t.hasClock:
		t.half = lowerASCII(half[1] + half[2])
		if half[1] != "" {
			return len("am")
		}
		return len("a.m.")
	case month >= 0 && !t.hasMonth:
		t.month, t.hasMonth = 1+month, true
		return len(m[0])
	case weekday >= 0 && !t.hasWeekday:
		t.hasWeekday = true
		return len(m[0])
	case lowerASCII(m[1]) == "at" && !t.hasAt && !t.hasClock:
		t.hasAt = true
		return len("at")
	case t.hasClock:
		return t.zones.read(s)
	}
	return 0
}

// zones are the parts of a zone that have been read.
type zones struct {
	offset, short                    int
	hasOffset, hasShort, word, named bool
	location                         *time.Location
}

var (
	hoursMinutes = regexp.MustCompile(`^(?:[0-9]{4}|[0-9]{2}:[0-9]{2}|0)$`)
	shortHours   = regexp.MustCompile(`^([+-])([1-9])([0-9]{2})(?:$|[^0-9])`)
	noSeconds    = regexp.MustCompile(`^:00(?:$|[^0-9])`)
	group        = regexp.MustCompile(`(?s)^(?:\(([^)]*)\)|\[([^\]]*)\])`)
	prose        = regexp.MustCompile(`^[^0-9(\[:]*$`)
	universal    = regexp.MustCompile(`^(?i:utc|gmt)[ \t\r\n\v\f]*[+-][0-9]`)
	zoneToken    = regexp.MustCompile(`^[^ \t\r\n\v\f(\[,]+`)
	someLetters  = regexp.MustCompile(`^[A-Za-z]+`)
)

// readZoneText reads zones in more forms than readZone and readNamedZone.
func readZoneText(s string) (z zones, ok bool) {
	if len(s) > 96 {
		return z, false
	}
	s = unicode.Replace(s)
	if hoursMinutes.MatchString(s) {
		offset, n := readOffset("+" + s)
		return zones{offset: offset, hasOffset: true}, n > 0
	}
	for s = strings.TrimLeft(s, spaces); s != ""; s = strings.TrimLeft(s, spaces) {
		n := z.read(s)
		if n == 0 {
			return zones{}, false
		}
		s = s[n:]
	}
	return z, true
}

func readShortOffset(s string) (seconds, n int) {
	if seconds, n = readOffset(s); n > 0 {
		if n == 2 && s[1] == '0' {
			return 0, 0
		}
		if noSeconds.MatchString(s[n:]) {
			n += 3
		}
		return seconds, n
	}
	if m := shortHours.FindStringSubmatch(s); m != nil {
		if seconds, n = readOffset(m[1] + "0" + m[2] + m[3]); n > 0 {
			return seconds, 4
		}
	}
	return 0, 0
}

func (z *zones) read(s string) int {
	if s[0] == '+' || s[0] == '-' {
		seconds, n := readShortOffset(s)
		if z.hasOffset || n == 0 {
			return 0
		}
		z.offset, z.hasOffset = seconds, true
		return n
	}
	if s[0] == '(' || s[0] == '[' {
		m := group.FindStringSubmatch(s)
		if m == nil {
			return 0
		}
		had, inner := z.hasOffset, strings.Trim(m[1]+m[2], spaces)
		for inner != "" {
			n := z.read(inner)
			if n == 0 {
				break
			}
			inner = strings.TrimLeft(inner[n:], spaces)
		}
		switch rest := s[len(m[0]):]; {
		case inner != "" && !(z.hasOffset && prose.MatchString(inner)):
			return 0
		case !had && z.hasOffset && prose.MatchString(rest):
			return len(s)
		}
		return len(m[0])
	}
	letters := someLetters.FindString(s)
	if letters == "" {
		return 0
	}
	if m := universal.FindString(s); m != "" {
		sign := len(m) - 2
		seconds, n := readShortOffset(s[sign:])
		if n == 0 || z.hasOffset {
			return 0
		}
		z.offset, z.hasOffset, z.word = seconds, true, true
		return sign + n
	}
	token := zoneToken.FindString(s)
	if token == letters && len(token) <= 5 && isZoneName(strings.ToUpper(token)) {
		if z.word {
			return 0
		}
		z.word = true
		if hours, ok := abbreviations[strings.ToUpper(token)]; ok {
			z.short, z.hasShort = int(hours*3600), true
		}
		return len(token)
	}
	if z.named {
		return 0
	}
	if z.location = readNamedZone(token); z.location == nil && strings.Contains(token, "/") {
		z.location = readNamedZone(titleCase(token))
	}
	if z.location == nil {
		return 0
	}
	z.named = true
	return len(token)
}

var zoneWords = regexp.MustCompile(`[A-Za-z]+`)

func titleCase(s string) string {
	return zoneWords.ReplaceAllStringFunc(s, func(w string) string { return strings.ToUpper(w[:1]) + strings.ToLower(w[1:]) })
}

// endDay reads 24:00:00 as the beginning of the next day.
func (t *stamp) endDay() {
	at := *t
	at.hour = 0
	if t.hour == 24 && t.min == 0 && t.sec == 0 && t.nsec == 0 && !t.leap && at.possible() {
		next := at.in(time.UTC).AddDate(0, 0, 1)
		t.year, t.month, t.day, t.hour = next.Year(), int(next.Month()), next.Day(), 0
	}
}
