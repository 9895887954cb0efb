package rule

// flag numbers something that a line may have and that a condition asks for: one of a list
// of phrases in its message, or one of a list of texts as its id, type or subtype.
type flag uint16

const (
	never     flag = iota // no line has it
	always                // every line has it
	firstFlag             // of the conditions of rules

	maxFlags = 1<<16 - 64
)

// flagSet is a set of few flags, by words of 64.
type flagSet []flagWord

type flagWord struct {
	word int
	bits uint64
}

func (s *flagSet) add(f flag) { s.addAll(flagSet{{int(f / 64), 1 << (f % 64)}}) }

func (s *flagSet) addAll(o flagSet) {
next:
	for _, w := range o {
		for i := range *s {
			if (*s)[i].word == w.word {
				(*s)[i].bits |= w.bits
				continue next
			}
		}
		*s = append(*s, w)
	}
}

// hits are the flags and the outcome phrases of one line.
type hits struct {
	flags   []uint64
	outcome outcomeWords
}

// reset makes room for so many flags.
func (h *hits) reset(flags flag) {
	if n := int(flags+63) / 64; len(h.flags) != n {
		h.flags = make([]uint64, n) // the first line with these rules
	} else {
		clear(h.flags)
	}
	h.flags[always/64] |= 1 << (always % 64)
	h.outcome.reset()
}

func (h *hits) has(f flag) bool { return h.flags[f/64]&(1<<(f%64)) != 0 }

func (h *hits) addFlags(s flagSet) {
	for _, w := range s {
		h.flags[w.word] |= w.bits
	}
}

// add notes the phrases that end at pos.
func (h *hits) add(o *output, pos int32) {
	h.addFlags(o.flags)
	for _, m := range o.outcome {
		h.outcome.add(m, pos)
	}
}
