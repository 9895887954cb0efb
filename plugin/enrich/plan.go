package enrich

import (
	"encoding/binary"
	"math/bits"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
)

// wide is how many bytes are copied at once. Copying a fixed number of bytes and
// then advancing by fewer is a few instructions; copying a few bytes is a call.
const wide = 32

// copyWide copies wide bytes through registers. Assigning arrays behind pointers
// that may overlap would be a call of memmove.
func copyWide(dst, src []byte) {
	d, s := (*[wide]byte)(dst), (*[wide]byte)(src)
	w0, w1 := binary.LittleEndian.Uint64(s[0:8]), binary.LittleEndian.Uint64(s[8:16])
	w2, w3 := binary.LittleEndian.Uint64(s[16:24]), binary.LittleEndian.Uint64(s[24:32])
	binary.LittleEndian.PutUint64(d[0:8], w0)
	binary.LittleEndian.PutUint64(d[8:16], w1)
	binary.LittleEndian.PutUint64(d[16:24], w2)
	binary.LittleEndian.PutUint64(d[24:32], w3)
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
	vendor int // the first step that belongs to fortinet.ems, len(steps) without it
	// The header of fortinet.ems is this far behind the start of the step vendor.
	// It is a map 16 with vendorSize pairs, to be counted on.
	vendorHeader, vendorSize int
}

// step is a piece of MessagePack and the field whose value follows, or NumFields.
type step struct {
	text  [wide]byte
	n     uint8 // bytes of text
	field parser.Field
}

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
	p.steps, p.vendor = p.steps[:0], -1
	for i, word := range p.set {
		for ; word != 0; word &= word - 1 {
			m.field(parser.Field(i*64+bits.TrailingZeros64(word)), schema)
		}
	}
	m.flush(parser.NumFields)
	if p.top = objects[0].size(&p.set); schema == Flat {
		p.top = p.set.Len()
	}
	if p.vendor < 0 {
		p.vendor = len(p.steps)
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
	if i != emsObject {
		m.text = msgp.AppendString(m.text, o.name)
		m.text = append(m.text, fixMap|byte(o.size(&m.plan.set))) // at most 15, see TestTree
		return
	}
	p := m.plan
	m.flush(parser.NumFields) // all steps before are those of other objects
	m.text = msgp.AppendString(m.text, o.name)
	p.vendor, p.vendorHeader, p.vendorSize = len(p.steps), len(m.text), o.size(&p.set)
	m.text = append(m.text, map16, 0, 0)
}

// flush makes steps of the text, the last one with field f.
func (m *maker) flush(f parser.Field) {
	p := m.plan
	for text := m.text; ; {
		s := step{field: parser.NumFields}
		n := copy(s.text[:], text)
		s.n = uint8(n)
		if text = text[n:]; len(text) == 0 {
			s.field = f
		}
		if n > 0 || f < parser.NumFields {
			p.steps = append(p.steps, s)
		}
		if len(text) == 0 {
			break
		}
	}
	m.text = m.text[:0]
}
