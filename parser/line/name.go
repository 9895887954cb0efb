package line

import "hash/maphash"

// maxNameLen is the longest written key, in bytes.
const maxNameLen = 64

// isPlainName reports whether key is its own written form.
func isPlainName(key []byte) bool {
	for _, c := range key {
		if !isPlainByte(c) {
			return false
		}
	}
	return len(key) > 0 && len(key) <= maxNameLen
}

func isPlainByte(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' }

// appendName appends the written form of a key: lower case, every byte that is not a
// letter, digit or underscore replaced by "_", at most maxNameLen bytes.
func appendName(dst, key []byte) []byte {
	if len(key) == 0 {
		return append(dst, '_')
	}
	for _, c := range key[:min(len(key), maxNameLen)] {
		switch {
		case isPlainByte(c):
			dst = append(dst, c)
		case c >= 'A' && c <= 'Z':
			dst = append(dst, c|0x20)
		default:
			dst = append(dst, '_')
		}
	}
	return dst
}

// nameIndex finds the first pair of a key that is not in the dictionary in one event. Keys come from
// the network, so the hash is seeded and the table grows: a line of thousands of
// distinct keys stays linear. The zero value is ready; not for concurrent use.
type nameIndex struct {
	slots []nameSlot
	round uint32 // slots of an earlier round are free
	used  int
}

type nameSlot struct {
	round uint32
	pair  int32
	hash  uint64
}

var nameSeed = maphash.MakeSeed()

func (x *nameIndex) reset() {
	x.used = 0
	if x.round++; x.round == 0 {
		clear(x.slots)
		x.round = 1
	}
}

// find returns the index of the first pair with this key, or -1.
func (x *nameIndex) find(pairs []Pair, key []byte) int {
	if x.used == 0 {
		return -1
	}
	i, ok := x.locate(pairs, key, maphash.Bytes(nameSeed, key))
	if !ok {
		return -1
	}
	return int(x.slots[i].pair)
}

// add enters pair n under key and returns -1, or the index of the first pair
// that already has this key.
func (x *nameIndex) add(pairs []Pair, key []byte, n int) int {
	if 2*x.used >= len(x.slots) {
		x.grow()
	}
	h := maphash.Bytes(nameSeed, key)
	i, ok := x.locate(pairs, key, h)
	if ok {
		return int(x.slots[i].pair)
	}
	x.slots[i] = nameSlot{x.round, int32(n), h}
	x.used++
	return -1
}

func (x *nameIndex) locate(pairs []Pair, key []byte, h uint64) (int, bool) {
	mask := len(x.slots) - 1
	for i := int(h) & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.round != x.round {
			return i, false
		}
		if s.hash == h && string(pairs[s.pair].name) == string(key) {
			return i, true
		}
	}
}

func (x *nameIndex) grow() {
	old, round := x.slots, x.round
	x.slots = make([]nameSlot, max(64, 2*len(old)))
	x.round = 1
	mask := len(x.slots) - 1
	for _, s := range old {
		if s.round != round {
			continue
		}
		i := int(s.hash) & mask
		for x.slots[i].round == 1 {
			i = (i + 1) & mask
		}
		x.slots[i] = nameSlot{1, s.pair, s.hash}
	}
}
