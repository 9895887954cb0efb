package rule

import (
	"slices"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
)

// flag numbers something that a line may have and that a condition asks for: one of a list
// of phrases in its message, or one of a list of texts as its id, type or subtype.
type flag uint32

const (
	never     flag = iota // no line has it
	always                // every line has it
	firstFlag             // of the conditions of rules

	maxFlags = 1 << 16
)

// flags are the flags of the texts of one kind.
type flags map[string][]flag

// values hold the flags of the texts of one kind but phrases.
type values struct {
	exact    flags
	prefixes []prefixFlag
}

type prefixFlag struct {
	prefix string
	flag   flag
}

// maxValue is the length, in bytes, of the longest text that has a flag.
const maxValue = 64

// add gives the texts of a list a flag. It reports whether every value that the list holds
// for can have it.
func (v *values) add(list []text, f flag) bool {
	for _, t := range list {
		if t.text == "" || len(t.text) > maxValue {
			return false
		}
	}
	for _, t := range list {
		if t.prefix {
			v.prefixes = append(v.prefixes, prefixFlag{t.text, f})
		} else {
			v.exact[t.text] = append(v.exact[t.text], f)
		}
	}
	return len(list) > 0
}

// keyValues are the values of one key.
type keyValues struct {
	key dict.Key
	values
}

// Scratch is the reusable memory of one goroutine. The zero value is ready.
type Scratch struct {
	flags           []uint64 // set of the flags of the line
	outcome         outcomeWords
	looked, scanned bool // flags has those of values; of the message
}

// begin takes up a line.
func (s *Scratch) begin(rs *Rules) {
	if n := int(rs.flags+63) / 64; len(s.flags) != n {
		s.flags = make([]uint64, n) // the first line with these rules
	} else {
		clear(s.flags)
	}
	s.outcome.reset()
	s.looked, s.scanned = false, false
	s.set(always)
}

func (s *Scratch) set(f flag)      { s.flags[f/64] |= 1 << (f % 64) }
func (s *Scratch) has(f flag) bool { return s.flags[f/64]&(1<<(f%64)) != 0 }

func (s *Scratch) setAll(flags []flag) {
	for _, f := range flags {
		s.set(f)
	}
}

// look sets the flags of id, type, subtype and keys, once per line.
func (s *Scratch) look(rs *Rules, f *Facts) {
	if s.looked {
		return
	}
	s.looked = true
	s.setValue(&rs.ids, f.ID)
	s.setValue(&rs.types, f.Type)
	s.setValue(&rs.subtypes, f.Subtype)
	if !f.Pairs.AnyNonEmpty(&rs.keySet) {
		return
	}
	for i := range rs.keys {
		if v := f.Pairs.Value(rs.keys[i].key); v != nil {
			var buf [maxValue + 1]byte // one more, so that a longer value equals no text
			s.setValue(&rs.keys[i].values, lower(buf[:], v))
		}
	}
}

// lower copies v in lower case to buf, as much of it as there is room for.
func lower(buf, v []byte) []byte {
	buf = buf[:copy(buf, v)]
	for i, c := range buf {
		buf[i] = ascii.Lower(c)
	}
	return buf
}

func (s *Scratch) setValue(of *values, v []byte) {
	if len(v) == 0 {
		return
	}
	s.setAll(of.exact[string(v)])
	for i := range of.prefixes {
		if p := &of.prefixes[i]; v[0] == p.prefix[0] && len(v) >= len(p.prefix) && string(v[:len(p.prefix)]) == p.prefix {
			s.set(p.flag)
		}
	}
}

// scan sets the flags of the phrases in the message, once per line.
func (s *Scratch) scan(rs *Rules, f *Facts) {
	if !s.scanned {
		s.scanned = true
		rs.phrases.scan(f.Message, s)
	}
}

// add notes the phrases that end at pos.
func (s *Scratch) add(o *output, pos int32) {
	s.setAll(o.flags)
	for _, m := range o.outcome {
		s.outcome.add(m, pos)
	}
}

// flag returns a new flag of a list of texts.
func (c *compiler) flag(of flags, texts []string) flag {
	f := c.rs.flags
	if f >= maxFlags {
		return never // and build fails
	}
	c.rs.flags++
	c.giveTexts(of, texts, f)
	return f
}

func (c *compiler) giveTexts(of flags, texts []string, f flag) {
	for _, t := range texts {
		of[t] = append(of[t], f)
	}
}

// giveFlags gives groups and their rules flags.
func (c *compiler) giveFlags(l list) {
	for i := range l {
		g := &l[i]
		if g.when.phrases != nil {
			g.when.words = c.flag(c.phrases, g.when.phrases)
		}
		if f := c.flag(nil, nil); c.giveFlag(&g.when, f, false) {
			g.needs, g.look = f, true
		}
		words := (len(g.rules) + 63) / 64
		c.rs.flags = (c.rs.flags + 63) &^ 63
		g.first, g.flagged, g.always = int(c.rs.flags/64), make([]uint64, words), make([]uint64, words)
		for i, r := range g.rules {
			set, f := g.flagged, c.flag(nil, nil)
			switch w := &r.when; {
			case c.giveFlag(w, f, g.only != nil):
				g.look = true
			case w.phrases != nil:
				c.giveTexts(c.phrases, w.phrases, f)
				w.words, g.scan = f, true
			default:
				set = g.always
			}
			set[i/64] |= 1 << (i % 64)
		}
		for _, r := range g.rules {
			if w := &r.when; w.phrases != nil && w.words == always {
				w.words = c.flag(c.phrases, w.phrases)
			}
		}
	}
}

// giveFlag gives a flag to all values of a kind of which every line has one for which the
// conditions hold. It reports whether there are such. Values of keys are worth it for
// users, who have many rules about hosts, not for the few of the built-in rules.
func (c *compiler) giveFlag(w *conditions, f flag, keys bool) bool {
	if c.rs.ids.add(w.ids, f) || c.rs.subtypes.add(w.subtypes, f) || c.rs.types.add(w.types, f) {
		return true
	}
	for i := range w.fields {
		t := &w.fields[i]
		if !keys || t.key == dict.NoKey || t.equal == nil {
			continue
		}
		at := slices.IndexFunc(c.rs.keys, func(k keyValues) bool { return k.key == t.key })
		if at < 0 {
			at = len(c.rs.keys)
			c.rs.keys = append(c.rs.keys, keyValues{t.key, values{exact: flags{}}})
			c.rs.keySet.Add(t.key)
		}
		if c.rs.keys[at].add(t.equal, f) {
			return true
		}
	}
	return false
}
