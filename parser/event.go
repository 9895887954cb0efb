package parser

import (
	"slices"
	"strings"
)

// Pair is one key=value pair as it stands in the line.
type Pair struct {
	// Value without its quotes, `\"` undone.
	Value []byte

	key   []byte // of an unknown key, in its written form
	next  int32  // next pair of the same key, 0 for none
	last  int32  // last pair of the same key (first pair only, and only with a next)
	id    keyID
	state pairState
}

// pairState tells why a pair is not written under fortinet.ems; 0 if it is.
type pairState uint8

const (
	null   pairState = 1 << iota // a marker that says nothing
	later                        // repeats the key of an earlier pair
	mapped                       // its value, the only one of the key, stands in a field
)

// represented notes that a field holds the value. All values of a key that
// repeats are written together, so its first pair is written all the same.
func (p *Pair) represented() {
	if p.next == 0 {
		p.state |= mapped
	}
}

// Key returns the key in the form in which it is written: lower case, odd
// characters "_", at most 64 bytes. It must not be changed.
func (p *Pair) Key() []byte {
	if p.id != 0 {
		return keyBytes[p.id]
	}
	return p.key
}

// KnownKey returns the position in [KnownKeys] of the key, 0 for a key that is not
// there.
func (p *Pair) KnownKey() uint8 { return uint8(p.id) }

// Event is what one line says. Reuse it: a parsed Event allocates nothing more
// once its slices have grown. The zero value is ready. Not for concurrent use.
type Event struct {
	// Set tells which fields the event has.
	Set FieldSet
	// Values by field; only those in Set have a meaning, and of these not those that
	// are the same in every line of a writer, see [FixedValue].
	Values [NumFields]Value
	// Lists of the values of kind List.
	Lists [numLists][][]byte
	// Pairs of the line in its order; those that IsExtra are written as they are.
	Pairs []Pair
	// Time of the event: Unix seconds and nanoseconds, the time of receipt when
	// the line carries none.
	Sec  int64
	Nsec int32
	// Category is the FortiEMS category of the line.
	Category Category
	// Clean is the line as valid UTF-8 without its CR, LF, NUL tail.
	Clean []byte

	head   header
	text   []byte // after the header
	by     Writer
	seen   keySet     // known keys of the line
	valued keySet     // those whose value says something
	byKey  [256]int32 // first pair of a known key, valid if it is in seen
	behind [256]keyID // the key that came behind a key in an earlier line
	names  nameIndex
	msg    []byte
	words  wordHits
	buf    []byte // made-up values; grows only between lines
	clocks clocks
	os     osText // the last one

	candidates []uint64 // set of the rules that are filed under what the event has

	id    []byte // id, logid or log_id
	token token

	cefName   []byte // Name of a CEF header
	cefClient bool   // CEF of a Fortinet endpoint product
}

// reset makes the event ready for the next line.
func (ev *Event) reset() {
	ev.Set = FieldSet{}
	for i := range ev.Lists {
		ev.Lists[i] = ev.Lists[i][:0]
	}
	ev.Pairs = ev.Pairs[:0]
	ev.seen, ev.valued = keySet{}, keySet{}
	ev.names.reset()
	ev.buf = ev.buf[:0]
	ev.head = header{}
	ev.msg, ev.id, ev.cefName, ev.cefClient = nil, nil, nil, false
	ev.Category = Unknown
	ev.by = byEMS
}

// scratch returns the buffer for made-up values with room for n more bytes.
// When it must grow, a new one is made and the old one stays with the values
// that point into it.
func (ev *Event) scratch(n int) []byte {
	if cap(ev.buf)-len(ev.buf) < n {
		ev.buf = make([]byte, 0, max(2*cap(ev.buf), n, 1024))
	}
	return ev.buf
}

// keep stores what was appended to a buffer of scratch since it had n bytes.
func (ev *Event) keep(b []byte, n int) []byte {
	ev.buf = b
	return b[n:]
}

// Writer tells who wrote the line.
func (ev *Event) Writer() Writer { return ev.by }

// SetText fills a field with a text, which must be valid UTF-8 and stay as it is
// until the event has been written.
func (ev *Event) SetText(f Field, v []byte) { ev.setText(f, v) }

// Only what the kind needs is written: the rest of a Value is left over from an
// earlier line and never read.

func (ev *Event) setText(f Field, v []byte) {
	ev.Values[f].Kind, ev.Values[f].Text = Text, v
	ev.Set.Add(f)
}

// setSome is setText unless v is empty.
func (ev *Event) setSome(f Field, v []byte) {
	if len(v) > 0 {
		ev.setText(f, v)
	}
}

func (ev *Event) setInt(f Field, n int64) {
	ev.Values[f].Kind, ev.Values[f].Num = Int, n
	ev.Set.Add(f)
}

func (ev *Event) setConst(f Field, c *Constant) {
	ev.Values[f].Kind, ev.Values[f].Const = Const, c
	ev.Set.Add(f)
}

// addList adds v to a list unless it is there already.
func (ev *Event) addList(f Field, list int, v []byte) {
	l := ev.Lists[list]
	if !ev.Set.Has(f) {
		ev.Values[f].Kind, ev.Values[f].Num = List, int64(list)
		ev.Set.Add(f)
	}
	// A hostile list is bounded by maxList, so this stays linear in the line.
	for _, have := range l {
		if string(have) == string(v) {
			return
		}
	}
	ev.Lists[list] = append(l, v)
}

// maxList is the most values a list field takes; a longer list stays text.
const maxList = 64

// addKnown enters a pair with a known key.
func (ev *Event) addKnown(id keyID, value []byte) {
	state := pairState(0)
	if len(value) == 0 || nullStart[value[0]] && isNullOf(id, value) {
		state = null
	}
	if ev.seen.has(id) {
		ev.repeat(int(ev.byKey[id]), Pair{Value: value, id: id, state: state})
		return
	}
	ev.seen.add(id)
	if state == 0 {
		ev.valued.add(id)
	}
	ev.byKey[id] = int32(len(ev.Pairs))
	p := ev.newPair()
	p.Value = value
	p.next, p.id, p.state = 0, id, state
}

// addUnknown enters a pair with a key in its written form.
func (ev *Event) addUnknown(key, value []byte) {
	state := pairState(0)
	if isNull(value) {
		state = null
	}
	if first := ev.names.add(ev.Pairs, key, len(ev.Pairs)); first >= 0 {
		ev.repeat(first, Pair{Value: value, key: key, state: state})
		return
	}
	*ev.newPair() = Pair{Value: value, key: key, state: state}
}

// newPair appends a pair, to be filled where it stays: copying a made one costs
// more than all the rest.
func (ev *Event) newPair() *Pair {
	n := len(ev.Pairs)
	if n == cap(ev.Pairs) {
		ev.Pairs = slices.Grow(ev.Pairs, max(32, n))
	}
	ev.Pairs = ev.Pairs[:n+1]
	return &ev.Pairs[n]
}

// repeat enters a pair whose key is that of the pair first.
func (ev *Event) repeat(first int, p Pair) {
	f := &ev.Pairs[first]
	switch {
	case p.state == null:
		// A null marker adds nothing to what is there.
		return
	case f.state == null:
		// The first value that says something takes the place of the marker.
		f.Value, f.state = p.Value, 0
		if f.id != 0 {
			ev.valued.add(f.id)
		}
		return
	}
	p.state = later
	n := int32(len(ev.Pairs))
	if f.next == 0 {
		f.next = n
	} else {
		ev.Pairs[f.last].next = n
	}
	f.last = n
	ev.Pairs = append(ev.Pairs, p)
}

// addRaw enters a pair whose key is as sent.
func (ev *Event) addRaw(key, value []byte) {
	if id := lookupKey(key); id != 0 {
		ev.addKnown(id, value)
		return
	}
	if !isPlainKey(key) {
		b := ev.scratch(min(len(key), maxKeyLen) + 1)
		n := len(b)
		key = ev.keep(appendKey(b, key), n)
		if id := lookupKey(key); id != 0 {
			ev.addKnown(id, value)
			return
		}
	}
	ev.addUnknown(key, value)
}

// pair returns the first pair of a known key if it says something, or nil. It is valid
// until a pair is entered.
func (ev *Event) pair(id keyID) *Pair {
	if ev.valued.has(id) {
		return &ev.Pairs[ev.byKey[id]]
	}
	return nil
}

// value returns the first value of a known key that says something, or nil.
func (ev *Event) value(id keyID) []byte {
	if p := ev.pair(id); p != nil {
		return p.Value
	}
	return nil
}

// has reports whether the line carries a known key, with any value.
func (ev *Event) has(id keyID) bool { return ev.seen.has(id) }

// represented notes that the first pair of a key stands in a field.
func (ev *Event) represented(id keyID) {
	if ev.seen.has(id) {
		ev.Pairs[ev.byKey[id]].represented()
	}
}

// lookup returns the first value of a key in its written form, and whether the
// line carries the key with a value that says something.
func (ev *Event) lookup(key []byte, id keyID) ([]byte, bool) {
	if id != 0 {
		v := ev.value(id)
		return v, v != nil
	}
	n := ev.names.find(ev.Pairs, key)
	if n < 0 || ev.Pairs[n].state == null {
		return nil, false
	}
	return ev.Pairs[n].Value, true
}

// IsExtra reports whether the pair is written under fortinet.ems: one that says
// something, is the first of its key, and does not stand in a field as it is.
func (p *Pair) IsExtra() bool { return p.state == 0 }

// Repeated reports whether the key of the first pair of a key stands more than
// once in the line, in which case all its values are written as a list.
func (p *Pair) Repeated() bool { return p.next != 0 }

// AppendValues appends all values of the key of p, a first pair, in the order of
// the line.
func (ev *Event) AppendValues(dst [][]byte, p *Pair) [][]byte {
	for {
		dst = append(dst, p.Value)
		if p.next == 0 {
			return dst
		}
		p = &ev.Pairs[p.next]
	}
}

// NeedsPrefix reports whether the name of an extra with this key, in its written
// form, must have the prefix "raw_": because the parser writes a field of that name
// itself, or because the prefix itself would make it look like such a one.
func NeedsPrefix(key string) bool {
	for strings.HasPrefix(key, "raw_") {
		key = key[len("raw_"):]
	}
	switch key {
	case "category", "endpoint_serial", "type", "subtype":
		return true
	}
	return false
}

// isNull reports whether a value is one of the markers for "nothing".
func isNull(v []byte) bool {
	switch len(v) {
	case 0:
		return true
	case 1:
		return v[0] == '-'
	case 3:
		return string(v) == "N/A"
	case 6:
		return string(v) == "(null)"
	}
	return false
}

// nullStart tells the bytes that a null marker may begin with.
var nullStart = [256]bool{'-': true, 'N': true, '(': true, '0': true}

// isNullOf reports whether a value of a known key, which is not empty, is a null
// marker.
func isNullOf(id keyID, v []byte) bool {
	return isNull(v) || v[0] == '0' && portKeys.has(id) && isZero(v)
}

// isZero reports whether a value, which is not empty, is the number 0.
func isZero(v []byte) bool {
	for _, c := range v {
		if c != '0' {
			return false
		}
	}
	return true
}
