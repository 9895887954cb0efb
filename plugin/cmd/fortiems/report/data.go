package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/cmd/fortiems/discover"
)

// Bounds of the page.
const (
	maxRows  = 50       // of a table of counts
	maxChart = 240      // intervals of a time chart
	maxRaw   = 16 << 10 // bytes of a raw line
	maxText  = 2000     // characters of a text in a record
	// MaxRawText is how much of a raw line an event shows, in bytes.
	MaxRawText = 8 << 10
	maxDetail  = 12 << 20 // bytes of the sample as JSON
)

// Data is what the page shows.
type Data struct {
	Made    string   `json:"made"`
	Version string   `json:"version"`
	Files   []string `json:"files"`
	Lines   int      `json:"lines"`
	Matched int      `json:"matched"`
	Untimed int      `json:"untimed"`
	First   string   `json:"first"`
	Last    string   `json:"last"`

	Categories []category `json:"categories"`
	Types      []row      `json:"types"`
	Actions    []row      `json:"actions"`
	Severities []int      `json:"severities"`
	Time       series     `json:"time"`
	Hosts      table      `json:"hosts"`
	Users      table      `json:"users"`
	Alerts     table      `json:"alerts"`
	AlertKinds []row      `json:"alertKinds"`
	Logins     table      `json:"logins"`
	Directory  []row      `json:"directory"`
	Versions   []row      `json:"versions"`
	Wordings   []wording  `json:"wordings"`
	NWordings  int        `json:"nWordings"`
	Events     []Event    `json:"events"`
	Sampled    bool       `json:"sampled"`
}

type category struct {
	Name     string `json:"name"`
	Covers   string `json:"covers"`
	N        int    `json:"n"`
	Success  int    `json:"success"`
	Failure  int    `json:"failure"`
	Alerts   int    `json:"alerts"`
	EMSTypes bool   `json:"ems"` // one of the ten log types of FortiEMS
}

// row is a row of counts; its keys are texts of the log.
type row struct {
	Keys []string `json:"keys"`
	tally
	Last string `json:"last"`
}

type table struct {
	Rows  []row `json:"rows"`
	Total int   `json:"total"` // different keys
}

type series struct {
	Step       int64            `json:"step"` // seconds
	Starts     []string         `json:"starts"`
	Categories map[string][]int `json:"categories"`
	Logins     []int            `json:"logins"`
	Directory  [][]int          `json:"directory"` // without outcome, success, failure
	Outside    int              `json:"outside"`   // events before or after
}

type wording struct {
	Reason   string `json:"reason"`
	Category string `json:"category"`
	Template string `json:"template"`
	N        int    `json:"n"`
	Example  string `json:"example"`
	Where    string `json:"where"`
}

// Event is an event of the sample.
type Event struct {
	File     int             `json:"f"`
	Line     int             `json:"n"`
	Time     string          `json:"t"`
	Category string          `json:"c"`
	Action   string          `json:"a"`
	Outcome  string          `json:"o"`
	Kind     string          `json:"k"`
	Severity string          `json:"s"`
	Who      string          `json:"w"`
	Where    string          `json:"h"`
	Message  string          `json:"m"`
	Raw      string          `json:"raw"`
	Why      []string        `json:"why"`
	Record   json.RawMessage `json:"rec"`
}

// NewData sums up the collectors, of which the first takes the others in. detail makes the
// event of a line.
func NewData(collectors []*Collector, files []string, version string, now time.Time, detail func(text []byte) (Event, error)) (*Data, error) {
	c := collectors[0]
	var wordings []*discover.Collector
	for i, o := range collectors {
		wordings = append(wordings, &o.wordings)
		if i > 0 {
			c.merge(o)
		}
	}
	d := &Data{
		Made: now.UTC().Format(time.DateTime), Version: version, Files: files, Lines: c.lines, Matched: c.matched, Untimed: c.untimed,
		Severities: c.severities[:],
		Types:      c.types.rows(1000).Rows, Actions: c.actions.rows(1000).Rows,
		Hosts: c.hosts.rows(maxRows), Users: c.users.rows(maxRows), Alerts: c.alerts.rows(maxRows), AlertKinds: c.alertNames.rows(maxRows).Rows,
		Logins: c.logins.rows(maxRows), Directory: c.directory.rows(maxRows).Rows, Time: c.series(),
	}
	if c.first <= c.last {
		d.First, d.Last = stamp(c.first), stamp(c.last)
	}
	for _, info := range rule.Builtin().Categories() {
		n := c.categories[info.Category]
		d.Categories = append(d.Categories, category{
			Name: info.Category.String(), Covers: info.Covers, N: n[noOutcome] + n[success] + n[failure], Success: n[success], Failure: n[failure],
			Alerts: c.kinds[info.Category], EMSTypes: info.Category >= dict.ADConnector && info.Category <= dict.Network,
		})
	}
	versions := tallies{}
	for _, v := range c.versionOf {
		versions.at([]byte(v.version)).N++
	}
	d.Versions = versions.rows(maxRows).Rows
	found := discover.Wordings(wordings...)
	d.NWordings = len(found)
	for _, w := range found[:min(len(found), maxRows)] {
		d.Wordings = append(d.Wordings, wording{string(w.Reason), w.Category.String(), w.Template, w.Count, Cut(w.Example, maxText), fmt.Sprintf("%s:%d", w.File, w.Line)})
	}
	return d, d.addEvents(c.allot(), detail)
}

// addEvents adds the sample until the page has enough of it.
func (d *Data) addEvents(sample []sampled, detail func([]byte) (Event, error)) error {
	size := 0
	for _, s := range sample {
		e, err := detail(s.text)
		if err != nil {
			return err
		}
		if s.size > len(s.text) {
			e.Why = append(e.Why, fmt.Sprintf("The line has %d bytes; this is what its first %d say.", s.size, len(s.text)))
		}
		e.File, e.Line = slices.Index(d.Files, s.file), s.n
		if size += len(e.Raw) + len(e.Record) + len(e.Message) + 300; size > maxDetail {
			break
		}
		d.Events = append(d.Events, e)
	}
	d.Sampled = len(d.Events) < d.Lines
	return nil
}

func (t tallies) rows(most int) table {
	rows := []row{} // not null
	for k, v := range t {
		keys := strings.Split(strings.ToValidUTF8(k, "\uFFFD"), separator)
		last := ""
		if v.last > 0 {
			last = stamp(v.last)
		}
		rows = append(rows, row{keys, *v, last})
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(b.N-a.N, slices.Compare(a.Keys, b.Keys)) })
	return table{rows[:min(len(rows), most)], len(rows)}
}

// series returns the time chart. A few events far from all others, of a wrong clock, would
// make it one bar: up to 0.5 % at each end are left out and counted.
func (c *Collector) series() series {
	t := &c.timeline
	s := series{Categories: map[string][]int{}}
	starts, total := make([]int64, 0, len(t.intervals)), 0
	sum := func(i *interval) (n int) {
		for _, x := range i.categories {
			n += x
		}
		return n
	}
	for start, i := range t.intervals {
		starts = append(starts, start)
		total += sum(i)
	}
	if total == 0 {
		return s
	}
	slices.Sort(starts)
	trim := func(next func() int64) {
		if (starts[len(starts)-1]-starts[0])/steps[t.step] <= maxChart {
			return
		}
		for n := 0; len(starts) > 1; {
			at := next()
			if n += sum(t.intervals[at]); n*200 > total {
				return
			}
			s.Outside += sum(t.intervals[at])
			delete(t.intervals, at)
			i, _ := slices.BinarySearch(starts, at)
			starts = slices.Delete(starts, i, i+1)
		}
	}
	trim(func() int64 { return starts[0] })
	trim(func() int64 { return starts[len(starts)-1] })
	step := t.step
	for step < len(steps)-1 && (starts[len(starts)-1]-starts[0])/steps[step] > maxChart {
		step++
	}
	first, last := starts[0], starts[len(starts)-1]
	t.coarsen(step)
	s.Step = steps[t.step]
	first -= mod(first, s.Step)
	for at, n := first, 0; at <= last; at, n = at+s.Step, n+1 {
		s.Starts = append(s.Starts, stamp(at))
		i := t.intervals[at]
		if i == nil {
			i = &interval{}
		}
		for cat, count := range i.categories {
			name := dict.Category(cat).String()
			if s.Categories[name] == nil && count > 0 {
				s.Categories[name] = make([]int, n)
			}
		}
		for name, counts := range s.Categories {
			cat, _ := dict.CategoryOf(name)
			s.Categories[name] = append(counts, i.categories[cat])
		}
		s.Logins = append(s.Logins, i.failedLogins)
		s.Directory = append(s.Directory, i.directory[:])
	}
	return s
}

// Cut returns at most n bytes of s, at a whole character.
func Cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + fmt.Sprintf(" … (%d bytes)", len(s))
}

// CutTexts shortens long texts in a record.
func CutTexts(v any) any {
	switch v := v.(type) {
	case string:
		return Cut(v, maxText)
	case map[string]any:
		for k, x := range v {
			v[k] = CutTexts(x)
		}
	case []any:
		for i, x := range v {
			v[i] = CutTexts(x)
		}
	}
	return v
}
