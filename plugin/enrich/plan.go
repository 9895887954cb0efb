package enrich

import (
	"math/bits"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
)

// wide is how many bytes are copied at once. Copying a fixed number of bytes and
// then advancing by fewer is a few instructions; copying a few bytes is a call.
const wide = 32

// copyWide copies wide bytes by halves: the compiler makes one load and one store of
// each. For an assignment of all it would call memmove, because arrays behind two
// pointers may overlap.
func copyWide(dst, src []byte) {
	const half = wide / 2
	d, s := (*[wide]byte)(dst), (*[wide]byte)(src)
	*(*[half]byte)(d[:half]) = *(*[half]byte)(s[:half])
	*(*[half]byte)(d[half:]) = *(*[half]byte)(s[half:])
}

// plan is how the fields of one set are written. Lines of one sender have a few
// such sets, so what can be told from the set alone, the headers of objects, the
// keys and the values that never change, is put together once and then copied.
type plan struct {
	set    parser.FieldSet
	writer parser.Writer
	known  bool // the plan has been made

	steps  []step
	top    int // pairs of the record that the fields make
	vendor int // pairs of fortinet.ems that the fields make
}

// step is a piece of MessagePack and the field whose value follows, or one of the
// numbers below.
type step struct {
	text  [wide]byte
	n     uint8 // bytes of text, fewer than wide
	field parser.Field
}

const (
	textOnly    = parser.NumFields + iota
	opensVendor // the text ends with the header of fortinet.ems, a map 16 to be counted on
)

// plans holds the plans of one worker. A set and its writer choose a row; when none
// of the row is theirs, the plans of the row are made anew in turn, in the memory
// that they have: lines of ever new sets cost time, not memory.
type plans struct {
	rows [1 << planBits]struct {
		plans [planWays]plan
		turn  uint8
	}
	text []byte // scratch of maker
}

const (
	planBits = 6
	planWays = 4
)

// of returns the plan for the fields of ev. It is valid until the next call.
func (ps *plans) of(ev *parser.Event, schema Schema) *plan {
	writer := ev.Writer()
	h := uint64(writer)
	for _, word := range ev.Set {
		h = (h ^ word) * 0x9E3779B97F4A7C15
		h ^= h >> 32
	}
	row := &ps.rows[h%(1<<planBits)]
	for i := range row.plans {
		if p := &row.plans[i]; p.set == ev.Set && p.writer == writer && p.known {
			return p
		}
	}
	p := &row.plans[row.turn%planWays]
	row.turn++
	p.set, p.writer, p.known = ev.Set, writer, false
	ps.text = p.make(schema, ps.text)
	p.known = true
	return p
}

// make fills the plan for its set. text is scratch memory, returned as it grew.
func (p *plan) make(schema Schema, text []byte) []byte {
	m := maker{plan: p, begun: 1, text: text[:0]}
	p.steps, p.vendor = p.steps[:0], 0
	for i, word := range p.set {
		for ; word != 0; word &= word - 1 {
			m.field(parser.Field(i*64+bits.TrailingZeros64(word)), schema)
		}
	}
	m.flush(textOnly)
	if p.top = objects[0].size(&p.set); schema == Flat {
		p.top = p.set.Len()
	}
	return m.text
}

// maker collects the text of the next step.
type maker struct {
	plan  *plan
	begun uint64 // the objects whose header is written
	text  []byte
}

func (m *maker) field(f parser.Field, schema Schema) {
	l := &leaves[f]
	if schema == Flat {
		m.text = msgp.AppendString(m.text, l.flat)
	} else {
		m.begin(l.object)
		m.text = msgp.AppendString(m.text, l.name)
	}
	if c := parser.FixedValue(m.plan.writer, f); c != nil {
		m.text = append(m.text, c.Packed...)
		return
	}
	m.flush(f)
}

// begin writes the header of an object, and before it those of the objects that
// it stands in.
func (m *maker) begin(i int8) {
	if m.begun&(1<<i) != 0 {
		return
	}
	o := &objects[i]
	m.begin(o.parent)
	m.begun |= 1 << i
	m.text = msgp.AppendString(m.text, o.name)
	size := o.size(&m.plan.set)
	if i != emsObject {
		m.text = append(m.text, fixMap|byte(size)) // at most 15, see TestTree
		return
	}
	m.plan.vendor = size
	m.text = append(m.text, map16, 0, 0)
	m.flush(opensVendor)
}

// flush makes steps of the text, the last one with field f.
func (m *maker) flush(f parser.Field) {
	p := m.plan
	for text := m.text; ; {
		s := step{field: textOnly}
		n := copy(s.text[:wide-1], text)
		s.n = uint8(n)
		if text = text[n:]; len(text) == 0 {
			s.field = f
		}
		if n > 0 || f != textOnly {
			p.steps = append(p.steps, s)
		}
		if len(text) == 0 {
			break
		}
	}
	m.text = m.text[:0]
}
