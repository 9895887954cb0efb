package rule

import (
	"errors"
	"fmt"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
)

// phraseRole tells what a phrase in a message means beside being looked for by
// rules.
type phraseRole uint8

const (
	roleFailure phraseRole = 1 << iota
	roleSuccess
	roleIgnore   // cut out before failure words are looked for
	roleNegation // makes a success that follows at once a failure
	roleFuture   // makes a success that follows at once none
)

// automaton finds all phrases of all rules in one pass over a message, whatever
// their number (Aho and Corasick, "Efficient string matching", 1975).
//
// The message is read in lower case with every run of bytes that are not letters
// or digits as one boundary; bytes above 0x7F are letters. Immutable once built.
type automaton struct {
	class   [256]uint8 // of a message byte; boundary is 0
	classes int
	next    []uint16 // state*classes + class; the top bit tells of outputs
	outputs [][]uint16
	phrases []phraseInfo
}

type phraseInfo struct {
	length int32 // in read bytes, boundaries included
	role   phraseRole
}

const (
	outputBit = 1 << 15
	maxStates = outputBit - 1
)

var errTooManyPhrases = errors.New("too many or too long words in the rules")

// wordHits is what the automaton found in one message.
type wordHits struct {
	bits      []uint64 // by phrase
	hits      []uint16 // the phrases, each once
	success   bool
	failure   bool // more failures than are tracked
	starts    [8]int32
	n         int
	ignoreEnd int32
	negated   int32 // where the last negation ends
	future    int32
}

func (h *wordHits) failed() bool { return h.failure || h.n > 0 }

func (h *wordHits) reset(phrases int) {
	if n := (phrases + 63) / 64; len(h.bits) != n {
		h.bits = make([]uint64, n) // the first message with these rules
	} else {
		for _, id := range h.hits {
			h.bits[id/64] = 0
		}
	}
	h.hits = h.hits[:0]
	h.success, h.failure, h.n, h.ignoreEnd, h.negated, h.future = false, false, 0, -1, -1, -1
}

// phraseSet collects phrases and builds the automaton.
type phraseSet struct {
	ids   map[string]int
	texts []string // in read form
	roles []phraseRole
}

// add enters a phrase and returns its number. "fail*" is a prefix.
func (s *phraseSet) add(phrase string, role phraseRole) (int, error) {
	text, err := readForm(phrase)
	if err != nil {
		return 0, err
	}
	id, ok := s.ids[text]
	if !ok {
		if s.ids == nil {
			s.ids = map[string]int{}
		}
		id = len(s.texts)
		s.ids[text] = id
		s.texts = append(s.texts, text)
		s.roles = append(s.roles, 0)
	}
	s.roles[id] |= role
	return id, nil
}

// readForm returns a phrase as the automaton reads messages.
func readForm(phrase string) (string, error) {
	prefix := len(phrase) > 0 && phrase[len(phrase)-1] == '*'
	b := []byte{' '}
	for i := 0; i < len(phrase); i++ {
		c := phrase[i]
		switch {
		case dict.IsWordByte(c):
			if c < 0x80 && ascii.IsLetter(c) {
				c |= 0x20
			}
			b = append(b, c)
		case b[len(b)-1] != ' ':
			b = append(b, ' ')
		}
	}
	if b[len(b)-1] == ' ' {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return "", fmt.Errorf("%q has no letter or digit", phrase)
	}
	if !prefix {
		b = append(b, ' ')
	}
	return string(b), nil
}

// build returns the automaton of the phrases.
func (s *phraseSet) build() (*automaton, error) {
	a := &automaton{}
	a.setClasses(s.texts)
	type node struct {
		next map[uint8]int
		out  []uint16
		fail int
	}
	trie := []*node{{next: map[uint8]int{}}}
	for id, text := range s.texts {
		at := 0
		for i := 0; i < len(text); i++ {
			c := a.class[text[i]]
			to, ok := trie[at].next[c]
			if !ok {
				to = len(trie)
				if to >= maxStates {
					return nil, errTooManyPhrases
				}
				trie = append(trie, &node{next: map[uint8]int{}})
				trie[at].next[c] = to
			}
			at = to
		}
		trie[at].out = append(trie[at].out, uint16(id))
		a.phrases = append(a.phrases, phraseInfo{int32(len(text)), s.roles[id]})
	}
	a.next = make([]uint16, len(trie)*a.classes)
	a.outputs = make([][]uint16, len(trie))
	// Breadth first: a node's failure link is always done before the node.
	queue := []int{0}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		n := trie[at]
		if at != 0 {
			n.out = append(n.out, trie[n.fail].out...)
		}
		a.outputs[at] = n.out
		for c := 0; c < a.classes; c++ {
			to, ok := n.next[uint8(c)]
			fallback := 0
			if at != 0 {
				fallback = int(a.next[n.fail*a.classes+c])
			}
			if !ok {
				a.next[at*a.classes+c] = uint16(fallback)
				continue
			}
			trie[to].fail = fallback
			a.next[at*a.classes+c] = uint16(to)
			queue = append(queue, to)
		}
	}
	for i, to := range a.next {
		if len(a.outputs[to]) > 0 {
			a.next[i] |= outputBit
		}
	}
	return a, nil
}

// setClasses gives each byte that the phrases use a class of its own; letters
// and digits that none uses share one.
func (a *automaton) setClasses(texts []string) {
	const boundary, other = 0, 1
	a.classes = 2
	used := [256]bool{}
	for _, t := range texts {
		for i := 0; i < len(t); i++ {
			used[t[i]] = true
		}
	}
	for c := 0; c < 256; c++ {
		if !dict.IsWordByte(byte(c)) {
			a.class[c] = boundary
			continue
		}
		low := byte(c)
		if low < 0x80 && ascii.IsLetter(low) {
			low |= 0x20
		}
		switch {
		case !used[low]:
			a.class[c] = other
		case low != byte(c):
			// Upper case comes before lower case in ASCII: fill it below.
		default:
			a.class[c] = uint8(a.classes)
			a.classes++
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.class[c] = a.class[c|0x20]
	}
}

// scan looks for all phrases in msg. Linear in the message.
func (a *automaton) scan(msg []byte, h *wordHits) {
	h.reset(len(a.phrases))
	next, classes := a.next, a.classes
	state := int(next[0]) // behind the boundary before the message
	pos, last := int32(1), uint8(0)
	for _, b := range msg {
		c := a.class[b]
		if c|last == 0 {
			continue // within a boundary
		}
		last = c
		if state = int(next[state*classes+int(c)]); state&outputBit != 0 {
			state &^= outputBit
			a.hit(state, pos, h)
		}
		pos++
	}
	if last != 0 {
		if state = int(next[state*classes]); state&outputBit != 0 {
			a.hit(state&^outputBit, pos, h)
		}
	}
}

// hit notes the phrases that end at pos.
func (a *automaton) hit(state int, pos int32, h *wordHits) {
	for _, id := range a.outputs[state] {
		if bit := uint64(1) << (id % 64); h.bits[id/64]&bit == 0 {
			h.bits[id/64] |= bit
			h.hits = append(h.hits, id)
		}
		p := &a.phrases[id]
		if p.role == 0 {
			continue
		}
		start := pos - p.length + 1
		if p.role&roleIgnore != 0 {
			h.ignoreEnd = pos
			for h.n > 0 && h.starts[h.n-1] >= start {
				h.n--
			}
		}
		// Two phrases in a row share the boundary between them.
		if p.role&roleNegation != 0 {
			h.negated = pos
		}
		if p.role&roleFuture != 0 {
			h.future = pos
		}
		failed := p.role&roleFailure != 0
		if p.role&roleSuccess != 0 {
			switch start {
			case h.negated:
				failed = true
			case h.future:
			default:
				h.success = true
			}
		}
		if failed && start >= h.ignoreEnd {
			if h.n == len(h.starts) {
				h.failure = true
			} else {
				h.starts[h.n] = start
				h.n++
			}
		}
	}
}
