package enrich

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/plugin/event"
)

// object is a nested object of the record.
type object struct {
	parent   int8            // -1 for the record itself
	key      packedKey       // MessagePack text
	own      parser.FieldSet // its own fields
	all      parser.FieldSet // its own fields and those of the objects in it
	children []int8
}

// ownSize returns how many fields of set stand in the object itself.
func (o *object) ownSize(set *parser.FieldSet) int {
	n := 0
	for i, word := range set {
		n += bits.OnesCount64(word & o.own[i])
	}
	return n
}

// size returns the number of pairs the object has when the fields of set are
// written.
func (o *object) size(set *parser.FieldSet) int {
	n := o.ownSize(set)
	for _, c := range o.children {
		if objects[c].isIn(set) {
			n++
		}
	}
	return n
}

// isIn reports whether any field of the object or below is in set.
func (o *object) isIn(set *parser.FieldSet) bool {
	any := uint64(0)
	for i, word := range set {
		any |= word & o.all[i]
	}
	return any != 0
}

// leaf is where a field stands.
type leaf struct {
	bit    uint64 // 1 << object
	object int8
	key    packedKey // MessagePack text of its last name
	flat   packedKey // MessagePack text of all names joined by "_"
}

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

// packedKey is a short MessagePack text with room to be copied at once.
type packedKey struct {
	bytes [wide]byte
	n     int
}

func packKey(name string) (k packedKey) {
	b := msgp.AppendString(nil, name)
	k.n = copy(k.bytes[:], b)
	if k.n < len(b) {
		panic("enrich: a field name longer than packedKey: " + name)
	}
	return k
}

// The tree of the record, from the dotted names of the fields.
var objects, leaves, emsObject = buildTree()

func buildTree() (objs []object, ls [parser.NumFields]leaf, ems int8) {
	index := map[string]int8{"": 0}
	objs = []object{{parent: -1}}
	var at func(path string) int8
	at = func(path string) int8 {
		if i, ok := index[path]; ok {
			return i
		}
		parent, name := splitName(path)
		p, i := at(parent), int8(len(objs))
		objs = append(objs, object{parent: p, key: packKey(name)})
		objs[p].children = append(objs[p].children, i)
		index[path] = i
		return i
	}
	for f, name := range parser.Fields {
		path, last := splitName(name)
		o := at(path)
		ls[f] = leaf{1 << o, o, packKey(last), packKey(strings.ReplaceAll(name, ".", "_"))}
		objs[o].own.Add(parser.Field(f))
		for ; o >= 0; o = objs[o].parent {
			objs[o].all.Add(parser.Field(f))
		}
	}
	return objs, ls, index[parser.VendorPrefix]
}

// splitName splits a dotted name before its last part.
func splitName(name string) (path, last string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

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

// encoder appends one record. Which fields an object will have is known before
// it is begun, so its header is written once, with the final count; only the
// record and fortinet.ems, which take more than fields, are counted on the way.
type encoder struct {
	b      []byte
	schema Schema
	begun  uint64 // the objects whose header is written
	record openMap
	vendor openMap  // fortinet.ems
	values [][]byte // scratch of a key that repeats
}

// openMap is a map 16 whose pairs are still being counted.
type openMap struct {
	at int // of its header
	n  int // pairs so far
}

// First bytes of MessagePack objects.
const (
	fixMap = 0x80
	fixStr = 0xa0
	map16  = 0xde
	map32  = 0xdf
)

func (e *encoder) begin() {
	e.begun = 1
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
	if e.begun&(1<<emsObject) != 0 {
		e.endMap(e.vendor)
	}
	e.endMap(e.record)
}

// beginObject writes the header of an object, and before it those of the objects
// that it stands in.
func (e *encoder) beginObject(b []byte, i int8, set *parser.FieldSet) []byte {
	o := &objects[i]
	if o.parent == 0 {
		e.record.n++
	} else if e.begun&(1<<o.parent) == 0 {
		b = e.beginObject(b, o.parent, set)
	}
	e.begun |= 1 << i
	b = appendPacked(b, &o.key)
	if i == emsObject {
		e.vendor = openMap{at: len(b), n: o.size(set)}
		return append(b, map16, 0, 0)
	}
	return append(b, fixMap|byte(o.size(set))) // at most 15, see TestTree
}

// room makes sure that n more bytes can be written behind b.
func room(b []byte, n int) []byte {
	if cap(b)-len(b) < n {
		b = slices.Grow(b, n+4096)
	}
	return b
}

func appendPacked(b []byte, k *packedKey) []byte {
	b = room(b, wide)
	n := len(b)
	copyWide(b[n:n+wide], k.bytes[:])
	return b[:n+k.n]
}

// appendText appends a text. Bytes behind a short one in the same array are
// copied with it and then overwritten.
func appendText(b, v []byte) []byte {
	if len(v) >= wide {
		return msgp.AppendStringFromBytes(b, v)
	}
	b = room(b, 1+wide)
	n := len(b)
	b = b[:n+1+wide]
	b[n] = fixStr | byte(len(v))
	if cap(v) >= wide {
		copyWide(b[n+1:], v[:wide])
	} else {
		copy(b[n+1:], v)
	}
	return b[:n+1+len(v)]
}

func (e *encoder) text(v []byte) { e.b = appendText(e.b, v) }

// fieldRoom is what a key and a short value take at most, both copied wide.
const fieldRoom = 2*wide + 1

// fields writes the fields of ev in their order. The buffer stays in a local
// variable: through e, every length would be a round trip to memory.
func (e *encoder) fields(ev *parser.Event) {
	flat := e.schema == Flat
	if flat {
		e.record.n += ev.Set.Len()
	} else {
		e.record.n += objects[0].ownSize(&ev.Set)
	}
	b := e.b
	for i, word := range ev.Set {
		for ; word != 0; word &= word - 1 {
			f := parser.Field(i*64 + bits.TrailingZeros64(word))
			l := &leaves[f]
			key := &l.key
			if flat {
				key = &l.flat
			} else if e.begun&l.bit == 0 {
				b = e.beginObject(b, l.object, &ev.Set)
			}
			n := len(b)
			if cap(b)-n < fieldRoom {
				b = slices.Grow(b, fieldRoom+4096)
			}
			copyWide(b[n:n+wide], key.bytes[:])
			n += key.n
			switch v := &ev.Values[f]; v.Kind {
			case parser.Text:
				if t := v.Text; len(t) < wide && cap(t) >= wide {
					to := b[n : n+1+wide]
					to[0] = fixStr | byte(len(t))
					copyWide(to[1:], t[:wide])
					b = b[:n+1+len(t)]
				} else {
					b = appendText(b[:n], t)
				}
			case parser.Const:
				packed := v.Const.Packed
				if flat {
					packed = v.Const.PackedFlat
				}
				if len(packed) <= wide && cap(packed) >= wide {
					copyWide(b[n:n+wide], packed[:wide])
					b = b[:n+len(packed)]
				} else {
					b = append(b[:n], packed...)
				}
			default:
				e.b = b[:n]
				e.value(ev, v)
				b = e.b
			}
		}
	}
	e.b = b
}

// value writes what is no text and no constant.
func (e *encoder) value(ev *parser.Event, v *parser.Value) {
	switch v.Kind {
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
	e.b = msgp.AppendArrayHeader(e.b, uint32(len(l)))
	for _, v := range l {
		e.text(v)
	}
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
		return append(b, 0xd9, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, 0xda), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, 0xdb), uint32(n))
}

// extras writes the pairs that have no field under fortinet.ems, whose object is
// the last of the record and open, because fortinet.ems.category is always set.
func (e *encoder) extras(ev *parser.Event) {
	for i := range ev.Pairs {
		p := &ev.Pairs[i]
		if !p.IsExtra() {
			continue
		}
		e.extraKey(p)
		if !p.Repeated() {
			e.text(p.Value)
			continue
		}
		e.values = ev.AppendValues(e.values[:0], p)
		e.list(e.values)
	}
}

const rawPrefix = "raw_"

func (e *encoder) extraKey(p *parser.Pair) {
	raw := p.NeedsPrefix()
	if e.schema == ECS {
		e.vendor.n++
		if !raw {
			e.text(p.Key)
			return
		}
	} else {
		e.record.n++
	}
	n := len(p.Key)
	if raw {
		n += len(rawPrefix)
	}
	if e.schema == Flat {
		n += len(flatVendor)
	}
	e.b = appendStrHeader(e.b, n)
	if e.schema == Flat {
		e.b = append(e.b, flatVendor...)
	}
	if raw {
		e.b = append(e.b, rawPrefix...)
	}
	e.b = append(e.b, p.Key...)
}

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

// nameOr returns a name that an object can have.
func nameOr(name []byte) string {
	if len(name) == 0 {
		return "_"
	}
	return string(name)
}

// appendEvent appends the event with its enriched record.
func (e *Enricher) appendEvent(out []byte, w *worker, in *event.Event, raw int) []byte {
	w.ev.SetText(parser.EventCreated, w.created.format(in.Sec, in.Nsec))
	if e.original {
		w.ev.SetText(parser.EventOriginal, w.ev.Clean)
	}
	enc := encoder{b: appendHead(out, in, w.ev.Sec, w.ev.Nsec), schema: e.schema, values: w.values}
	enc.begin()
	w.incoming(&enc, raw)
	enc.fields(&w.ev)
	enc.extras(&w.ev)
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
func (e *Enricher) appendMarked(out []byte, w *worker, in *event.Event, raw int) []byte {
	enc := encoder{b: append(out, in.Head...), schema: e.schema}
	enc.begin()
	w.incoming(&enc, raw)
	w.ev.Set = parser.FieldSet{}
	w.ev.SetText(parser.Message, w.ev.Clean)
	w.ev.SetText(parser.EventKind, pipelineError)
	w.ev.SetText(parser.ErrorMessage, notFortiEMS)
	enc.fields(&w.ev)
	enc.end()
	return enc.b
}

// incoming writes the pairs of the incoming record but the raw line: as they
// are, or as labels when their name is ours.
func (w *worker) incoming(enc *encoder, raw int) {
	labels := 0
	for i := range w.pairs {
		p := &w.pairs[i]
		switch {
		case i == raw:
		case p.Key == nil || !isOurs(enc.schema, p.Key):
			enc.b = append(enc.b, p.Raw...)
			enc.record.n++
		case !sameText(p.Value, w.pairs[raw].Value):
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
	for i := range w.pairs {
		p := &w.pairs[i]
		if i == raw || p.Key == nil || !isOurs(enc.schema, p.Key) || sameText(p.Value, w.pairs[raw].Value) {
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

// putDigits writes n, below 1000, as three digits.
func putDigits(d []byte, n uint32) {
	d[0], d[1], d[2] = '0'+byte(n/100), '0'+byte(n/10%10), '0'+byte(n%10)
}

// format returns sec and nsec as RFC 3339 in UTC with nanoseconds. The result is
// valid until the next call.
func (s *stamp) format(sec int64, nsec int32) []byte {
	if s.buf == nil || s.sec != sec {
		s.sec = sec
		s.buf = time.Unix(sec, 0).UTC().AppendFormat(s.buf[:0], "2006-01-02T15:04:05.000000000Z")
	}
	digits := s.buf[len(s.buf)-1-nanoDigits : len(s.buf)-1]
	// Three groups that do not wait for each other.
	n := uint32(nsec)
	putDigits(digits[0:3], n/1_000_000)
	putDigits(digits[3:6], n/1_000%1_000)
	putDigits(digits[6:9], n%1_000)
	return s.buf
}
