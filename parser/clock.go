package parser

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"time"
)

// civil is a date and a time of day as written, without a zone.
type civil struct {
	year, month, day, hour, min, sec int32
	nsec                             int32
}

// digits reads up to limit digits.
func digits(s []byte, limit int) (v, n int) {
	for n < len(s) && n < limit && isDigit(s[n]) {
		v = v*10 + int(s[n]-'0')
		n++
	}
	return v, n
}

// pair reads two digits, or 100 and more for anything else.
func pair(hi, lo byte) int32 {
	h, l := uint32(hi-'0'), uint32(lo-'0')
	if h > 9 || l > 9 {
		return 100
	}
	return int32(h*10 + l)
}

// digitPairs reads a text of eight bytes at once, whose digits and separators
// stand where those of form do; all its digits are 0. Byte i of the result is the
// number that bytes i and i+1 make. ok is false when another byte stands anywhere.
func digitPairs(s *[8]byte, form, separators uint64) (pairs uint64, ok bool) {
	// A digit becomes its value, a separator 0; adding sets the high bit of a
	// digit's byte above 9 and of a separator's above 0.
	v := binary.LittleEndian.Uint64(s[:]) ^ form
	const nines, highs = 0x7676767676767676, 0x8080808080808080
	return v*10 + v>>8, (v|(v+(nines|separators)))&highs == 0
}

// parseDate reads 2024-10-01, also with "/". s must be 10 bytes long. Whether the
// calendar has the day is for valid to tell.
func (c *civil) parseDate(s []byte) bool {
	const (
		dashes     = 0x2d30302d30303030 // 0000-00-, the first byte lowest
		slashes    = 0x2f30302f30303030
		separators = 0x0900000900000000
	)
	if len(s) != 10 {
		return false
	}
	d := (*[10]byte)(s)
	form := uint64(dashes)
	if d[4] == '/' {
		form = slashes
	}
	pairs, ok := digitPairs((*[8]byte)(s), form, separators)
	c.year, c.month, c.day = int32(pairs&0xff*100+pairs>>16&0xff), int32(pairs>>40&0xff), pair(d[8], d[9])
	return ok
}

// parseClock reads 22:17:30 with an optional fraction and returns its length.
func (c *civil) parseClock(s []byte) (int, bool) {
	const (
		colons     = 0x30303a30303a3030 // 00:00:00
		separators = 0x0000090000090000
	)
	if len(s) < 8 {
		return 0, false
	}
	pairs, ok := digitPairs((*[8]byte)(s), colons, separators)
	if !ok {
		return 0, false
	}
	c.hour, c.min, c.sec = int32(pairs&0xff), int32(pairs>>24&0xff), int32(pairs>>48&0xff)
	c.nsec = 0
	n := 8
	if n+1 < len(s) && (s[n] == '.' || s[n] == ',') && isDigit(s[n+1]) {
		n++
		var read int
		c.nsec, read = fraction(s[n:])
		n += read
	}
	return n, true
}

// fraction reads the digits behind a decimal point as billionths and returns how
// many there are. Those behind the ninth say nothing.
func fraction(s []byte) (billionths int32, n int) {
	var short [8]byte
	eight := &short
	if len(s) >= 8 {
		eight = (*[8]byte)(s)
	} else {
		copy(short[:], s)
	}
	// A digit becomes its value, and whatever stands behind the digits becomes zeros.
	const zeros, nines, highs = 0x3030303030303030, 0x7676767676767676, 0x8080808080808080
	v := binary.LittleEndian.Uint64(eight[:]) ^ zeros
	n = bits.TrailingZeros64((v|(v+nines))&highs) / 8
	v &= lowMask[n]
	v = (v*10 + v>>8) & 0x00ff00ff00ff00ff
	v = (v*100 + v>>16) & 0x0000ffff0000ffff
	billionths = int32(uint32(v*10000+v>>32) * 10)
	if n == 8 && n < len(s) && isDigit(s[n]) {
		billionths += int32(s[n] - '0')
	}
	for n >= 8 && n < len(s) && isDigit(s[n]) {
		n++
	}
	return billionths, n
}

// valid reports whether the calendar has this moment. A missing year (0) is
// taken for a leap year.
func (c *civil) valid() bool {
	return c.month >= 1 && c.month <= 12 && c.day >= 1 && (c.day <= 28 || c.day <= daysIn(c.year, c.month)) &&
		c.hour <= 23 && c.min <= 59 && c.sec <= 59
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

// utc returns the Unix seconds of the moment read as UTC. The day number is that
// of the proleptic Gregorian calendar counted from March, so that the leap day
// is the last of a year.
func (c *civil) utc() int64 {
	y, m := c.year, c.month
	if m <= 2 {
		y--
		m += 12
	}
	century := y / 100
	days := 365*y + y>>2 - century + century>>2 + int32(uint32(153*(m-3)+2)/5) + c.day - 719469
	return int64(days)*86400 + int64(c.hour*3600+c.min*60+c.sec)
}

// in returns the Unix seconds of the moment in a zone. In the hour that a zone
// repeats the choice is that of package time: east of Greenwich the second of both,
// west of it the first.
func (c *civil) in(loc *time.Location) int64 {
	if loc == time.UTC {
		return c.utc()
	}
	return time.Date(int(c.year), time.Month(c.month), int(c.day), int(c.hour), int(c.min), int(c.sec), 0, loc).Unix()
}

// monthOf reads an English month abbreviation in any case, 0 for none.
func monthOf(s []byte) int {
	if len(s) < 3 {
		return 0
	}
	switch uint32(s[0]|0x20)<<16 | uint32(s[1]|0x20)<<8 | uint32(s[2]|0x20) {
	case 'j'<<16 | 'a'<<8 | 'n':
		return 1
	case 'f'<<16 | 'e'<<8 | 'b':
		return 2
	case 'm'<<16 | 'a'<<8 | 'r':
		return 3
	case 'a'<<16 | 'p'<<8 | 'r':
		return 4
	case 'm'<<16 | 'a'<<8 | 'y':
		return 5
	case 'j'<<16 | 'u'<<8 | 'n':
		return 6
	case 'j'<<16 | 'u'<<8 | 'l':
		return 7
	case 'a'<<16 | 'u'<<8 | 'g':
		return 8
	case 's'<<16 | 'e'<<8 | 'p':
		return 9
	case 'o'<<16 | 'c'<<8 | 't':
		return 10
	case 'n'<<16 | 'o'<<8 | 'v':
		return 11
	case 'd'<<16 | 'e'<<8 | 'c':
		return 12
	}
	return 0
}

// parseOffset reads Z, +01:00, +0100 or -05 at the start of s.
func parseOffset(s []byte) (n int, seconds int32) {
	if len(s) == 0 {
		return 0, 0
	}
	if s[0] == 'Z' || s[0] == 'z' {
		return 1, 0
	}
	if s[0] != '+' && s[0] != '-' || len(s) < 2 || !isDigit(s[1]) {
		return 0, 0
	}
	h, m := int32(s[1]-'0'), int32(0)
	n = 2
	if n < len(s) && isDigit(s[n]) {
		h, n = h*10+int32(s[n]-'0'), 3
	}
	minutes := n // where they begin; without a colon behind two digits only
	if n < len(s) && s[n] == ':' {
		minutes++
	}
	if minutes >= 3 && minutes+1 < len(s) {
		if v := pair(s[minutes], s[minutes+1]); v < 100 {
			m, n = v, minutes+2
		}
	}
	if h > 14 || m > 59 || n < len(s) && isDigit(s[n]) {
		return 0, 0
	}
	seconds = h*3600 + m*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return n, seconds
}

// parseZone reads the value of tz: +0100, -05:00, Z, UTC, GMT+1, "UTC -05:00".
func parseZone(v []byte) (seconds int32, ok bool) {
	if len(v) >= 3 {
		if p := v[:3]; bytes.EqualFold(p, []byte("UTC")) || bytes.EqualFold(p, []byte("GMT")) {
			v = trimLeft(v[3:])
			if len(v) == 0 {
				return 0, true
			}
		}
	}
	n, seconds := parseOffset(v)
	return seconds, n > 0 && n == len(v)
}

// Times before firstSecond and from lastSecond on are not believed: FortiClient
// did not exist before 2000, and Fluent Bit reads seconds with the top bit set
// as group markers.
const (
	firstSecond = 946684800
	lastSecond  = 1<<31 - 1
)

// parseEpoch reads seconds, milli-, micro- or nanoseconds since 1970 by their
// magnitude, also with a fraction of seconds. unit is the precision in
// nanoseconds.
func parseEpoch(v []byte) (sec int64, nsec int32, unit int64, ok bool) {
	var n int64
	i := 0
	for ; i < len(v) && i < 19 && isDigit(v[i]); i++ {
		n = n*10 + int64(v[i]-'0')
	}
	if i == 0 || n < 0 {
		return 0, 0, 0, false
	}
	switch {
	case n < 1e11:
		unit = 1e9
	case n < 1e14:
		unit = 1e6
	case n < 1e17:
		unit = 1e3
	default:
		unit = 1
	}
	per := 1e9 / unit
	sec, nsec = n/per, int32(n%per*unit)
	if i < len(v) && v[i] == '.' && unit == 1e9 {
		i++
		var read int
		nsec, read = fraction(v[i:])
		i += read
		unit = 1
	}
	return sec, nsec, unit, i == len(v) && believable(sec)
}

func believable(sec int64) bool { return sec >= firstSecond && sec < lastSecond }

// offsetsInUse reports whether a UTC offset is one that some zone has.
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

// clocks is what the line says of its time.
type clocks struct {
	local    civil // from date and time, or dtime
	localUTC int64 // local read as UTC
	hasLocal bool
	fromDate bool // from date= and time=, else from dtime=

	epochs [3]epoch // of epochIDs

	offset  int32 // seconds east of UTC
	hasZone bool  // named by tz= or proved by another clock
	named   bool  // by tz= or behind the time of day

	tzRead      bool // tz= is an offset
	contradicts bool // the offset behind the time of day is not that of tz=
}

type epoch struct {
	sec  int64
	nsec int32
	unit int64 // precision in nanoseconds, 0 without a value
}

// epochIDs are the keys that count from 1970. The first one is the time of the
// event, the others are believed less than a date.
var (
	epochIDs  = [...]keyID{keyEventtime, keyTimestamp, keyItime}
	epochKeys = keySetOf(epochIDs[:]...)
)

// readClocks collects the times of the line.
func (ev *Event) readClocks() {
	c := &ev.clocks
	*c = clocks{}
	if ev.valued.hasAny(&epochKeys) {
		for i, id := range epochIDs {
			if sec, nsec, unit, ok := parseEpoch(ev.value(id)); ok {
				c.epochs[i] = epoch{sec, nsec, unit}
			}
		}
	}
	if tz := ev.value(keyTz); tz != nil {
		if offset, ok := parseZone(tz); ok {
			c.offset, c.hasZone, c.named, c.tzRead = offset, true, true, true
		}
	}
	if d, t := ev.value(keyDate), ev.value(keyTime); d != nil && t != nil {
		c.hasLocal = c.local.parseDate(d) && c.parseRest(t)
		c.fromDate = c.hasLocal
	}
	if !c.hasLocal {
		if v := ev.value(keyDtime); len(v) >= 19 && (v[10] == ' ' || v[10] == 'T') {
			c.hasLocal = c.local.parseDate(v[:10]) && c.parseRest(v[11:])
		}
	}
	if c.hasLocal && !c.hasZone {
		c.proveZone(&ev.head)
	}
}

// parseRest reads a time of day that may name its offset. It refuses what the
// calendar does not have.
func (c *clocks) parseRest(t []byte) bool {
	n, ok := c.local.parseClock(t)
	if !ok || !c.local.valid() {
		return false
	}
	if c.localUTC = c.local.utc(); !believable(c.localUTC) {
		return false
	}
	if n == len(t) {
		return true
	}
	offset, ok := parseZone(trimLeft(t[n:]))
	if ok && !c.named {
		c.offset, c.hasZone, c.named = offset, true, true
	}
	c.contradicts = ok && offset != c.offset
	return ok
}

// proveZone derives the offset of the local time from a clock of the same line
// that needs none: their difference, when it is within 5 s of an offset in use.
func (c *clocks) proveZone(h *header) {
	local := c.localUTC
	for i := range c.epochs {
		if e := &c.epochs[i]; e.unit != 0 && c.prove(local-e.sec) {
			return
		}
	}
	if h.hasTime && h.hasZone {
		c.prove(local - (h.local.utc() - int64(h.offset)))
	}
}

func (c *clocks) prove(difference int64) bool {
	const quarter, tolerance = 900, 5
	rounded := (difference + quarter/2) / quarter * quarter
	if difference < -quarter/2 {
		rounded = (difference - quarter/2) / quarter * quarter
	}
	if d := difference - rounded; d > tolerance || d < -tolerance || !offsetInUse(rounded) {
		return false
	}
	c.offset, c.hasZone = int32(rounded), true
	return true
}

// resolveTime chooses the time of the event and notes which raw pairs it
// represents. loc is the zone of times that name none.
func (p *Parser) resolveTime(ev *Event, receivedSec int64, receivedNsec int32) {
	c := &ev.clocks
	ev.readClocks()
	event, stamp, insert := &c.epochs[0], &c.epochs[1], &c.epochs[2]
	ev.Sec, ev.Nsec = receivedSec, receivedNsec
	localSec := int64(-1)
	if c.hasLocal {
		if c.hasZone {
			localSec = c.localUTC - int64(c.offset)
		} else {
			localSec = c.local.in(p.loc)
		}
	}
	switch {
	case event.unit != 0:
		ev.Sec, ev.Nsec = event.sec, event.nsec
	case c.hasLocal && believable(localSec):
		ev.Sec, ev.Nsec = localSec, c.local.nsec
	case stamp.unit != 0:
		ev.Sec, ev.Nsec = stamp.sec, stamp.nsec
	case insert.unit != 0:
		ev.Sec, ev.Nsec = insert.sec, insert.nsec
	case ev.head.hasTime:
		if sec := p.headerTime(&ev.head, receivedSec); believable(sec) {
			ev.Sec, ev.Nsec = sec, ev.head.local.nsec
		}
	}
	if c.hasZone {
		ev.setText(EventTimezone, ev.appendOffset(c.offset))
		if c.tzRead {
			ev.represented(keyTz)
		}
	}
	if !p.eventTime {
		ev.Sec, ev.Nsec = receivedSec, receivedNsec
		return
	}
	ev.representTimes(localSec)
}

// representTimes notes the raw time pairs that say no more than the time of the
// record and its zone do.
func (ev *Event) representTimes(localSec int64) {
	c := &ev.clocks
	if c.hasZone && !c.contradicts && localSec == ev.Sec && (c.local.nsec == 0 || c.local.nsec == ev.Nsec) {
		if c.fromDate {
			ev.represented(keyDate)
			ev.represented(keyTime)
		} else {
			ev.represented(keyDtime)
		}
	}
	if !ev.valued.hasAny(&epochKeys) {
		return
	}
	for i := range c.epochs {
		if e := &c.epochs[i]; e.unit != 0 && e.sec == ev.Sec && (e.unit == 1e9 || e.nsec == ev.Nsec) {
			ev.represented(epochIDs[i])
		}
	}
}

// headerTime returns the Unix seconds of the syslog stamp. A stamp without a
// year is that of the last such day before the receipt, give or take a day.
func (p *Parser) headerTime(h *header, received int64) int64 {
	c := h.local
	if h.hasZone {
		return c.utc() - int64(h.offset)
	}
	if !h.noYear {
		return c.in(p.loc)
	}
	c.year = int32(time.Unix(received, 0).UTC().Year()) + 1
	for range 9 { // the 29th of February comes at least every eight years
		if c.valid() {
			if sec := c.in(p.loc); sec <= received+86400 {
				return sec
			}
		}
		c.year--
	}
	return -1
}

// appendOffset returns ±HH:MM in scratch memory.
func (ev *Event) appendOffset(offset int32) []byte {
	b := ev.scratch(6)
	n := len(b)
	b = b[:n+6]
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	minutes := uint32(offset) / 60
	h, m := minutes/60, minutes%60
	*(*[6]byte)(b[n:]) = [6]byte{sign, byte('0' + h/10), byte('0' + h%10), ':', byte('0' + m/10), byte('0' + m%10)}
	return ev.keep(b, n)
}
