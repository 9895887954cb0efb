package parser

import (
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/parser/rule"
)

// PairUse is what became of a pair.
type PairUse struct {
	Key, Value string
	Fields     []string // fields that would be missing or different without the pair
	Kept       bool     // it is written under fortinet.ems
	Why        string   // why it is kept there, or left out; "" if fields say all of it
}

// Explanation says how the parser came to an event. Its texts are copies.
type Explanation struct {
	Matched bool
	Pairs   []PairUse
	Time    ecs.TimeUse
	Rules   rule.Trace
}

// Explain parses a line as Parse does and says how. What each pair is good for is found by
// parsing the line again without it, so this is slow, and Parse has no cost for it.
func (p *Parser) Explain(ev *Event, text []byte, received ecs.Instant) (x Explanation) {
	if x.Matched = p.Parse(ev, text, received); !x.Matched {
		return x
	}
	var whole, less Event
	p.fill(&whole, ev, -1, received)
	seen := map[string]bool{}
	for i := range ev.Line.Pairs.List {
		pair := &ev.Line.Pairs.List[i]
		u := PairUse{Key: string(pair.Name()), Value: string(pair.Value), Kept: pair.Unmapped()}
		// Long lines are explained without this: it takes the square of their pairs.
		if i < maxExplained && i < len(whole.Line.Pairs.List) {
			p.fill(&less, ev, i, received)
			u.Fields = differing(&whole, &less)
		}
		first := !seen[u.Key]
		seen[u.Key] = true
		u.Why = whyKept(ev, pair, &u, first)
		x.Pairs = append(x.Pairs, u)
	}
	x.Time, x.Rules = p.Reasons(ev, text, received)
	return x
}

// Reasons says, of an event that p has parsed from text, where its time is from and which
// rules decided.
func (p *Parser) Reasons(ev *Event, text []byte, received ecs.Instant) (t ecs.TimeUse, r rule.Trace) {
	t = ecs.TimeUse{From: "the time of receipt", Zone: "+00:00", ZoneFrom: "the option event_time is off"}
	if !p.receiptTime {
		var again Event
		again.Line.ReadHeader(text, &again.arena)
		again.Line.ReadPairs()
		t = ecs.ExplainTime(&again.Line, received, p.loc)
	}
	f, s := ev.facts(), rule.Scratch{}
	_, r = p.rules.Explain(&f, &s)
	return t, r
}

// maxExplained is how many pairs of a line are explained by parsing without them.
const maxExplained = 200

// fill parses the line of ev into to, without the pair at an index, up to the time.
func (p *Parser) fill(to, ev *Event, without int, received ecs.Instant) {
	to.arena.Reset()
	to.Line.ReadHeader(ev.Line.Clean, &to.arena)
	to.Line.ReadPairs()
	if without >= 0 {
		pairs := append([]line.Pair(nil), to.Line.Pairs.List...)
		to.Line.Pairs.Reset(&to.arena)
		for i := range pairs {
			if i == without {
				continue
			}
			if k := pairs[i].Key(); k != dict.NoKey {
				to.Line.Pairs.AddKey(k, pairs[i].Value)
			} else {
				to.Line.Pairs.AddName(pairs[i].Name(), pairs[i].Value)
			}
		}
	}
	to.Source = ev.Source
	to.Record.Reset(&to.arena)
	to.message = ecs.Fill(&to.Record, &to.Line, to.Source.By, to.Source.ID)
	to.Time = received
	if p.receiptTime {
		ecs.SetZone(&to.Record, &to.Line, received)
	} else {
		to.Time = ecs.SetTime(&to.Record, &to.Line, received, p.loc)
	}
}

// differing returns the fields of whole that less has not, or with another value.
func differing(whole, less *Event) (fields []string) {
	if whole.Time != less.Time {
		fields = append(fields, "@timestamp")
	}
	for f := range ecs.NumFields {
		if whole.Record.Set.Has(f) && (!less.Record.Set.Has(f) || whole.Record.ValueText(f) != less.Record.ValueText(f)) {
			fields = append(fields, ecs.Fields[f])
		}
	}
	return fields
}

func whyKept(ev *Event, pair *line.Pair, u *PairUse, first bool) string {
	to, byTable, ok := ecs.RowOf(ev.Source.By, pair.Key())
	isTime := pair.Key() == dict.KeyDate || pair.Key() == dict.KeyTime || pair.Key() == dict.KeyDtime || pair.Key() == dict.KeyTz ||
		pair.Key() == dict.KeyTimezone || pair.Key() == dict.KeyEventtime || pair.Key() == dict.KeyTimestamp || pair.Key() == dict.KeyItime || pair.Key() == dict.KeyItimeT
	switch {
	case !pair.NonEmpty() && first:
		return "a null marker: left out"
	case !first || pair.Repeats():
		return "the key repeats: all its values are a list under fortinet.ems"
	case !u.Kept && len(u.Fields) == 0:
		return "fields say the same without it"
	case !u.Kept:
		return ""
	case !ok || pair.Key() == dict.NoKey:
		return "no ECS field for this key"
	case isTime:
		return "the record time and zone do not say all of it"
	case len(u.Fields) > 0:
		return "the fields do not say all of it"
	case ev.Record.Set.Has(to) && ev.Record.Values[to].Kind != ecs.List:
		return ecs.Fields[to] + " has another value"
	case byTable:
		return "the value does not fit " + ecs.Fields[to]
	}
	return "no ECS field for it in this line"
}
