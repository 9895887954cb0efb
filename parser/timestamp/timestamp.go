// Package timestamp reads the dates, times of day, UTC offsets and Unix times that
// Fortinet products and syslog relays write. It reads texts only; which of the times of a
// line counts is decided elsewhere.
package timestamp

import (
	"time"

	"fluent-bit-fortiems/parser/ascii"
)

// DateTime is a date and a time of day as written, without a zone.
type DateTime struct {
	Year, Month, Day, Hour, Min, Sec int32
	Nsec                             int32
}

// Valid reports whether the calendar has this moment. A missing year (0) counts as a leap
// year.
func (d *DateTime) Valid() bool {
	return d.Month >= 1 && d.Month <= 12 && d.Day >= 1 && d.Day <= daysIn(d.Year, d.Month) &&
		d.Hour <= 23 && d.Min <= 59 && d.Sec <= 59
}

func daysIn(year, month int32) int32 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// UTC returns the Unix seconds of the moment in UTC.
func (d *DateTime) UTC() int64 {
	// Count days of the proleptic Gregorian calendar from March: the leap day is then the
	// last day of a year.
	y, m := d.Year, d.Month
	if m <= 2 {
		y--
		m += 12
	}
	century := y / 100
	days := 365*y + y>>2 - century + century>>2 + (153*(m-3)+2)/5 + d.Day - 719469
	return int64(days)*86400 + int64(d.Hour*3600+d.Min*60+d.Sec)
}

// In returns the Unix seconds of the moment in a zone. Of an hour that the zone repeats it
// takes the reading nearest to the Unix seconds near. A moment that the zone skips is read
// with the offset before it or after it, as package time chooses.
func (d *DateTime) In(loc *time.Location, near int64) int64 {
	if loc == time.UTC {
		return d.UTC()
	}
	t := time.Date(int(d.Year), time.Month(d.Month), int(d.Day), int(d.Hour), int(d.Min), int(d.Sec), 0, loc)
	sec, utc := t.Unix(), d.UTC()
	begin, end := t.ZoneBounds()
	if !begin.IsZero() {
		_, before := time.Unix(begin.Unix()-1, 0).In(loc).Zone()
		if other := utc - int64(before); other < begin.Unix() {
			return nearest(sec, other, near)
		}
	}
	if !end.IsZero() {
		_, after := end.Zone()
		if other := utc - int64(after); other >= end.Unix() {
			return nearest(sec, other, near)
		}
	}
	return sec
}

// nearest returns which of two Unix times is nearer to a third one, the earlier one if
// neither is.
func nearest(a, b, to int64) int64 {
	a, b = min(a, b), max(a, b)
	if b-to < to-a {
		return b
	}
	return a
}

// ParseDate reads 2024-10-01 or 2024/10/01 (10 bytes) into d. It does not check the
// calendar; see Valid.
func (d *DateTime) ParseDate(s []byte) bool {
	if len(s) != 10 || s[4] != s[7] || s[4] != '-' && s[4] != '/' {
		return false
	}
	century, year := TwoDigits(s), TwoDigits(s[2:])
	d.Month, d.Day = TwoDigits(s[5:]), TwoDigits(s[8:])
	d.Year = century*100 + year
	return century >= 0 && year >= 0 && d.Month >= 0 && d.Day >= 0
}

// ParseClock reads 22:17:30, optionally with a fraction after "." or ",", into d and
// returns its length, 0 for anything else.
func (d *DateTime) ParseClock(s []byte) int {
	const n = len("22:17:30")
	if len(s) < n || s[2] != ':' || s[5] != ':' {
		return 0
	}
	d.Hour, d.Min, d.Sec, d.Nsec = TwoDigits(s), TwoDigits(s[3:]), TwoDigits(s[6:]), 0
	if d.Hour < 0 || d.Min < 0 || d.Sec < 0 {
		return 0
	}
	if n+1 < len(s) && (s[n] == '.' || s[n] == ',') && ascii.IsDigit(s[n+1]) {
		nsec, digits := parseFraction(s[n+1:])
		d.Nsec = nsec
		return n + 1 + digits
	}
	return n
}

// TwoDigits returns the number that the first two bytes of s are, or -1.
func TwoDigits(s []byte) int32 {
	if len(s) < 2 || !ascii.IsDigit(s[0]) || !ascii.IsDigit(s[1]) {
		return -1
	}
	return int32(s[0]-'0')*10 + int32(s[1]-'0')
}

// parseFraction reads the digits after a decimal point as nanoseconds and returns how many
// there are. Digits after the ninth are ignored.
func parseFraction(s []byte) (nsec int32, n int) {
	for scale := int32(1e8); n < len(s) && ascii.IsDigit(s[n]); scale /= 10 {
		nsec += int32(s[n]-'0') * scale
		n++
	}
	return nsec, n
}

// Month returns the number of the English month abbreviation that s begins with, in any
// case, or 0.
func Month(s []byte) int32 {
	if len(s) < 3 {
		return 0
	}
	name := [...]byte{ascii.Lower(s[0]), ascii.Lower(s[1]), ascii.Lower(s[2])}
	switch string(name[:]) {
	case "jan":
		return 1
	case "feb":
		return 2
	case "mar":
		return 3
	case "apr":
		return 4
	case "may":
		return 5
	case "jun":
		return 6
	case "jul":
		return 7
	case "aug":
		return 8
	case "sep":
		return 9
	case "oct":
		return 10
	case "nov":
		return 11
	case "dec":
		return 12
	}
	return 0
}

// ParseOffset reads Z, +01:00, +0100, +01 or +1 at the start of s. It returns the length,
// 0 for anything else, and the seconds east of UTC.
func ParseOffset(s []byte) (n int, seconds int32) {
	if len(s) > 0 && s[0]|0x20 == 'z' {
		return 1, 0
	}
	if len(s) < 2 || s[0] != '+' && s[0] != '-' || !ascii.IsDigit(s[1]) {
		return 0, 0
	}
	hours, minutes := int32(s[1]-'0'), int32(0)
	n = 2
	if n < len(s) && ascii.IsDigit(s[n]) {
		hours, n = hours*10+int32(s[n]-'0'), 3
	}
	at := n // of the minutes; without a colon only after two digits
	if n < len(s) && s[n] == ':' {
		at++
	}
	if at >= 3 && at <= len(s) {
		if m := TwoDigits(s[at:]); m >= 0 {
			minutes, n = m, at+2
		}
	}
	if hours > 14 || minutes > 59 || n < len(s) && ascii.IsDigit(s[n]) {
		return 0, 0
	}
	seconds = hours*3600 + minutes*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return n, seconds
}

// Epoch is a Unix time with its precision.
type Epoch struct {
	Sec  int64
	Nsec int32
	Unit int64 // precision in nanoseconds, 0 for no time, -1 for one that is not exact
}

// ParseEpoch reads seconds, milliseconds, microseconds or nanoseconds since 1970, by their
// magnitude, or seconds with a fraction.
func ParseEpoch(v []byte) (e Epoch, ok bool) {
	var n int64
	i := 0
	for ; i < len(v) && i < 19 && ascii.IsDigit(v[i]); i++ {
		n = n*10 + int64(v[i]-'0')
	}
	if i == 0 || n < 0 {
		return Epoch{}, false
	}
	switch {
	case n < 1e11:
		e.Unit = 1e9
	case n < 1e14:
		e.Unit = 1e6
	case n < 1e17:
		e.Unit = 1e3
	default:
		e.Unit = 1
	}
	perSecond := 1e9 / e.Unit
	e.Sec, e.Nsec = n/perSecond, int32(n%perSecond*e.Unit)
	if i < len(v) && v[i] == '.' && e.Unit == 1e9 {
		nsec, digits := parseFraction(v[i+1:])
		i += 1 + digits
		e.Nsec, e.Unit = nsec, 1
	}
	return e, i == len(v) && Plausible(e.Sec)
}

// ParseNumber reads a Unix time that ParseEpoch does not read: with an exponent, or with a
// fraction of milliseconds and smaller units, after "." or ",". Its unit is that of its whole
// part, by magnitude. A number of less than eight digits may be rounded, by up to some
// minutes (%e of C has seven digits): its Unit is -1.
func ParseNumber(v []byte) (e Epoch, ok bool) {
	var digits [24]byte // with zeros after the last one that is given
	n, point := 0, -1
	i := 0
	for ; i < len(v) && (ascii.IsDigit(v[i]) || point < 0 && (v[i] == '.' || v[i] == ',')); i++ {
		if !ascii.IsDigit(v[i]) {
			point = n
		} else if n == len(digits) {
			return Epoch{}, false
		} else {
			digits[n] = v[i]
			n++
		}
	}
	if n == 0 || digits[0] == '0' || point == 0 {
		return Epoch{}, false
	}
	if point < 0 {
		point = n
	}
	exponent := i < len(v)
	if exponent {
		if v[i]|0x20 != 'e' {
			return Epoch{}, false
		}
		if i++; i < len(v) && v[i] == '+' {
			i++
		}
		power := v[i:]
		if len(power) > 2 || !ascii.AllDigits(power) {
			return Epoch{}, false
		}
		point += int(number(power))
	} else if point == n {
		return Epoch{}, false // an integer, for ParseEpoch
	}
	if point > 19 {
		return Epoch{}, false
	}
	given := n
	for n < point {
		digits[n] = '0'
		n++
	}
	if e, ok = ParseEpoch(digits[:point]); !ok {
		return Epoch{}, false
	}
	if point < n {
		fraction, _ := parseFraction(digits[point:n])
		e.Nsec += int32(int64(fraction) * e.Unit / 1e9)
		e.Unit = 1
	}
	if exponent && given < 8 {
		e.Unit = -1
	}
	return e, true
}

// Plausible reports whether a Unix time can be that of an event. FortiClient did not exist
// before 2000, and Fluent Bit reads seconds with the top bit set as group markers.
func Plausible(sec int64) bool {
	const year2000 = 946684800
	return sec >= year2000 && sec < 1<<31-1
}

// NearOffset rounds a difference to UTC, in seconds, to the UTC offset that is at most 5 s
// away. ok is false if no zone has that offset.
func NearOffset(difference int64) (seconds int32, ok bool) {
	const quarter, tolerance = 900, 5
	rounded := (difference + quarter/2) / quarter * quarter
	if difference < -quarter/2 {
		rounded = (difference - quarter/2) / quarter * quarter
	}
	if d := difference - rounded; d > tolerance || d < -tolerance || !offsetInUse(rounded) {
		return 0, false
	}
	return int32(rounded), true
}

// offsetInUse reports whether some zone has this UTC offset, in seconds.
func offsetInUse(seconds int64) bool {
	if seconds < -12*3600 || seconds > 14*3600 {
		return false
	}
	if seconds%3600 == 0 {
		return true
	}
	switch seconds / 60 {
	case -9*60 - 30, -3*60 - 30, -2*60 - 30, 3*60 + 30, 4*60 + 30, 5*60 + 30, 5*60 + 45, 6*60 + 30,
		8*60 + 45, 9*60 + 30, 10*60 + 30, 12*60 + 45, 13*60 + 45:
		return seconds%60 == 0
	}
	return false
}
