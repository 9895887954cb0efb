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

// maxDepth is the deepest nesting of a field: log.syslog.facility.code.
const maxDepth = 4

// object is a nested object of the record.
type object struct {
	parent int8 // -1 for the record itself
	depth  int8
	key    []byte // MessagePack text
}

// leaf is where a field stands.
type leaf struct {
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
	_, _ = dst[wide-1], src[wide-1]
	a, b := binary.LittleEndian.Uint64(src), binary.LittleEndian.Uint64(src[8:])
	c, d := binary.LittleEndian.Uint64(src[16:]), binary.LittleEndian.Uint64(src[24:])
	binary.LittleEndian.PutUint64(dst, a)
	binary.LittleEndian.PutUint64(dst[8:], b)
	binary.LittleEndian.PutUint64(dst[16:], c)
	binary.LittleEndian.PutUint64(dst[24:], d)
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
		parent, name := "", path
		if i := strings.LastIndexByte(path, '.'); i >= 0 {
			parent, name = path[:i], path[i+1:]
		}
		p := at(parent)
		objs = append(objs, object{p, objs[p].depth + 1, msgp.AppendString(nil, name)})
		index[path] = int8(len(objs) - 1)
		return index[path]
	}
	for f, name := range parser.Fields {
		path, last := "", name
		if i := strings.LastIndexByte(name, '.'); i >= 0 {
			path, last = name[:i], name[i+1:]
		}
		ls[f] = leaf{at(path), packKey(last), packKey(strings.ReplaceAll(name, ".", "_"))}
	}
	return objs, ls, index[parser.VendorPrefix]
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

// encoder appends one record.
type encoder struct {
	b      []byte
	schema Schema
	depth  int
	open   [maxDepth + 1]struct {
		object int8
		at     int // of the map header
		n      int // pairs so far
	}
}

// begin opens the record.
func (e *encoder) begin() {
	e.depth = 0
	e.open[0].object, e.open[0].at, e.open[0].n = 0, len(e.b), 0
	e.b = append(e.b, 0xde, 0, 0)
}

// enter makes obj the innermost open object, closing and opening what it takes.
func (e *encoder) enter(obj int8) {
	for e.open[e.depth].object != obj {
		cur := &e.open[e.depth]
		if objects[cur.object].depth >= objects[obj].depth {
			e.close()
			continue
		}
		// The ancestor of obj one level below cur, if cur is its ancestor.
		child := obj
		for objects[child].depth > objects[cur.object].depth+1 {
			child = objects[child].parent
		}
		if objects[child].parent != cur.object {
			e.close()
			continue
		}
		cur.n++
		e.b = append(e.b, objects[child].key...)
		e.depth++
		e.open[e.depth].object, e.open[e.depth].at, e.open[e.depth].n = child, len(e.b), 0
		if child == emsObject {
			e.b = append(e.b, 0xde, 0, 0)
		} else {
			e.b = append(e.b, 0x80)
		}
	}
}

// close writes the number of pairs into the header of the innermost object.
func (e *encoder) close() {
	o := &e.open[e.depth]
	if e.b[o.at] == 0x80 {
		e.b[o.at] |= byte(o.n) // at most 15, see TestTree
	} else {
		e.b = setMap16(e.b, o.at, o.n)
	}
	e.depth--
}

// setMap16 writes n into the map 16 header at b[at], making it a map 32 when it
// must.
func setMap16(b []byte, at, n int) []byte {
	if n <= math.MaxUint16 {
		binary.BigEndian.PutUint16(b[at+1:], uint16(n))
		return b
	}
	b = append(b, 0, 0)
	copy(b[at+5:], b[at+3:])
	b[at] = 0xdf
	binary.BigEndian.PutUint32(b[at+1:], uint32(n))
	return b
}

// end closes the record.
func (e *encoder) end() {
	for e.depth >= 0 {
		e.close()
	}
}

// key writes the key of a field where it belongs.
func (e *encoder) key(f parser.Field) {
	l := &leaves[f]
	if e.schema == Flat {
		e.open[0].n++
		e.packed(&l.flat)
		return
	}
	if e.open[e.depth].object != l.object {
		e.enter(l.object)
	}
	e.open[e.depth].n++
	e.packed(&l.key)
}

// room makes sure that n more bytes can be written behind e.b.
func (e *encoder) room(n int) {
	if cap(e.b)-len(e.b) < n {
		e.b = slices.Grow(e.b, n+4096)
	}
}

func (e *encoder) packed(k *packedKey) {
	e.room(wide)
	n := len(e.b)
	copyWide(e.b[n:n+wide], k.bytes[:])
	e.b = e.b[:n+k.n]
}

// text writes a text. Bytes behind a short one in the same array are copied with
// it and then overwritten.
func (e *encoder) text(v []byte) {
	if len(v) >= wide {
		e.b = msgp.AppendStringFromBytes(e.b, v)
		return
	}
	e.room(1 + wide)
	n := len(e.b)
	b := e.b[:n+1+wide]
	b[n] = 0xa0 | byte(len(v))
	if cap(v) >= wide {
		copyWide(b[n+1:], v[:wide])
	} else {
		copy(b[n+1:], v)
	}
	e.b = b[:n+1+len(v)]
}

// fields writes the fields of ev in their order.
func (e *encoder) fields(ev *parser.Event) {
	for i, word := range ev.Set {
		for ; word != 0; word &= word - 1 {
			f := parser.Field(i*64 + bits.TrailingZeros64(word))
			e.key(f)
			e.value(ev, f)
		}
	}
}

func (e *encoder) value(ev *parser.Event, f parser.Field) {
	v := &ev.Values[f]
	switch v.Kind {
	case parser.Text:
		e.text(v.Text)
	case parser.Int:
		e.b = msgp.AppendInt64(e.b, v.Num)
	case parser.Float:
		e.b = msgp.AppendFloat64(e.b, math.Float64frombits(uint64(v.Num)))
	case parser.Const:
		e.constant(v.Const)
	case parser.List:
		e.list(ev.Lists[v.Num])
	case parser.SData:
		e.structuredData(v.Text)
	}
}

func (e *encoder) constant(c *parser.Constant) {
	packed := c.Packed
	if e.schema == Flat {
		packed = c.PackedFlat
	}
	if len(packed) > wide || cap(packed) < wide {
		e.b = append(e.b, packed...)
		return
	}
	e.room(wide)
	n := len(e.b)
	copyWide(e.b[n:n+wide], packed[:wide])
	e.b = e.b[:n+len(packed)]
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
		return append(b, 0xa0|byte(n))
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
	for x, next, ok := ev.NextExtra(0); ok; x, next, ok = ev.NextExtra(next) {
		e.extraKey(&x)
		if !x.Repeated() {
			e.text(x.Value)
			continue
		}
		if e.schema == Flat {
			var all [][]byte
			x.EachValue(func(v []byte) { all = append(all, v) })
			e.list(all)
			continue
		}
		e.b = msgp.AppendArrayHeader(e.b, uint32(x.Count()))
		x.EachValue(func(v []byte) { e.b = msgp.AppendStringFromBytes(e.b, v) })
	}
}

const rawPrefix = "raw_"

func (e *encoder) extraKey(x *parser.Extra) {
	if e.schema == ECS && !x.Raw {
		e.open[e.depth].n++
		e.text(x.Key)
		return
	}
	n := len(x.Key)
	if x.Raw {
		n += len(rawPrefix)
	}
	if e.schema == Flat {
		n += len(flatVendor)
		e.open[0].n++
	} else {
		e.open[e.depth].n++
	}
	e.b = appendStrHeader(e.b, n)
	if e.schema == Flat {
		e.b = append(e.b, flatVendor...)
	}
	if x.Raw {
		e.b = append(e.b, rawPrefix...)
	}
	e.b = append(e.b, x.Key...)
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
	parser.EachSD(s, func(id []byte) {
		i, ok := index[string(id)]
		if !ok {
			i = len(elements)
			index[string(id)] = i
			elements = append(elements, element{id: nameOr(id), index: map[string]int{}})
		}
		cur = i
	}, func(name, value []byte) {
		el := &elements[cur]
		i, ok := el.index[string(name)]
		if !ok {
			i = len(el.params)
			el.index[string(name)] = i
			el.params = append(el.params, param{name: nameOr(name)})
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
	enc := encoder{b: appendHead(out, in, w.ev.Sec, w.ev.Nsec), schema: e.schema}
	enc.begin()
	w.incoming(&enc, raw)
	enc.fields(&w.ev)
	enc.extras(&w.ev)
	enc.end()
	return enc.b
}

// notFortiEMS is the reason in marked records.
const notFortiEMS = "not a FortiEMS line"

// appendMarked appends an event whose line is not FortiEMS, marked as such.
func (e *Enricher) appendMarked(out []byte, w *worker, in *event.Event, raw int) []byte {
	enc := encoder{b: append(out, in.Head...), schema: e.schema}
	enc.begin()
	w.incoming(&enc, raw)
	enc.key(parser.Message)
	enc.b = msgp.AppendStringFromBytes(enc.b, w.ev.Clean)
	enc.key(parser.EventKind)
	enc.b = msgp.AppendString(enc.b, "pipeline_error")
	enc.key(parser.ErrorMessage)
	enc.b = msgp.AppendString(enc.b, notFortiEMS)
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
			enc.open[0].n++
		case !sameText(p.Value, w.pairs[raw].Value):
			labels++
		}
	}
	if labels == 0 {
		return
	}
	if enc.schema == ECS {
		enc.open[0].n++
		enc.b = msgp.AppendString(enc.b, parser.LabelsName)
		enc.b = msgp.AppendMapHeader(enc.b, uint32(labels))
	} else {
		enc.open[0].n += labels
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

// format returns sec and nsec as RFC 3339 in UTC with nanoseconds. The result is
// valid until the next call.
func (s *stamp) format(sec int64, nsec int32) []byte {
	if s.buf == nil || s.sec != sec {
		s.sec = sec
		s.buf = time.Unix(sec, 0).UTC().AppendFormat(s.buf[:0], "2006-01-02T15:04:05.000000000Z")
	}
	digits := s.buf[len(s.buf)-1-nanoDigits : len(s.buf)-1]
	for i := nanoDigits - 1; i >= 0; i-- {
		digits[i] = '0' + byte(nsec%10)
		nsec /= 10
	}
	return s.buf
}
