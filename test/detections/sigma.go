// Package detections checks the Sigma rules of conf/detections: their form, the
// fields they read, and what they find in the corpus. It evaluates the part of Sigma
// 2 that the rules use, in process, without a search server.
package detections

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// rule is a detection rule or a correlation of rules.
type rule struct {
	Title          string            `yaml:"title"`
	ID             string            `yaml:"id"`
	Name           string            `yaml:"name"`
	Status         string            `yaml:"status"`
	Description    string            `yaml:"description"`
	Author         string            `yaml:"author"`
	Date           string            `yaml:"date"`
	License        string            `yaml:"license"`
	References     []string          `yaml:"references"`
	Tags           []string          `yaml:"tags"`
	Logsource      map[string]string `yaml:"logsource"`
	Detection      map[string]any    `yaml:"detection"`
	Correlation    *correlation      `yaml:"correlation"`
	Fields         []string          `yaml:"fields"`
	FalsePositives []string          `yaml:"falsepositives"`
	Level          string            `yaml:"level"`
}

type correlation struct {
	Type      string   `yaml:"type"`
	Rules     []string `yaml:"rules"`
	GroupBy   []string `yaml:"group-by"`
	Timespan  string   `yaml:"timespan"`
	Condition struct {
		Field string `yaml:"field"`
		GTE   int    `yaml:"gte"`
	} `yaml:"condition"`
}

// load reads the documents of a file. Keys that Sigma does not have are errors.
func load(file string) ([]rule, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	var rules []rule
	for {
		var r rule
		switch err := dec.Decode(&r); {
		case errors.Is(err, io.EOF):
			return rules, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		rules = append(rules, r)
	}
}

// record is an event: the values of each field by its dotted name.
type record struct {
	at     time.Time
	fields map[string][]string
}

// match evaluates the condition of a detection rule.
func (r *rule) match(ev record) (bool, error) {
	text, _ := r.Detection["condition"].(string)
	p := &condition{rule: r, ev: ev, tokens: strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(text))}
	ok, err := p.or()
	if err == nil && len(p.tokens) > 0 {
		err = fmt.Errorf("condition %q: unexpected %q", text, p.tokens)
	}
	return ok, err
}

// condition is a parser by recursive descent: or, and, not, brackets, N of.
type condition struct {
	rule   *rule
	ev     record
	tokens []string
}

func (c *condition) take(word string) bool {
	if len(c.tokens) == 0 || c.tokens[0] != word {
		return false
	}
	c.tokens = c.tokens[1:]
	return true
}

func (c *condition) or() (bool, error) {
	ok, err := c.and()
	for err == nil && c.take("or") {
		var more bool
		more, err = c.and()
		ok = ok || more
	}
	return ok, err
}

func (c *condition) and() (bool, error) {
	ok, err := c.term()
	for err == nil && c.take("and") {
		var more bool
		more, err = c.term()
		ok = ok && more
	}
	return ok, err
}

func (c *condition) term() (bool, error) {
	switch {
	case c.take("not"):
		ok, err := c.term()
		return !ok, err
	case c.take("("):
		ok, err := c.or()
		if err == nil && !c.take(")") {
			err = errors.New("condition: a bracket is open")
		}
		return ok, err
	case len(c.tokens) == 0:
		return false, errors.New("condition: ends too early")
	}
	word := c.tokens[0]
	c.tokens = c.tokens[1:]
	if (word == "1" || word == "all") && c.take("of") && len(c.tokens) > 0 {
		pattern := c.tokens[0]
		c.tokens = c.tokens[1:]
		return c.of(word, pattern)
	}
	return c.selection(word)
}

// of is "1 of x_*" and "all of x_*".
func (c *condition) of(quantity, pattern string) (bool, error) {
	found, hits := 0, 0
	for name := range c.rule.Detection {
		if ok, err := path.Match(pattern, name); err != nil {
			return false, err
		} else if !ok || name == "condition" {
			continue
		}
		found++
		ok, err := c.selection(name)
		if err != nil {
			return false, err
		}
		if ok {
			hits++
		}
	}
	if found == 0 {
		return false, fmt.Errorf("condition: no selection matches %s", pattern)
	}
	return hits == found || quantity == "1" && hits > 0, nil
}

// selection holds if every line of it holds.
func (c *condition) selection(name string) (bool, error) {
	lines, ok := c.rule.Detection[name].(map[string]any)
	if !ok {
		return false, fmt.Errorf("condition: no selection %q", name)
	}
	for key, want := range lines {
		field, modifier, _ := strings.Cut(key, "|")
		list, ok := want.([]any)
		if !ok {
			list = []any{want}
		}
		hit := slices.ContainsFunc(c.ev.fields[field], func(have string) bool {
			return slices.ContainsFunc(list, func(w any) bool { return compare(modifier, have, fmt.Sprint(w)) })
		})
		if modifier != "" && modifier != "contains" {
			return false, fmt.Errorf("%s: modifier %q is not known here", name, modifier)
		}
		if !hit {
			return false, nil
		}
	}
	return true, nil
}

// compare is case-insensitive, as Sigma is.
func compare(modifier, have, want string) bool {
	have, want = strings.ToLower(have), strings.ToLower(want)
	if modifier == "contains" {
		return strings.Contains(have, want)
	}
	return have == want
}

// alert is a moment at which a rule or correlation holds, for one group.
type alert struct {
	at    time.Time
	group string
	value string // of the field that value_count counts
}

// alerts returns the alerts of the named rule for events in order of time. group and
// count are the fields of the correlation that refers to it.
func alerts(rules map[string]*rule, name string, events []record, group []string, count string) ([]alert, error) {
	r := rules[name]
	if r == nil {
		return nil, fmt.Errorf("no rule %q", name)
	}
	if r.Correlation == nil {
		var found []alert
		for _, ev := range events {
			ok, err := r.match(ev)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if ok {
				found = append(found, alert{ev.at, key(ev, group), key(ev, []string{count})})
			}
		}
		return found, nil
	}
	c := r.Correlation
	span, err := time.ParseDuration(c.Timespan)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	parts := make([][]alert, len(c.Rules))
	for i, part := range c.Rules {
		if parts[i], err = alerts(rules, part, events, c.GroupBy, c.Condition.Field); err != nil {
			return nil, err
		}
	}
	switch c.Type {
	case "event_count", "value_count":
		return counted(c, slices.Concat(parts...), span), nil
	case "temporal_ordered":
		return ordered(parts, span), nil
	}
	return nil, fmt.Errorf("%s: correlation %q is not known here", name, c.Type)
}

func key(ev record, fields []string) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(strings.Join(ev.fields[f], ","))
		b.WriteByte(0)
	}
	return b.String()
}

// counted returns an alert wherever the timespan ending with an event has enough events,
// or enough different values.
func counted(c *correlation, from []alert, span time.Duration) (found []alert) {
	for _, last := range from {
		n, seen := 0, map[string]bool{}
		for _, a := range from {
			if a.group != last.group || a.at.After(last.at) || last.at.Sub(a.at) > span {
				continue
			}
			if c.Type == "event_count" || !seen[a.value] {
				n++
			}
			seen[a.value] = true
		}
		if n >= c.Condition.GTE {
			found = append(found, last)
		}
	}
	return found
}

// ordered returns the alerts of the last rule that the other rules precede in order.
func ordered(parts [][]alert, span time.Duration) (found []alert) {
	for _, last := range parts[len(parts)-1] {
		at, ok := last.at, true
		for _, part := range slices.Backward(parts[:len(parts)-1]) {
			var before time.Time
			for _, a := range part {
				if a.group == last.group && a.at.Before(at) && last.at.Sub(a.at) <= span && a.at.After(before) {
					before = a.at
				}
			}
			at, ok = before, ok && !before.IsZero()
		}
		if ok {
			found = append(found, last)
		}
	}
	return found
}
