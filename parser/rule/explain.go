package rule

import (
	"fmt"
	"slices"
	"strings"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
)

// Match is a rule that holds for a line.
type Match struct {
	Rule   *Rule
	Words  []string // phrases of its words and all_words that are in the message
	Fields []string // what else of the line it asks for, as key=value
}

// Trace says how [Rules.Decide] came to its decision.
type Trace struct {
	Category *Match  // the rule that set the category; nil if a token did or no rule holds
	User     *Match  // the user's rule for what was left open
	Effect   *Match  // the built-in rule for what was then left open
	Also     []Match // rules that hold as well but come later, in their order

	ActionBy  string // what set the action: the name of a rule, or ""
	OutcomeBy string // rule NAME, field KEY=VALUE, words, the action, the category, or "" for none
	Outcome   []OutcomeWord
}

// OutcomeWord is a phrase in the message that says something of the outcome.
type OutcomeWord struct {
	Words string
	Says  string // failure, success, ignore, negation, future
}

// Explain decides as Decide does and says how. It is slow: it looks at every rule.
func (rs *Rules) Explain(f *Facts, s *Scratch) (d Decision, t Trace) {
	d = rs.Decide(f, s)
	s.look(rs, f)
	s.scan(rs, f)
	read := readText(f.Message)
	_, named := f.Token.Category()
	lists := []list{rs.userCategory}
	if !named {
		lists = append(lists, rs.detect)
	}
	lists = append(lists, rs.userEffects, rs.effects[d.Category])
	for _, l := range lists {
		l.each(rs, f, s, func(g *group, r *Rule) {
			if g.only != nil && r.when.categories != 0 && r.when.categories&(1<<d.Category) == 0 {
				return
			}
			m := Match{Rule: r, Words: slices.Concat(g.when.found(read), r.when.found(read)), Fields: slices.Concat(g.when.fieldsOf(f), r.when.fieldsOf(f))}
			switch r {
			case d.CategoryRule:
				t.Category = &m
			case d.UserRule:
				t.User = &m
			case d.EffectRule:
				t.Effect = &m
			default:
				t.Also = append(t.Also, m)
			}
		})
	}
	set, set2 := unset, ""
	for _, r := range []*Rule{d.CategoryRule, d.UserRule, d.EffectRule} {
		if r == nil {
			continue
		}
		if t.ActionBy == "" && r.set.action != nil {
			t.ActionBy = r.Name
		}
		if set == unset && r.set.outcome != unset {
			set, set2 = r.set.outcome, "rule "+r.Name
		}
	}
	rs.explainOutcome(&t, &d, f, s, set2)
	return d, t
}

// explainOutcome finds what decided the outcome. byRule names the rule that sets one.
func (rs *Rules) explainOutcome(t *Trace, d *Decision, f *Facts, s *Scratch, byRule string) {
	t.Outcome = rs.outcomeWords(f.Message)
	switch {
	case d.Outcome == nil && byRule != "":
		t.OutcomeBy = byRule
	case d.Outcome == nil:
	default:
		want := failure
		if d.Outcome == outcomeConstants[success] {
			want = success
		}
		for _, k := range rs.outcome.keys {
			if v := f.Pairs.Value(k); v != nil && rs.outcome.ofValue(v) == want && rs.outcome.fromFields(f) == want {
				t.OutcomeBy = fmt.Sprintf("field %s=%s", k, v)
				return
			}
		}
		switch {
		case byRule != "":
			t.OutcomeBy = byRule
		case s.outcome.result() == want:
			t.OutcomeBy = "words"
		default:
			t.OutcomeBy = "the default of the action or category"
		}
	}
}

// each calls f for the rules of the list that hold, in their order.
func (l list) each(rs *Rules, f *Facts, s *Scratch, do func(*group, *Rule)) {
	for i := range l {
		g := &l[i]
		if !g.bare && !g.when.hold(rs, f, s) {
			continue
		}
		for _, r := range g.rules {
			if r.when.hold(rs, f, s) {
				do(g, r)
			}
		}
	}
}

// readText returns a message as the automaton reads it.
func readText(msg []byte) string {
	b := []byte{' '}
	for _, c := range msg {
		if dict.IsWordByte(c) {
			b = append(b, ascii.Lower(c))
		} else if b[len(b)-1] != ' ' {
			b = append(b, ' ')
		}
	}
	if b[len(b)-1] != ' ' {
		b = append(b, ' ')
	}
	return string(b)
}

// found returns the phrases of the conditions that are in a message as readText gives it.
func (c *conditions) found(read string) (words []string) {
	for _, list := range append([][]string{c.phrases}, c.allTexts...) {
		for _, p := range list {
			if w := strings.TrimSpace(p); strings.Contains(read, p) && !slices.Contains(words, w) {
				words = append(words, w)
			}
		}
	}
	return words
}

// fieldsOf returns what the conditions ask for besides words, as key=value.
func (c *conditions) fieldsOf(f *Facts) (all []string) {
	add := func(key string, v []byte) { all = append(all, key+"="+string(v[:min(len(v), 200)])) }
	if c.sources != 0 {
		add("writer", []byte(f.Source.String()))
	}
	if c.ids != nil {
		add("id", f.ID)
	}
	if c.types != nil {
		add("type", f.Type)
	}
	if c.subtypes != nil {
		add("subtype", f.Subtype)
	}
	if c.endpoint != 0 {
		add("endpoint", fmt.Append(nil, f.Endpoint))
	}
	for i := range c.fields {
		t := &c.fields[i]
		if v, ok := f.Pairs.Lookup(t.name, t.key); ok {
			add(string(t.name), v)
		} else {
			all = append(all, "no "+string(t.name))
		}
	}
	if c.message != nil {
		add("message", f.Message)
	}
	return all
}

var roleNames = []struct {
	role outcomeRole
	name string
}{{roleIgnore, "ignore"}, {roleNegation, "negation"}, {roleFuture, "future"}, {roleFailure, "failure"}, {roleSuccess, "success"}}

// maxOutcomeWords bounds what outcomeWords returns.
const maxOutcomeWords = 100

// outcomeWords returns the outcome phrases of a message in the order of their ends.
func (rs *Rules) outcomeWords(msg []byte) (words []OutcomeWord) {
	a, read := rs.phrases, readText(msg)
	state := int(a.next[0] &^ outputBit)
	for pos := 1; pos < len(read) && len(words) < maxOutcomeWords; pos++ {
		to := a.next[state*a.classes+int(a.class[read[pos]])]
		if state = int(to &^ outputBit); to&outputBit == 0 {
			continue
		}
		for _, m := range a.outputs[state].outcome {
			for _, r := range roleNames {
				if m.role&r.role != 0 {
					words = append(words, OutcomeWord{strings.TrimSpace(read[pos-int(m.length)+1 : pos+1]), r.name})
				}
			}
		}
	}
	return words
}
