// Package rule decides what a line means: its category, and event.action, outcome, kind,
// category, type and severity.
//
// Rules are data: the built-in ones are the YAML files of parser/rules, a user's file runs
// before them. parser/README.md describes their format. The package sees [Facts] and
// returns a [Decision]; it knows nothing of headers, fields or records.
package rule

import (
	"slices"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
)

// Facts are what rules see of a line. All bytes stay the caller's.
type Facts struct {
	Source        dict.Source
	Token         dict.Token
	ID            []byte // id, logid or log_id as sent
	Type, Subtype []byte // in lower case
	Message       []byte
	Endpoint      bool // the line has the serial of an endpoint
	Pairs         *line.Pairs
}

// Decision is what the rules say of a line. A nil constant is a field that the event does
// not have. The constants are shared and must not be changed.
type Decision struct {
	Category      dict.Category
	Action        *ecs.Constant
	Outcome       *ecs.Constant // success or failure
	Kind          *ecs.Constant // never nil
	EventCategory *ecs.Constant
	EventType     *ecs.Constant
	Severity      int8 // syslog severity, 0 to 7, or NoSeverity

	CategoryRule *Rule // set the category; nil if the token of the line did or no rule holds
	UserRule     *Rule // the user's rule for what is left open; nil if none holds
	EffectRule   *Rule // the built-in rule for what is then left open; nil if none holds
}

// NoSeverity is the Severity of a decision that sets none.
const NoSeverity = -1

// Rule is one rule of a file.
type Rule struct {
	Name, File string
	Line       int // from 1
	// Evidence is what a built-in rule rests on: sample (a real line), doc (the vendor's
	// documentation), article (the published description of the log types) or inferred.
	Evidence string
	// Example is the body of a line that a built-in rule decides.
	Example string
	// Category is the one that the rule sets, or that of the file it is in.
	Category dict.Category

	when conditions
	set  effects
}

// Rules categorise lines. Immutable, safe for concurrent use.
type Rules struct {
	phrases              *automaton
	ids, types, subtypes values
	keys                 []keyValues
	keySet               dict.KeySet // of keys
	flags                flag        // number of flags
	outcome              outcomeRules

	userCategory, userEffects list
	detect                    list                     // for lines without a token
	effects                   [dict.NumCategories]list // by the category decided

	all        []*Rule // built-in rules in the order of their files, then the user's
	categories [dict.NumCategories]categoryRow
	actions    []*action
}

// Decide applies the rules to a line. It does not allocate once s has grown.
func (rs *Rules) Decide(f *Facts, s *Scratch) (d Decision) {
	s.begin(rs)
	category, named := f.Token.Category()
	var e effects
	byUser := false // the user's rules set the outcome
	if r := rs.userCategory.first(category, rs, f, s); r != nil {
		d.CategoryRule, e = r, r.set
		byUser = e.outcome != unset
	} else if !named {
		if r := rs.detect.first(category, rs, f, s); r != nil {
			d.CategoryRule, e = r, r.set
		}
	}
	if d.CategoryRule != nil {
		category = d.CategoryRule.Category
	}
	if d.UserRule = rs.userEffects.first(category, rs, f, s); d.UserRule != nil {
		byUser = byUser || d.UserRule.set.outcome != unset
		e.fill(&d.UserRule.set)
	}
	if d.EffectRule = rs.effects[category].first(category, rs, f, s); d.EffectRule != nil {
		e.fill(&d.EffectRule.set)
	}
	rs.fillDefaults(&e, category)

	d.Category, d.Kind, d.EventCategory, d.EventType = category, e.kind, e.categories, e.types
	if d.Kind == nil {
		d.Kind = constEvent
	}
	if e.action != nil {
		d.Action = e.action.name
	}
	d.Severity = NoSeverity
	if e.hasSeverity {
		d.Severity = e.severity
	}
	d.Outcome = outcomeConstants[rs.decideOutcome(e.outcome, byUser, f, s)]
	return d
}

// fillDefaults takes what no rule set from the action and the category.
func (rs *Rules) fillDefaults(e *effects, c dict.Category) {
	if e.action != nil {
		if d := e.action.byCategory[c]; d != nil {
			e.fill(d)
		}
	}
	e.fill(&rs.categories[c].effects)
}

var constEvent = ecs.ConstText("event")

// effects are what a rule or an action sets. The zero value sets nothing.
type effects struct {
	action      *action
	outcome     outcome
	kind        *ecs.Constant
	categories  *ecs.Constant
	types       *ecs.Constant
	severity    int8
	hasSeverity bool
}

// fill takes from o what e does not set yet.
func (e *effects) fill(o *effects) {
	if e.action == nil {
		e.action = o.action
	}
	if e.outcome == unset {
		e.outcome = o.outcome
	}
	if e.kind == nil {
		e.kind = o.kind
	}
	if e.categories == nil {
		e.categories = o.categories
	}
	if e.types == nil {
		e.types = o.types
	}
	if !e.hasSeverity {
		e.severity, e.hasSeverity = o.severity, o.hasSeverity
	}
}

// action is one value of event.action with its defaults by category.
type action struct {
	name       *ecs.Constant
	byCategory [dict.NumCategories]*effects
}

// categoryRow is a category with its defaults.
type categoryRow struct {
	covers  string
	effects effects
}

// CategoryInfo describes a category for documentation.
type CategoryInfo struct {
	Category dict.Category
	Covers   string
	Actions  []string // that have a meaning there, in alphabetical order
}

// Categories describes all categories, Unknown last.
func (rs *Rules) Categories() (rows []CategoryInfo) {
	for i := range dict.NumCategories {
		c := (i + 1) % dict.NumCategories
		row := CategoryInfo{Category: c, Covers: rs.categories[c].covers}
		for _, a := range rs.actions {
			if a.byCategory[c] != nil {
				row.Actions = append(row.Actions, a.name.Texts[0])
			}
		}
		slices.Sort(row.Actions)
		rows = append(rows, row)
	}
	return rows
}

// All returns the built-in rules in the order of their files, then the user's. The caller
// must not change them.
func (rs *Rules) All() []*Rule { return rs.all }
