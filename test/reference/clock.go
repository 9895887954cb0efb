package reference

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Times before or after are not accepted.
var (
	firstTime = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Unix(1<<31-1, 0)
)

func plausible(t time.Time) bool { return !t.Before(firstTime) && t.Before(lastTime) }

// offsetsInUse are the UTC offsets of zones, in minutes.
var offsetsInUse = func() (all []int) {
	for h := -12; h <= 14; h++ {
		all = append(all, h*60)
	}
	return append(all, -570, -210, -150, 210, 270, 330, 345, 390, 525, 570, 630, 765, 825)
}()

var epochForm = regexp.MustCompile(`^([0-9]{1,19})(?:(\.)([0-9]*))?$`)

// epoch is a Unix time.
type epoch struct {
	time.Time
	whole bool // without parts of a second
	ok    bool
}

// readEpoch reads s, ms, µs or ns by magnitude, or seconds with a fraction.
func readEpoch(v string) epoch {
	m := epochForm.FindStringSubmatch(v)
	if m == nil {
		return epoch{}
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	perSecond := int64(1)
	switch digits := len(strconv.FormatInt(n, 10)); {
	case digits > 17:
		perSecond = 1e9
	case digits > 14:
		perSecond = 1e6
	case digits > 11:
		perSecond = 1e3
	}
	seconds, fraction := perSecond == 1, m[2] != ""
	if err != nil || fraction && !seconds {
		return epoch{}
	}
	t := time.Unix(n/perSecond, n%perSecond*(1e9/perSecond)+int64(nanoseconds(m[3])))
	return epoch{t, seconds && !fraction, plausible(t)}
}

var zoneWord = regexp.MustCompile(`^(?i:utc|gmt)[ \t\r\n\v\f]*`)

// readZone reads +0100, -05:00, Z, UTC, GMT+1, "UTC -05:00".
func readZone(v string) (seconds int, ok bool) {
	if w := zoneWord.FindString(v); w != "" {
		if v = v[len(w):]; v == "" {
			return 0, true
		}
	}
	seconds, n := readOffset(v)
	return seconds, n > 0 && n == len(v)
}

var timeOfDay = regexp.MustCompile(`^\d\d:\d\d:\d\d(?:[.,]\d+)?`)

// readLocal reads a date and a time of day, which may name its own offset.
func readLocal(date, clock string) (stamp, bool) {
	part := timeOfDay.FindString(clock)
	if len(date) != 10 || part == "" {
		return stamp{}, false
	}
	t, n := readISO(date + "T" + part)
	if n != len(date)+1+len(part) || !plausible(t.in(time.UTC)) {
		return stamp{}, false
	}
	if rest := clock[len(part):]; rest != "" {
		offset, ok := readZone(strings.TrimLeft(rest, spaces))
		if !ok {
			return stamp{}, false
		}
		t.hasZone, t.offset = true, offset
	}
	return t, true
}

// readTime chooses the time and the zone of the event, and the keys of times that stay
// under fortinet.ems because time and zone do not fully represent them.
func (r *Reading) readTime(o Options) {
	eventtime, timestamp, itime := readEpoch(r.first("eventtime")), readEpoch(r.first("timestamp")), readEpoch(r.first("itime"))
	from := []string{"date", "time"}
	local, hasLocal := readLocal(r.first("date"), r.first("time"))
	if v := r.first("dtime"); !hasLocal && len(v) >= 19 && (v[10] == ' ' || v[10] == 'T') {
		from = []string{"dtime"}
		local, hasLocal = readLocal(v[:10], v[11:])
	}

	represented := map[string]bool{}
	offset, hasZone := readZone(r.first("tz"))
	represented["tz"] = hasZone
	contradicts := hasZone && local.hasZone && offset != local.offset
	if !hasZone && local.hasZone {
		offset, hasZone = local.offset, true
	}
	if hasLocal && !hasZone {
		offset, hasZone = r.proveZone(local, eventtime, timestamp, itime)
	}
	zone := o.Location
	if hasZone {
		zone = time.FixedZone("", offset)
		r.Timezone = time.Unix(0, 0).In(zone).Format("-07:00")
	}

	r.Time = o.Received
	localTime := local.in(zone)
	header := r.headerTime(o)
	switch {
	case o.ReceiptTime:
	case eventtime.ok:
		r.Time = eventtime.Time
	case hasLocal && plausible(localTime):
		r.Time = localTime
	case timestamp.ok:
		r.Time = timestamp.Time
	case itime.ok:
		r.Time = itime.Time
	case plausible(header):
		r.Time = header
	}
	r.Time = r.Time.UTC()

	if !o.ReceiptTime {
		same := localTime.Unix() == r.Time.Unix() && (local.nsec == 0 || local.nsec == r.Time.Nanosecond())
		for _, k := range from {
			represented[k] = hasLocal && hasZone && !contradicts && same
		}
		for k, e := range map[string]epoch{"eventtime": eventtime, "timestamp": timestamp, "itime": itime} {
			represented[k] = e.ok && (e.Equal(r.Time) || e.whole && e.Unix() == r.Time.Unix())
		}
	}
	for _, k := range timeKeys {
		if n := len(r.values[k]); n > 1 || n == 1 && !represented[k] {
			r.Kept = append(r.Kept, k)
		}
	}
}

var timeKeys = []string{"date", "time", "dtime", "tz", "eventtime", "timestamp", "itime"}

// proveZone returns the offset in use that another clock of the line proves.
func (r *Reading) proveZone(local stamp, clocks ...epoch) (seconds int, ok bool) {
	if r.stamp != nil && r.stamp.hasZone {
		clocks = append(clocks, epoch{Time: r.headerTime(Options{}), ok: true})
	}
	for _, c := range clocks {
		for _, minutes := range offsetsInUse {
			difference := local.in(time.UTC).Unix() - c.Unix() - int64(minutes)*60
			if c.ok && difference >= -5 && difference <= 5 {
				return minutes * 60, true
			}
		}
	}
	return 0, false
}

// headerTime returns the time of the syslog header, the zero time without one. A missing
// year is the latest that is not after the receipt plus a day.
func (r *Reading) headerTime(o Options) time.Time {
	if r.stamp == nil {
		return time.Time{}
	}
	t, zone := *r.stamp, o.Location
	if t.hasZone {
		zone = time.FixedZone("", t.offset)
	}
	if !t.noYear {
		return t.in(zone)
	}
	for t.year = o.Received.UTC().Year() + 1; t.year > o.Received.UTC().Year()-8; t.year-- {
		if at := t.in(zone); t.possible() && at.Unix() <= o.Received.Unix()+86400 {
			return at
		}
	}
	return time.Time{}
}
