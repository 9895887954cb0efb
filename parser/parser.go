package parser

import (
	"time"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/parser/rule"
)

// Options configure a [Parser]. The zero value is usable.
type Options struct {
	// Location is the zone of times without one; nil is UTC.
	Location *time.Location
	// ReceiptTime keeps the time of receipt as the time of the event.
	ReceiptTime bool
	// Rules that categorise; nil is the built-in ones.
	Rules *rule.Rules
}

// Parser turns lines into events. It is immutable and safe for concurrent use.
type Parser struct {
	loc         *time.Location
	receiptTime bool
	rules       *rule.Rules
}

// New returns a parser.
func New(o Options) *Parser {
	p := &Parser{loc: o.Location, receiptTime: o.ReceiptTime, rules: o.Rules}
	if p.loc == nil {
		p.loc = time.UTC
	}
	if p.rules == nil {
		p.rules = rule.Builtin()
	}
	return p
}

// Event is what one line says. Reuse it: once its slices have grown, parsing allocates
// nothing. The zero value is ready. Not safe for concurrent use.
type Event struct {
	Line     line.Line     // header and pairs
	Source   Source        // who wrote the line
	Record   ecs.Record    // fields
	Time     ecs.Instant   // of the event; the time of receipt if the line has none
	Decision rule.Decision // category, action and outcome, which Record has as well

	message []byte
	arena   arena.Arena
	scratch rule.Scratch
}

// Line is a line for [Parser.ParseAll].
type Line struct {
	// Text must stay unchanged as long as Event is in use.
	Text     []byte
	Received ecs.Instant
	// Event receives the result. Every line needs one of its own.
	Event *Event
	// Matched reports, after ParseAll, whether the line belongs to FortiEMS. If not, only
	// Event.Line is valid.
	Matched bool
}

// Parse parses one line. It returns whether the line belongs to FortiEMS; if not, only
// ev.Line is valid. It never fails: what it does not understand stays text.
func (p *Parser) Parse(ev *Event, text []byte, received ecs.Instant) bool {
	one := [1]Line{{Text: text, Received: received, Event: ev}}
	p.ParseAll(one[:])
	return one[0].Matched
}

// ParseAll is Parse for several lines, at best about 16. It takes all lines through each
// step before the next step: the code and tables of a step then stay in the first-level
// cache, which those of all steps together exceed.
func (p *Parser) ParseAll(lines []Line) {
	for i := range lines {
		ev := lines[i].Event
		ev.arena.Reset()
		ev.Line.ReadHeader(lines[i].Text, &ev.arena)
	}
	for i := range lines {
		lines[i].Event.Line.ReadPairs()
	}
	for i := range lines {
		ev := lines[i].Event
		ev.Source, lines[i].Matched = identify(&ev.Line)
	}
	for i := range lines {
		if l := &lines[i]; l.Matched {
			ev := l.Event
			ev.Record.Reset(&ev.arena)
			ev.message = ecs.Fill(&ev.Record, &ev.Line, ev.Source.By, ev.Source.ID)
		}
	}
	for i := range lines {
		if l := &lines[i]; l.Matched {
			ev := l.Event
			if ev.Time = l.Received; p.receiptTime {
				ecs.SetZone(&ev.Record, &ev.Line, l.Received)
			} else {
				ev.Time = ecs.SetTime(&ev.Record, &ev.Line, l.Received, p.loc)
			}
		}
	}
	for i := range lines {
		if lines[i].Matched {
			p.classify(lines[i].Event)
		}
	}
}

// classify lets the rules decide on an event whose fields are set.
func (p *Parser) classify(ev *Event) {
	f := ev.facts()
	ev.Decision = p.rules.Decide(&f, &ev.scratch)
	ev.setDecision()
}

// facts are what rules see of an event whose fields are set.
func (ev *Event) facts() rule.Facts {
	return rule.Facts{
		Source:   ev.Source.By,
		Token:    ev.Source.Token,
		ID:       ev.Source.ID,
		Type:     ev.Record.Text(ecs.EMSType),
		Subtype:  ev.Record.Text(ecs.EMSSubtype),
		Message:  ev.message,
		Endpoint: ev.Record.Set.Has(ecs.EMSEndpointSerial),
		Pairs:    &ev.Line.Pairs,
	}
}

// setDecision sets the fields that the rules decide.
func (ev *Event) setDecision() {
	d, r := &ev.Decision, &ev.Record
	r.SetConst(ecs.EMSCategory, categoryConstants[d.Category])
	r.SetConst(ecs.EventKind, d.Kind)
	if d.Action != nil {
		r.SetConst(ecs.EventAction, d.Action)
	}
	if d.Outcome != nil {
		r.SetConst(ecs.EventOutcome, d.Outcome)
	}
	if d.EventCategory != nil {
		r.SetConst(ecs.EventCategory, d.EventCategory)
	}
	if d.EventType != nil {
		r.SetConst(ecs.EventType, d.EventType)
	}
	if d.Severity != rule.NoSeverity {
		r.SetInt(ecs.EventSeverity, int64(d.Severity))
	}
}

var categoryConstants = func() (c [dict.NumCategories]*ecs.Constant) {
	for i, name := range dict.CategoryNames() {
		c[i] = ecs.ConstText(name)
	}
	return c
}()
