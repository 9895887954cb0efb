package parser

import (
	"bytes"
	"math/bits"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// outcome is event.outcome. In a rule noOutcome keeps fields and words from being
// read, fieldOutcome the words.
type outcome uint8

const (
	unsetOutcome outcome = iota
	success
	failure
	noOutcome
	fieldOutcome
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

// matchesFold is matches for a text of any case.
func (m *textMatch) matchesFold(v []byte) bool {
	if m.prefix {
		return hasPrefixFold(v, m.text)
	}
	return equalFold(v, m.text)
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
	key      []byte // in its written form
	id       keyID
	message  bool
	equal    []textMatch
	contains []string // lower case
	regex    *regexp.Regexp
	// What matches regex begins with this, in any case.
	regexPrefix string
	exists      bool
	absent      bool
}

// prefixOf returns the text, in lower case, that whatever matches a regular
// expression begins with. It is much cheaper to look at.
func prefixOf(re *regexp.Regexp) string {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil || tree.Op != syntax.OpConcat || len(tree.Sub) < 2 ||
		tree.Sub[0].Op != syntax.OpBeginText || tree.Sub[1].Op != syntax.OpLiteral {
		return ""
	}
	prefix := string(tree.Sub[1].Rune)
	for i := range len(prefix) {
		// Letters beyond ASCII have other forms, and some of them fold to ASCII.
		if prefix[i] >= utf8.RuneSelf || tree.Sub[1].Flags&syntax.FoldCase != 0 && (prefix[i]|0x20 == 'k' || prefix[i]|0x20 == 's') {
			prefix = prefix[:i]
			break
		}
	}
	return strings.ToLower(prefix)
}

func (t *fieldTest) holds(ev *Event) bool {
	v, ok := ev.msg, len(ev.msg) > 0
	if !t.message {
		v, ok = ev.lookup(t.key, t.id)
	}
	switch {
	case t.absent:
		return !ok
	case !ok:
		return false
	case t.exists:
		return true
	case t.regex != nil:
		return hasPrefixFold(v, t.regexPrefix) && t.regex.Match(v)
	}
	for i := range t.equal {
		if t.equal[i].matchesFold(v) {
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
	other      bool // has conditions beside categories and fields
	fields     []fieldTest
	set        effects
}

func (r *rule) holds(ev *Event) bool {
	if r.categories != 0 && r.categories&(1<<ev.Category) == 0 || r.other && !r.othersHold(ev) {
		return false
	}
	for i := range r.fields {
		if !r.fields[i].holds(ev) {
			return false
		}
	}
	return true
}

// othersHold checks the conditions beside category and fields.
func (r *rule) othersHold(ev *Event) bool {
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
	return (r.every == nil || ev.words.all(r.every)) && (r.none == nil || !ev.words.some(r.none))
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

// ruleSet is a set of the rules of a list, by position. nil is the empty set.
type ruleSet []uint64

func (s ruleSet) add(i int) { s[i/64] |= 1 << (i % 64) }

// ruleList is rules in their order. Most rules cannot hold for most events, so
// each is filed under one condition that is cheap to look up; only the rules
// filed under what the event has are tried, in their order.
type ruleList struct {
	rules      []rule
	byCategory [NumCategories]ruleSet
	always     ruleSet   // filed under nothing
	byPhrase   []ruleSet // by number of the phrase
	byFiled    []ruleSet // by number in Rules.filing
}

// filing is what of an event rules are filed under: id, subtype, type, and the
// values of those keys that rules compare as a whole or by their beginning.
type filing struct {
	keys     []keyID // of the positions from filedKeys on
	leadKeys []keyID // keys by whose first byte rules are filed
	set      keySet  // all of them
	texts    []*textIndex
	numbers  [][]int          // of the texts
	leads    []int            // numbers of the byte 0 of leadKeys
	last     int              // number given
	compiled []map[string]int // numbers by text, while rules are compiled
}

// filedAnyID is the number of having an id; those of texts and first bytes follow.
const filedAnyID = 0

// Positions of a filing.
const (
	filedID = iota
	filedSubtype
	filedType
	filedKeys
)

// position returns where a key stands in keys, at its end if it is new.
func (f *filing) position(id keyID) int {
	f.set.add(id)
	if i := slices.Index(f.keys, id); i >= 0 {
		return i
	}
	f.keys = append(f.keys, id)
	return len(f.keys) - 1
}

// lead returns the number of the byte 0 of a key.
func (f *filing) lead(id keyID) int {
	f.set.add(id)
	if i := slices.Index(f.leadKeys, id); i >= 0 {
		return f.leads[i]
	}
	number := f.last + 1
	f.last += 256
	f.leadKeys, f.leads = append(f.leadKeys, id), append(f.leads, number)
	return number
}

// number returns the number of a text at a position, a new one if it has none.
func (f *filing) number(position int, text string) int {
	for len(f.compiled) <= position {
		f.compiled = append(f.compiled, map[string]int{})
	}
	number, ok := f.compiled[position][text]
	if !ok {
		f.last++
		number = f.last
		f.compiled[position][text] = number
	}
	return number
}

// build makes the indexes of the texts. It reports whether they can hold them.
func (f *filing) build() bool {
	for position := range max(len(f.compiled), filedKeys) {
		var texts []string
		var numbers []int
		if position < len(f.compiled) {
			for text, number := range f.compiled[position] {
				texts, numbers = append(texts, text), append(numbers, number)
			}
		}
		if len(texts) > maxTexts {
			return false
		}
		f.texts, f.numbers = append(f.texts, newTextIndex(texts)), append(f.numbers, numbers)
	}
	f.compiled = nil
	return true
}

// find notes the number of a text at a position if a rule names it.
func (f *filing) find(ev *Event, position int, text []byte) {
	if at := f.texts[position].find(text); at >= 0 {
		ev.filed = append(ev.filed, f.numbers[position][at])
	}
}

// file files rule i under a number.
func (l *ruleList) file(number, i int) {
	for len(l.byFiled) <= number {
		l.byFiled = append(l.byFiled, nil)
	}
	if l.byFiled[number] == nil {
		l.byFiled[number] = make(ruleSet, l.words())
	}
	l.byFiled[number].add(i)
}

// fileUnder files rule i under all texts of a condition.
func (l *ruleList) fileUnder(f *filing, position, i int, list []textMatch) {
	for _, m := range list {
		l.file(f.number(position, m.text), i)
	}
}

// leads returns the bytes, in lower case, that a value begins with for which the
// condition holds; none when there is no telling.
func (t *fieldTest) leads() (bytes []byte) {
	if t.id == 0 || t.message {
		return nil
	}
	if t.regexPrefix != "" {
		return []byte{t.regexPrefix[0]}
	}
	for _, m := range t.equal {
		if m.text == "" {
			return nil
		}
		bytes = append(bytes, m.text[0])
	}
	return bytes
}

// words is the length of the rule sets of the list.
func (l *ruleList) words() int { return (len(l.rules) + 63) / 64 }

// exact reports whether a condition names texts, and none by its prefix.
func exact(list []textMatch) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(m textMatch) bool { return m.prefix || m.text == "" })
}

// index files the rules. phrases is the number of phrases of all rules.
func (l *ruleList) index(phrases int, f *filing) {
	words := l.words()
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
		field := slices.IndexFunc(r.fields, func(t fieldTest) bool { return t.leads() != nil && exact(t.equal) })
		lead := slices.IndexFunc(r.fields, func(t fieldTest) bool { return t.leads() != nil })
		switch {
		case exact(r.ids):
			l.fileUnder(f, filedID, i, r.ids)
		case field >= 0:
			l.fileUnder(f, filedKeys+f.position(r.fields[field].id), i, r.fields[field].equal)
		case lead >= 0:
			number := f.lead(r.fields[lead].id)
			for _, c := range r.fields[lead].leads() {
				l.file(number+int(c), i)
			}
		case r.any != nil:
			l.fileUnderPhrases(i, words, r.any)
		case exact(r.subtypes):
			l.fileUnder(f, filedSubtype, i, r.subtypes)
		case exact(r.types):
			l.fileUnder(f, filedType, i, r.types)
		case r.ids != nil && !anyMatches(r.ids, nil):
			l.file(filedAnyID, i)
		default:
			l.always.add(i)
		}
	}
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

// first returns the first rule that holds, or nil, for an event that findTexts has
// looked at.
func (l *ruleList) first(ev *Event) *rule {
	for w, mask := range l.byCategory[ev.Category] {
		if mask == 0 {
			continue
		}
		c := l.always[w]
		for _, number := range ev.filed {
			if number < len(l.byFiled) && l.byFiled[number] != nil {
				c |= l.byFiled[number][w]
			}
		}
		for _, phrase := range ev.words.hits {
			if s := l.byPhrase[phrase]; s != nil {
				c |= s[w]
			}
		}
		for c &= mask; c != 0; c &= c - 1 {
			if r := &l.rules[w*64+bits.TrailingZeros64(c)]; r.holds(ev) {
				return r
			}
		}
	}
	return nil
}

// Rules categorise events. Immutable, safe for concurrent use.
type Rules struct {
	words  *automaton
	filing filing

	userCategory, builtinCategory ruleList
	userEffects, builtinEffects   ruleList

	actions         map[string]*action
	categoryEffects [NumCategories]effects

	outcomeKeys     []keyID // in the order in which they are looked at
	outcomeKeySet   keySet
	outcomeTexts    *textIndex // values of those keys, the failures first
	outcomeFailures int        // how many of them are failures
}

// apply categorises an event whose fields are resolved.
func (rs *Rules) apply(ev *Event) {
	rs.words.scan(ev.msg, &ev.words)
	var e effects
	ev.Category = Unknown
	if ev.token >= 0 {
		ev.Category = Category(ev.token)
	}
	rs.findTexts(ev)
	byUser := false // a rule of the user has set the outcome
	if r := rs.userCategory.first(ev); r != nil {
		ev.Category = r.set.category
		e = r.set
		byUser = e.outcome != unsetOutcome
	} else if ev.token < 0 {
		if r := rs.builtinCategory.first(ev); r != nil {
			ev.Category = r.set.category
			e = r.set
		}
	}
	if r := rs.userEffects.first(ev); r != nil {
		e.fill(&r.set)
		byUser = byUser || r.set.outcome != unsetOutcome
	}
	if r := rs.builtinEffects.first(ev); r != nil {
		e.fill(&r.set)
	}
	rs.fillDefaults(&e, ev.Category)
	switch {
	case e.outcome == unsetOutcome || e.outcome == fieldOutcome:
		e.outcome = rs.readOutcome(ev, e.outcome == unsetOutcome)
	case !byUser && e.outcome != noOutcome:
		// Built-in rules go by words and ids; a field that says it is right.
		if o := rs.readOutcome(ev, false); o != noOutcome {
			e.outcome = o
		}
	}
	ev.setEffects(&e)
}

// findTexts notes the numbers of what of the event rules are filed under.
func (rs *Rules) findTexts(ev *Event) {
	f := &rs.filing
	ev.filed = ev.filed[:0]
	if len(ev.id) > 0 {
		ev.filed = append(ev.filed, filedAnyID)
		f.find(ev, filedID, ev.id)
	}
	f.find(ev, filedSubtype, ev.fieldText(EMSSubtype))
	f.find(ev, filedType, ev.fieldText(EMSType))
	if !ev.valued.hasAny(&f.set) {
		return
	}
	for i, id := range f.keys {
		if v := ev.value(id); v != nil {
			f.find(ev, filedKeys+i, ev.lower(v))
		}
	}
	for i, id := range f.leadKeys {
		if v := ev.value(id); v != nil {
			ev.filed = append(ev.filed, f.leads[i]+int(lowerCase[v[0]]))
		}
	}
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

// readOutcome reads success or failure from the line: fields first, then words if
// they are to be read, failure before success.
func (rs *Rules) readOutcome(ev *Event, words bool) outcome {
	if ev.valued.hasAny(&rs.outcomeKeySet) {
		for _, id := range rs.outcomeKeys {
			v := ev.value(id)
			if v == nil {
				continue
			}
			v = ev.lower(v)
			at := rs.outcomeTexts.find(v)
			if at < 0 {
				if i := bytes.IndexByte(v, ':'); i > 0 {
					at = rs.outcomeTexts.find(trimRight(v[:i]))
				}
			}
			switch {
			case at >= rs.outcomeFailures:
				return success
			case at >= 0:
				return failure
			}
		}
	}
	switch {
	case !words:
	case ev.words.failed():
		return failure
	case ev.words.success:
		return success
	}
	return noOutcome
}
