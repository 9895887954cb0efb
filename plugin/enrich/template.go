package enrich

import (
	"math/bits"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
)

// recordTemplate is the MessagePack that all records with the same fields from the same
// source share: the headers of objects, the keys, and the values that are constant for
// the source.
type recordTemplate struct {
	key      templateKey
	text     []byte    // of all segments, then what follows the last value
	segments []segment // in the order of the record
	top      int       // pairs of the record that the fields make
	vendor   int       // pairs of fortinet.ems that the fields make
}

type templateKey struct {
	set    parser.FieldSet
	source uint64 // parser.Writer; a word, so that the key hashes as plain memory
}

// segment is a piece of the text and the field whose value follows it.
type segment struct {
	n     int // bytes of text
	field parser.Field
}

// vendorHeader is the field of a segment that ends with the header of fortinet.ems, a
// map 16 whose pairs are counted when the record is written. No value follows.
const vendorHeader = parser.NumFields

// templateCache holds the templates of one worker, with round-robin eviction. Lines of one
// sender have a few sets of fields. Memory is reused, so lines of ever new sets cost time
// but no memory.
type templateCache struct {
	templates [maxTemplates]recordTemplate
	index     map[templateKey]*recordTemplate
	next      int // to be replaced
}

const maxTemplates = 256

// get returns the template for the fields of ev. It is valid until the next call.
func (c *templateCache) get(ev *parser.Event, flat bool) *recordTemplate {
	key := templateKey{ev.Set, uint64(ev.Writer())}
	if t := c.index[key]; t != nil {
		return t
	}
	if c.index == nil {
		c.index = make(map[templateKey]*recordTemplate)
	}
	t := &c.templates[c.next]
	c.next = (c.next + 1) % maxTemplates
	delete(c.index, t.key)
	t.make(key, flat)
	c.index[key] = t
	return t
}

// make builds the template for key, in the memory that t has.
func (t *recordTemplate) make(key templateKey, flat bool) {
	*t = recordTemplate{key: key, text: t.text[:0], segments: t.segments[:0]}
	m := templateMaker{recordTemplate: t, begun: 1}
	for i, word := range key.set {
		for ; word != 0; word &= word - 1 {
			m.field(parser.Field(i*64+bits.TrailingZeros64(word)), flat)
		}
	}
	if t.top = objects[0].size(&key.set); flat {
		t.top = key.set.Len()
	}
}

// templateMaker builds a template.
type templateMaker struct {
	*recordTemplate
	begun uint64 // objects whose header is written, a bit each
	done  int    // bytes of text that belong to a segment
}

// field adds the key of a field, and its value or a segment that the value follows.
func (m *templateMaker) field(f parser.Field, flat bool) {
	l := &leaves[f]
	if flat {
		m.text = msgp.AppendString(m.text, l.flat)
	} else {
		m.begin(l.object)
		m.text = msgp.AppendString(m.text, l.name)
	}
	if c := parser.FixedValue(parser.Writer(m.key.source), f); c != nil {
		m.text = append(m.text, packed(c, flat)...)
		return
	}
	m.segment(f)
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
	size := o.size(&m.key.set)
	if i != emsObject {
		m.text = append(m.text, fixMap|byte(size)) // at most 15, see TestTree
		return
	}
	m.vendor = size
	m.text = append(m.text, map16, 0, 0)
	m.segment(vendorHeader)
}

// segment ends a segment.
func (m *templateMaker) segment(f parser.Field) {
	m.segments = append(m.segments, segment{len(m.text) - m.done, f})
	m.done = len(m.text)
}
