package ecs

import (
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
	local    timestamp.DateTime // of date and time, or of dtime
	localUTC int64              // local as if it were UTC
	hasLocal bool
	fromDate bool // local is from date and time

	epochs [len(epochKeys)]timestamp.Epoch

	offset  int32 // seconds east of UTC
	hasZone bool  // the line names or proves offset
	named   bool  // tz= or the time of day names it

	tzRead      bool // tz= is an offset
	contradicts bool // the time of day names another offset than tz=
}

// epochKeys hold Unix times. The first one is the time of the event; a local time counts
// more than the others.
var (
	epochKeys   = [...]dict.Key{dict.KeyEventtime, dict.KeyTimestamp, dict.KeyItime}
	epochKeySet = dict.SetOf(epochKeys[:]...)
)

// SetTime chooses the time of the event and returns it: eventtime, date and time or dtime,
// timestamp, itime, the stamp of the header, or received if the line has no time. A local
// time without a zone is read in the zone that another clock of the line proves, else in
// loc. SetTime sets event.timezone and consumes the pairs that say no more than the result.
func SetTime(r *Record, l *line.Line, received Instant, loc *time.Location) Instant {
	var c clocks
	c.read(&l.Pairs, &l.Header)
	at, localSec := c.choose(&l.Header, received, loc)
	c.setZone(r, &l.Pairs)
	c.consume(&l.Pairs, at, localSec)
	return at
}

// SetZone sets event.timezone like SetTime, for records that keep the time of receipt.
func SetZone(r *Record, l *line.Line) {
	var c clocks
	c.read(&l.Pairs, &l.Header)
	c.setZone(r, &l.Pairs)
}

// read collects the times of the line.
func (c *clocks) read(pairs *line.Pairs, h *line.Header) {
	if pairs.AnyNonEmpty(&epochKeySet) {
		for i, k := range epochKeys {
			if e, ok := timestamp.ParseEpoch(pairs.Value(k)); ok {
				c.epochs[i] = e
			}
		}
	}
	if tz := pairs.Value(dict.KeyTz); tz != nil {
		if offset, ok := timestamp.ParseZone(tz); ok {
			c.offset, c.hasZone, c.named, c.tzRead = offset, true, true, true
		}
	}
	if d, t := pairs.Value(dict.KeyDate), pairs.Value(dict.KeyTime); d != nil && t != nil {
		c.hasLocal = c.readLocal(d, t)
		c.fromDate = c.hasLocal
	}
	if !c.hasLocal {
		if v := pairs.Value(dict.KeyDtime); len(v) >= 19 && (v[10] == ' ' || v[10] == 'T') {
			c.hasLocal = c.readLocal(v[:10], v[11:])
		}
	}
	if c.hasLocal && !c.hasZone {
		c.proveZone(h)
	}
}

// readLocal reads a date and a time of day, which may name its offset.
func (c *clocks) readLocal(date, clock []byte) bool {
	if !c.local.ParseDate(date) {
		return false
	}
	n := c.local.ParseClock(clock)
	if n == 0 || !c.local.Valid() {
		return false
	}
	if c.localUTC = c.local.UTC(); !timestamp.Plausible(c.localUTC) {
		return false
	}
	if n == len(clock) {
		return true
	}
	offset, ok := timestamp.ParseZone(ascii.TrimLeft(clock[n:]))
	if ok && !c.named {
		c.offset, c.hasZone, c.named = offset, true, true
	}
	c.contradicts = ok && offset != c.offset
	return ok
}

// proveZone derives the offset of the local time from a clock of the same line that needs
// none.
func (c *clocks) proveZone(h *line.Header) {
	for _, e := range c.epochs {
		if e.Unit != 0 && c.prove(c.localUTC-e.Sec) {
			return
		}
	}
	if h.HasTime && h.Time.HasZone {
		c.prove(c.localUTC - (h.Time.Local.UTC() - int64(h.Time.Offset)))
	}
}

// prove takes a difference to UTC as the offset if it is within 5 s of one in use.
func (c *clocks) prove(difference int64) bool {
	const quarter, tolerance = 900, 5
	rounded := (difference + quarter/2) / quarter * quarter
	if difference < -quarter/2 {
		rounded = (difference - quarter/2) / quarter * quarter
	}
	if d := difference - rounded; d > tolerance || d < -tolerance || !timestamp.OffsetInUse(rounded) {
		return false
	}
	c.offset, c.hasZone = int32(rounded), true
	return true
}

// choose returns the time of the event, and the Unix seconds of the local time, -1 without
// one.
func (c *clocks) choose(h *line.Header, received Instant, loc *time.Location) (at Instant, localSec int64) {
	localSec = -1
	if c.hasLocal && c.hasZone {
		localSec = c.localUTC - int64(c.offset)
	} else if c.hasLocal {
		localSec = c.local.In(loc)
	}
	event, stamp, insert := &c.epochs[0], &c.epochs[1], &c.epochs[2]
	switch {
	case event.Unit != 0:
		return Instant{event.Sec, event.Nsec}, localSec
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
func headerTime(s *line.Stamp, received int64, loc *time.Location) int64 {
	d := s.Local
	if s.HasZone {
		return d.UTC() - int64(s.Offset)
	}
	if !s.NoYear {
		return d.In(loc)
	}
	d.Year = int32(time.Unix(received, 0).UTC().Year()) + 1
	for range 9 { // the 29th of February comes at least every eight years
		if d.Valid() {
			if sec := d.In(loc); sec <= received+24*3600 {
				return sec
			}
		}
		d.Year--
	}
	return -1
}

// setZone sets event.timezone.
func (c *clocks) setZone(r *Record, pairs *line.Pairs) {
	if !c.hasZone {
		return
	}
	r.SetText(EventTimezone, r.arena.Keep(appendOffset(r.arena.Start(len("+00:00")), c.offset)))
	if c.tzRead {
		pairs.Consume(dict.KeyTz)
	}
}

// consume consumes the time pairs that say no more than the time of the record and its
// zone.
func (c *clocks) consume(pairs *line.Pairs, at Instant, localSec int64) {
	if c.hasZone && !c.contradicts && localSec == at.Sec && (c.local.Nsec == 0 || c.local.Nsec == at.Nsec) {
		if c.fromDate {
			pairs.Consume(dict.KeyDate)
			pairs.Consume(dict.KeyTime)
		} else {
			pairs.Consume(dict.KeyDtime)
		}
	}
	for i, e := range c.epochs {
		if e.Unit != 0 && e.Sec == at.Sec && (e.Unit == 1e9 || e.Nsec == at.Nsec) {
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
