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

var (
	zoneWord   = regexp.MustCompile(`^(?i:utc|gmt)[ \t\r\n\v\f]*`)
	zoneInList = regexp.MustCompile(`(?s)^\(([^)]*)\)`)
	allLetters = regexp.MustCompile(`^[A-Za-z]{2,}$`)
	zoneName   = regexp.MustCompile(`^[A-Z][A-Za-z0-9/_+-]{1,39}$`)
)

// readZone reads +0100, -05:00, Z, UTC, GMT+1, "UTC -05:00", "(GMT+1:00) Berlin", CEST.
func readZone(v string) (seconds int, ok bool) {
	if strings.HasPrefix(v, "(") && len(v) > 1 {
		m := zoneInList.FindStringSubmatch(v)
		if m == nil {
			return 0, false
		}
		return readZone(m[1])
	}
	if allLetters.MatchString(v) {
		hours, ok := abbreviations[strings.ToUpper(v)]
		return int(hours * 3600), ok
	}
	if w := zoneWord.FindString(v); w != "" {
		if v = v[len(w):]; v == "" {
			return 0, true
		}
	}
	seconds, n := readOffset(v)
	return seconds, n > 0 && n == len(v)
}

// readNamedZone reads the IANA name of a zone.
func readNamedZone(v string) *time.Location {
	if !zoneName.MatchString(v) || v == "Local" {
		return nil
	}
	zone, err := time.LoadLocation(v)
	if err != nil {
		return nil
	}
	return zone
}

// readTime chooses the time and the zone of the event, and the keys of times that stay
// under fortinet.ems because time and zone do not fully represent them.
func (r *Reading) readTime(o Options) {
	epochs := map[string]epoch{}
	texts := map[string]text{}
	for _, k := range epochKeys {
		v := r.first(k)
		if epochs[k] = readEpoch(v); epochs[k].ok || digitsOnly.MatchString(v) && len(v) != 14 {
			continue
		}
		if t, ok := readText(v); ok {
			texts[k] = t
		}
	}

	var local text
	var from []string
	take := func(s string, keys ...string) {
		if t, ok := readText(s); from == nil && ok && plausible(t.in(time.UTC)) {
			local, from = t, keys
		}
	}
	date, clock := r.first("date"), r.first("time")
	if t, ok := readText(date + " " + clock); date != "" && clock != "" && len(date)+len(clock) < 80 && ok && !t.unix {
		take(date+" "+clock, "date", "time")
	}
	take(r.first("dtime"), "dtime")
	switch t, _ := readText(date); {
	case strings.HasPrefix(clock, date):
		take(clock, "date", "time")
	case clock == "" && (t.unix || t.hour+t.min+t.sec > 0), clock != "" && strings.HasSuffix(date, clock):
		take(date, "date", "time")
	}
	exact := local.unix

	represented := map[string]bool{}
	zoneKey := "tz"
	if r.first(zoneKey) == "" {
		zoneKey = "timezone"
	}
	var named *time.Location
	offset, hasZone := readZone(r.first(zoneKey))
	represented[zoneKey] = hasZone
	if !hasZone {
		named = readNamedZone(r.first(zoneKey))
	}
	if z, ok := readZoneText(r.first(zoneKey)); ok && !hasZone && named == nil {
		switch {
		case z.hasOffset:
			offset, hasZone = z.offset, true
		case z.hasShort:
			offset, hasZone = z.short, true
		default:
			named = z.location
		}
		represented[zoneKey] = hasZone && !z.named
	}
	hasOwn := local.hasZone && !exact
	contradicts := hasZone && hasOwn && offset != local.offset
	if !hasZone && hasOwn {
		offset, hasZone, named = local.offset, true, nil
	}
	if !hasZone && named == nil {
		named = local.zone
	}
	for _, k := range epochKeys {
		t, ok := texts[k]
		at := t.in(time.FixedZone("", t.offset))
		switch {
		case !ok, t.unix && t.partly && from != nil:
		case t.hasZone && plausible(at):
			epochs[k] = epoch{at, false, true}
			if !t.unix && !hasZone && from == nil && named == nil {
				offset, hasZone = t.offset, true
			}
		case !t.hasZone && (from == nil || k == "eventtime"):
			if plausible(t.in(time.UTC)) {
				local, from, exact, contradicts = t, []string{k}, false, false
				if !hasZone && named == nil {
					named = t.zone
				}
			}
		}
	}
	eventtime, timestamp, itime, itimeT := epochs["eventtime"], epochs["timestamp"], epochs["itime"], epochs["itime_t"]
	hasLocal := from != nil
	if hasLocal && !hasZone && named == nil && !exact {
		offset, hasZone = r.proveZone(local.stamp, eventtime, timestamp, itime, itimeT)
	}
	zone := o.Location
	var localTime time.Time
	switch {
	case exact:
		localTime = local.in(time.UTC)
	case hasZone:
		localTime = local.in(time.FixedZone("", offset))
	case named != nil && hasLocal:
		localTime = local.at(named, o.Received)
		offset, hasZone = int(local.in(time.UTC).Unix()-localTime.Unix()), true
	default:
		localTime = local.at(zone, o.Received)
	}

	r.Time = o.Received
	header := r.headerTime(o)
	switch {
	case o.ReceiptTime:
	case eventtime.ok:
		r.Time = eventtime.Time
	case timestamp.ok && len(from) == 1 && strings.HasPrefix(from[0], "itime"):
		r.Time = timestamp.Time
	case hasLocal && plausible(localTime):
		r.Time = localTime
	case timestamp.ok:
		r.Time = timestamp.Time
	case itime.ok:
		r.Time = itime.Time
	case itimeT.ok:
		r.Time = itimeT.Time
	case plausible(header):
		r.Time = header
	}
	r.Time = r.Time.UTC()
	if named != nil && !hasZone {
		_, offset = r.Time.In(named).Zone()
		hasZone = true
	}
	if hasZone {
		r.Timezone = time.Unix(0, 0).In(time.FixedZone("", offset)).Format("-07:00")
	}

	if !o.ReceiptTime {
		same := localTime.Unix() == r.Time.Unix() && (local.nsec == 0 || local.nsec == r.Time.Nanosecond())
		for k, e := range epochs {
			represented[k] = e.ok && (e.Equal(r.Time) || e.whole && e.Unix() == r.Time.Unix())
			represented[k] = represented[k] && !texts[k].leap && !texts[k].partly
		}
		for _, k := range from {
			represented[k] = (hasZone || exact) && !contradicts && !local.leap && !local.partly && same
		}
	}
	for _, k := range timeKeys {
		if n := len(r.values[k]); n > 1 || n == 1 && !represented[k] {
			r.Kept = append(r.Kept, k)
		}
	}
}

var (
	digitsOnly = regexp.MustCompile(`^[0-9]+$`)
)

var timeKeys = []string{"date", "time", "dtime", "tz", "timezone", "eventtime", "timestamp", "itime", "itime_t"}

var epochKeys = []string{"eventtime", "timestamp", "itime", "itime_t"}

// proveZone returns the offset in use that another clock of the line proves.
func (r *Reading) proveZone(local stamp, clocks ...epoch) (seconds int, ok bool) {
	if r.stamp != nil && r.stamp.hasZone && !r.stamp.noYear {
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
	t := *r.stamp
	at := func() time.Time {
		if t.hasZone {
			return t.in(time.FixedZone("", t.offset))
		}
		return t.at(o.Location, o.Received)
	}
	if !t.noYear {
		return at()
	}
	for t.year = o.Received.UTC().Year() + 1; t.year > o.Received.UTC().Year()-8; t.year-- {
		if t.possible() && at().Unix() <= o.Received.Unix()+86400 {
			return at()
		}
	}
	return time.Time{}
}
