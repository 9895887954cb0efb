package reference

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	wordEnds    = `(?:$|[ \t\r\n\v\f,]|:(?:$|[ \t\r\n\v\f]))`
	epochStamp  = regexp.MustCompile(`^(?:\d{10}|\d{13}|\d{16}|\d{19})(?:\.\d+)?(?:$|[ \t\r\n\v\f:])`)
	compactRun  = regexp.MustCompile(`^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:[.,](\d+))?(?:$|[^\d])`)
	ianaPart    = regexp.MustCompile(`^[A-Za-z]+/[^ \t\r\n\v\f]*`)
	shortOffset = regexp.MustCompile(`^(?:[+-]|\x{2212})(?:\d\d|[1-9]|\d:\d\d|\d\d:?\d\d)` + wordEnds)
	compact     = regexp.MustCompile(`^(\d{4})(\d\d)(\d\d)[Tt](\d\d)(\d\d)(\d\d)(?:[.,](\d+))?`)
	clockPart   = regexp.MustCompile(`^(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d+))?`)
	isoDate     = regexp.MustCompile(`^(\d{4})(?:-(\d{1,2})-(\d{1,2})|/(\d{1,2})/(\d{1,2}))(?:$|[^0-9])`)
	namedDate   = regexp.MustCompile(`^(\d{1,2})(?:-([A-Za-z]{3})-(\d{4})|/([A-Za-z]{3})/(\d{4}))(?:$|[^0-9])`)
	yearPart    = regexp.MustCompile(`^([12]\d{3})` + wordEnds)
	dayPart     = regexp.MustCompile(`^(\d{1,2})` + wordEnds)
	halfPart    = regexp.MustCompile(`^(am|pm|AM|PM)` + wordEnds)
	fullOffset  = regexp.MustCompile(`^[+-]\d\d:?\d\d`)
	utcOffset   = regexp.MustCompile(`^(?:UTC|GMT)[+-]`)
	parenthesis = regexp.MustCompile(`^\(([A-Za-z]+)\)`)
	letters     = regexp.MustCompile(`^([A-Za-z]+)` + wordEnds)
	monotonic   = regexp.MustCompile(`^m=[^ \t\r\n\v\f]+$`)
)

var weekdays = strings.Fields("Mon Tue Wed Thu Fri Sat Sun Monday Tuesday Wednesday Thursday Friday Saturday Sunday")

var monthNames = strings.Fields("January February March April June July August September October November December")

// abbreviations are the offsets of zones, in hours.
var abbreviations = map[string]float64{
	"UTC": 0, "GMT": 0, "UT": 0, "Z": 0, "WET": 0, "WEST": 1, "CET": 1, "MEZ": 1, "WAT": 1, "CEST": 2, "MESZ": 2, "EET": 2, "SAST": 2, "CAT": 2,
	"EEST": 3, "MSK": 3, "EAT": 3, "TRT": 3, "PKT": 5, "WIB": 7, "ICT": 7, "HKT": 8, "SGT": 8, "AWST": 8, "MYT": 8, "PHT": 8, "JST": 9, "KST": 9,
	"ACST": 9.5, "AEST": 10, "ACDT": 10.5, "AEDT": 11, "NZST": 12, "NZDT": 13, "NDT": -2.5, "BRT": -3, "ART": -3, "NST": -3.5,
	"EDT": -4, "EST": -5, "CDT": -5, "MDT": -6, "MST": -7, "PDT": -7, "PST": -8, "AKDT": -8, "AKST": -9, "HST": -10,
}

// ambiguous abbreviations are those of several zones.
var ambiguous = strings.Fields("IST CST BST AST ADT GST SST WST AMT ECT PYT")

func isZoneName(w string) bool {
	_, ok := abbreviations[w]
	return ok || slices.Contains(ambiguous, w)
}

// readStamp reads a stamp of parts in any order at the start of s, and its length. ok is
// false if the calendar does not have it.
func readStamp(s string) (t stamp, n int, ok bool) {
	mark := 0
	if strings.HasPrefix(s, "*") || strings.HasPrefix(s, ".") {
		mark = 1
	}
	if m := epochStamp.FindString(s[mark:]); m != "" {
		if e := readEpoch(strings.TrimRight(m, spaces+":")); e.ok {
			u := e.UTC()
			return stamp{
				year: u.Year(), month: int(u.Month()), day: u.Day(), hour: u.Hour(), min: u.Minute(), sec: u.Second(),
				nsec: u.Nanosecond(), hasZone: true,
			}, mark + len(strings.TrimRight(m, spaces+":")), true
		}
	}
	if m := compact.FindStringSubmatch(s[mark:]); m != nil {
		t = stamp{year: atoi(m[1]), month: atoi(m[2]), day: atoi(m[3]), hour: atoi(m[4]), min: atoi(m[5]), sec: atoi(m[6]), nsec: nanoseconds(m[7])}
		n = mark + len(m[0])
		if offset, z := readOffset(s[n:]); z > 0 {
			t.hasZone, t.offset = true, offset
			n += z
		}
	} else if m := compactRun.FindStringSubmatch(s[mark:]); m != nil && (stamp{year: atoi(m[1]), month: atoi(m[2]), day: atoi(m[3]), hour: atoi(m[4]), min: atoi(m[5]), sec: atoi(m[6])}).possible() {
		t = stamp{year: atoi(m[1]), month: atoi(m[2]), day: atoi(m[3]), hour: atoi(m[4]), min: atoi(m[5]), sec: atoi(m[6]), nsec: nanoseconds(m[7])}
		if n = mark + 14; m[7] != "" {
			n += 1 + len(m[7])
		}
		if offset, z := readOffset(s[n:]); z > 0 {
			t.hasZone, t.offset = true, offset
			n += z
		}
	} else if t, n = readParts(s, mark); n == 0 {
		return stamp{}, 0, false
	}
	if t.sec == 60 {
		t.sec, t.leap = 59, true
	}
	if !t.noYear {
		t.endDay()
	}
	if ok = t.possible(); ok && t.name != nil && !t.noYear && !t.hasZone {
		t.hasZone, t.offset = true, int(t.in(time.UTC).Unix()-t.at(t.name, t.in(time.UTC)).Unix())
	}
	return t, n, ok
}

func readParts(s string, at int) (t stamp, end int) {
	has := map[string]bool{}
	afterClock, afterDate := false, false
	half := ""
	for at < len(s) {
		rest, glued := s[at:], end > 0 && at == end
		n, zone, word := 0, "", ""
		if m := parenthesis.FindStringSubmatch(rest); m != nil {
			zone = m[1]
		}
		if m := letters.FindStringSubmatch(rest); m != nil {
			word = m[1]
		}
		clock, iso, named := clockPart.FindStringSubmatch(rest), isoDate.FindStringSubmatch(rest), namedDate.FindStringSubmatch(rest)
		year, day := yearPart.FindStringSubmatch(rest), dayPart.FindStringSubmatch(rest)
		dated := has["year"] || has["month"] || has["day"]
		wasClock, wasDate := afterClock, afterDate
		afterClock, afterDate = false, false
		switch {
		case glued && !wasClock && !wasDate:
		case half == "" && has["clock"] && halfPart.MatchString(rest):
			half = strings.ToUpper(rest[:2])
			n = 2
		case has["clock"] && !has["offset"] && (glued || fullOffset.MatchString(rest) || shortOffset.MatchString(rest)):
			ascii := strings.Replace(rest, "\u2212", "-", 1)
			if !strings.HasPrefix(rest, "\u2212") {
				ascii = rest
			}
			if offset, z := readOffset(ascii); z > 0 {
				t.hasZone, t.offset, has["offset"] = true, offset, true
				n = z + len(rest) - len(ascii)
			}
		case glued:
		case clock != nil && !has["clock"]:
			t.hour, t.min, t.sec, t.nsec = atoi(clock[1]), atoi(clock[2]), atoi(clock[3]), nanoseconds(clock[4])
			has["clock"], afterClock = true, true
			n = len(clock[0])
		case iso != nil && !dated:
			t.year, t.month, t.day = atoi(iso[1]), atoi(iso[2]+iso[4]), atoi(iso[3]+iso[5])
			has["year"], has["month"], has["day"], afterDate = true, true, true, true
			n = len(iso[1]) + len(iso[2]+iso[4]+iso[3]+iso[5]) + 2
		case named != nil && !dated && slices.Contains(months, lowerASCII(named[2]+named[4])):
			t.day, t.month, t.year = atoi(named[1]), 1+slices.Index(months, lowerASCII(named[2]+named[4])), atoi(named[3]+named[5])
			has["year"], has["month"], has["day"], afterDate = true, true, true, true
			n = len(named[1]) + len("-Oct-2024")
		case year != nil && !has["year"]:
			t.year, has["year"] = atoi(year[1]), true
			n = 4
		case day != nil && !has["day"]:
			t.day, has["day"] = atoi(day[1]), true
			n = len(day[1])
		case zone != "" && isZoneName(zone) && !has["zone"]:
			t.takeZone(zone, has)
			n = len(zone) + 2
		case ianaPart.MatchString(rest) && has["clock"] && !has["zone"]:
			if name := ianaPart.FindString(rest); readNamedZone(name) != nil {
				t.name, has["zone"] = readNamedZone(name), true
				n = len(name)
			}
		case utcOffset.MatchString(rest) && !has["zone"] && !has["offset"]:
			if offset, z := readOffset(rest[3:]); z > 0 {
				t.hasZone, t.offset, has["zone"], has["offset"] = true, offset, true, true
				n = 3 + z
			}
		case (slices.Contains(weekdays, word) || !has["clock"] && beginningOf(word, weekdays[7:]) >= 0) && !has["weekday"]:
			has["weekday"] = true
			n = len(word)
		case (len(word) == 3 && slices.Contains(months, lowerASCII(word)) || slices.Contains(monthNames, word) || !has["clock"] && beginningOf(word, allMonths) >= 0) && !has["month"]:
			t.month, has["month"] = 1+slices.Index(months, lowerASCII(word[:3])), true
			n = len(word)
		case word != "" && isZoneName(word) && !has["zone"]:
			t.takeZone(word, has)
			n = len(word)
		}
		if n == 0 {
			break
		}
		end = at + n
		at = end + len(s[end:]) - len(strings.TrimLeft(s[end:], spaces+","))
		if at == end && afterDate && at+1 < len(s) && strings.ContainsRune("Tt:_-", rune(s[at])) && s[at+1] >= '0' && s[at+1] <= '9' {
			at++
		} else if at == end && !afterClock {
			break
		}
	}
	if !has["clock"] || !has["month"] || !has["day"] {
		return stamp{}, 0
	}
	switch t.noYear = !has["year"]; {
	case half == "PM" && t.hour < 12:
		t.hour += 12
	case half == "AM" && t.hour == 12:
		t.hour = 0
	}
	return t, end
}

func (t *stamp) takeZone(name string, has map[string]bool) {
	has["zone"] = true
	if hours, ok := abbreviations[name]; ok && !has["offset"] {
		t.hasZone, t.offset = true, int(hours*3600)
	}
}

// readWholeStamp reads a text that is a stamp, perhaps with the monotonic clock of Go.
func readWholeStamp(s string) (stamp, bool) {
	s = strings.Trim(s, spaces)
	t, n, ok := readStamp(s)
	rest := s[n:]
	return t, ok && !t.noYear && (rest == "" || monotonic.MatchString(strings.TrimLeft(rest, spaces)))
}

// nearestOffset returns the offset in use within 5 s of a difference to UTC.
func nearestOffset(difference int64) (seconds int, ok bool) {
	for _, minutes := range offsetsInUse {
		if d := difference - int64(minutes)*60; d >= -5 && d <= 5 {
			return minutes * 60, true
		}
	}
	return 0, false
}

// readings returns the moments that a local time can be in a zone, the nearest to at first.
// One that the zone skips has the reading of package time.
func (s stamp) at(loc *time.Location, at time.Time) time.Time {
	best := s.in(loc)
	for minutes := -180; minutes <= 180; minutes += 15 {
		other := s.in(loc).Add(time.Duration(minutes) * time.Minute)
		if other.Format(time.DateTime) != s.in(time.UTC).Format(time.DateTime) {
			continue
		}
		a, b := at.Unix()-other.Unix(), at.Unix()-best.Unix()
		if max(a, -a) < max(b, -b) || max(a, -a) == max(b, -b) && other.Before(best) {
			best = other
		}
	}
	return best
}
