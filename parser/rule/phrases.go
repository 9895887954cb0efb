package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
)

// automaton finds all phrases of all rules in one pass over a message, whatever their
// number (Aho and Corasick, "Efficient string matching", 1975).
//
// The message is read in lower case with every run of bytes that are not letters or
// digits as one boundary; bytes above 0x7F are letters. Immutable once built.
type automaton struct {
	class   [256]uint8 // of a message byte; a boundary is 0
	classes int
	next    []uint16 // by state*classes + class; outputBit is set if the next state has outputs
	outputs []output // by state
}

// output is what is known when a state is reached.
type output struct {
	flags   flagSet        // of the lists that have a phrase ending here
	outcome []outcomeMatch // outcome phrases that end here
}

const (
	outputBit = 1 << 15
	maxStates = outputBit - 1
)

var errTooManyPhrases = errors.New("too many or too long words in the rules")

// phraseSet collects phrases and builds the automaton.
type phraseSet struct {
	flags   map[string]flag     // of lists, by their texts
	lists   map[string]*flagSet // flags of the lists that have a text, by its read form
	outcome map[string]outcomeRole
}

// add enters a list of phrases and returns its flag, next if the list is new. "fail*" is a
// prefix.
func (s *phraseSet) add(phrases []string, next flag) (flag, error) {
	var texts []string
	for _, p := range phrases {
		text, err := readForm(p)
		if err != nil {
			return never, err
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)
	list := strings.Join(texts, "|") // no text contains it
	if f, ok := s.flags[list]; ok {
		return f, nil
	}
	if s.flags == nil {
		s.flags, s.lists = map[string]flag{}, map[string]*flagSet{}
	}
	s.flags[list] = next
	for _, t := range texts {
		if s.lists[t] == nil {
			s.lists[t] = &flagSet{}
		}
		s.lists[t].add(next)
	}
	return next, nil
}

// addOutcome enters a phrase that the outcome is read from.
func (s *phraseSet) addOutcome(phrase string, role outcomeRole) error {
	text, err := readForm(phrase)
	if err != nil {
		return err
	}
	if s.outcome == nil {
		s.outcome = map[string]outcomeRole{}
	}
	s.outcome[text] |= role
	return nil
}

// readForm returns a phrase as the automaton reads messages.
func readForm(phrase string) (string, error) {
	words, prefix := strings.CutSuffix(phrase, "*")
	b := []byte{' '}
	for i := range len(words) {
		switch c := words[i]; {
		case dict.IsWordByte(c):
			b = append(b, ascii.Lower(c))
		case b[len(b)-1] != ' ':
			b = append(b, ' ')
		}
	}
	switch {
	case len(b) == 1:
		return "", fmt.Errorf("%q has no letter or digit", phrase)
	case b[len(b)-1] == ' ' && prefix:
		b = b[:len(b)-1]
	case b[len(b)-1] != ' ' && !prefix:
		b = append(b, ' ')
	}
	return string(b), nil
}

// build returns the automaton of the phrases.
func (s *phraseSet) build() (*automaton, error) {
	var texts []string
	for t := range s.lists {
		texts = append(texts, t)
	}
	for t := range s.outcome {
		texts = append(texts, t)
	}
	slices.Sort(texts)
	texts = slices.Compact(texts)

	a := &automaton{}
	a.setClasses(texts)
	t := newTrie()
	for _, text := range texts {
		end, err := t.add(text, &a.class)
		if err != nil {
			return nil, err
		}
		if flags := s.lists[text]; flags != nil {
			end.out.flags = slices.Clone(*flags)
		}
		if role := s.outcome[text]; role != 0 {
			end.out.outcome = []outcomeMatch{{int32(len(text)), role}}
		}
	}
	t.link(a)
	return a, nil
}

// trie is the automaton while it is built.
type trie struct{ nodes []*trieNode }

type trieNode struct {
	next map[uint8]int
	out  output
	fail int
}

func newTrie() *trie { return &trie{[]*trieNode{{next: map[uint8]int{}}}} }

// add enters a text and returns the node it ends at.
func (t *trie) add(text string, class *[256]uint8) (*trieNode, error) {
	at := 0
	for i := range len(text) {
		c := class[text[i]]
		to, ok := t.nodes[at].next[c]
		if !ok {
			if to = len(t.nodes); to >= maxStates {
				return nil, errTooManyPhrases
			}
			t.nodes = append(t.nodes, &trieNode{next: map[uint8]int{}})
			t.nodes[at].next[c] = to
		}
		at = to
	}
	return t.nodes[at], nil
}

// link fills the transitions and outputs of a, breadth first: the failure link of a node
// is done before the node.
func (t *trie) link(a *automaton) {
	a.next = make([]uint16, len(t.nodes)*a.classes)
	a.outputs = make([]output, len(t.nodes))
	for queue := []int{0}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		n := t.nodes[at]
		if at != 0 {
			n.out.flags.addAll(t.nodes[n.fail].out.flags)
			n.out.outcome = append(n.out.outcome, t.nodes[n.fail].out.outcome...)
		}
		a.outputs[at] = n.out
		for c := range a.classes {
			fallback := 0
			if at != 0 {
				fallback = int(a.next[n.fail*a.classes+c])
			}
			to, ok := n.next[uint8(c)]
			if ok {
				t.nodes[to].fail = fallback
				queue = append(queue, to)
			} else {
				to = fallback
			}
			a.next[at*a.classes+c] = uint16(to)
		}
	}
	for i, to := range a.next {
		if o := &a.outputs[to]; o.flags != nil || o.outcome != nil {
			a.next[i] |= outputBit
		}
	}
}

// setClasses gives each byte that the texts use a class of its own; letters and digits
// that none uses share one.
func (a *automaton) setClasses(texts []string) {
	const other = 1
	a.classes = other + 1
	var used [256]bool
	for _, t := range texts {
		for i := range len(t) {
			used[t[i]] = true
		}
	}
	for i := range a.class {
		c := byte(i)
		switch {
		case !dict.IsWordByte(c): // a boundary
		case !used[ascii.Lower(c)]:
			a.class[c] = other
		case ascii.Lower(c) == c:
			a.class[c] = uint8(a.classes)
			a.classes++
		}
	}
	for c := byte('A'); c <= 'Z'; c++ {
		a.class[c] = a.class[ascii.Lower(c)]
	}
}

// scan adds the phrases in msg to h. Linear in the message.
func (a *automaton) scan(msg []byte, h *hits) {
	next, classes := a.next, a.classes
	state := int(next[0]) // after the boundary before the message
	pos, last := int32(1), uint8(0)
	for _, b := range msg {
		c := a.class[b]
		if c|last == 0 {
			continue // within a boundary
		}
		last = c
		if state = int(next[state*classes+int(c)]); state&outputBit != 0 {
			state &^= outputBit
			h.add(&a.outputs[state], pos)
		}
		pos++
	}
	if last != 0 {
		if state = int(next[state*classes]); state&outputBit != 0 {
			h.add(&a.outputs[state&^outputBit], pos)
		}
	}
}
