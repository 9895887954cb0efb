package enrich

import (
	"math/bits"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
)

// recordTemplate is the MessagePack that records with the same fields share: the headers of
// objects, the keys, and the constant values of the record that it was made for.
type recordTemplate struct {
	set      parser.FieldSet
	text     []byte    // of all segments
	segments []segment // in the order of the record
	top      int       // pairs of the record that the fields make
	vendor   int       // pairs of fortinet.ems that the fields make
}

// segment is a piece of the text, and the field whose value follows it.
type segment struct {
	n        int // bytes of text before the value
	field    parser.Field
	constant *parser.Constant // the value that follows in the text, or nil
	size     int              // its bytes there
}

// vendorHeader is the field of a segment that ends with the header of fortinet.ems, a
// map 16 whose pairs are counted when the record is written. No value follows.
const vendorHeader = parser.NumFields

// templateCache holds the templates of one worker, with round-robin eviction. Lines of one
// sender have a few sets of fields. Memory is reused, so lines of ever new sets cost time
// but no memory.
type templateCache struct {
	templates [maxTemplates]recordTemplate
	index     map[parser.FieldSet]*recordTemplate
	next      int // to be replaced
}

const maxTemplates = 256

// get returns the template for the fields of ev. It is valid until the next call.
func (c *templateCache) get(ev *parser.Event, flat bool) *recordTemplate {
	if t := c.index[ev.Set]; t != nil {
		return t
	}
	if c.index == nil {
		c.index = make(map[parser.FieldSet]*recordTemplate)
	}
	t := &c.templates[c.next]
	c.next = (c.next + 1) % maxTemplates
	delete(c.index, t.set)
	t.make(ev, flat)
	c.index[t.set] = t
	return t
}

// make builds the template for the fields of ev, in the memory that t has.
func (t *recordTemplate) make(ev *parser.Event, flat bool) {
	*t = recordTemplate{set: ev.Set, text: t.text[:0], segments: t.segments[:0]}
	m := templateMaker{recordTemplate: t, begun: 1}
	for i, word := range t.set {
		for ; word != 0; word &= word - 1 {
			m.field(ev, parser.Field(i*64+bits.TrailingZeros64(word)), flat)
		}
	}
	if t.top = objects[0].size(&t.set); flat {
		t.top = t.set.Len()
	}
}

// templateMaker builds a template.
type templateMaker struct {
	*recordTemplate
	begun uint64 // objects whose header is written, a bit each
	done  int    // bytes of text that belong to a segment
}

// field adds the key of a field and its value, if that is a constant.
func (m *templateMaker) field(ev *parser.Event, f parser.Field, flat bool) {
	l := &leaves[f]
	if flat {
		m.text = msgp.AppendString(m.text, l.flat)
	} else {
		m.begin(l.object)
		m.text = msgp.AppendString(m.text, l.name)
	}
	m.segment(f)
	if v := &ev.Values[f]; v.Kind == parser.Const {
		s := &m.segments[len(m.segments)-1]
		s.constant, s.size = v.Const, len(packed(v.Const, flat))
		m.text = append(m.text, packed(v.Const, flat)...)
		m.done = len(m.text)
	}
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
	m.segment(vendorHeader)
}

// segment adds the text since the last segment as one.
func (m *templateMaker) segment(f parser.Field) {
	m.segments = append(m.segments, segment{n: len(m.text) - m.done, field: f})
	m.done = len(m.text)
}
