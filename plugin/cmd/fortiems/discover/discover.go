// Package discover groups lines that no rule knows into wordings, with the log template
// miner Drain (He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree",
// ICWS 2017).
package discover

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/faceair/drain"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/plugin/cmd/fortiems/scan"
)

// Reason is why a line is of interest.
type Reason string

// The reasons.
const (
	Unknown Reason = "unknown" // no rule knows its category
	Default Reason = "default" // its category is known, by a token for example, but no rule knows the wording
)

// ReasonOf returns why a matched line is of interest, "" if a rule knows it.
func ReasonOf(ev *parser.Event) Reason {
	switch d := &ev.Decision; {
	case d.Category == dict.Unknown:
		return Unknown
	case d.CategoryRule == nil && d.EffectRule == nil && d.UserRule == nil:
		return Default
	}
	return ""
}

// Variable stands in a wording for what differs between its lines.
const Variable = "<*>"

// variable matches what differs between lines of one wording whatever else they say:
// quoted texts, addresses, paths, host names with a dot, ids and numbers.
var variable = regexp.MustCompile(`"[^"]*"|'[^']*'|\b[\w.+-]+@[\w.-]+|(?:[A-Za-z]:)?[\\/][^\s"']+|\b[A-Za-z]+://\S+|` +
	`\b[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+){2,}\b|[0-9A-Fa-f]*:[0-9A-Fa-f:]{2,}|\b\w*\d\w*\b`)

// maxMessage is how much of a message counts, in bytes.
const maxMessage = 500

// Mask returns a message with what surely varies replaced.
func Mask(message []byte) string {
	if len(message) > maxMessage {
		message = message[:maxMessage]
		for len(message) > 0 && !utf8.Valid(message[max(0, len(message)-utf8.UTFMax):]) && !utf8.RuneStart(message[len(message)-1]) {
			message = message[:len(message)-1]
		}
	}
	text := variable.ReplaceAllLiteralString(strings.ToValidUTF8(string(message), "\uFFFD"), Variable)
	return strings.Join(strings.Fields(text), " ")
}

// Wording is a group of lines that say the same.
type Wording struct {
	Reason   Reason
	Category dict.Category
	Writer   dict.Source
	Type     string // of the first line
	Subtype  string
	Template string // with Variable
	Count    int
	First    time.Time // zero if no line has a time
	Last     time.Time
	File     string // where the first line is
	Line     int
	Example  string // the raw line

}

// maxMasked is how many masked messages a collector keeps apart; more are counted as Other.
const maxMasked = 20_000

// maxExample is the length of the longest example, in bytes.
const maxExample = 4096

type maskedKey struct {
	reason   Reason
	category dict.Category
	writer   dict.Source
	text     string
}

// Collector collects the lines of interest of one worker. The zero value is ready.
type Collector struct {
	masked map[maskedKey]*Wording
	Other  int // lines beyond those that are kept apart
	Lines  int // of interest
}

// Add notes a line if it is of interest. received is the time that lines without one have.
func (c *Collector) Add(l *scan.Line, received ecs.Instant) {
	if !l.Matched {
		return
	}
	reason := ReasonOf(l.Event)
	if reason == "" {
		return
	}
	c.Lines++
	ev := l.Event
	message := ev.Record.Text(ecs.Message)
	key := maskedKey{reason, ev.Decision.Category, ev.Source.By, Mask(message)}
	if c.masked == nil {
		c.masked = map[maskedKey]*Wording{}
	}
	w := c.masked[key]
	if w == nil {
		if len(c.masked) >= maxMasked {
			c.Other++
			return
		}
		w = &Wording{
			Reason: reason, Category: key.category, Writer: key.writer, Template: key.text,
			Type: string(ev.Record.Text(ecs.EMSType)), Subtype: string(ev.Record.Text(ecs.EMSSubtype)),
			File: l.File, Line: l.N, Example: strings.ToValidUTF8(string(l.Text[:min(len(l.Text), maxExample)]), "\uFFFD"),
		}
		c.masked[key] = w
	}
	w.Count++
	if ev.Time != received {
		w.span(time.Unix(ev.Time.Sec, int64(ev.Time.Nsec)).UTC())
	}
}

func (w *Wording) span(at time.Time) {
	if w.First.IsZero() || at.Before(w.First) {
		w.First = at
	}
	if at.After(w.Last) {
		w.Last = at
	}
}

// merge adds the lines of o, which say the same.
func (w *Wording) merge(o *Wording) {
	if w.File == o.File && o.Line < w.Line {
		w.Line, w.Example, w.Type, w.Subtype = o.Line, o.Example, o.Type, o.Subtype
	}
	w.Count += o.Count
	if !o.First.IsZero() {
		w.span(o.First)
		w.span(o.Last)
	}
}

// Wordings groups what the collectors have, the most frequent first.
func Wordings(collectors ...*Collector) []*Wording {
	masked := map[maskedKey]*Wording{}
	for _, c := range collectors {
		for key, w := range c.masked {
			if have := masked[key]; have != nil {
				have.merge(w)
			} else {
				copied := *w
				masked[key] = &copied
			}
		}
	}
	ordered := make([]*Wording, 0, len(masked))
	for _, w := range masked {
		ordered = append(ordered, w)
	}
	slices.SortFunc(ordered, compare) // the same lines give the same wordings
	type group struct {
		reason   Reason
		category dict.Category
		writer   dict.Source
	}
	miners := map[group]*drain.Drain{}
	found := map[*drain.LogCluster]*Wording{}
	var all []*Wording
	for _, w := range ordered {
		g := group{w.Reason, w.Category, w.Writer}
		if miners[g] == nil {
			config := drain.DefaultConfig()
			config.SimTh = 0.6 // the share of equal words; variables are masked already
			config.MaxClusters = maxMasked
			miners[g] = drain.New(config)
		}
		cluster := miners[g].Train(w.Template)
		have := found[cluster]
		if have == nil {
			found[cluster] = w
			all = append(all, w)
			continue
		}
		have.merge(w)
	}
	for cluster, w := range found {
		w.Template = templateOf(cluster)
	}
	slices.SortFunc(all, compare)
	return all
}

func compare(a, b *Wording) int {
	return cmp.Or(b.Count-a.Count, cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Category, b.Category), cmp.Compare(a.Template, b.Template), cmp.Compare(a.Writer, b.Writer))
}

// templateOf returns the template of a cluster, which the library gives only as a part of
// its String: "id={1} : size={2} : template".
func templateOf(c *drain.LogCluster) string {
	_, rest, _ := strings.Cut(c.String(), " : ")
	_, template, _ := strings.Cut(rest, " : ")
	return template
}
