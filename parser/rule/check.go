package rule

import (
	"bytes"
	"slices"
	"strings"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/line"
)

// Problem is something odd about a rule of the user that loads.
type Problem struct {
	Rule *Rule
	Text string
}

// Check looks for rules of the user that can never decide a line: because their conditions
// contradict each other, or because rules before them hold for all their lines. It tries
// lines made of the conditions, so of rules with regular expressions it knows little.
func (rs *Rules) Check() (problems []Problem) {
	for _, l := range []list{rs.userCategory, rs.userEffects} {
		for i := range l {
			for _, r := range l[i].rules {
				if text := rs.checkRule(l, r); text != "" {
					problems = append(problems, Problem{r, text})
				}
			}
		}
	}
	return problems
}

// checkRule returns what is odd about a rule of a list, "" if nothing is.
func (rs *Rules) checkRule(l list, r *Rule) string {
	samples := r.when.samples()
	if samples == nil {
		return "" // not known
	}
	held, before := false, []*Rule{}
	for i := range samples {
		f, s := &samples[i], &Scratch{}
		s.begin(rs)
		s.look(rs, f)
		if !r.when.hold(rs, f, s) {
			continue
		}
		held = true
		first := r
		for category := range dict.NumCategories {
			if r.when.categories != 0 && r.when.categories&(1<<category) == 0 {
				continue
			}
			if first = l.first(category, rs, f, s); first == r || first == nil {
				return ""
			}
		}
		if !slices.Contains(before, first) {
			before = append(before, first)
		}
	}
	if !held {
		return "it can never match: its conditions contradict each other"
	}
	var names []string
	for _, b := range before {
		names = append(names, b.Name)
	}
	return "it never decides: " + strings.Join(names, ", ") + " holds for its lines and comes first"
}

// samples returns facts for which the conditions should hold, one for each phrase and text
// of them; nil if they have conditions for which no text is easily made.
func (c *conditions) samples() (all []Facts) {
	one := Facts{Endpoint: c.endpoint > 0, Pairs: &line.Pairs{}}
	one.Pairs.Reset(&arena.Arena{})
	for s := range dict.NumSources {
		if c.sources == 0 || c.sources&(1<<s) != 0 {
			one.Source = s
			break
		}
	}
	message := []byte{}
	for i := range c.fields {
		t := &c.fields[i]
		v := []byte("x")
		switch {
		case t.absent:
			continue
		case t.equal != nil:
			v = []byte(t.equal[0].text)
		case t.contains != nil:
			v = []byte(t.contains[0])
		case t.regex != nil:
			return nil
		}
		one.Pairs.Add(t.name, v)
	}
	for i := range c.message {
		t := &c.message[i]
		switch {
		case t.equal != nil:
			message = append(message, t.equal[0].text...)
		case t.contains != nil:
			message = append(append(message, ' '), t.contains[0]...)
		default:
			return nil
		}
	}
	for _, texts := range c.allTexts {
		message = append(append(message, " . "...), texts[0]...)
	}
	texts := func(list []text) [][]byte {
		if list == nil {
			return [][]byte{nil}
		}
		var all [][]byte
		for _, t := range list[:min(len(list), maxSamples)] {
			all = append(all, []byte(t.text))
		}
		return all
	}
	phrases := c.phrases
	if phrases == nil {
		phrases = []string{""}
	}
	for _, one.ID = range texts(c.ids) {
		for _, one.Type = range texts(c.types) {
			for _, one.Subtype = range texts(c.subtypes) {
				for _, p := range phrases[:min(len(phrases), maxSamples)] {
					f := one
					f.Message = bytes.TrimSpace(append(slices.Clone(message), " . "+p...))
					all = append(all, f)
				}
			}
		}
	}
	return all
}

// maxSamples is how many texts of one condition are tried.
const maxSamples = 50
