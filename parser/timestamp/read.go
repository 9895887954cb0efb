package timestamp

import (
	"time"

	"fluent-bit-fortiems/parser/ascii"
)

// parts are the parts of a stamp that have been read.
type parts struct {
	clock, half, day, month, year, weekday, offset, zone bool
	pm                                                   bool           // with half: PM, not AM
	unix                                                 bool           // a Unix time
	name                                                 *time.Location // of an IANA name
	after                                                part           // the last one
}

type part uint8

const (
	aWord part = iota
	aClock
	aDate // with separators of its own
)

// Read reads one timestamp at the start of s in any form that senders and relays use: what
// ReadUsual reads, RFC 2822, ctime, Go, compact ISO 8601, Unix times of at least 10 digits,
// and in general a date, a time of day, a weekday, AM or PM, an offset and the abbreviation
// of a zone in any order. It returns the length, 0 for anything else. ok is false if the
// calendar does not have this moment. An offset counts more than an abbreviation. An IANA
// name after the time of day gives the offset of that moment if the stamp has a year and no
// offset.
func (t *Stamp) Read(s []byte) (n int, ok bool) {
	var p parts
	return t.read(s, &p)
}

func (t *Stamp) read(s []byte, p *parts) (n int, ok bool) {
	*t = Stamp{}
	i := 0
	if len(s) > 0 && (s[0] == '*' || s[0] == '.') {
		i = 1 // Cisco: the clock is not synchronised
	}
	if n := t.readEpoch(s[i:]); n > 0 {
		p.unix = i == 0
		return i + n, true
	}
	if n = t.readCompact(s[i:], p); n > 0 {
		n += i
	} else if n = t.readParts(s, i, p); n == 0 {
		return 0, false
	}
	t.Local.setHalf(p.half, p.pm)
	t.endMinute()
	if t.NoYear = !p.year; t.NoYear {
		return n, t.Local.Valid()
	}
	t.endDay()
	if ok = t.Local.Valid(); ok && p.name != nil && !t.HasZone {
		utc := t.Local.UTC()
		t.HasZone, t.Offset = true, int32(utc-t.Local.In(p.name, utc))
	}
	return n, ok
}

// setHalf reads the hour as one of a 12-hour clock if half is set.
func (d *DateTime) setHalf(half, pm bool) {
	switch {
	case half && pm && d.Hour < 12:
		d.Hour += 12
	case half && !pm && d.Hour == 12:
		d.Hour = 0
	}
}

// endMinute reads the 60th second as the 59th.
func (t *Stamp) endMinute() {
	if t.Local.Sec == 60 {
		t.Local.Sec, t.Leap = 59, true
	}
}

// endDay reads 24:00:00 (ISO 8601-1:2019/Amd 1) as the beginning of the next day.
func (t *Stamp) endDay() {
	d := &t.Local
	if d.Hour != 24 || d.Min != 0 || d.Sec != 0 || d.Nsec != 0 {
		return
	}
	d.Hour = 0
	if !d.Valid() {
		d.Hour = 24
		return
	}
	if d.Day++; d.Day > daysIn(d.Year, d.Month) {
		d.Day = 1
		if d.Month++; d.Month > 12 {
			d.Month = 1
			d.Year++
		}
	}
}

// ReadAll reads a text that is nothing but one timestamp, in any form that Read knows. Text
// knows more forms.
func (t *Stamp) ReadAll(v []byte) bool {
	var p parts
	return t.readAll(v, &p)
}

func (t *Stamp) readAll(v []byte, p *parts) bool {
	v = ascii.TrimRight(ascii.TrimLeft(v))
	n, ok := t.read(v, p)
	if rest := ascii.TrimLeft(v[n:]); len(rest) > 2 && rest[0] == 'm' && rest[1] == '=' && ascii.WordEnd(rest) == len(rest) {
		return ok // the monotonic clock that Go prints
	}
	return ok && n == len(v)
}

// readEpoch reads a Unix time that ends at a blank, at ":" or at the end of s.
func (t *Stamp) readEpoch(s []byte) int {
	n := 0
	for n < len(s) && ascii.IsDigit(s[n]) {
		n++
	}
	switch n {
	case 10, 13, 16, 19:
	default:
		return 0
	}
	if n+1 < len(s) && s[n] == '.' && ascii.IsDigit(s[n+1]) {
		for n++; n < len(s) && ascii.IsDigit(s[n]); {
			n++
		}
	}
	if n < len(s) && !ascii.IsBlank(s[n]) && s[n] != ':' {
		return 0
	}
	e, ok := ParseEpoch(s[:n])
	if !ok {
		return 0
	}
	t.setEpoch(&e)
	return n
}

// setEpoch takes a Unix time.
func (t *Stamp) setEpoch(e *Epoch) {
	u := time.Unix(e.Sec, 0).UTC()
	t.Local = DateTime{int32(u.Year()), int32(u.Month()), int32(u.Day()), int32(u.Hour()), int32(u.Minute()), int32(u.Second()), e.Nsec}
	t.HasZone = true
}

// readCompact reads 20241001T221730 or 20241001221730, with a fraction and an offset.
func (t *Stamp) readCompact(s []byte, p *parts) int {
	end, clock := len("20241001T221730"), s
	switch {
	case len(s) < end-1 || !ascii.AllDigits(s[:8]):
		return 0
	case len(s) >= end && s[8]|0x20 == 't' && ascii.AllDigits(s[9:end]):
		clock = s[9:]
	case digitsIn(s) == end-1:
		clock = s[8:]
		end--
	default:
		return 0
	}
	d := &t.Local
	d.Year, d.Month, d.Day = TwoDigits(s)*100+TwoDigits(s[2:]), TwoDigits(s[4:]), TwoDigits(s[6:])
	d.Hour, d.Min, d.Sec = TwoDigits(clock), TwoDigits(clock[2:]), TwoDigits(clock[4:])
	if end < len("20241001T221730") && !d.Valid() {
		return 0 // a number
	}
	p.year = true
	if end+1 < len(s) && (s[end] == '.' || s[end] == ',') && ascii.IsDigit(s[end+1]) {
		nsec, digits := parseFraction(s[end+1:])
		d.Nsec = nsec
		end += 1 + digits
	}
	z, offset := ParseOffset(s[end:])
	t.HasZone, t.Offset = z > 0, offset
	return end + z
}

// readParts reads the parts of a stamp from s[i:] on and returns the end of the last one, 0
// if a date and a time of day are not among them.
func (t *Stamp) readParts(s []byte, i int, p *parts) (end int) {
	for i < len(s) {
		glued := end > 0 && i == end
		n := t.readPart(s[i:], glued, p)
		if n == 0 {
			break
		}
		end = i + n
		i = end
		for i < len(s) && (ascii.IsBlank(s[i]) || s[i] == ',') {
			i++
		}
		if i == end && p.after == aDate && i+1 < len(s) && ascii.IsDigit(s[i+1]) {
			switch s[i] {
			case 'T', 't', ':', '_', '-':
				i++ // 2024-10-01T22:17:30, 01/Oct/2024:22:17:30
				continue
			}
		}
		if i == end && p.after != aClock {
			break
		}
	}
	if !p.clock || !p.month || !p.day {
		return 0
	}
	return end
}

// readPart reads one part that is not there yet. A glued one follows the time of day without
// a blank: AM, PM or an offset.
func (t *Stamp) readPart(s []byte, glued bool, p *parts) (n int) {
	p.after = aWord
	switch c := s[0]; {
	case ascii.IsDigit(c) && glued:
		return 0
	case ascii.IsDigit(c):
		return t.readNumber(s, p)
	case glued || c == '+' || c == '-' || c == minusSign[0]:
		if n := readHalf(s, p); n > 0 {
			return n
		}
		n, offset := parseSigned(s)
		if !p.clock || p.offset || n == 0 || !glued && (n < len("+0200") || !ascii.IsDigit(s[2])) && (n == len("+0") && s[1] == '0' || !endsWord(s, n)) {
			return 0
		}
		p.offset, t.HasZone, t.Offset = true, true, offset
		return n
	case c == '(':
		n := 1
		for n < len(s) && ascii.IsLetter(s[n]) {
			n++
		}
		if n == len(s) || s[n] != ')' || !t.setZone(s[1:n], p) {
			return 0
		}
		return n + 1
	}
	return t.readWord(s, p)
}

const minusSign = "\u2212"

// parseSigned is ParseOffset with the minus sign of Unicode as well.
func parseSigned(s []byte) (n int, seconds int32) {
	if len(s) < len(minusSign) || string(s[:len(minusSign)]) != minusSign {
		return ParseOffset(s)
	}
	var plain [len("-05:00") + 1]byte
	plain[0] = '-'
	n, seconds = ParseOffset(plain[:1+copy(plain[1:], s[len(minusSign):])])
	if n > 0 {
		n += len(minusSign) - 1
	}
	return n, seconds
}

// readNumber reads a time of day, a date, a year or a day.
func (t *Stamp) readNumber(s []byte, p *parts) (n int) {
	d := &t.Local
	if !p.clock {
		if n = d.parseClock(s); n > 0 {
			p.clock, p.after = true, aClock
			return n
		}
	}
	if !p.year && !p.month && !p.day {
		if n = d.readDate(s); n > 0 {
			p.year, p.month, p.day, p.after = true, true, true, aDate
			return n
		}
	}
	if y, ok := parseYear(s); ok && !p.year {
		d.Year, p.year = y, true
		return 4
	}
	for n < len(s) && ascii.IsDigit(s[n]) {
		n++
	}
	if p.day || n > 2 || !endsWord(s, n) {
		return 0
	}
	p.day = true
	d.Day = number(s[:n])
	return n
}

// parseClock is ParseClock for hours of one digit as well.
func (d *DateTime) parseClock(s []byte) int {
	if len(s) < len("2:17:30") || s[1] != ':' {
		return d.ParseClock(s)
	}
	var two [len("02:17:30.123456789")]byte
	two[0] = '0'
	n := d.ParseClock(two[:1+copy(two[1:], s)])
	if n == 0 {
		return 0
	}
	for n--; n > len("2:17:30") && n < len(s) && ascii.IsDigit(s[n]); { // after the ninth digit
		n++
	}
	return n
}

// readDate reads 2024-10-1, 2024/10/01, 01-Oct-2024 or 1/Oct/2024.
func (d *DateTime) readDate(s []byte) int {
	n := 0
	var field [3]int32
	begin := 0
	for i := range field {
		begin = n
		letters := i == 1 && n < len(s) && ascii.IsLetter(s[n])
		for n < len(s) && (ascii.IsDigit(s[n]) && !letters || ascii.IsLetter(s[n]) && letters) {
			n++
		}
		switch part := s[begin:n]; {
		case letters && len(part) == 3:
			field[i] = Month(part)
		case letters || len(part) == 0 || len(part) > 4:
			return 0
		default:
			field[i] = number(part)
		}
		if field[i] == 0 && letters {
			return 0
		}
		if i < 2 {
			if n == len(s) || s[n] != '-' && s[n] != '/' || i == 1 && s[n] != s[begin-1] {
				return 0
			}
			n++
		}
	}
	first := 0
	for ascii.IsDigit(s[first]) {
		first++
	}
	last, middle := n-begin, ascii.IsDigit(s[first+1])
	switch {
	case middle && first == 4 && last <= 2 && begin-first-2 <= 2:
		d.Year, d.Month, d.Day = field[0], field[1], field[2]
	case !middle && first <= 2 && last == 4:
		d.Year, d.Month, d.Day = field[2], field[1], field[0]
	default:
		return 0
	}
	return n
}

func number(digits []byte) (n int32) {
	for _, c := range digits {
		n = n*10 + int32(c-'0')
	}
	return n
}

// readHalf reads AM or PM.
func readHalf(s []byte, p *parts) int {
	if p.half || !p.clock || len(s) < 2 || !endsWord(s, 2) {
		return 0
	}
	switch string(s[:2]) {
	case "AM", "am":
	case "PM", "pm":
		p.pm = true
	default:
		return 0
	}
	p.half = true
	return 2
}

// readWord reads AM, PM, a weekday, a month or the abbreviation of a zone.
func (t *Stamp) readWord(s []byte, p *parts) int {
	if n := readHalf(s, p); n > 0 {
		return n
	}
	n := 0
	for n < len(s) && ascii.IsLetter(s[n]) {
		n++
	}
	w := s[:n]
	if n < len(s) && s[n] == '/' && p.clock && !p.zone {
		return t.readName(s, p)
	}
	if !endsWord(s, n) {
		// "GMT+2" or "UTC+02:00".
		if p.zone || p.offset || string(w) != "UTC" && string(w) != "GMT" {
			return 0
		}
		z, offset := ParseOffset(s[n:])
		if z == 0 {
			return 0
		}
		p.zone, p.offset, t.HasZone, t.Offset = true, true, true, offset
		return n + z
	}
	switch {
	case !p.weekday && (isWeekday(w) || !p.clock && isWeekdayName(w)):
		p.weekday = true
	case !p.month && ((n == 3 || isMonthName(w)) && Month(w) > 0 || !p.clock && monthName(w) > 0):
		t.Local.Month, p.month = Month(w), true
	case !t.setZone(w, p):
		return 0
	}
	return n
}

// readName reads an IANA name of a zone.
func (t *Stamp) readName(s []byte, p *parts) int {
	n := ascii.WordEnd(s)
	if p.name = Location(s[:n]); p.name == nil {
		return 0
	}
	p.zone = true
	return n
}

func isMonthName(w []byte) bool {
	switch string(w) {
	case "January", "February", "March", "April", "June", "July", "August", "September", "October", "November", "December":
		return true
	}
	return false
}

func isWeekday(w []byte) bool {
	switch string(w) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun",
		"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday":
		return true
	}
	return false
}

// setZone takes w as the abbreviation of a zone. It reports whether it is one.
func (t *Stamp) setZone(w []byte, p *parts) bool {
	offset, kind := abbreviation(w)
	if kind == noZone || p.zone {
		return false
	}
	p.zone = true
	if kind == oneZone && !p.offset {
		t.HasZone, t.Offset = true, offset
	}
	return true
}

// IsStampWord reports whether w can be a part of a stamp after its time of day, as Read sees
// it: a weekday, AM, PM, or the abbreviation of a zone.
func IsStampWord(w []byte) bool {
	if len(w) == 0 || len(w) > len("Wednesday") {
		return false
	}
	if _, kind := abbreviation(w); kind != noZone {
		return true
	}
	return isWeekday(w) || string(w) == "AM" || string(w) == "PM" || string(w) == "am" || string(w) == "pm"
}
