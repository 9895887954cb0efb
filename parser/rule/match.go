package rule

import (
	"bytes"
	"math/bits"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
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

var outcomeConstants = [...]*ecs.Constant{success: ecs.ConstText("success"), failure: ecs.ConstText("failure")}

// effects are what a rule or an action says of an event. The zero value says
// nothing.
type effects struct {
	category    dict.Category
	hasCategory bool
	action      *action
	outcome     outcome
	kind        *ecs.Constant
	categories  *ecs.Constant
	types       *ecs.Constant
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
	name       *ecs.Constant
	byCategory [dict.NumCategories]*effects
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
		return ascii.HasPrefixFold(v, m.text)
	}
	return ascii.EqualFold(v, m.text)
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
	id       dict.Key
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

func (t *fieldTest) holds(f *Facts) bool {
	v, ok := f.Message, len(f.Message) > 0
	if !t.message {
		v, ok = f.Pairs.Lookup(t.key, t.id)
	}
	switch {
	case t.absent:
		return !ok
	case !ok:
		return false
	case t.exists:
		return true
	case t.regex != nil:
		return ascii.HasPrefixFold(v, t.regexPrefix) && t.regex.Match(v)
	}
	for i := range t.equal {
		if t.equal[i].matchesFold(v) {
			return true
		}
	}
	for _, s := range t.contains {
		if ascii.ContainsFold(v, s) {
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
	sources    uint8
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

func (r *rule) holds(f *Facts, s *Scratch) bool {
	if r.categories != 0 && r.categories&(1<<s.category) == 0 || r.other && !r.othersHold(f, s) {
		return false
	}
	for i := range r.fields {
		if !r.fields[i].holds(f) {
			return false
		}
	}
	return true
}

// othersHold checks the conditions beside category and fields.
func (r *rule) othersHold(f *Facts, s *Scratch) bool {
	if r.any != nil && !s.words.some(r.any) {
		return false
	}
	if r.ids != nil && !anyMatches(r.ids, f.ID) {
		return false
	}
	if r.subtypes != nil && !anyMatches(r.subtypes, f.Subtype) {
		return false
	}
	if r.types != nil && !anyMatches(r.types, f.Type) {
		return false
	}
	if r.sources != 0 && r.sources&(1<<f.Source) == 0 {
		return false
	}
	if r.endpoint != 0 && (r.endpoint > 0) != f.Endpoint {
		return false
	}
	return (r.every == nil || s.words.all(r.every)) && (r.none == nil || !s.words.some(r.none))
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

// ruleList is rules in their order. Most rules cannot hold for most events, so
// each is filed under one condition that is cheap to look up; only the rules
// filed under what the event has are tried, in their order.
type ruleList struct {
	rules      []rule
	byCategory [dict.NumCategories][]uint64 // sets of the rules, by their position
	from       int                          // where the rules of the list begin in a set of those of all lists, in words
}

// filing is what of an event the rules of all lists are filed under: id, subtype, type,
// phrases, and the values of those keys that rules compare as a whole or by their
// beginning. All of these are numbered: the phrases first, by their own numbers, then
// having an id, then texts and first bytes.
type filing struct {
	keys     []dict.Key       // of the positions from filedKeys on
	leadKeys []dict.Key       // keys by whose first byte rules are filed
	set      dict.KeySet      // all of them
	texts    []map[string]int // numbers by text
	leads    []int            // numbers of the byte 0 of leadKeys
	anyID    int              // number of having an id

	always []uint64 // set of the rules that are filed under nothing
	under  [][]part // sets of those that are, by number
}

// part is one word of a set of rules that holds few.
type part struct {
	word int
	bits uint64
}

// newFiling returns a filing for rules with so many phrases.
func newFiling(phrases int) filing {
	return filing{anyID: phrases, under: make([][]part, phrases+1), texts: []map[string]int{{}, {}, {}}}
}

// Positions of a filing.
const (
	filedID = iota
	filedSubtype
	filedType
	filedKeys
)

// position returns where a key stands in keys, at its end if it is new.
func (f *filing) position(id dict.Key) int {
	f.set.Add(id)
	if i := slices.Index(f.keys, id); i >= 0 {
		return i
	}
	f.keys = append(f.keys, id)
	return len(f.keys) - 1
}

// lead returns the number of the byte 0 of a key.
func (f *filing) lead(id dict.Key) int {
	f.set.Add(id)
	if i := slices.Index(f.leadKeys, id); i >= 0 {
		return f.leads[i]
	}
	number := f.next(256)
	f.leadKeys, f.leads = append(f.leadKeys, id), append(f.leads, number)
	return number
}

// next returns the first of n new numbers.
func (f *filing) next(n int) int {
	number := len(f.under)
	f.under = append(f.under, make([][]part, n)...)
	return number
}

// number returns the number of a text at a position, a new one if it has none.
func (f *filing) number(position int, text string) int {
	for len(f.texts) <= position {
		f.texts = append(f.texts, map[string]int{})
	}
	number, ok := f.texts[position][text]
	if !ok {
		number = f.next(1)
		f.texts[position][text] = number
	}
	return number
}

// file files a rule, by its place in a set of all rules, under a number.
func (f *filing) file(number, rule int) {
	word, bit := rule/64, uint64(1)<<(rule%64)
	parts := f.under[number]
	if n := len(parts); n > 0 && parts[n-1].word == word {
		parts[n-1].bits |= bit
		return
	}
	f.under[number] = append(parts, part{word, bit})
}

// fileUnder files a rule under all texts of a condition.
func (f *filing) fileUnder(position, rule int, list []textMatch) {
	for _, m := range list {
		f.file(f.number(position, m.text), rule)
	}
}

// fileUnderPhrases files a rule under all phrases of masks.
func (f *filing) fileUnderPhrases(rule int, masks []wordMask) {
	for _, m := range masks {
		for b := m.bits; b != 0; b &= b - 1 {
			f.file(m.index*64+bits.TrailingZeros64(b), rule)
		}
	}
}

// add adds the rules that are filed under a number to set.
func (f *filing) add(set []uint64, number int) {
	for _, p := range f.under[number] {
		set[p.word] |= p.bits
	}
}

// addText adds the rules that are filed under a text at a position.
func (f *filing) addText(set []uint64, position int, text []byte) {
	if number, ok := f.texts[position][string(text)]; ok {
		f.add(set, number)
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

// exact reports whether a condition names texts, and none by its prefix.
func exact(list []textMatch) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(m textMatch) bool { return m.prefix || m.text == "" })
}

// index files the rules.
func (l *ruleList) index(f *filing) {
	words := (len(l.rules) + 63) / 64
	l.from = len(f.always)
	f.always = append(f.always, make([]uint64, words)...)
	for c := range l.byCategory {
		l.byCategory[c] = make([]uint64, words)
	}
	for i := range l.rules {
		r := &l.rules[i]
		for c := range l.byCategory {
			if r.categories == 0 || r.categories&(1<<c) != 0 {
				l.byCategory[c][i/64] |= 1 << (i % 64)
			}
		}
		field := slices.IndexFunc(r.fields, func(t fieldTest) bool { return t.leads() != nil && exact(t.equal) })
		lead := slices.IndexFunc(r.fields, func(t fieldTest) bool { return t.leads() != nil })
		rule := l.from*64 + i
		switch {
		case exact(r.ids):
			f.fileUnder(filedID, rule, r.ids)
		case field >= 0:
			f.fileUnder(filedKeys+f.position(r.fields[field].id), rule, r.fields[field].equal)
		case lead >= 0:
			number := f.lead(r.fields[lead].id)
			for _, c := range r.fields[lead].leads() {
				f.file(number+int(c), rule)
			}
		case r.any != nil:
			f.fileUnderPhrases(rule, r.any)
		case exact(r.subtypes):
			f.fileUnder(filedSubtype, rule, r.subtypes)
		case exact(r.types):
			f.fileUnder(filedType, rule, r.types)
		case r.ids != nil && !anyMatches(r.ids, nil):
			f.file(f.anyID, rule)
		default:
			f.always[rule/64] |= 1 << (rule % 64)
		}
	}
}

// first returns the first rule that holds, or nil, for an event whose candidates are
// found.
func (l *ruleList) first(f *Facts, s *Scratch) *rule {
	for w, mask := range l.byCategory[s.category] {
		for c := s.candidates[l.from+w] & mask; c != 0; c &= c - 1 {
			if r := &l.rules[w*64+bits.TrailingZeros64(c)]; r.holds(f, s) {
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
	categoryEffects [dict.NumCategories]effects

	outcomeKeys   []dict.Key // in the order in which they are looked at
	outcomeKeySet dict.KeySet
	outcomeTexts  map[string]outcome // of the values of those keys
}

// Decide categorises.
func (rs *Rules) Decide(f *Facts, s *Scratch) Decision {
	rs.words.scan(f.Message, &s.words)
	var e effects
	s.category = dict.Unknown
	if f.Token >= 0 {
		s.category = dict.Category(f.Token)
	}
	rs.findCandidates(f, s)
	byUser := false // a rule of the user has set the outcome
	if r := rs.userCategory.first(f, s); r != nil {
		s.category = r.set.category
		e = r.set
		byUser = e.outcome != unsetOutcome
	} else if f.Token < 0 {
		if r := rs.builtinCategory.first(f, s); r != nil {
			s.category = r.set.category
			e = r.set
		}
	}
	if r := rs.userEffects.first(f, s); r != nil {
		e.fill(&r.set)
		byUser = byUser || r.set.outcome != unsetOutcome
	}
	if r := rs.builtinEffects.first(f, s); r != nil {
		e.fill(&r.set)
	}
	rs.fillDefaults(&e, s.category)
	switch {
	case e.outcome == unsetOutcome || e.outcome == fieldOutcome:
		e.outcome = rs.readOutcome(f, s, e.outcome == unsetOutcome)
	case !byUser && e.outcome != noOutcome:
		// Built-in rules go by words and ids; a field that says it is right.
		if o := rs.readOutcome(f, s, false); o != noOutcome {
			e.outcome = o
		}
	}
	return Decision{Category: s.category, e: e}
}

// findCandidates finds the rules, of all lists, that are filed under what the event has.
func (rs *Rules) findCandidates(f *Facts, s *Scratch) {
	x := &rs.filing
	if len(s.candidates) != len(x.always) {
		s.candidates = make([]uint64, len(x.always)) // the first event with these rules
	}
	set := s.candidates
	copy(set, x.always)
	for _, phrase := range s.words.hits {
		x.add(set, int(phrase))
	}
	if len(f.ID) > 0 {
		x.add(set, x.anyID)
		x.addText(set, filedID, f.ID)
	}
	x.addText(set, filedSubtype, f.Subtype)
	x.addText(set, filedType, f.Type)
	if !f.Pairs.AnyNonEmpty(&x.set) {
		return
	}
	for i, k := range x.keys {
		if v := f.Pairs.Value(k); v != nil {
			x.addText(set, filedKeys+i, s.lower(v))
		}
	}
	for i, k := range x.leadKeys {
		if v := f.Pairs.Value(k); v != nil {
			x.add(set, x.leads[i]+int(ascii.Lower(v[0])))
		}
	}
}

// fillDefaults takes what no rule said from the action and the category.
func (rs *Rules) fillDefaults(e *effects, c dict.Category) {
	if e.action != nil {
		if d := e.action.byCategory[c]; d != nil {
			e.fill(d)
		}
	}
	e.fill(&rs.categoryEffects[c])
}

var constEvent = ecs.ConstText("event")

var categoryConstants = func() (c [dict.NumCategories]*ecs.Constant) {
	for i, n := range dict.CategoryNames() {
		c[i] = ecs.ConstText(n)
	}
	return c
}()

// Apply sets the fields.
func (d *Decision) Apply(r *ecs.Record) {
	e := &d.e
	r.SetConst(ecs.EMSCategory, categoryConstants[d.Category])
	if e.kind == nil {
		e.kind = constEvent
	}
	r.SetConst(ecs.EventKind, e.kind)
	if e.action != nil {
		r.SetConst(ecs.EventAction, e.action.name)
	}
	if e.outcome == success || e.outcome == failure {
		r.SetConst(ecs.EventOutcome, outcomeConstants[e.outcome])
	}
	if e.categories != nil {
		r.SetConst(ecs.EventCategory, e.categories)
	}
	if e.types != nil {
		r.SetConst(ecs.EventType, e.types)
	}
	if e.hasSeverity {
		r.SetInt(ecs.EventSeverity, int64(e.severity))
	}
}

// readOutcome reads success or failure from the line: fields first, then words if
// they are to be read, failure before success.
func (rs *Rules) readOutcome(f *Facts, s *Scratch, words bool) outcome {
	if f.Pairs.AnyNonEmpty(&rs.outcomeKeySet) {
		for _, k := range rs.outcomeKeys {
			v := f.Pairs.Value(k)
			if v == nil {
				continue
			}
			v = s.lower(v)
			o, ok := rs.outcomeTexts[string(v)]
			if !ok {
				if i := bytes.IndexByte(v, ':'); i > 0 {
					o, ok = rs.outcomeTexts[string(ascii.TrimRight(v[:i]))]
				}
			}
			if ok {
				return o
			}
		}
	}
	switch {
	case !words:
	case s.words.failed():
		return failure
	case s.words.success:
		return success
	}
	return noOutcome
}

// Facts of a line.
type Facts struct {
	Source                     dict.Source
	Token                      dict.Token
	ID, Type, Subtype, Message []byte
	Endpoint                   bool
	Pairs                      *line.Pairs
}

// Scratch memory.
type Scratch struct {
	words      wordHits
	category   dict.Category
	candidates []uint64
	buf        []byte
}

func (s *Scratch) lower(v []byte) []byte {
	if !ascii.HasUpper(v) {
		return v
	}
	s.buf = s.buf[:0]
	for _, c := range v {
		s.buf = append(s.buf, ascii.Lower(c))
	}
	return s.buf
}

// Decision on a line.
type Decision struct {
	Category dict.Category
	e        effects
}
