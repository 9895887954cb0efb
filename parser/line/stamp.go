package line

import (
	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/timestamp"
)

// Stamp is a timestamp of a header.
type Stamp struct {
	Local   timestamp.DateTime // as written
	NoYear  bool               // the stamp has no year, as in RFC 3164
	HasZone bool               // the stamp names its UTC offset
	Offset  int32              // seconds east of UTC
}

// parse reads one timestamp at the start of s and returns its length, or 0.
func (t *Stamp) parse(s []byte) int {
	if len(s) < len("Oct 1 22:17:30") {
		return 0
	}
	if !ascii.IsDigit(s[0]) {
		return t.parseBSD(s)
	}
	n := t.parseISO(s)
	if n > 0 && !t.HasZone && n+1 < len(s) && s[n] == ' ' {
		// After a blank: +0200 or +02:00, with all digits.
		if z, offset := timestamp.ParseOffset(s[n+1:]); z >= len("+0200") && ascii.IsDigit(s[n+3]) {
			t.HasZone, t.Offset = true, offset
			n += 1 + z
		}
	}
	return n
}

// parseBSD reads "Oct  1 22:17:30" (RFC 3164), also with one blank before the day, a year
// before or after the time, or a fraction.
func (t *Stamp) parseBSD(s []byte) int {
	d := &t.Local
	*t = Stamp{}
	if d.Month = timestamp.Month(s); d.Month == 0 || s[3] != ' ' {
		return 0
	}
	i := 4
	if s[i] == ' ' {
		i++
	}
	if d.Day = timestamp.TwoDigits(s[i:]); d.Day >= 0 && i == 4 {
		i += 2
	} else if ascii.IsDigit(s[i]) {
		d.Day = int32(s[i] - '0')
		i++
	}
	if s[i] != ' ' || d.Day < 0 {
		return 0
	}
	i++
	if y, ok := parseYear(s[i:]); ok {
		d.Year = y
		i += len("2024 ")
	}
	n := d.ParseClock(s[min(i, len(s)):])
	if n == 0 {
		return 0
	}
	i += n
	if d.Year == 0 && i < len(s) && s[i] == ' ' {
		// After the time, as ctime writes it.
		if y, ok := parseYear(s[i+1:]); ok {
			d.Year = y
			i += len(" 2024")
		}
	}
	if !d.Valid() {
		return 0
	}
	t.NoYear = d.Year == 0
	return i
}

// parseYear reads a year of four digits that ends at a blank or the end of s.
func parseYear(s []byte) (year int32, ok bool) {
	if len(s) < 4 || len(s) > 4 && !ascii.IsBlank(s[4]) {
		return 0, false
	}
	hi, lo := timestamp.TwoDigits(s), timestamp.TwoDigits(s[2:])
	return hi*100 + lo, hi >= 0 && lo >= 0
}

// parseISO reads 2024-10-01T22:17:30.112143+00:00 (ISO 8601), also with a space instead of
// T and without an offset.
func (t *Stamp) parseISO(s []byte) int {
	*t = Stamp{}
	d := &t.Local
	if len(s) < 19 || !d.ParseDate(s[:10]) || s[10] != 'T' && s[10] != ' ' {
		return 0
	}
	n := d.ParseClock(s[11:])
	if n == 0 || !d.Valid() {
		return 0
	}
	n += 11
	z, offset := timestamp.ParseOffset(s[n:])
	t.HasZone, t.Offset = z > 0, offset
	return n + z
}
