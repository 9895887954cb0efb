package rule

import (
	"math/bits"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
)

// conditions must all hold. Those of newConditions hold for every line.
type conditions struct {
	categories uint32     // set of categories, 0 for any; a rule is only in the lists of these
	sources    uint8      // set of sources, 0 for any
	tokens     uint8      // set of tokenKinds, 0 for any
	endpoint   int8       // 1 for a line with an endpoint serial, -1 for one without
	phrases    []string   // in read form; one of these is in the message
	words      flag       // set if one of phrases is
	notWords   flag       // none of these
	allWords   []flag     // all of these
	allTexts   [][]string // in read form; the lists of allWords, for Explain
	ids        []text
	types      []text
	subtypes   []text
	fields     []fieldTest // on raw keys
	message    []fieldTest // on the message
}

func newConditions() conditions { return conditions{words: always, notWords: never} }

// hold reports whether the conditions hold: cheap ones first, the message last.
func (c *conditions) hold(rs *Rules, f *Facts, s *Scratch) bool {
	if c.sources != 0 && c.sources&(1<<f.Source) == 0 ||
		c.tokens != 0 && (f.Token >= 0 || c.tokens&(1<<(f.Token-dict.NoToken)) == 0) ||
		c.endpoint != 0 && (c.endpoint > 0) != f.Endpoint ||
		c.ids != nil && !anyEqual(c.ids, f.ID) ||
		c.types != nil && !anyEqual(c.types, f.Type) ||
		c.subtypes != nil && !anyEqual(c.subtypes, f.Subtype) {
		return false
	}
	for i := range c.fields {
		t := &c.fields[i]
		if v, ok := f.Pairs.Lookup(t.name, t.key); !t.holds(v, ok) {
			return false
		}
	}
	if c.needsWords() {
		s.scan(rs, f)
		if !s.has(c.words) || s.has(c.notWords) {
			return false
		}
		for _, w := range c.allWords {
			if !s.has(w) {
				return false
			}
		}
	}
	for i := range c.message {
		if !c.message[i].holds(f.Message, len(f.Message) > 0) {
			return false
		}
	}
	return true
}

func (c *conditions) needsWords() bool {
	return c.words != always || c.notWords != never || c.allWords != nil
}

// text is a lower-case text, or the beginning of one.
type text struct {
	text   string
	prefix bool
}

func anyEqual(list []text, lower []byte) bool {
	for i := range list {
		t := &list[i]
		if string(lower) == t.text || t.prefix && len(lower) >= len(t.text) && string(lower[:len(t.text)]) == t.text {
			return true
		}
	}
	return false
}

// fieldTest is a condition on the value of one raw key, or on the message.
type fieldTest struct {
	name     []byte // of the key, in its written form
	key      dict.Key
	equal    []text
	contains []string // lower case
	regex    []regexTest
	exists   bool
	absent   bool
}

// regexTest is a regular expression. Whatever matches it begins with prefix, in any case,
// which is much cheaper to look at.
type regexTest struct {
	*regexp.Regexp
	prefix string
}

// prefixOf returns the text, in lower case, that whatever matches re begins with.
func prefixOf(re *regexp.Regexp) string {
	tree, err := syntax.Parse(re.String(), syntax.Perl)
	if err != nil || tree.Op != syntax.OpConcat || len(tree.Sub) < 2 ||
		tree.Sub[0].Op != syntax.OpBeginText || tree.Sub[1].Op != syntax.OpLiteral {
		return ""
	}
	prefix := string(tree.Sub[1].Rune)
	for i := range len(prefix) {
		// Letters beyond ASCII have other forms, and some of them fold to k and s.
		if prefix[i] >= utf8.RuneSelf || tree.Sub[1].Flags&syntax.FoldCase != 0 && (prefix[i]|0x20 == 'k' || prefix[i]|0x20 == 's') {
			prefix = prefix[:i]
			break
		}
	}
	return strings.ToLower(prefix)
}

// holds reports whether the condition holds for a value, or for none if ok is false.
func (t *fieldTest) holds(v []byte, ok bool) bool {
	if t.absent || !ok {
		return t.absent && !ok
	}
	if t.exists {
		return true
	}
	for i := range t.equal {
		if e := &t.equal[i]; e.prefix && ascii.HasPrefixFold(v, e.text) || ascii.EqualFold(v, e.text) {
			return true
		}
	}
	for _, s := range t.contains {
		if ascii.ContainsFold(v, s) {
			return true
		}
	}
	for _, re := range t.regex {
		if ascii.HasPrefixFold(v, re.prefix) && re.Match(v) {
			return true
		}
	}
	return false
}

// list holds rules in their order; the first that holds wins.
type list []group

// group holds rules that share conditions. A rule may hold only for lines with a flag of its
// own, so that most rules are ruled out 64 at a time.
type group struct {
	when       conditions
	bare       bool // when is empty
	needs      flag // that every line has for which when holds
	rules      []*Rule
	first      int                           // word of Scratch.flags with the flag of the first rule
	flagged    []uint64                      // set of the rules with an own flag
	always     []uint64                      // set of the others
	only       *[dict.NumCategories][]uint64 // sets of the rules of a category; nil for all in each
	look, scan bool                          // a flag is that of values; of phrases
}

func newGroup() group { return group{when: newConditions(), bare: true, needs: always} }

// add adds a group, to the last one if neither has conditions.
func (l *list) add(g group) {
	if n := len(*l); n > 0 && g.bare && (*l)[n-1].bare {
		(*l)[n-1].rules = append((*l)[n-1].rules, g.rules...)
		return
	}
	*l = append(*l, g)
}

// first returns the first rule of a category that holds, or nil.
func (l list) first(cat dict.Category, rs *Rules, f *Facts, s *Scratch) *Rule {
	for i := range l {
		g := &l[i]
		if g.look {
			s.look(rs, f)
		}
		if !g.bare && (!s.has(g.needs) || !g.when.hold(rs, f, s)) {
			continue
		}
		if g.scan {
			s.scan(rs, f)
		}
		for word, set := range g.always {
			set |= s.flags[g.first+word] & g.flagged[word]
			if g.only != nil {
				set &= g.only[cat][word]
			}
			for ; set != 0; set &= set - 1 {
				if r := g.rules[word*64+bits.TrailingZeros64(set)]; r.when.hold(rs, f, s) {
					return r
				}
			}
		}
	}
	return nil
}
