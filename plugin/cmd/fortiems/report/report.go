// Package report counts what log files say and writes one HTML page about it.
package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/plugin/cmd/fortiems/discover"
	"fluent-bit-fortiems/plugin/cmd/fortiems/scan"
)

// maxKeys is how many different hosts, users and so on a collector counts apart; lines of
// others are counted as "(others)".
const maxKeys = 50_000

const others = "(others)"

// tally counts the events of one host, user and so on.
type tally struct {
	N        int `json:"n"`
	Failures int `json:"failures"`
	Alerts   int `json:"alerts"`
	last     int64
}

type tallies map[string]*tally

// at returns the tally of a key.
func (t tallies) at(key []byte) *tally {
	if have := t[string(key)]; have != nil {
		return have
	}
	k := string(key)
	if len(t) >= maxKeys {
		if k = others; t[k] != nil {
			return t[k]
		}
	}
	t[k] = &tally{}
	return t[k]
}

func (t tallies) merge(o tallies) {
	for k, v := range o {
		sum := t.at([]byte(k))
		sum.N, sum.Failures, sum.Alerts, sum.last = sum.N+v.N, sum.Failures+v.Failures, sum.Alerts+v.Alerts, max(sum.last, v.last)
	}
}

// outcomes of events, as indexes of counters.
const (
	noOutcome = iota
	success
	failure
	numOutcomes
)

// steps are the lengths of the intervals of the time chart, in seconds; each is a multiple
// of the one before.
var steps = []int64{60, 300, 900, 3600, 10800, 43200, 86400, 604800, 4 * 604800, 52 * 604800}

// interval counts the events of one interval by category, logins that failed and the
// outcomes of the directory connector.
type interval struct {
	categories   [dict.NumCategories]int
	failedLogins int
	directory    [numOutcomes]int
}

func (i *interval) merge(o *interval) {
	for c, n := range o.categories {
		i.categories[c] += n
	}
	i.failedLogins += o.failedLogins
	for c, n := range o.directory {
		i.directory[c] += n
	}
}

// timeline counts by time, in intervals as short as their number allows.
type timeline struct {
	step      int // index of steps
	intervals map[int64]*interval
}

// maxIntervals bounds the memory of a timeline.
const maxIntervals = 20_000

func (t *timeline) at(sec int64) *interval {
	start := sec - mod(sec, steps[t.step])
	have := t.intervals[start]
	if have == nil {
		if len(t.intervals) >= maxIntervals && t.step < len(steps)-1 {
			t.coarsen(t.step + 1)
			return t.at(sec)
		}
		have = &interval{}
		t.intervals[start] = have
	}
	return have
}

func mod(a, b int64) int64 { return ((a % b) + b) % b }

func (t *timeline) coarsen(step int) {
	if step <= t.step {
		return
	}
	old := t.intervals
	t.step, t.intervals = step, map[int64]*interval{}
	for start, i := range old {
		t.at(start).merge(i)
	}
}

// sampled is a line of the sample.
type sampled struct {
	hash uint64
	file string
	n    int
	text []byte // at most maxRaw bytes of it
	size int    // of the line
}

// Collector counts the lines that one worker sees.
type Collector struct {
	received ecs.Instant
	sample   int // most lines of one category

	lines, matched, untimed int
	first, last             int64
	categories              [dict.NumCategories][numOutcomes]int
	kinds                   [dict.NumCategories]int // alerts
	severities              [9]int                  // 0 to 7, and without one
	types, actions          tallies                 // category, type and subtype; category and action
	hosts, users            tallies
	alerts, alertNames      tallies
	logins                  tallies                // user and address of failed logins
	directory               tallies                // action, outcome and reason of the directory connector
	versionOf               map[string]lastVersion // by host
	timeline                timeline
	samples                 [dict.NumCategories + 1][]sampled // by category; the last are not of FortiEMS
	bounds                  [dict.NumCategories + 1]uint64
	wordings                discover.Collector
	key                     []byte
}

// NewCollector returns a collector for lines that were received at a time, which keeps at
// most sample lines of a category.
func NewCollector(received ecs.Instant, sample int) *Collector {
	c := &Collector{
		received: received, sample: sample, first: 1 << 62, last: -1 << 62,
		types: tallies{}, actions: tallies{}, hosts: tallies{}, users: tallies{}, alerts: tallies{}, alertNames: tallies{},
		logins: tallies{}, directory: tallies{}, versionOf: map[string]lastVersion{},
		timeline: timeline{intervals: map[int64]*interval{}},
	}
	for i := range c.bounds {
		c.bounds[i] = ^uint64(0)
	}
	return c
}

// separator stands between the parts of a key; no text of a log has it.
const separator = "\x1f"

func (c *Collector) join(parts ...[]byte) []byte {
	c.key = c.key[:0]
	for i, p := range parts {
		if i > 0 {
			c.key = append(c.key, separator...)
		}
		for _, b := range p[:min(len(p), 200)] {
			if b == separator[0] {
				b = ' '
			}
			c.key = append(c.key, b)
		}
	}
	return c.key
}

func constText(k *ecs.Constant) []byte {
	if k == nil {
		return nil
	}
	return []byte(k.Texts[0])
}

// Add counts a line.
func (c *Collector) Add(l *scan.Line) {
	c.lines++
	if !l.Matched {
		c.keep(int(dict.NumCategories), l)
		return
	}
	c.matched++
	ev := l.Event
	d, r := &ev.Decision, &ev.Record
	c.keep(int(d.Category), l)
	outcome := noOutcome
	if d.Outcome != nil {
		outcome = success
		if d.Outcome.Texts[0] == "failure" {
			outcome = failure
		}
	}
	alert := d.Kind.Texts[0] == "alert"
	c.categories[d.Category][outcome]++
	if alert {
		c.kinds[d.Category]++
	}
	severity := 8
	if r.Set.Has(ecs.EventSeverity) && r.Values[ecs.EventSeverity].Kind == ecs.Int {
		severity = int(min(max(r.Values[ecs.EventSeverity].Num, 0), 8))
	}
	c.severities[severity]++
	var at *interval
	if ev.Time == c.received {
		c.untimed++
	} else {
		c.first, c.last = min(c.first, ev.Time.Sec), max(c.last, ev.Time.Sec)
		at = c.timeline.at(ev.Time.Sec)
		at.categories[d.Category]++
	}
	count := func(t tallies, key []byte) {
		s := t.at(key)
		s.N++
		if at != nil {
			s.last = max(s.last, ev.Time.Sec)
		}
		if outcome == failure {
			s.Failures++
		}
		if alert {
			s.Alerts++
		}
	}
	category, action := []byte(d.Category.String()), constText(d.Action)
	count(c.types, c.join(category, r.Text(ecs.EMSType), r.Text(ecs.EMSSubtype)))
	count(c.actions, c.join(category, action))
	host := r.Text(ecs.HostName)
	if len(host) > 0 {
		count(c.hosts, c.join(host))
	}
	user := r.Text(ecs.UserName)
	if len(user) > 0 {
		count(c.users, c.join(user))
	}
	if alert {
		count(c.alerts, c.join(action, host, r.Text(ecs.RuleName)))
		count(c.alertNames, c.join(action))
	}
	switch {
	case d.Category == dict.Authentication && string(action) != "logout" && outcome == failure:
		address := r.Text(ecs.SourceIP)
		if len(address) == 0 && r.Set.Has(ecs.HostIP) && r.Values[ecs.HostIP].Kind == ecs.List {
			address = r.Lists[r.Values[ecs.HostIP].Num][0]
		}
		count(c.logins, c.join(user, address))
		if at != nil {
			at.failedLogins++
		}
	case d.Category == dict.ADConnector || d.Category == dict.ADDaemonWorker:
		count(c.directory, c.join(category, action))
		if at != nil {
			at.directory[outcome]++
		}
	}
	c.countVersion(l, host)
	c.wordings.Add(l, c.received)
}

var versionKey = []byte("fctver")

// countVersion notes the version that a host names.
func (c *Collector) countVersion(l *scan.Line, host []byte) {
	version, ok := l.Event.Line.Pairs.Lookup(versionKey, dict.KeyFctver)
	if !ok || len(host) == 0 {
		return
	}
	at := lastVersion{"", l.Event.Time.Sec, l.File, l.N}
	have, known := c.versionOf[string(host)]
	if known && !have.before(&at) || !known && len(c.versionOf) >= maxKeys {
		return
	}
	if at.version = have.version; at.version != string(version) {
		at.version = string(version[:min(len(version), 100)])
	}
	c.versionOf[string(host)] = at
}

// lastVersion is the version that a host named last.
type lastVersion struct {
	version string
	sec     int64
	file    string
	n       int
}

func (v *lastVersion) before(o *lastVersion) bool {
	return cmp.Or(cmp.Compare(v.sec, o.sec), cmp.Compare(v.file, o.file), cmp.Compare(v.n, o.n)) < 0
}

// keep keeps a line if it is in the sample of its stratum: those with the lowest hashes, so
// that the sample does not depend on which worker saw which line.
func (c *Collector) keep(stratum int, l *scan.Line) {
	h := hash(l.File, l.N)
	if h > c.bounds[stratum] {
		return
	}
	c.samples[stratum] = append(c.samples[stratum], sampled{h, l.File, l.N, slices.Clone(l.Text[:min(len(l.Text), maxRaw)]), len(l.Text)})
	if len(c.samples[stratum]) >= 2*c.sample {
		c.trim(stratum)
	}
}

func (c *Collector) trim(stratum int) {
	s := c.samples[stratum]
	slices.SortFunc(s, func(a, b sampled) int { return cmp.Compare(a.hash, b.hash) })
	if len(s) > c.sample {
		clear(s[c.sample:])
		s = s[:c.sample]
		c.bounds[stratum] = s[len(s)-1].hash
	}
	c.samples[stratum] = s
}

// hash mixes a file and a line number (FNV-1a, then the finaliser of splitmix64).
func hash(file string, n int) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(file) {
		h = (h ^ uint64(file[i])) * 1099511628211
	}
	h += uint64(n) * 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

// merge adds what o has counted.
func (c *Collector) merge(o *Collector) {
	c.lines, c.matched, c.untimed = c.lines+o.lines, c.matched+o.matched, c.untimed+o.untimed
	c.first, c.last = min(c.first, o.first), max(c.last, o.last)
	for i := range c.categories {
		for j := range c.categories[i] {
			c.categories[i][j] += o.categories[i][j]
		}
		c.kinds[i] += o.kinds[i]
	}
	for i := range c.severities {
		c.severities[i] += o.severities[i]
	}
	for _, p := range [][2]tallies{
		{c.types, o.types}, {c.actions, o.actions}, {c.hosts, o.hosts}, {c.users, o.users}, {c.alerts, o.alerts},
		{c.alertNames, o.alertNames}, {c.logins, o.logins}, {c.directory, o.directory},
	} {
		p[0].merge(p[1])
	}
	for host, v := range o.versionOf {
		if have, known := c.versionOf[host]; !known || have.before(&v) {
			c.versionOf[host] = v
		}
	}
	step := max(c.timeline.step, o.timeline.step)
	c.timeline.coarsen(step)
	o.timeline.coarsen(step)
	for start, i := range o.timeline.intervals {
		c.timeline.at(start).merge(i)
	}
	for i := range c.samples {
		c.samples[i] = append(c.samples[i], o.samples[i]...)
		c.trim(i)
	}
}

// allot divides the sample among the strata: each gets the same, and what one does not need
// goes to the others.
func (c *Collector) allot() (all []sampled) {
	left, strata := c.sample, []int{}
	for i := range c.samples {
		c.trim(i)
		if len(c.samples[i]) > 0 {
			strata = append(strata, i)
		}
	}
	slices.SortFunc(strata, func(a, b int) int { return len(c.samples[a]) - len(c.samples[b]) })
	for i, s := range strata {
		n := min(len(c.samples[s]), left/(len(strata)-i))
		all = append(all, c.samples[s][:n]...)
		left -= n
	}
	slices.SortFunc(all, func(a, b sampled) int { return cmp.Or(strings.Compare(a.file, b.file), a.n-b.n) })
	return all
}

// stamp formats a Unix time for people.
func stamp(sec int64) string { return time.Unix(sec, 0).UTC().Format(time.DateTime) }
