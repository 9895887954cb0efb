package enrich

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
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
	it.ev.SetText(parser.EventCreated, w.created.format(it.in.Sec, it.in.Nsec))
	if e.original {
		it.ev.SetText(parser.EventOriginal, it.ev.Clean)
	}
	enc := encoder{b: appendHead(out, &it.in, it.ev.Sec, it.ev.Nsec), flat: e.flat, w: w}
	enc.begin()
	enc.incoming(it)
	setFixedValues(&it.ev)
	enc.fields(&it.ev, w.templates.get(&it.ev, e.flat))
	enc.unmapped(&it.ev)
	enc.end()
	return enc.b
}

// setFixedValues sets the fields that are the same in every line of a source.
func setFixedValues(ev *parser.Event) {
	for _, f := range fixedFields {
		v := &ev.Values[f]
		v.Kind, v.Const = parser.Const, parser.FixedValue(ev.Writer(), f)
	}
}

var fixedFields = [...]parser.Field{
	parser.ECSVersion, parser.EventModule, parser.EventDataset, parser.ObserverVendor, parser.ObserverProduct,
}

// Texts of marked records.
var (
	pipelineError = []byte("pipeline_error")
	notFortiEMS   = []byte("not a FortiEMS line")
)

// appendMarked appends an event whose line is not FortiEMS, marked as such.
func (e *Enricher) appendMarked(out []byte, w *worker, it *item) []byte {
	it.ev.Set = parser.FieldSet{}
	it.ev.SetText(parser.Message, it.ev.Clean)
	it.ev.SetText(parser.EventKind, pipelineError)
	it.ev.SetText(parser.ErrorMessage, notFortiEMS)
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

// fields writes the fields of ev, which are those of t. Text of the template is copied in pieces as long as
// possible: over the constants that ev shares with it, up to the next other value.
func (e *encoder) fields(ev *parser.Event, t *recordTemplate) {
	e.record.n += t.top
	e.vendor.n = t.vendor
	b, text := e.b, t.text
	n := 0 // bytes of text to be copied
	for i := range t.segments {
		s := &t.segments[i]
		n += s.n
		if s.field == vendorHeader {
			e.vendor.at = len(b) + n - map16Header
			continue
		}
		v := &ev.Values[s.field]
		if s.constant != nil && v.Const == s.constant && v.Kind == parser.Const {
			n += s.size
			continue
		}
		b = append(b, text[:n]...)
		text, n = text[n:], 0
		switch v.Kind {
		case parser.Text:
			b = appendText(b, v.Text)
		case parser.Const:
			b = append(b, packed(v.Const, e.flat)...)
		case parser.Int:
			b = msgp.AppendInt64(b, v.Num)
		case parser.Float:
			b = msgp.AppendFloat64(b, math.Float64frombits(uint64(v.Num)))
		case parser.List:
			b = appendList(b, ev.Lists[v.Num], e.flat)
		case parser.SData:
			b = appendStructuredData(b, v.Text, e.flat)
		}
		text = text[s.size:] // a constant of other records
	}
	e.b = append(b, text[:n]...)
}

// packed returns a constant as MessagePack.
func packed(c *parser.Constant, flat bool) []byte {
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
	for i := range ev.Pairs {
		p := &ev.Pairs[i]
		if !p.IsExtra() {
			continue
		}
		n++
		if k := p.KnownKey(); k != 0 {
			b = append(b, names[k]...)
		} else {
			b = appendUnmappedName(b, p.Key(), e.flat)
		}
		if !p.Repeated() {
			b = appendText(b, p.Value)
			continue
		}
		e.w.values = ev.AppendValues(e.w.values[:0], p)
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
	if parser.NeedsPrefix(string(key)) {
		prefix += "raw_"
	}
	b = appendStrHeader(b, len(prefix)+len(key))
	return append(append(b, prefix...), key...)
}

// unmappedNames are the names of unmapped pairs with a known key, by key.
var unmappedNames, unmappedFlatNames = func() (names, flat [][]byte) {
	for _, key := range parser.KnownKeys() {
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
	for i := nanoEnd - 1; i >= nanoStart; i-- {
		s.buf[i] = '0' + byte(nsec%10)
		nsec /= 10
	}
	return s.buf
}
