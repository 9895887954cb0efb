package ecs

import (
	"bytes"
	"time"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/parser/timestamp"
)

// Instant is a Unix time.
type Instant struct {
	Sec  int64
	Nsec int32
}

// clocks are the times of a line.
type clocks struct {
	local    timestamp.DateTime // of date and time, of dtime, or of a key of epochKeys
	localUTC int64              // local as if it were UTC
	hasLocal bool
	exact    bool // dtime is a Unix time: local is in UTC and says nothing of the zone
	partly   bool // local does not say all of its text: the second was 60, or see timestamp.Text
	from     localSource

	epochs    [len(epochKeys)]timestamp.Epoch
	hasEpochs bool // the line has one of epochKeys

	offset  int32 // seconds east of UTC
	hasZone bool  // the line names or proves offset
	named   bool  // tz= or the time of day names it

	zone *time.Location // of an IANA name

	tz          dict.Key // KeyTz or KeyTimezone if that pair names offset or zone
	tzRead      bool     // that pair is an offset
	contradicts bool     // the time of day names another offset than tz=
}

// localSource is where the local time of a line is from: fromEpochKey and above, from that
// key of epochKeys.
type localSource int8

const (
	fromDate localSource = iota // date and time, or one of them
	fromDtime
	fromEpochKey
)

// epochKeys hold Unix times. The first one is the time of the event; a local time counts
// more than the others. FortiAnalyzer writes itime as local text where it writes itime_t
// (community.fortinet.com, ta-p/197569).
var (
	epochKeys   = [...]dict.Key{dict.KeyEventtime, dict.KeyTimestamp, dict.KeyItime, dict.KeyItimeT}
	epochKeySet = dict.SetOf(epochKeys[:]...)
)

// SetTime chooses the time of the event and returns it: eventtime, date and time or dtime,
// timestamp, itime, the stamp of the header, or received if the line has no time. A local
// time without a zone is read in the zone that another clock of the line proves, else in
// loc. SetTime sets event.timezone and consumes the pairs that say no more than the result.
func SetTime(r *Record, l *line.Line, received Instant, loc *time.Location) Instant {
	var c clocks
	c.read(&l.Pairs, &l.Header)
	c.resolve(received.Sec)
	at, localSec := c.choose(&l.Header, received, loc)
	c.setZone(r, &l.Pairs, at.Sec)
	c.consume(&l.Pairs, at, localSec)
	return at
}

// SetZone sets event.timezone like SetTime, for records that keep the time of receipt.
func SetZone(r *Record, l *line.Line, received Instant) {
	var c clocks
	c.read(&l.Pairs, &l.Header)
	c.resolve(received.Sec)
	c.setZone(r, &l.Pairs, received.Sec)
}

// read collects the times of the line.
func (c *clocks) read(pairs *line.Pairs, h *line.Header) {
	if c.hasEpochs = pairs.AnyNonEmpty(&epochKeySet); c.hasEpochs {
		for i, k := range epochKeys {
			if v := pairs.Value(k); v != nil {
				if e, ok := timestamp.ParseEpoch(v); ok {
					c.epochs[i] = e
				}
			}
		}
	}
	if !c.readZone(pairs, dict.KeyTz) {
		c.readZone(pairs, dict.KeyTimezone)
	}
	d, t := pairs.Value(dict.KeyDate), pairs.Value(dict.KeyTime)
	if d != nil && t != nil {
		c.hasLocal = c.readPlain(d, t) || c.readJoined(d, t)
	}
	if v := pairs.Value(dict.KeyDtime); v != nil && !c.hasLocal {
		c.hasLocal = len(v) >= 19 && (v[10] == ' ' || v[10] == 'T') && c.readPlain(v[:10], v[11:]) || c.readText(v)
		if c.hasLocal {
			c.from = fromDtime
		}
	}
	if !c.hasLocal && (d != nil || t != nil) {
		c.hasLocal = c.readEither(d, t)
	}
	if c.hasEpochs {
		c.readEpochTexts(pairs)
	}
	if c.hasLocal && !c.hasZone && c.zone == nil && !c.exact {
		c.proveZone(h)
	}
}

// readZone reads tz= or timezone=. It reports whether the line has a value of that key.
func (c *clocks) readZone(pairs *line.Pairs, k dict.Key) bool {
	v := pairs.Value(k)
	if v == nil {
		return false
	}
	offset, ok := timestamp.ParseZone(v)
	if ok {
		c.tzRead = true
	} else if c.zone = timestamp.Location(v); c.zone == nil {
		named := false
		offset, ok, c.zone, named = timestamp.ParseZoneText(v)
		c.tzRead = ok && !named
	}
	if ok {
		c.offset, c.hasZone, c.named = offset, true, true
	}
	if ok || c.zone != nil {
		c.tz = k
	}
	return true
}

// readEpochTexts reads other forms of numbers and dates in the keys that hold Unix times. A
// date with an offset is as good as a Unix time; another one is a local time if the line has
// no better one.
func (c *clocks) readEpochTexts(pairs *line.Pairs) {
	for i, k := range epochKeys {
		v := pairs.Value(k)
		if v == nil || c.epochs[i].Unit != 0 || ascii.AllDigits(v) && len(v) != len("20241001221730") {
			continue
		}
		var t timestamp.Text
		if !t.Read(v) || t.Unix && t.Partly && c.hasLocal {
			continue // a rounded number is no better than a local time
		}
		if sec := t.Local.UTC() - int64(t.Offset); t.HasZone && timestamp.Plausible(sec) {
			c.epochs[i] = timestamp.Epoch{Sec: sec, Nsec: t.Local.Nsec, Unit: 1}
			if t.Leap || t.Partly {
				c.epochs[i].Unit = -1 // never the same as another time
			}
			if !t.Unix && !c.hasZone && !c.hasLocal && c.zone == nil {
				c.offset, c.hasZone, c.named = t.Offset, true, true
			}
		} else if !t.HasZone && (!c.hasLocal || i == 0) && timestamp.Plausible(sec) {
			c.contradicts = false
			c.hasLocal = c.set(&t)
			c.from = fromEpochKey + localSource(i)
		}
	}
}

// readPlain reads 2024-10-01 and 22:17:30, the usual form.
func (c *clocks) readPlain(date, clock []byte) bool {
	if !c.local.ParseDate(date) || c.local.ParseClock(clock) != len(clock) || !c.local.Valid() {
		return false
	}
	c.localUTC, c.partly = c.local.UTC(), false
	return timestamp.Plausible(c.localUTC)
}

// readJoined reads a date and a time of day in other forms.
func (c *clocks) readJoined(date, clock []byte) bool {
	var text [80]byte
	if len(date)+1+len(clock) > len(text) {
		return false
	}
	joined := append(append(append(text[:0], date...), ' '), clock...)
	var t timestamp.Text
	return t.Read(joined) && !t.Unix && c.set(&t)
}

// readEither reads the whole time from time or from date, if the other one is not there or
// only repeats its part of it. Midnight in date alone may be a date without a time of day.
func (c *clocks) readEither(date, clock []byte) bool {
	switch {
	case date == nil, bytes.HasPrefix(clock, date):
		return c.readText(clock)
	case clock == nil:
		var t timestamp.Text
		return t.Read(date) && (t.Unix || t.Local.Hour+t.Local.Min+t.Local.Sec > 0) && c.set(&t)
	case bytes.HasSuffix(date, clock):
		return c.readText(date)
	}
	return false
}

// readText reads a text that is a stamp or a Unix time.
func (c *clocks) readText(v []byte) bool {
	var t timestamp.Text
	return t.Read(v) && c.set(&t)
}

// set takes a text as the local time.
func (c *clocks) set(t *timestamp.Text) bool {
	c.local, c.localUTC = t.Local, t.Local.UTC()
	if !timestamp.Plausible(c.localUTC) {
		return false
	}
	c.exact, c.partly = t.Unix, t.Leap || t.Partly
	if t.Zone != nil && !c.named && c.zone == nil {
		c.zone = t.Zone
	}
	if c.exact || !t.HasZone {
		return true
	}
	if !c.named {
		c.offset, c.hasZone, c.named, c.zone, c.tz = t.Offset, true, true, nil, dict.NoKey
	}
	c.contradicts = t.Offset != c.offset
	return true
}

// proveZone derives the offset of the local time from a clock of the same line that needs
// none.
func (c *clocks) proveZone(h *line.Header) {
	if c.hasEpochs {
		for i := range c.epochs {
			if e := &c.epochs[i]; e.Unit != 0 && c.prove(c.localUTC-e.Sec) {
				return
			}
		}
	}
	if h.HasTime && h.Time.HasZone {
		c.prove(c.localUTC - (h.Time.Local.UTC() - int64(h.Time.Offset)))
	}
}

// prove takes a difference to UTC as the offset if it is within 5 s of one in use.
func (c *clocks) prove(difference int64) bool {
	offset, ok := timestamp.NearOffset(difference)
	if ok {
		c.offset, c.hasZone = offset, true
	}
	return ok
}

// resolve finds the offset of the local time in the zone that tz= names.
func (c *clocks) resolve(received int64) {
	if c.zone != nil && c.hasLocal && !c.exact {
		c.offset, c.hasZone = int32(c.localUTC-c.local.In(c.zone, received)), true
	}
}

// choose returns the time of the event, and the Unix seconds of the local time, -1 without
// one.
func (c *clocks) choose(h *line.Header, received Instant, loc *time.Location) (at Instant, localSec int64) {
	localSec = -1
	if c.hasLocal && c.exact {
		localSec = c.localUTC
	} else if c.hasLocal && c.hasZone {
		localSec = c.localUTC - int64(c.offset)
	} else if c.hasLocal {
		localSec = c.local.In(loc, received.Sec)
	}
	event, stamp := &c.epochs[0], &c.epochs[1]
	insert := &c.epochs[2]
	if insert.Unit == 0 {
		insert = &c.epochs[3]
	}
	switch {
	case event.Unit != 0:
		return Instant{event.Sec, event.Nsec}, localSec
	case stamp.Unit != 0 && c.from >= fromEpochKey+2: // only itime is local
		return Instant{stamp.Sec, stamp.Nsec}, localSec
	case c.hasLocal && timestamp.Plausible(localSec):
		return Instant{localSec, c.local.Nsec}, localSec
	case stamp.Unit != 0:
		return Instant{stamp.Sec, stamp.Nsec}, localSec
	case insert.Unit != 0:
		return Instant{insert.Sec, insert.Nsec}, localSec
	case h.HasTime:
		if sec := headerTime(&h.Time, received.Sec, loc); timestamp.Plausible(sec) {
			return Instant{sec, h.Time.Local.Nsec}, localSec
		}
	}
	return received, localSec
}

// headerTime returns the Unix seconds of a header stamp, or -1. A missing year is taken as
// the latest one that is not after the receipt plus 24 hours.
func headerTime(s *timestamp.Stamp, received int64, loc *time.Location) int64 {
	d := s.Local
	if !s.NoYear {
		return inZone(s, &d, received, loc)
	}
	d.Year = int32(time.Unix(received, 0).UTC().Year()) + 1
	for range 9 { // the 29th of February comes at least every eight years
		if d.Valid() {
			if sec := inZone(s, &d, received, loc); sec <= received+24*3600 {
				return sec
			}
		}
		d.Year--
	}
	return -1
}

// inZone returns the Unix seconds of d in the zone of the stamp, or in loc.
func inZone(s *timestamp.Stamp, d *timestamp.DateTime, received int64, loc *time.Location) int64 {
	if s.HasZone {
		return d.UTC() - int64(s.Offset)
	}
	return d.In(loc, received)
}

// setZone sets event.timezone, for a record of the time at.
func (c *clocks) setZone(r *Record, pairs *line.Pairs, at int64) {
	if c.zone != nil && !c.hasZone {
		_, offset := time.Unix(at, 0).In(c.zone).Zone()
		c.offset, c.hasZone = int32(offset), true
	}
	if !c.hasZone {
		return
	}
	r.SetText(EventTimezone, r.arena.Keep(appendOffset(r.arena.Start(len("+00:00")), c.offset)))
	if c.tzRead {
		pairs.Consume(c.tz)
	}
}

// consume consumes the time pairs that say no more than the time of the record and its
// zone.
func (c *clocks) consume(pairs *line.Pairs, at Instant, localSec int64) {
	if (c.hasZone || c.exact) && !c.contradicts && !c.partly && localSec == at.Sec && (c.local.Nsec == 0 || c.local.Nsec == at.Nsec) {
		switch c.from {
		case fromDate:
			pairs.Consume(dict.KeyDate)
			pairs.Consume(dict.KeyTime)
		case fromDtime:
			pairs.Consume(dict.KeyDtime)
		default:
			pairs.Consume(epochKeys[c.from-fromEpochKey])
		}
	}
	if !c.hasEpochs {
		return
	}
	for i := range c.epochs {
		if e := &c.epochs[i]; e.Unit > 0 && e.Sec == at.Sec && (e.Unit == 1e9 || e.Nsec == at.Nsec) {
			pairs.Consume(epochKeys[i])
		}
	}
}

// appendOffset appends ±HH:MM.
func appendOffset(dst []byte, offset int32) []byte {
	sign := byte('+')
	if offset < 0 {
		sign, offset = '-', -offset
	}
	h, m := byte(offset/3600), byte(offset/60%60)
	return append(dst, sign, '0'+h/10, '0'+h%10, ':', '0'+m/10, '0'+m%10)
}
