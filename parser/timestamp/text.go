package timestamp

import (
	"time"

	"fluent-bit-fortiems/parser/ascii"
)

// Text is a time that a whole text says. Texts have more forms than stamps in a header: where
// nothing but a time can be, "22:17" is a time of day and "Europe/Berlin" a zone.
type Text struct {
	Stamp
	Zone *time.Location // with an IANA name and no offset; HasZone is false then
	Unix bool           // a Unix time: Local is in UTC and says nothing of the zone

	// Partly reports that the text says more than the other members, or less: a name of a
	// zone, a date read in the American order, a rounded number.
	Partly bool
}

// maxText is the length of the longest text that Text reads but that ReadAll does not.
const maxText = 96

// Read reads a text that is nothing but one timestamp with a year. Beyond what ReadAll reads,
// these are forms of libraries, spreadsheets and languages, none of which Fortinet documents:
//
//   - Unix times with an exponent or a fraction: 1.72782105e9, 1727821050123.456
//   - an IANA name, any offset, and zone names in any case or in brackets, after the time or
//     directly behind it: "22:17:30 Europe/Berlin", "22:17:30cest", "+02:00[Europe/Berlin]"
//   - times of day without seconds: 22:17, 10:17PM
//   - dates without separators, with dots (day first) or with slashes; see readDate
//   - years of two digits after a day and a month, ordinals, "at" before the time of day
//   - U+2212 as minus and the blanks of Unicode, as ICU writes them
func (t *Text) Read(v []byte) bool {
	*t = Text{}
	v = ascii.TrimRight(ascii.TrimLeft(v))
	var stamp parts
	if t.readAll(v, &stamp) {
		t.Unix, t.Partly = stamp.unix, stamp.name != nil
		if stamp.name != nil && !stamp.offset {
			t.HasZone, t.Offset, t.Zone = false, 0, stamp.name
		}
		return !t.NoYear
	}
	*t = Text{}
	if len(v) < len("1.7e9") || len(v) > maxText {
		return false
	}
	var plain [maxText]byte
	v = ascii.TrimRight(ascii.TrimLeft(appendPlain(plain[:0], v)))
	if n := len(v); n > 2 && v[0] == '[' && v[n-1] == ']' {
		v = v[1 : n-1]
	}
	if e, ok := ParseNumber(v); ok {
		t.setEpoch(&e)
		t.Unix, t.Partly = true, e.Unit < 0
		return true
	}
	var p textParts
	if !p.readAll(v) || !p.finish() {
		return false
	}
	*t = p.text
	return true
}

// appendPlain appends v with U+2212 as "-", blanks of Unicode as " ", and without marks of
// direction, which libraries write around dates.
func appendPlain(dst, v []byte) []byte {
	for i := 0; i < len(v); i++ {
		c, rest := v[i], v[i:]
		switch {
		case c < 0x80 || len(rest) < 2:
			dst = append(dst, c)
		case c == 0xC2 && rest[1] == 0xA0:
			dst = append(dst, ' ')
			i++
		case c == 0xE2 && len(rest) > 2:
			switch string(rest[1:3]) {
			case "\x88\x92": // U+2212
				dst = append(dst, '-')
			case "\x80\xAF", "\x80\x89": // U+202F, U+2009
				dst = append(dst, ' ')
			case "\x80\x8E", "\x80\x8F": // U+200E, U+200F
			default:
				dst = append(dst, rest[:3]...)
			}
			i += 2
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// textParts are the parts of a Text that have been read.
type textParts struct {
	text                    Text
	zone                    zoneParts
	clock, day, month, year bool
	weekday, half, pm, at   bool
	afterDate               bool // the last part is a date with separators, or of 8 digits
	american                bool // the order of day and month is known only with AM or PM
	guess                   bool // with american: both orders are possible
}

// readAll reads parts in any order until the end of s.
func (p *textParts) readAll(s []byte) bool {
	for {
		begin := len(s)
		for len(s) > 0 && (ascii.IsBlank(s[0]) || s[0] == ',') {
			s = s[1:]
		}
		if len(s) == 0 {
			return true
		}
		if p.afterDate && len(s) == begin && len(s) > 1 && ascii.IsDigit(s[1]) {
			switch s[0] {
			case 'T', 't', '_', '-', ':':
				s = s[1:]
			}
		}
		n := p.readPart(s)
		if n == 0 {
			return false
		}
		s = s[n:]
	}
}

// finish checks the parts and enters what depends on several of them.
func (p *textParts) finish() bool {
	t, d := &p.text, &p.text.Local
	if !p.clock || !p.day || !p.month || !p.year || p.american && !p.half {
		return false
	}
	d.setHalf(p.half, p.pm)
	t.endMinute()
	t.endDay()
	t.Partly = p.american && p.guess || p.zone.named
	t.HasZone, t.Offset, t.Zone = p.zone.result()
	return d.Valid()
}

// readPart reads one part that is not there yet and returns its length, 0 for anything else.
func (p *textParts) readPart(s []byte) int {
	wasDate := p.afterDate
	p.afterDate = false
	switch c := s[0]; {
	case ascii.IsDigit(c):
		return p.readNumber(s, wasDate)
	case c == '(' || c == '[' || c == '+' || c == '-':
		if !p.clock {
			return 0
		}
		return p.zone.read(s)
	case ascii.IsLetter(c):
		return p.readWord(s)
	}
	return 0
}

// readNumber reads a time of day, a date, both in one number, a year or a day.
func (p *textParts) readNumber(s []byte, afterDate bool) int {
	d := &p.text.Local
	n := digitsIn(s)
	if !p.clock && n < len(s) && s[n] == ':' && n <= 2 {
		n = d.readClock(s, n)
		p.clock = n > 0
		return n
	}
	dated := p.day || p.month || p.year
	if !dated && n < len(s) && n <= 4 && (s[n] == '-' || s[n] == '/' || s[n] == '.') {
		return p.readDate(s, n)
	}
	switch {
	case !dated && n == len("20241001"), !dated && !p.clock && (n == len("202410012217") || n == len("20241001221730")):
		d.Year, d.Month, d.Day = number(s[:4]), TwoDigits(s[4:]), TwoDigits(s[6:])
		p.year, p.month, p.day, p.afterDate = true, true, true, true
		if n == len("20241001") {
			return n
		}
		return 8 + p.readDigits(s[8:], n-8)
	case !p.clock && p.day && p.month && p.year && (n == len("221730") || n == len("2217") && afterDate):
		return p.readDigits(s, n)
	case n == 4 && !p.year:
		d.Year, p.year = number(s[:4]), true
		return n
	case n > 2:
		return 0
	case !p.day:
		d.Day, p.day = number(s[:n]), true
		return n + ordinal(s[n:])
	case n == 2 && p.month && !p.year:
		d.Year, p.year = 2000+number(s[:n]), true
		return n
	}
	return 0
}

// readDigits reads a time of day of n digits, with a fraction after six.
func (p *textParts) readDigits(s []byte, n int) int {
	d := &p.text.Local
	d.Hour, d.Min = TwoDigits(s), TwoDigits(s[2:])
	if n == len("221730") {
		d.Sec = TwoDigits(s[4:])
		n += d.readFraction(s[n:])
	}
	p.clock, p.afterDate = true, false
	return n
}

// readClock reads a time of day whose hours have n digits: 22:17:30, 9:17, with a fraction
// after the seconds. Minutes and seconds have two digits: 22:1 may be cut.
func (d *DateTime) readClock(s []byte, n int) int {
	at := n + 1
	if digitsIn(s[at:]) != 2 {
		return 0
	}
	d.Hour, d.Min, d.Sec, d.Nsec = number(s[:n]), number(s[at:at+2]), 0, 0
	if at += 2; at == len(s) || s[at] != ':' {
		return at
	}
	if at++; digitsIn(s[at:]) != 2 {
		return 0
	}
	d.Sec = number(s[at : at+2])
	at += 2
	return at + d.readFraction(s[at:])
}

// readFraction reads the digits after "." or ",", or three digits after ":".
func (d *DateTime) readFraction(s []byte) int {
	if len(s) < 2 || !ascii.IsDigit(s[1]) || s[0] != '.' && s[0] != ',' && (s[0] != ':' || digitsIn(s[1:]) != 3) {
		return 0
	}
	nsec, n := parseFraction(s[1:])
	d.Nsec = nsec
	return 1 + n
}

// readDate reads a date of three parts with the same separator, the first one of n digits. A
// year of four digits is first or last. Of the others in digits, day or month is first:
//
//   - with dots the day, as every language that writes dots has it in CLDR
//   - else the one that is more than 12, or either if both are the same
//   - else, with slashes and AM or PM, the month: the American order
//
// A year of two digits needs dots, the name of a month, or slashes with AM or PM.
func (p *textParts) readDate(s []byte, n int) int {
	d, sep := &p.text.Local, s[n]
	first, middle, last := s[:n], s[n+1:], []byte(nil)
	m, named := digitsIn(middle), false
	if m == 0 {
		m, named = lettersIn(middle), true
	}
	if m == 0 || m == len(middle) || middle[m] != sep {
		return 0
	}
	middle, last = middle[:m], middle[m+1:]
	last = last[:digitsIn(last)]
	month := int32(0)
	if !named && m <= 2 {
		month = number(middle)
	} else if named {
		month = monthName(middle)
	}
	if month == 0 || len(last) == 0 {
		return 0
	}
	d.Month = month
	p.year, p.month, p.day, p.afterDate = true, true, true, true
	end := n + 1 + m + 1 + len(last)
	if n == 4 && len(last) <= 2 {
		d.Year, d.Day = number(first), number(last)
		return end
	}
	if d.Year = number(last); len(last) == 2 {
		d.Year += 2000
	}
	if n > 2 || len(last) != 2 && len(last) != 4 {
		return 0
	}
	d.Day = number(first)
	if named || sep == '.' {
		return end
	}
	switch a, b := number(first), month; {
	case len(last) == 4 && (a > 12 || a == b):
		return end
	case len(last) == 2 || b <= 12:
		if sep != '/' {
			return 0
		}
		p.american, p.guess = true, b <= 12 && a != b
	}
	d.Month, d.Day = d.Day, d.Month
	return end
}

// ordinal returns the length of the letters of 1st, 2nd, 3rd, 4th.
func ordinal(s []byte) int {
	if lettersIn(s) == 2 {
		switch string(s[:2]) {
		case "st", "nd", "rd", "th":
			return 2
		}
	}
	return 0
}

// readWord reads a weekday, a month, AM or PM, "at", or a zone.
func (p *textParts) readWord(s []byte) int {
	n := lettersIn(s)
	w := s[:n]
	end := n
	if n < len(s) && s[n] == '.' {
		end++ // Oct.
	}
	switch month := monthName(w); {
	case !p.half && p.clock && readMeridiem(s, p) > 0:
		return readMeridiem(s, p)
	case !p.month && month > 0:
		p.text.Local.Month, p.month = month, true
		return end
	case !p.weekday && isWeekdayName(w):
		p.weekday = true
		return end
	case !p.at && !p.clock && ascii.EqualFold(w, "at"):
		p.at = true
		return n
	case p.clock:
		return p.zone.read(s)
	}
	return 0
}

// readMeridiem reads AM, PM, a.m. or p.m. in any case.
func readMeridiem(s []byte, p *textParts) int {
	for _, form := range [...]string{"am", "pm", "a.m.", "p.m."} {
		if n := len(form); ascii.HasPrefixFold(s, form) && (n == len(s) || !ascii.IsLetter(s[n])) {
			p.half, p.pm = true, form[0] == 'p'
			return n
		}
	}
	return 0
}

// monthName returns the number of the month that w names in English, in any case and cut
// after three letters or more, or 0.
func monthName(w []byte) int32 {
	if m := Month(w); m > 0 && isBeginning(w, months[m-1]) {
		return m
	}
	return 0
}

var months = [...]string{
	"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
}

// isWeekdayName reports whether w names a weekday in English, in any case and cut after three
// letters or more.
func isWeekdayName(w []byte) bool {
	if len(w) < 3 {
		return false
	}
	name := ""
	switch string([]byte{ascii.Lower(w[0]), ascii.Lower(w[1])}) {
	case "mo":
		name = "monday"
	case "tu":
		name = "tuesday"
	case "we":
		name = "wednesday"
	case "th":
		name = "thursday"
	case "fr":
		name = "friday"
	case "sa":
		name = "saturday"
	case "su":
		name = "sunday"
	}
	return isBeginning(w, name)
}

// isBeginning reports whether w has at least three letters and a name begins with it.
func isBeginning(w []byte, name string) bool {
	return len(w) >= 3 && len(w) <= len(name) && ascii.EqualFold(w, name[:len(w)])
}

func digitsIn(s []byte) (n int) {
	for n < len(s) && ascii.IsDigit(s[n]) {
		n++
	}
	return n
}

func lettersIn(s []byte) (n int) {
	for n < len(s) && ascii.IsLetter(s[n]) {
		n++
	}
	return n
}
