package reference

import (
	"math/big"
	"regexp"
	"strings"
	"time"
)

// Times outside are not believed.
var (
	firstTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Unix(1<<31-1, 0)
)

func believable(t time.Time) bool { return !t.Before(firstTime) && t.Before(lastTime) }

// offsetsInUse are the UTC offsets that some zone has, in minutes.
var offsetsInUse = func() (all []int) {
	for h := -12; h <= 14; h++ {
		all = append(all, h*60)
	}
	return append(all, -570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825)
}()

var epochForm = regexp.MustCompile(`^([0-9]{1,19})(?:\.([0-9]*))?$`)

// epoch is a time since 1970.
type epoch struct {
	time.Time
	whole bool // seconds and no more
	ok    bool
}

// readEpoch reads s, ms, µs or ns by magnitude.
func readEpoch(v string) epoch {
	m := epochForm.FindStringSubmatch(v)
	if m == nil {
		return epoch{}
	}
	n, _ := new(big.Int).SetString(m[1], 10)
	fraction := strings.Contains(v, ".")
	digits := len(n.String())
	unit := int64(time.Second)
	switch {
	case digits > 17:
		unit = 1
	case digits > 14:
		unit = int64(time.Microsecond)
	case digits > 11:
		unit = int64(time.Millisecond)
	}
	if fraction && unit != int64(time.Second) {
		return epoch{}
	}
	ns := new(big.Int).Mul(n, big.NewInt(unit))
	sec, nsec := new(big.Int).DivMod(ns, big.NewInt(1e9), new(big.Int))
	if !sec.IsInt64() || sec.Int64() > 1<<40 {
		return epoch{}
	}
	t := time.Unix(sec.Int64(), nsec.Int64()+int64(nanoseconds(m[2])))
	return epoch{t, unit == int64(time.Second) && !fraction, believable(t)}
}

var zoneWord = regexp.MustCompile(`^[uUgG][tTmM][cCtT]`)

// readZone reads +0100, -05:00, Z, UTC, GMT+1, "UTC -05:00".
func readZone(v string) (seconds int, ok bool) {
	if w := strings.ToLower(zoneWord.FindString(v)); w == "utc" || w == "gmt" {
		if v = strings.TrimLeft(v[3:], spaces); v == "" {
			return 0, true
		}
	}
	seconds, n := readOffset(v)
	return seconds, n > 0 && n == len(v)
}

var timeOfDay = regexp.MustCompile(`^\d\d:\d\d:\d\d(?:[.,]\d+)?`)

// readLocal reads a date and a time of day that may name its own offset.
func readLocal(date, clock string) (stamp, bool) {
	part := timeOfDay.FindString(clock)
	if len(date) != 10 || part == "" {
		return stamp{}, false
	}
	t, n := readISO(date + "T" + part)
	if n != len(date)+1+len(part) || !believable(t.in(time.UTC)) {
		return stamp{}, false
	}
	// A fraction may be cut in ways that only matter beyond nanoseconds.
	if rest := clock[len(part):]; rest != "" {
		offset, ok := readZone(strings.TrimLeft(rest, spaces))
		if !ok {
			return stamp{}, false
		}
		t.hasZone, t.offset = true, offset
	}
	return t, true
}

// resolveTime returns the time of the event and notes which pairs say no more.
func (l *line) resolveTime() time.Time {
	eventtime, timestamp, itime := readEpoch(l.first("eventtime")), readEpoch(l.first("timestamp")), readEpoch(l.first("itime"))
	from := []string{"date", "time"}
	local, hasLocal := readLocal(l.first("date"), l.first("time"))
	if !hasLocal {
		if v := l.first("dtime"); len(v) >= 19 && (v[10] == ' ' || v[10] == 'T') {
			from = []string{"dtime"}
			local, hasLocal = readLocal(v[:10], v[11:])
		}
	}

	offset, hasZone := readZone(l.first("tz"))
	if hasZone {
		l.mapped["tz"] = true
	}
	ownZone := local.hasZone
	contradicts := hasZone && ownZone && offset != local.offset
	if !hasZone && ownZone {
		offset, hasZone = local.offset, true
	}
	if hasLocal && !hasZone {
		offset, hasZone = l.proveZone(local, eventtime, timestamp, itime)
	}
	if hasZone {
		l.fields["event.timezone"] = time.Unix(0, 0).In(time.FixedZone("", offset)).Format("-07:00")
	}

	at := l.received
	var localTime time.Time
	if hasLocal {
		zone := l.o.Location
		if hasZone {
			zone = time.FixedZone("", offset)
		}
		localTime = local.in(zone)
	}
	switch {
	case !l.o.EventTime:
		return l.received
	case eventtime.ok:
		at = eventtime.Time
	case hasLocal && believable(localTime):
		at = localTime
	case timestamp.ok:
		at = timestamp.Time
	case itime.ok:
		at = itime.Time
	case l.stamp != nil:
		if t := l.headerTime(); believable(t) {
			at = t
		}
	}
	if hasLocal && hasZone && !contradicts && localTime.Unix() == at.Unix() && (local.nsec == 0 || local.nsec == at.Nanosecond()) {
		for _, k := range from {
			l.mapped[k] = true
		}
	}
	for k, e := range map[string]epoch{"eventtime": eventtime, "timestamp": timestamp, "itime": itime} {
		if e.ok && (e.Equal(at) || e.whole && e.Unix() == at.Unix()) {
			l.mapped[k] = true
		}
	}
	return at
}

// proveZone returns the offset that another clock of the line proves.
func (l *line) proveZone(local stamp, clocks ...epoch) (seconds int, ok bool) {
	wall := local.in(time.UTC).Unix()
	var proofs []int64
	for _, c := range clocks {
		if c.ok {
			proofs = append(proofs, c.Unix())
		}
	}
	if l.stamp != nil && l.stamp.hasZone {
		proofs = append(proofs, l.stamp.in(time.FixedZone("", l.stamp.offset)).Unix())
	}
	for _, p := range proofs {
		for _, minutes := range offsetsInUse {
			if d := wall - p - int64(minutes)*60; d >= -5 && d <= 5 {
				return minutes * 60, true
			}
		}
	}
	return 0, false
}

// headerTime returns the time of the syslog header. One without a year is the
// last such day before the receipt, give or take a day.
func (l *line) headerTime() time.Time {
	t := *l.stamp
	zone := l.o.Location
	if t.hasZone {
		zone = time.FixedZone("", t.offset)
	}
	if !t.noYear {
		return t.in(zone)
	}
	for t.year = l.received.UTC().Year() + 1; t.year > l.received.UTC().Year()-8; t.year-- {
		if at := t.in(zone); t.possible() && at.Unix() <= l.received.Unix()+86400 {
			return at
		}
	}
	return time.Time{}
}
