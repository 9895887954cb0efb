package enrich

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/plugin/event"
)

// encoder appends one record. The number of pairs of the record and of fortinet.ems is
// known at their end only; all other headers are in the [recordTemplate].
type encoder struct {
	b      []byte
	flat   bool // schema flat
	record openMap
	vendor openMap // fortinet.ems, schema ecs only
	w      *worker // its scratch memory
}

// openMap is a map 16 whose pairs are still being counted.
type openMap struct {
	at int // offset of its header, 0 before it is written
	n  int // pairs so far
}

// First bytes of MessagePack objects.
const (
	fixMap = 0x80
	fixArr = 0x90
	fixStr = 0xa0
	str8   = 0xd9
	str16  = 0xda
	str32  = 0xdb
	map16  = 0xde
	map32  = 0xdf

	map16Header = 3 // bytes
)

// appendEvent appends the event with its enriched record.
func (e *Enricher) appendEvent(out []byte, w *worker, it *item) []byte {
	it.ev.Record.SetText(ecs.EventCreated, w.created.format(e.received(w, it)))
	if e.original {
		it.ev.Record.SetText(ecs.EventOriginal, it.ev.Line.Clean)
	}
	enc := encoder{b: appendHead(out, &it.in, it.ev.Time.Sec, it.ev.Time.Nsec), flat: e.flat, w: w}
	enc.begin()
	enc.incoming(it)
	enc.fields(&it.ev, w.templates.get(&it.ev, e.flat))
	enc.unmapped(&it.ev)
	enc.end()
	return enc.b
}

// Texts of marked records.
var (
	pipelineError = []byte("pipeline_error")
	notFortiEMS   = []byte("not a FortiEMS line")
)

// appendMarked appends an event whose line is not FortiEMS, marked as such.
func (e *Enricher) appendMarked(out []byte, w *worker, it *item) []byte {
	it.ev.Record.Reset(nil)
	it.ev.Record.SetText(ecs.Message, it.ev.Line.Clean)
	it.ev.Record.SetText(ecs.EventKind, pipelineError)
	it.ev.Record.SetText(ecs.ErrorMessage, notFortiEMS)
	enc := encoder{b: append(out, it.in.Head...), flat: e.flat, w: w}
	enc.begin()
	enc.incoming(it)
	enc.fields(&it.ev, w.templates.get(&it.ev, e.flat))
	enc.end()
	return enc.b
}

// appendHead appends the head of an event with another time.
func appendHead(out []byte, in *event.Event, sec int64, nsec int32) []byte {
	if sec == in.Sec && nsec == in.Nsec {
		return append(out, in.Head...)
	}
	out = append(out, in.Head[:in.TimeStart]...)
	out = event.AppendTime(out, sec, nsec)
	return append(out, in.Head[in.TimeEnd:]...)
}

func (e *encoder) begin() {
	e.record.at = len(e.b)
	e.b = append(e.b, map16, 0, 0)
}

// end closes the record.
func (e *encoder) end() {
	if e.vendor.at != 0 {
		e.endMap(e.vendor)
	}
	e.endMap(e.record)
}

// endMap writes the number of pairs into the header of m, which becomes a map 32 if they
// do not fit. Maps in m must be ended first.
func (e *encoder) endMap(m openMap) {
	if m.n <= math.MaxUint16 {
		binary.BigEndian.PutUint16(e.b[m.at+1:], uint16(m.n))
		return
	}
	e.b = append(e.b, 0, 0)
	copy(e.b[m.at+5:], e.b[m.at+3:])
	e.b[m.at] = map32
	binary.BigEndian.PutUint32(e.b[m.at+1:], uint32(m.n))
}

// fields writes the fields of ev, which are those of t.
func (e *encoder) fields(ev *parser.Event, t *recordTemplate) {
	e.record.n += t.top
	e.segments(&ev.Record, t.segments[:t.ems])
	if t.ems > 0 {
		e.vendor = openMap{at: len(e.b) - map16Header, n: t.vendor}
	}
	e.segments(&ev.Record, t.segments[t.ems:])
}

// segments writes segments with their values, those of r.
func (e *encoder) segments(r *ecs.Record, segments []segment) {
	b := e.b
	for i := range segments {
		s := &segments[i]
		if len(s.constants) > 0 && !s.holds(r) {
			b = e.appendPieces(b, r, s)
		} else {
			b = append(b, s.text...)
		}
		if s.field == noField {
			continue
		}
		// The text ends with the header of an empty str, which is that of a short text but
		// for its length.
		v := &r.Values[s.field]
		if last := len(b) - 1; v.Kind == ecs.Text && len(v.Text) < 32 {
			b[last] = fixStr | byte(len(v.Text))
			b = append(b, v.Text...)
		} else {
			b = e.appendValue(b[:last], r, v)
		}
	}
	e.b = b
}

// appendPieces appends the text of a segment with the values of r for the constants in it.
func (e *encoder) appendPieces(b []byte, r *ecs.Record, s *segment) []byte {
	from := 0
	for i := range s.constants {
		c := &s.constants[i]
		b = append(b, s.text[from:c.from]...)
		b = e.appendValue(b, r, &r.Values[c.field])
		from = c.to
	}
	return append(b, s.text[from:]...)
}

// appendValue appends a value of any kind.
func (e *encoder) appendValue(b []byte, r *ecs.Record, v *ecs.Value) []byte {
	switch v.Kind {
	case ecs.Const:
		return append(b, packed(v.Const, e.flat)...)
	case ecs.Int:
		return msgp.AppendInt64(b, v.Num)
	case ecs.Float:
		return msgp.AppendFloat64(b, math.Float64frombits(uint64(v.Num)))
	case ecs.List:
		return appendList(b, r.Lists[v.Num], e.flat)
	case ecs.SData:
		return appendStructuredData(b, v.Text, e.flat)
	}
	return appendText(b, v.Text)
}

// packed returns a constant as MessagePack.
func packed(c *ecs.Constant, flat bool) []byte {
	if flat {
		return c.PackedFlat
	}
	return c.Packed
}

func appendText(b, v []byte) []byte { return append(appendStrHeader(b, len(v)), v...) }

func appendStrHeader(b []byte, n int) []byte {
	switch {
	case n < 32:
		return append(b, fixStr|byte(n))
	case n <= math.MaxUint8:
		return append(b, str8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, str16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, str32), uint32(n))
}

// appendList appends an array of texts, in the flat schema one comma-joined text.
func appendList(b []byte, list [][]byte, flat bool) []byte {
	if flat {
		return appendJoined(b, list)
	}
	b = msgp.AppendArrayHeader(b, uint32(len(list)))
	for _, v := range list {
		b = appendText(b, v)
	}
	return b
}

func appendJoined(b []byte, list [][]byte) []byte {
	size := max(len(list)-1, 0)
	for _, v := range list {
		size += len(v)
	}
	b = appendStrHeader(b, size)
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, v...)
	}
	return b
}

// unmapped writes the pairs that have no field under fortinet.ems, which is still open:
// it is the last object of a record, and always there because fortinet.ems.category is.
func (e *encoder) unmapped(ev *parser.Event) {
	b, n, names := e.b, 0, unmappedNames
	if e.flat {
		names = unmappedFlatNames
	}
	for i := range ev.Line.Pairs.List {
		p := &ev.Line.Pairs.List[i]
		if !p.Unmapped() {
			continue
		}
		n++
		if k := p.Key(); k != dict.NoKey {
			b = append(b, names[k]...)
		} else {
			b = appendUnmappedName(b, p.Name(), e.flat)
		}
		if !p.Repeats() {
			b = appendText(b, p.Value)
			continue
		}
		e.w.values = ev.Line.Pairs.AppendValues(e.w.values[:0], p)
		b = appendList(b, e.w.values, e.flat)
	}
	e.b = b
	if e.flat {
		e.record.n += n
	} else {
		e.vendor.n += n
	}
}

// appendUnmappedName appends the name that an unmapped pair gets, from its key in
// written form.
func appendUnmappedName(b, key []byte, flat bool) []byte {
	prefix := ""
	if flat {
		prefix = flatVendor
	}
	if ecs.NeedsPrefix(string(key)) {
		prefix += "raw_"
	}
	b = appendStrHeader(b, len(prefix)+len(key))
	return append(append(b, prefix...), key...)
}

// unmappedNames are the names of unmapped pairs with a known key, by key.
var unmappedNames, unmappedFlatNames = func() (names, flat [][]byte) {
	for _, key := range dict.Names() {
		names = append(names, appendUnmappedName(nil, []byte(key), false))
		flat = append(flat, appendUnmappedName(nil, []byte(key), true))
	}
	return names, flat
}()

// stamp formats times of receipt. Many events share a second.
type stamp struct {
	sec int64
	buf []byte
}

const (
	stampLayout = "2006-01-02T15:04:05.000000000Z"
	nanoStart   = len("2006-01-02T15:04:05.")
	nanoEnd     = nanoStart + 9
)

// format returns sec and nsec as RFC 3339 in UTC with nanoseconds. The result is
// valid until the next call.
func (s *stamp) format(sec int64, nsec int32) []byte {
	if s.buf == nil || s.sec != sec {
		s.sec = sec
		s.buf = time.Unix(sec, 0).UTC().AppendFormat(s.buf[:0], stampLayout)
	}
	digits, n := (*[9]byte)(s.buf[nanoStart:nanoEnd]), uint32(nsec)
	for i := len(digits) - 1; i >= 0; i-- {
		digits[i] = '0' + byte(n%10)
		n /= 10
	}
	return s.buf
}
