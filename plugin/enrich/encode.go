package enrich

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/plugin/event"
)

// topNames are the names that a record can hold at its top by schema. An
// incoming key of such a name moves to labels in every record.
var topNames = func() (names [2]map[string]bool) {
	names = [2]map[string]bool{ECS: {parser.LabelsName: true}, Flat: {}}
	for _, n := range parser.Fields {
		top, _, _ := strings.Cut(n, ".")
		names[ECS][top] = true
		names[Flat][strings.ReplaceAll(n, ".", "_")] = true
	}
	return names
}()

var (
	flatVendor = []byte(strings.ReplaceAll(parser.VendorPrefix, ".", "_") + "_")
	flatLabels = []byte(parser.LabelsName + "_")
)

// isOurs reports whether an incoming key has the name of a field of ours.
func isOurs(schema Schema, key []byte) bool {
	if topNames[schema][string(key)] {
		return true
	}
	return schema == Flat && (bytes.HasPrefix(key, flatVendor) || bytes.HasPrefix(key, flatLabels))
}

// encoder appends one record. A [plan] knows the headers of all objects; only the
// record and fortinet.ems, which take more than fields, are counted on the way.
type encoder struct {
	b      []byte
	schema Schema
	record openMap
	vendor openMap  // fortinet.ems
	values [][]byte // scratch of a key that repeats
}

// openMap is a map 16 whose pairs are still being counted.
type openMap struct {
	at int // of its header, 0 before it is written
	n  int // pairs so far
}

// First bytes of MessagePack objects.
const (
	fixMap = 0x80
	fixArr = 0x90
	fixStr = 0xa0
	str8   = 0xd9
	map16  = 0xde
	map32  = 0xdf

	map16Header = 3 // bytes
)

func (e *encoder) begin() {
	e.record = openMap{at: len(e.b)}
	e.b = append(e.b, map16, 0, 0)
}

// endMap writes the number of pairs into the header of m, making it a map 32
// when it must. Nothing open may stand behind m.
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

// end closes the record.
func (e *encoder) end() {
	if e.vendor.at != 0 {
		e.endMap(e.vendor)
	}
	e.endMap(e.record)
}

// appendText appends a text. Bytes behind a short one in the same array are
// copied with it and then overwritten.
func appendText(b, v []byte) []byte {
	n := len(b)
	switch room := cap(b) - n; {
	case len(v) < wide && cap(v) >= wide && room >= 1+wide:
		b = b[:n+1+wide]
		b[n] = fixStr | byte(len(v))
		copyWide(b[n+1:], v[:wide])
		return b[:n+1+len(v)]
	case len(v) >= wide && len(v) < 2*wide && cap(v) >= 2*wide && room >= 2+2*wide:
		b = b[:n+2+2*wide]
		b[n], b[n+1] = str8, byte(len(v))
		copyWide(b[n+2:], v[:wide])
		copyWide(b[n+2+wide:], v[wide:2*wide])
		return b[:n+2+len(v)]
	}
	return msgp.AppendStringFromBytes(b, v)
}

func (e *encoder) text(v []byte) { e.b = appendText(e.b, v) }

// fields writes the fields of ev, which are those of p.
func (e *encoder) fields(ev *parser.Event, p *plan) {
	e.record.n += p.top
	e.vendor.n = p.vendor
	for steps := p.steps; ; {
		n, vendor := 0, 0
		if e.b, n, vendor = appendSteps(e.b, ev, steps, e.schema); vendor != 0 {
			e.vendor.at = vendor - map16Header
		}
		if n == len(steps) {
			return
		}
		s := &steps[n]
		steps = steps[n+1:]
		e.b = append(e.b, s.text[:s.n]...)
		switch s.field {
		case textOnly:
		case opensVendor:
			e.vendor.at = len(e.b) - map16Header
		default:
			e.value(ev, &ev.Values[s.field])
		}
	}
}

// stepRoom is what a step takes at most in appendSteps. Its value begins among the
// first 2*wide bytes, which the compiler is told by a mask.
const stepRoom = 2*wide + 2 + 2*wide

// appendSteps writes steps up to one whose value is of a rarer kind, or for which b
// has no room, and returns how many, and where the header of fortinet.ems ends if it
// is among them. It leaves all that takes calls to its caller, so that what it needs
// stays in registers.
//
//go:noinline
func appendSteps(b []byte, ev *parser.Event, steps []step, schema Schema) (_ []byte, done, vendor int) {
	for i := range steps {
		s := &steps[i]
		n := len(b)
		end := n + stepRoom
		if end > cap(b) {
			return b, i, vendor
		}
		to := (*[stepRoom]byte)(b[n:end])
		*(*[wide]byte)(to[:]) = s.text
		at := int(s.n & (wide - 1))
		if s.field >= parser.NumFields {
			if b = b[:n+at]; s.field == opensVendor {
				vendor = n + at
			}
			continue
		}
		v := &ev.Values[s.field]
		var t []byte
		switch v.Kind {
		case parser.Text:
			t = v.Text
		case parser.Const:
			packed := packedFor(schema, v.Const)
			if len(packed) > wide || cap(packed) < wide {
				return b, i, vendor
			}
			copyWide(to[at:at+wide], packed[:wide])
			b = b[:n+at+len(packed)]
			continue
		case parser.Int:
			if v.Num < 0 || v.Num >= 0x80 {
				return b, i, vendor
			}
			to[at] = byte(v.Num)
			b = b[:n+at+1]
			continue
		case parser.List:
			if len(ev.Lists[v.Num]) != 1 {
				return b, i, vendor
			}
			if t = ev.Lists[v.Num][0]; schema == ECS {
				to[at] = fixArr | 1
				at++
			}
		default:
			return b, i, vendor
		}
		at &= 2*wide - 1
		switch {
		case len(t) < wide:
			to[at] = fixStr | byte(len(t))
			at++
			if cap(t) >= wide {
				copyWide(to[at:at+wide], t[:wide])
			} else {
				copy(to[at:], t)
			}
		case len(t) < 2*wide:
			to[at], to[at+1] = str8, byte(len(t))
			at += 2
			if cap(t) >= 2*wide {
				copyWide(to[at:at+wide], t[:wide])
				copyWide(to[at+wide:at+2*wide], t[wide:2*wide])
			} else {
				copy(to[at:], t)
			}
		default:
			return b, i, vendor
		}
		b = b[:n+at+len(t)]
	}
	return b, len(steps), vendor
}

// packedFor returns a constant as records of a schema have it.
func packedFor(schema Schema, c *parser.Constant) []byte {
	if schema == Flat {
		return c.PackedFlat
	}
	return c.Packed
}

// value writes a value of any kind.
func (e *encoder) value(ev *parser.Event, v *parser.Value) {
	switch v.Kind {
	case parser.Text:
		e.text(v.Text)
	case parser.Const:
		e.b = append(e.b, packedFor(e.schema, v.Const)...)
	case parser.Int:
		e.b = msgp.AppendInt64(e.b, v.Num)
	case parser.Float:
		e.b = msgp.AppendFloat64(e.b, math.Float64frombits(uint64(v.Num)))
	case parser.List:
		e.list(ev.Lists[v.Num])
	case parser.SData:
		e.structuredData(v.Text)
	}
}

func (e *encoder) list(l [][]byte) {
	if e.schema == Flat {
		e.joined(len(l), func(i int) []byte { return l[i] })
		return
	}
	b := e.b
	if len(l) < 16 {
		b = append(b, fixArr|byte(len(l)))
	} else {
		b = msgp.AppendArrayHeader(b, uint32(len(l)))
	}
	for _, v := range l {
		b = appendText(b, v)
	}
	e.b = b
}

// joined writes n values as one comma-joined text.
func (e *encoder) joined(n int, value func(i int) []byte) {
	size := max(n-1, 0)
	for i := range n {
		size += len(value(i))
	}
	e.b = appendStrHeader(e.b, size)
	for i := range n {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.b = append(e.b, value(i)...)
	}
}

func appendStrHeader(b []byte, n int) []byte {
	switch {
	case n < 32:
		return append(b, fixStr|byte(n))
	case n <= math.MaxUint8:
		return append(b, str8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xda), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
}

// extras writes the pairs that have no field under fortinet.ems, whose object is
// the last of the record and open, because fortinet.ems.category is always set.
func (e *encoder) extras(ev *parser.Event) {
	pairs := ev.Pairs
	for i := range pairs {
		p := &pairs[i]
		if !p.IsExtra() {
			continue
		}
		if e.schema == ECS {
			e.vendor.n++
		} else {
			e.record.n++
		}
		if k := p.KnownKey(); k != 0 {
			e.b = append(e.b, extraKeys[e.schema][k]...)
		} else {
			e.b = appendExtraKey(e.b, e.schema, p.Key(), parser.NeedsPrefix(string(p.Key())))
		}
		if !p.Repeated() {
			e.text(p.Value)
			continue
		}
		e.values = ev.AppendValues(e.values[:0], p)
		e.list(e.values)
	}
}

const rawPrefix = "raw_"

// appendExtraKey appends the name of an extra by its key in written form.
func appendExtraKey(b []byte, schema Schema, key []byte, prefixed bool) []byte {
	n := len(key)
	if prefixed {
		n += len(rawPrefix)
	}
	if schema == Flat {
		n += len(flatVendor)
	}
	b = appendStrHeader(b, n)
	if schema == Flat {
		b = append(b, flatVendor...)
	}
	if prefixed {
		b = append(b, rawPrefix...)
	}
	return append(b, key...)
}

// extraKeys are the names of the extras with a known key, by schema and key.
var extraKeys = func() (names [2][256][]byte) {
	for k, key := range parser.KnownKeys() {
		for schema := range names {
			names[schema][k] = appendExtraKey(nil, Schema(schema), []byte(key), parser.NeedsPrefix(key))
		}
	}
	return names
}()

// structuredData writes RFC 5424 structured data as {id: {name: value}}, a list
// where a name repeats. It is rare, so it allocates.
func (e *encoder) structuredData(s []byte) {
	if e.schema == Flat {
		e.b = msgp.AppendStringFromBytes(e.b, s)
		return
	}
	type param struct {
		name   string
		values [][]byte
	}
	type element struct {
		id     string
		params []param
		index  map[string]int
	}
	var elements []element
	index := map[string]int{}
	cur := 0
	parser.EachSD(s, func(sent []byte) {
		id := nameOr(sent)
		i, ok := index[id]
		if !ok {
			i = len(elements)
			index[id] = i
			elements = append(elements, element{id: id, index: map[string]int{}})
		}
		cur = i
	}, func(sent, value []byte) {
		el, name := &elements[cur], nameOr(sent)
		i, ok := el.index[name]
		if !ok {
			i = len(el.params)
			el.index[name] = i
			el.params = append(el.params, param{name: name})
		}
		el.params[i].values = append(el.params[i].values, parser.UnescapeSD(nil, value))
	})
	e.b = msgp.AppendMapHeader(e.b, uint32(len(elements)))
	for _, el := range elements {
		e.b = msgp.AppendString(e.b, el.id)
		e.b = msgp.AppendMapHeader(e.b, uint32(len(el.params)))
		for _, p := range el.params {
			e.b = msgp.AppendString(e.b, p.name)
			if len(p.values) == 1 {
				e.b = msgp.AppendStringFromBytes(e.b, p.values[0])
			} else {
				e.list(p.values)
			}
		}
	}
}

// maxSDName is the longest name of structured data in bytes. A flattened field
// takes no term of more than 32766, which is the whole path and the value.
const maxSDName = 255

// nameOr returns a name that an object can have, and a flattened field of
// Elasticsearch, which refuses a document with NUL in one.
func nameOr(sent []byte) string {
	if len(sent) == 0 {
		return "_"
	}
	if len(sent) > maxSDName {
		n := maxSDName
		for n > 0 && !utf8.RuneStart(sent[n]) {
			n--
		}
		sent = sent[:n]
	}
	name := bytes.Clone(sent)
	for i, c := range name {
		if c < ' ' || c == 0x7f {
			name[i] = '_'
		}
	}
	return string(name)
}

// appendEvent appends the event with its enriched record.
func (e *Enricher) appendEvent(out []byte, w *worker, it *item) []byte {
	it.ev.SetText(parser.EventCreated, w.created.format(it.in.Sec, it.in.Nsec))
	if e.original {
		it.ev.SetText(parser.EventOriginal, it.ev.Clean)
	}
	enc := encoder{b: appendHead(out, &it.in, it.ev.Sec, it.ev.Nsec), schema: e.schema, values: w.values}
	enc.begin()
	it.incoming(&enc, w)
	enc.fields(&it.ev, w.plans.of(&it.ev, e.schema))
	enc.extras(&it.ev)
	enc.end()
	w.values = enc.values
	return enc.b
}

// What marked records say.
var (
	pipelineError = []byte("pipeline_error")
	notFortiEMS   = []byte("not a FortiEMS line")
)

// appendMarked appends an event whose line is not FortiEMS, marked as such.
func (e *Enricher) appendMarked(out []byte, w *worker, it *item) []byte {
	enc := encoder{b: append(out, it.in.Head...), schema: e.schema}
	enc.begin()
	it.incoming(&enc, w)
	it.ev.Set = parser.FieldSet{}
	it.ev.SetText(parser.Message, it.ev.Clean)
	it.ev.SetText(parser.EventKind, pipelineError)
	it.ev.SetText(parser.ErrorMessage, notFortiEMS)
	enc.fields(&it.ev, w.plans.of(&it.ev, e.schema))
	enc.end()
	return enc.b
}

// incoming writes the pairs of the incoming record but the raw line: as they
// are, or as labels when their name is ours.
func (it *item) incoming(enc *encoder, w *worker) {
	labels := 0
	for i := range it.pairs {
		p := &it.pairs[i]
		switch {
		case i == it.raw:
		case p.Key == nil || !isOurs(enc.schema, p.Key):
			enc.b = append(enc.b, p.Raw...)
			enc.record.n++
		case !sameText(p.Value, it.pairs[it.raw].Value):
			labels++
		}
	}
	if labels == 0 {
		return
	}
	if enc.schema == ECS {
		enc.record.n++
		enc.b = msgp.AppendString(enc.b, parser.LabelsName)
		enc.b = msgp.AppendMapHeader(enc.b, uint32(labels))
	} else {
		enc.record.n += labels
	}
	for i := range it.pairs {
		p := &it.pairs[i]
		if i == it.raw || p.Key == nil || !isOurs(enc.schema, p.Key) || sameText(p.Value, it.pairs[it.raw].Value) {
			continue
		}
		enc.label(w, p)
	}
}

// label writes an incoming pair as a label. Labels are texts, numbers or
// booleans in ECS: bin becomes text, and anything nested JSON text.
func (e *encoder) label(w *worker, p *event.Pair) {
	if e.schema == Flat {
		e.b = appendStrHeader(e.b, len(flatLabels)+len(p.Key))
		e.b = append(e.b, flatLabels...)
	} else {
		e.b = appendStrHeader(e.b, len(p.Key))
	}
	e.b = append(e.b, p.Key...)
	if text, ok := event.Text(p.Value); ok {
		w.buf = parser.AppendValid(w.buf[:0], text)
		e.b = msgp.AppendStringFromBytes(e.b, w.buf)
		return
	}
	switch msgp.NextType(p.Value) {
	case msgp.MapType, msgp.ArrayType, msgp.ExtensionType:
		var js bytes.Buffer
		if _, err := msgp.UnmarshalAsJSON(&js, p.Value); err == nil {
			e.b = msgp.AppendStringFromBytes(e.b, parser.AppendValid(nil, js.Bytes()))
			return
		}
	}
	e.b = append(e.b, p.Value...)
}

// sameText reports whether two raw values hold the same text.
func sameText(a, b []byte) bool {
	x, ok := event.Text(a)
	if !ok {
		return false
	}
	y, ok := event.Text(b)
	return ok && bytes.Equal(x, y)
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

// stamp formats times of receipt; whole seconds repeat.
type stamp struct {
	sec int64
	buf []byte
}

const nanoDigits = 9

// putDigits writes n, below 100_000_000, as eight digits: a word holds two numbers of
// four digits, then four of two, then eight of one, the first one lowest.
func putDigits(d *[8]byte, n uint32) {
	fours := uint64(n/10_000) | uint64(n%10_000)<<32
	hundreds := fours * 10486 >> 20 & 0x7f_0000_007f // by 100
	twos := hundreds | (fours-hundreds*100)<<16
	tens := twos * 103 >> 10 & 0xf_000f_000f_000f // by 10
	ones := tens | (twos-tens*10)<<8
	binary.LittleEndian.PutUint64(d[:], ones|0x3030_3030_3030_3030)
}

// format returns sec and nsec as RFC 3339 in UTC with nanoseconds. The result is
// valid until the next call.
func (s *stamp) format(sec int64, nsec int32) []byte {
	if s.buf == nil || s.sec != sec {
		s.sec = sec
		s.buf = slices.Grow(s.buf[:0], 2*wide) // room for being copied wide
		s.buf = time.Unix(sec, 0).UTC().AppendFormat(s.buf[:0], "2006-01-02T15:04:05.000000000Z")
	}
	digits := s.buf[len(s.buf)-1-nanoDigits : len(s.buf)-1]
	n := uint32(nsec)
	digits[0] = '0' + byte(n/100_000_000)
	putDigits((*[8]byte)(digits[1:]), n%100_000_000)
	return s.buf
}
