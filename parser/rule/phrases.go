package rule

import (
	"errors"
	"fmt"
	"maps"
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
	flags   []flag         // of the lists that have a phrase ending here
	outcome []outcomeMatch // outcome phrases that end here
}

const (
	outputBit = 1 << 15
	maxStates = outputBit - 1
)

var errTooManyPhrases = errors.New("too many or too long words in the rules")

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

// newAutomaton returns the automaton of phrases in read form: those of lists, with their
// flags, and those that the outcome is read from.
func newAutomaton(lists flags, outcome map[string]outcomeRole) (*automaton, error) {
	texts := slices.AppendSeq(slices.Collect(maps.Keys(lists)), maps.Keys(outcome))
	slices.Sort(texts)
	a := &automaton{}
	a.setClasses(texts)
	a.addState()
	for _, text := range slices.Compact(texts) {
		at := 0
		for i := range len(text) {
			next := &a.next[at*a.classes+int(a.class[text[i]])]
			if at = int(*next); at == 0 { // no text begins like this yet
				if at = len(a.outputs); at >= maxStates {
					return nil, errTooManyPhrases
				}
				*next = uint16(at)
				a.addState()
			}
		}
		a.outputs[at].flags = lists[text]
		if role := outcome[text]; role != 0 {
			a.outputs[at].outcome = []outcomeMatch{{int32(len(text)), role}}
		}
	}
	a.link()
	return a, nil
}

func (a *automaton) addState() {
	a.next = append(a.next, make([]uint16, a.classes)...)
	a.outputs = append(a.outputs, output{})
}

// link makes each state without a next one for a class go where its suffix goes, and adds
// the outputs of the suffix. Breadth first: a suffix is done before what it ends.
func (a *automaton) link() {
	suffix := make([]int, len(a.outputs)) // the state of the longest one
	for queue := []int{0}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if o, more := &a.outputs[at], &a.outputs[suffix[at]]; at != 0 {
			o.flags = slices.Concat(o.flags, more.flags)
			o.outcome = slices.Concat(o.outcome, more.outcome)
		}
		for c := range a.classes {
			next, fallback := &a.next[at*a.classes+c], 0
			if at != 0 {
				fallback = int(a.next[suffix[at]*a.classes+c])
			}
			if *next == 0 {
				*next = uint16(fallback)
				continue
			}
			suffix[*next] = fallback
			queue = append(queue, int(*next))
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

// scan adds the phrases in msg to s. Linear in the message.
func (a *automaton) scan(msg []byte, s *Scratch) {
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
			s.add(&a.outputs[state], pos)
		}
		pos++
	}
	if last != 0 {
		if state = int(next[state*classes]); state&outputBit != 0 {
			s.add(&a.outputs[state&^outputBit], pos)
		}
	}
}
