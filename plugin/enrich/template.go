package enrich

import (
	"math/bits"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
)

// recordTemplate is the MessagePack that records with the same fields share: the headers of
// objects, the keys, and the constant values of the record that it was made for.
type recordTemplate struct {
	set       ecs.FieldSet
	segments  []segment  // in the order of the record
	text      []byte     // of all segments
	constants []constant // of all segments
	ems       int        // segments up to the header of fortinet.ems, 0 if there is none
	top       int        // pairs of the record that the fields make
	vendor    int        // pairs of fortinet.ems that the fields make
}

// segment is a piece of the text, and the field whose value follows it.
type segment struct {
	text      []byte     // headers, keys and constants; before a value, the header of an empty str
	constants []constant // that text holds
	field     ecs.Field  // or noField
}

// noField is the field of a segment that no value follows: of the last one, and of one that
// ends with the header of fortinet.ems, a map 16 whose pairs are counted when the record is
// written.
const noField = ecs.NumFields

// constant is a constant in the text of a segment.
type constant struct {
	field    ecs.Field
	value    *ecs.Constant
	from, to int // its place in the text
}

// holds reports whether the constants of the segment are the values of r.
func (s *segment) holds(r *ecs.Record) bool {
	for i := range s.constants {
		c := &s.constants[i]
		if v := &r.Values[c.field]; v.Const != c.value || v.Kind != ecs.Const {
			return false
		}
	}
	return true
}

// templateCache holds the templates of one worker, with round-robin eviction. Lines of one
// sender have a few sets of fields. Memory is reused, so lines of ever new sets cost time
// but no memory.
type templateCache struct {
	templates [maxTemplates]recordTemplate
	index     map[ecs.FieldSet]*recordTemplate
	last      *recordTemplate // returned by the last get
	next      int             // to be replaced
}

const maxTemplates = 256

// get returns the template for the fields of ev. It is valid until the next call.
func (c *templateCache) get(ev *parser.Event, flat bool) *recordTemplate {
	if c.last != nil && c.last.set == ev.Record.Set {
		return c.last // the same sender again
	}
	if t := c.index[ev.Record.Set]; t != nil {
		c.last = t
		return t
	}
	if c.index == nil {
		c.index = make(map[ecs.FieldSet]*recordTemplate)
	}
	t := &c.templates[c.next]
	c.next = (c.next + 1) % maxTemplates
	delete(c.index, t.set)
	t.make(ev, flat)
	c.index[t.set], c.last = t, t
	return t
}

// make builds the template for the fields of ev, in the memory that t has.
func (t *recordTemplate) make(ev *parser.Event, flat bool) {
	*t = recordTemplate{set: ev.Record.Set, segments: t.segments[:0], text: t.text[:0], constants: t.constants[:0]}
	m := templateMaker{recordTemplate: t, begun: 1}
	for i, word := range t.set {
		for ; word != 0; word &= word - 1 {
			m.field(ev, ecs.Field(i*64+bits.TrailingZeros64(word)), flat)
		}
	}
	m.endSegment(noField)
	m.place()
	if t.top = objects[0].size(&t.set); flat {
		t.top = t.set.Len()
	}
}

// templateMaker builds a template.
type templateMaker struct {
	*recordTemplate
	begun          uint64 // objects whose header is written, a bit each
	textStart      int    // of the segment that is being made
	constantsStart int
}

// field adds the key of a field and its value, if that is a constant.
func (m *templateMaker) field(ev *parser.Event, f ecs.Field, flat bool) {
	l := &leaves[f]
	if flat {
		m.text = msgp.AppendString(m.text, l.flat)
	} else {
		m.begin(l.object)
		m.text = msgp.AppendString(m.text, l.name)
	}
	v := &ev.Record.Values[f]
	if v.Kind != ecs.Const {
		m.text = append(m.text, fixStr)
		m.endSegment(f)
		return
	}
	from := len(m.text) - m.textStart
	m.text = append(m.text, packed(v.Const, flat)...)
	m.constants = append(m.constants, constant{f, v.Const, from, len(m.text) - m.textStart})
}

// begin adds the header of an object, after those of the objects that contain it.
func (m *templateMaker) begin(i int8) {
	if m.begun&(1<<i) != 0 {
		return
	}
	o := &objects[i]
	m.begin(o.parent)
	m.begun |= 1 << i
	m.text = msgp.AppendString(m.text, o.name)
	size := o.size(&m.set)
	if i != emsObject {
		m.text = append(m.text, fixMap|byte(size)) // at most 15, see TestTree
		return
	}
	m.vendor = size
	m.text = append(m.text, map16, 0, 0)
	m.endSegment(noField)
	m.ems = len(m.segments)
}

// endSegment ends a segment before the value of f.
func (m *templateMaker) endSegment(f ecs.Field) {
	m.segments = append(m.segments, segment{m.text[m.textStart:], m.constants[m.constantsStart:], f})
	m.textStart, m.constantsStart = len(m.text), len(m.constants)
}

// place puts the segments where their texts and constants are now: appending has moved
// those before.
func (m *templateMaker) place() {
	text, constants := m.text, m.constants
	for i := range m.segments {
		s := &m.segments[i]
		s.text, text = text[:len(s.text)], text[len(s.text):]
		s.constants, constants = constants[:len(s.constants)], constants[len(s.constants):]
	}
}
