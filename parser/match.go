package parser

import (
	"math/bits"
	"regexp"
	"slices"
)

// outcome is event.outcome; noOutcome in a rule keeps the words from being read.
type outcome uint8

const (
	unsetOutcome outcome = iota
	success
	failure
	noOutcome
)

var outcomeConstants = [...]*Constant{success: constText("success"), failure: constText("failure")}

// effects are what a rule or an action says of an event. The zero value says
// nothing.
type effects struct {
	category    Category
	hasCategory bool
	action      *action
	outcome     outcome
	kind        *Constant
	categories  *Constant
	types       *Constant
	severity    int8
	hasSeverity bool
}

// fill takes from o what e does not say yet.
func (e *effects) fill(o *effects) {
	if e.action == nil {
		e.action = o.action
	}
	if e.outcome == unsetOutcome {
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
	name       *Constant
	byCategory [NumCategories]*effects
}

// textMatch is a lower-case text, or a prefix.
type textMatch struct {
	text   string
	prefix bool
}

func (m *textMatch) matches(v []byte) bool {
	if m.prefix {
		return len(v) >= len(m.text) && string(v[:len(m.text)]) == m.text
	}
	return string(v) == m.text
}

func anyMatches(list []textMatch, v []byte) bool {
	for i := range list {
		if list[i].matches(v) {
			return true
		}
	}
	return false
}

// wordMask is a set of phrases within one word of wordHits.bits.
type wordMask struct {
	index int
	bits  uint64
}

// fieldTest is a condition on one raw key, or on the message.
type fieldTest struct {
	key      string
	id       keyID
	message  bool
	equal    []string // lower case
	contains []string // lower case
	regex    *regexp.Regexp
	exists   bool
	absent   bool
}

func (t *fieldTest) holds(ev *Event) bool {
	v, ok := ev.msg, len(ev.msg) > 0
	if !t.message {
		v, ok = ev.lookup([]byte(t.key), t.id)
	}
	switch {
	case t.absent:
		return !ok
	case !ok:
		return false
	case t.exists:
		return true
	case t.regex != nil:
		return t.regex.Match(v)
	}
	for _, s := range t.equal {
		if equalFold(v, s) {
			return true
		}
	}
	for _, s := range t.contains {
		if containsFold(v, s) {
			return true
		}
	}
	return false
}

// rule is a compiled rule: all its conditions must hold.
type rule struct {
	name, file string
	line       int
	categories uint32 // set of categories, 0 for any
	writers    writers
	types      []textMatch
	subtypes   []textMatch
	ids        []textMatch
	endpoint   int8 // 1 must have an endpoint serial, -1 must not
	any        []wordMask
	every      []wordMask
	none       []wordMask
	fields     []fieldTest
	set        effects
}

func (r *rule) holds(ev *Event) bool {
	if r.categories != 0 && r.categories&(1<<ev.Category) == 0 {
		return false
	}
	if r.any != nil && !ev.words.some(r.any) {
		return false
	}
	if r.ids != nil && !anyMatches(r.ids, ev.id) {
		return false
	}
	if r.subtypes != nil && !anyMatches(r.subtypes, ev.fieldText(EMSSubtype)) {
		return false
	}
	if r.types != nil && !anyMatches(r.types, ev.fieldText(EMSType)) {
		return false
	}
	if r.writers != 0 && r.writers&(1<<ev.by) == 0 {
		return false
	}
	if r.endpoint != 0 && (r.endpoint > 0) != ev.Set.Has(EMSEndpointSerial) {
		return false
	}
	if r.every != nil && !ev.words.all(r.every) || r.none != nil && ev.words.some(r.none) {
		return false
	}
	for i := range r.fields {
		if !r.fields[i].holds(ev) {
			return false
		}
	}
	return true
}

func (h *wordHits) some(masks []wordMask) bool {
	for _, m := range masks {
		if h.bits[m.index]&m.bits != 0 {
			return true
		}
	}
	return false
}

func (h *wordHits) all(masks []wordMask) bool {
	for _, m := range masks {
		if h.bits[m.index]&m.bits != m.bits {
			return false
		}
	}
	return true
}

// fieldText returns the text of a field that holds one, or nil.
func (ev *Event) fieldText(f Field) []byte {
	if !ev.Set.Has(f) {
		return nil
	}
	return ev.Values[f].Text
}

// ruleSet is a set of the rules of a list, by position.
type ruleSet []uint64

func (s ruleSet) add(i int) { s[i/64] |= 1 << (i % 64) }

// ruleList is rules in their order. Most rules cannot hold for most events, so
// each is filed under one condition that is cheap to look up; only the rules
// filed under what the event has are tried, in their order.
type ruleList struct {
	rules      []rule
	byCategory [NumCategories]ruleSet
	always     ruleSet   // filed under nothing
	byPhrase   []ruleSet // by number of the phrase, nil for none
	byID       textRules
	bySubtype  textRules
	byType     textRules
}

// textRules files rules under a text.
type textRules struct {
	texts []string
	sets  []ruleSet
	index *textIndex
}

func (x *textRules) find(text []byte) ruleSet {
	if x.index == nil {
		return nil
	}
	if at := x.index.find(text); at >= 0 {
		return x.sets[at]
	}
	return nil
}

// file enters rule i under all texts.
func (x *textRules) file(i, words int, list []textMatch) {
	for _, m := range list {
		at := slices.Index(x.texts, m.text)
		if at < 0 {
			at = len(x.texts)
			x.texts = append(x.texts, m.text)
			x.sets = append(x.sets, make(ruleSet, words))
		}
		x.sets[at].add(i)
	}
}

func (x *textRules) build() {
	if len(x.texts) > 0 {
		x.index = newTextIndex(x.texts)
	}
}

// exact reports whether a condition names texts, and none by its prefix.
func exact(list []textMatch) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(m textMatch) bool { return m.prefix || m.text == "" })
}

// index files the rules. phrases is the number of phrases of all rules.
func (l *ruleList) index(phrases int) {
	words := (len(l.rules) + 63) / 64
	l.always = make(ruleSet, words)
	l.byPhrase = make([]ruleSet, phrases)
	for c := range l.byCategory {
		l.byCategory[c] = make(ruleSet, words)
	}
	for i := range l.rules {
		r := &l.rules[i]
		for c := range l.byCategory {
			if r.categories == 0 || r.categories&(1<<c) != 0 {
				l.byCategory[c].add(i)
			}
		}
		switch {
		case exact(r.ids):
			l.byID.file(i, words, r.ids)
		case r.any != nil:
			l.fileUnderPhrases(i, words, r.any)
		case exact(r.subtypes):
			l.bySubtype.file(i, words, r.subtypes)
		case exact(r.types):
			l.byType.file(i, words, r.types)
		default:
			l.always.add(i)
		}
	}
	l.byID.build()
	l.bySubtype.build()
	l.byType.build()
}

func (l *ruleList) fileUnderPhrases(i, words int, masks []wordMask) {
	for _, m := range masks {
		for b := m.bits; b != 0; b &= b - 1 {
			phrase := m.index*64 + bits.TrailingZeros64(b)
			if l.byPhrase[phrase] == nil {
				l.byPhrase[phrase] = make(ruleSet, words)
			}
			l.byPhrase[phrase].add(i)
		}
	}
}

// first returns the first rule that holds, or nil.
func (l *ruleList) first(ev *Event) *rule {
	if len(l.rules) == 0 {
		return nil
	}
	sets := [...]ruleSet{l.always, l.byID.find(ev.id), l.bySubtype.find(ev.fieldText(EMSSubtype)), l.byType.find(ev.fieldText(EMSType))}
	for w, mask := range l.byCategory[ev.Category] {
		candidates := uint64(0)
		for _, s := range sets {
			if s != nil {
				candidates |= s[w]
			}
		}
		for _, phrase := range ev.words.hits {
			if s := l.byPhrase[phrase]; s != nil {
				candidates |= s[w]
			}
		}
		for candidates &= mask; candidates != 0; candidates &= candidates - 1 {
			if r := &l.rules[w*64+bits.TrailingZeros64(candidates)]; r.holds(ev) {
				return r
			}
		}
	}
	return nil
}

// Rules categorise events. Immutable, safe for concurrent use.
type Rules struct {
	words *automaton

	userCategory, builtinCategory ruleList
	userEffects, builtinEffects   ruleList

	actions         map[string]*action
	categoryEffects [NumCategories]effects

	outcomeFields []fieldTest
	outcomeValues map[string]outcome
}

// apply categorises an event whose fields are resolved.
func (rs *Rules) apply(ev *Event) {
	rs.words.scan(ev.msg, &ev.words)
	var e effects
	ev.Category = Unknown
	if ev.token >= 0 {
		ev.Category = Category(ev.token)
	}
	if r := rs.userCategory.first(ev); r != nil {
		ev.Category = r.set.category
		e = r.set
	} else if ev.token < 0 {
		if r := rs.builtinCategory.first(ev); r != nil {
			ev.Category = r.set.category
			e = r.set
		}
	}
	if r := rs.userEffects.first(ev); r != nil {
		e.fill(&r.set)
	}
	if r := rs.builtinEffects.first(ev); r != nil {
		e.fill(&r.set)
	}
	rs.fillDefaults(&e, ev.Category)
	if e.outcome == unsetOutcome {
		e.outcome = rs.readOutcome(ev)
	}
	ev.setEffects(&e)
}

// fillDefaults takes what no rule said from the action and the category.
func (rs *Rules) fillDefaults(e *effects, c Category) {
	if e.action != nil {
		if d := e.action.byCategory[c]; d != nil {
			e.fill(d)
		}
	}
	e.fill(&rs.categoryEffects[c])
}

var constEvent = constText("event")

func (ev *Event) setEffects(e *effects) {
	ev.setConst(EMSCategory, categoryConstants[ev.Category])
	if e.kind == nil {
		e.kind = constEvent
	}
	ev.setConst(EventKind, e.kind)
	if e.action != nil {
		ev.setConst(EventAction, e.action.name)
	}
	if e.outcome == success || e.outcome == failure {
		ev.setConst(EventOutcome, outcomeConstants[e.outcome])
	}
	if e.categories != nil {
		ev.setConst(EventCategory, e.categories)
	}
	if e.types != nil {
		ev.setConst(EventType, e.types)
	}
	if e.hasSeverity {
		ev.setInt(EventSeverity, int64(e.severity))
	}
}

// readOutcome reads success or failure from the line: fields first, then words,
// failure before success.
func (rs *Rules) readOutcome(ev *Event) outcome {
	for i := range rs.outcomeFields {
		f := &rs.outcomeFields[i]
		if v, ok := ev.lookup([]byte(f.key), f.id); ok {
			if o, ok := rs.outcomeValues[string(ev.lower(v))]; ok {
				return o
			}
		}
	}
	switch {
	case ev.words.failed():
		return failure
	case ev.words.success:
		return success
	}
	return noOutcome
}
