package timestamp

import "fluent-bit-fortiems/parser/ascii"

// Stamp is a date and a time of day with what belongs to them. The zero value has no time.
type Stamp struct {
	Local   DateTime // as written; the 60th second of a minute is read as its 59th
	NoYear  bool     // the stamp has no year, as in RFC 3164
	HasZone bool     // the stamp names its UTC offset
	Leap    bool     // the second was 60
	Offset  int32    // seconds east of UTC
}

// ReadUsual reads one timestamp at the start of s in the usual forms of RFC 3164, RFC 5424
// and ISO 8601. It returns its length, 0 for anything else. Read knows more forms and gives
// the same result for these.
func (t *Stamp) ReadUsual(s []byte) int {
	if len(s) < len("Oct 1 22:17:30") {
		return 0
	}
	if !ascii.IsDigit(s[0]) {
		return t.readBSD(s)
	}
	n := t.ReadISO(s)
	if n > 0 && !t.HasZone && n+1 < len(s) && s[n] == ' ' {
		// After a blank: +0200 or +02:00, with all digits.
		if z, offset := ParseOffset(s[n+1:]); z >= len("+0200") && ascii.IsDigit(s[n+3]) {
			t.HasZone, t.Offset = true, offset
			n += 1 + z
		}
	}
	return n
}

// readBSD reads "Oct  1 22:17:30" (RFC 3164), also with one blank before the day, a year
// before or after the time, or a fraction.
func (t *Stamp) readBSD(s []byte) int {
	d := &t.Local
	*t = Stamp{}
	if d.Month = Month(s); d.Month == 0 || s[3] != ' ' {
		return 0
	}
	i := 4
	if s[i] == ' ' {
		i++
	}
	if d.Day = TwoDigits(s[i:]); d.Day >= 0 && i == 4 {
		i += 2
	} else if ascii.IsDigit(s[i]) {
		d.Day = int32(s[i] - '0')
		i++
	}
	if s[i] != ' ' || d.Day < 0 {
		return 0
	}
	i++
	if y, ok := parseYear(s[i:]); ok && i+4 < len(s) && s[i+4] == ' ' {
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

// parseYear reads a year from 1000 to 2999 at the start of s.
func parseYear(s []byte) (year int32, ok bool) {
	if len(s) < 4 || s[0] != '1' && s[0] != '2' || !endsWord(s, 4) {
		return 0, false
	}
	hi, lo := TwoDigits(s), TwoDigits(s[2:])
	return hi*100 + lo, hi >= 0 && lo >= 0
}

// endsWord reports whether a part of a stamp ends at s[n]: at a blank, at a comma, or at a
// colon that ends the stamp, unlike that of an address.
func endsWord(s []byte, n int) bool {
	return n == len(s) || ascii.IsBlank(s[n]) || s[n] == ',' || s[n] == ':' && (n+1 == len(s) || ascii.IsBlank(s[n+1]))
}

// ReadISO reads 2024-10-01T22:17:30.112143+00:00 (ISO 8601), also with a space instead of
// T and without an offset. It returns the length, 0 for anything else.
func (t *Stamp) ReadISO(s []byte) int {
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
	z, offset := ParseOffset(s[n:])
	t.HasZone, t.Offset = z > 0, offset
	return n + z
}
