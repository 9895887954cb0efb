package line

import (
	"slices"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/dict"
)

// Pair is one key=value pair of a line.
type Pair struct {
	// Value without its quotes, \" unescaped. It points into the line or the arena.
	Value []byte

	name  []byte   // of a key that is not in the dictionary, in its written form
	next  int32    // next pair of the same key, 0 for none
	last  int32    // last pair of the same key; first pair only, and only with a next
	key   dict.Key // NoKey for one that is not in the dictionary
	state pairState
}

// pairState is why a pair is not written under fortinet.ems. 0 means that it is: unmapped.
type pairState uint8

const (
	null     pairState = 1 << iota // a null marker
	repeated                       // repeats the key of an earlier pair
	consumed                       // a field holds the only value of the key
)

// Key returns the dictionary key, or NoKey.
func (p *Pair) Key() dict.Key { return p.key }

// Name returns the key in its written form: lower case, every byte that is not a letter,
// digit or underscore replaced by "_", at most 64 bytes. The caller must not change it.
func (p *Pair) Name() []byte {
	if p.key != dict.NoKey {
		return p.key.Bytes()
	}
	return p.name
}

// NonEmpty reports whether p is the first pair of its key and not a null marker.
func (p *Pair) NonEmpty() bool { return p.state&^consumed == 0 }

// Unmapped reports whether the pair is written under fortinet.ems: it is not empty, the
// first of its key, and no field holds its value.
func (p *Pair) Unmapped() bool { return p.state == 0 }

// Repeats reports whether the line has the key of this first pair more than once. All its
// values are then written as a list.
func (p *Pair) Repeats() bool { return p.next != 0 }

// Consume notes that a field holds the value. The values of a repeated key are all
// written under fortinet.ems, so its first pair stays unmapped.
func (p *Pair) Consume() {
	if p.next == 0 {
		p.state |= consumed
	}
}

// Pairs are the pairs of one line in their order, with an index by key. The zero value is
// ready; Reset it for each line. Not safe for concurrent use.
type Pairs struct {
	List []Pair

	arena    *arena.Arena
	present  dict.KeySet         // keys of the line
	nonEmpty dict.KeySet         // keys whose value is not empty or a null marker
	first    [dict.MaxKeys]int32 // first pair of a key in present
	others   nameIndex           // first pairs of keys that are not in the dictionary
}

// Reset removes all pairs. Derived values will be kept in a.
func (p *Pairs) Reset(a *arena.Arena) {
	p.List = p.List[:0]
	p.present, p.nonEmpty = dict.KeySet{}, dict.KeySet{}
	p.others.reset()
	p.arena = a
}

// Has reports whether the line has a key, with any value.
func (p *Pairs) Has(k dict.Key) bool { return p.present.Has(k) }

// HasAny reports whether the line has any of keys, with any value.
func (p *Pairs) HasAny(keys *dict.KeySet) bool { return p.present.HasAny(keys) }

// AnyNonEmpty reports whether the line has any of keys with a value that is not empty or a
// null marker.
func (p *Pairs) AnyNonEmpty(keys *dict.KeySet) bool { return p.nonEmpty.HasAny(keys) }

// Pair returns the pair with the first value of a key that is not empty or a null marker,
// or nil. It is valid until a pair is added.
func (p *Pairs) Pair(k dict.Key) *Pair {
	if p.nonEmpty.Has(k) {
		return &p.List[p.first[k]]
	}
	return nil
}

// Value returns the first value of a key that is not empty or a null marker, or nil.
func (p *Pairs) Value(k dict.Key) []byte {
	if p.nonEmpty.Has(k) {
		return p.List[p.first[k]].Value
	}
	return nil
}

// FirstValue returns the first of keys, in their order, that has a value.
func (p *Pairs) FirstValue(keys ...dict.Key) []byte {
	for _, k := range keys {
		if v := p.Value(k); v != nil {
			return v
		}
	}
	return nil
}

// Consume notes that a field holds the value of a key.
func (p *Pairs) Consume(k dict.Key) {
	if p.present.Has(k) {
		p.List[p.first[k]].Consume()
	}
}

// Lookup returns the first value of a key, given as its Key or, for NoKey, in its written
// form. ok is false if the line has no value or a null marker.
func (p *Pairs) Lookup(name []byte, k dict.Key) (v []byte, ok bool) {
	if k != dict.NoKey {
		v = p.Value(k)
		return v, v != nil
	}
	n := p.others.find(p.List, name)
	if n < 0 || p.List[n].state == null {
		return nil, false
	}
	return p.List[n].Value, true
}

// AppendValues appends all values of the key of first, its first pair, in their order.
func (p *Pairs) AppendValues(dst [][]byte, first *Pair) [][]byte {
	for pair := first; ; pair = &p.List[pair.next] {
		dst = append(dst, pair.Value)
		if pair.next == 0 {
			return dst
		}
	}
}

// Add enters a pair with a key as sent. Keys longer than 64 bytes are cut.
func (p *Pairs) Add(key, value []byte) {
	k := dict.Lookup(key)
	if k == dict.NoKey && !isPlainName(key) {
		key = p.arena.Keep(appendName(p.arena.Start(min(len(key), maxNameLen)+1), key))
		k = dict.Lookup(key)
	}
	if k != dict.NoKey {
		p.AddKey(k, value)
	} else {
		p.AddName(key, value)
	}
}

// AddKey enters a pair with a key of the dictionary.
func (p *Pairs) AddKey(k dict.Key, value []byte) {
	var state pairState
	if isNull(value) || value[0] == '0' && dict.ZeroIsNull.Has(k) && isZero(value) {
		state = null
	}
	if p.present.Has(k) {
		p.addRepeated(int(p.first[k]), Pair{Value: value, key: k, state: state})
		return
	}
	p.present.Add(k)
	if state == 0 {
		p.nonEmpty.Add(k)
	}
	p.first[k] = int32(len(p.List))
	pair := p.extend()
	pair.Value = value
	pair.next, pair.key, pair.state = 0, k, state
}

// AddName enters a pair with a key that is not in the dictionary, in its written form.
func (p *Pairs) AddName(name, value []byte) {
	var state pairState
	if isNull(value) {
		state = null
	}
	if first := p.others.add(p.List, name, len(p.List)); first >= 0 {
		p.addRepeated(first, Pair{Value: value, name: name, state: state})
		return
	}
	*p.extend() = Pair{Value: value, name: name, state: state}
}

func (p *Pairs) extend() *Pair {
	n := len(p.List)
	if n == cap(p.List) {
		p.List = slices.Grow(p.List, max(32, n))
	}
	p.List = p.List[:n+1]
	return &p.List[n]
}

// addRepeated enters a pair whose key is that of the pair first. A null marker adds
// nothing, and a value takes the place of a null marker.
func (p *Pairs) addRepeated(first int, pair Pair) {
	f := &p.List[first]
	switch {
	case pair.state == null:
		return
	case f.state == null:
		f.Value, f.state = pair.Value, 0
		if f.key != dict.NoKey {
			p.nonEmpty.Add(f.key)
		}
		return
	}
	pair.state = repeated
	n := int32(len(p.List))
	if f.next == 0 {
		f.next = n
	} else {
		p.List[f.last].next = n
	}
	f.last = n
	p.List = append(p.List, pair)
}

// isNull reports whether a value is empty or a null marker.
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

// isZero reports whether a value is the number 0.
func isZero(v []byte) bool {
	for _, c := range v {
		if c != '0' {
			return false
		}
	}
	return true
}
