package ecs

import (
	"fmt"
	"math"
	"strings"
	"time"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/parser/timestamp"
)

// RowOf returns the field that the field table has for a key in lines of a source. Some rows
// are set by other code: byTable is false for them.
func RowOf(source dict.Source, k dict.Key) (to Field, byTable, ok bool) {
	for _, m := range fieldTable {
		if m.key == k.String() && m.source.has(source) {
			return m.to, m.convert != nil, true
		}
	}
	return 0, false, false
}

// ValueText returns the value of a field as text, "" without one.
func (r *Record) ValueText(f Field) string {
	if !r.Set.Has(f) {
		return ""
	}
	switch v := &r.Values[f]; v.Kind {
	case Int:
		return fmt.Sprint(v.Num)
	case Float:
		return fmt.Sprint(math.Float64frombits(uint64(v.Num)))
	case List:
		texts := make([]string, len(r.Lists[v.Num]))
		for i, t := range r.Lists[v.Num] {
			texts[i] = string(t)
		}
		return strings.Join(texts, ", ")
	case Const:
		return strings.Join(v.Const.Texts, ", ")
	default:
		return string(v.Text)
	}
}

// TimeUse says where the time of an event is from, and the zone that it was read in.
type TimeUse struct {
	From     string // "date and time", another key, "the syslog header" or "the time of receipt"
	Zone     string // ±HH:MM or the name of a zone
	ZoneFrom string // why
}

// ExplainTime explains what [SetTime] does with a line, whose pairs are as before it.
func ExplainTime(l *line.Line, received Instant, loc *time.Location) (u TimeUse) {
	var c clocks
	c.read(&l.Pairs, &l.Header)
	proved := c.hasZone && !c.named
	c.resolve(received.Sec)
	_, localSec := c.choose(&l.Header, received, loc)
	const utc = "a Unix time, or a time with its own offset, needs no zone"
	event, stamp, insert, insertUnix := &c.epochs[0], &c.epochs[1], &c.epochs[2], &c.epochs[3]
	switch {
	case event.Unit != 0:
		return TimeUse{"eventtime", "+00:00", utc}
	case stamp.Unit != 0 && c.from >= fromEpochKey+2:
		return TimeUse{"timestamp", "+00:00", utc}
	case c.hasLocal && timestamp.Plausible(localSec):
		u.From = "date and time"
		if c.from == fromDtime {
			u.From = "dtime"
		} else if c.from >= fromEpochKey {
			u.From = epochKeys[c.from-fromEpochKey].String()
		}
		u.Zone = string(appendOffset(nil, c.offset))
		switch {
		case c.exact:
			u.Zone, u.ZoneFrom = "+00:00", utc
		case proved:
			u.ZoneFrom = "proved by another clock of the line"
		case c.tz != dict.NoKey:
			u.ZoneFrom = c.tz.String() + "=" + string(l.Pairs.Value(c.tz))
		case c.zone != nil:
			u.ZoneFrom = "the time names its zone"
		case c.named:
			u.ZoneFrom = "the time names its offset"
		default:
			u.Zone, u.ZoneFrom = loc.String(), "the option timezone: the line neither names nor proves a zone"
		}
		return u
	case stamp.Unit != 0:
		return TimeUse{"timestamp", "+00:00", utc}
	case insert.Unit != 0:
		return TimeUse{"itime", "+00:00", utc}
	case insertUnix.Unit != 0:
		return TimeUse{"itime_t", "+00:00", utc}
	case l.Header.HasTime && timestamp.Plausible(headerTime(&l.Header.Time, received.Sec, loc)):
		u.From, u.Zone, u.ZoneFrom = "the syslog header", loc.String(), "the option timezone: the header names no zone"
		if l.Header.Time.HasZone {
			u.Zone, u.ZoneFrom = string(appendOffset(nil, l.Header.Time.Offset)), "the header names its offset"
		}
		return u
	}
	return TimeUse{"the time of receipt", "+00:00", "the line says no time that is possible"}
}
