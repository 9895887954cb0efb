package parser

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"
)

// keyID names a raw key that the parser knows. Zero is any other key.
type keyID uint8

// maxKeyLen is the longest key written under fortinet.ems, in bytes.
const maxKeyLen = 64

// keyPrint identifies a lower-case key of up to 16 bytes exactly: its first and
// last eight bytes and its length. Longer keys need a comparison of the text.
type keyPrint struct {
	head, tail uint64
	n          int
}

// lowMask keeps the low n bytes of a word.
var lowMask = [9]uint64{0, 1<<8 - 1, 1<<16 - 1, 1<<24 - 1, 1<<32 - 1, 1<<40 - 1, 1<<48 - 1, 1<<56 - 1, 1<<64 - 1}

// printOf reads the print of key. Bytes behind key in the same array are read
// and masked away, which saves a loop for the short keys of these logs.
func printOf(key []byte) keyPrint {
	n := len(key)
	if n >= 8 {
		return keyPrint{binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[n-8:]), n}
	}
	if cap(key) >= 8 {
		return keyPrint{binary.LittleEndian.Uint64(key[:8]) & lowMask[n], 0, n}
	}
	var w uint64
	for i, c := range key {
		w |= uint64(c) << (8 * i)
	}
	return keyPrint{w, 0, n}
}

// keySet is a set of known keys.
type keySet [4]uint64

func (s *keySet) has(id keyID) bool { return s[id/64]&(1<<(id%64)) != 0 }

// hasAny reports whether any key stands in both sets.
func (s *keySet) hasAny(o *keySet) bool {
	return s[0]&o[0]|s[1]&o[1]|s[2]&o[2]|s[3]&o[3] != 0
}

func (s *keySet) add(id keyID) { s[id/64] |= 1 << (id % 64) }

func keySetOf(ids ...keyID) (s keySet) {
	for _, id := range ids {
		s.add(id)
	}
	return s
}

// textIndex finds short texts by their print: open addressing, at most a quarter
// full, immutable once built. Positions are those in the list it was built from.
// The slots are small so that all of the index stays in the nearest cache.
type textIndex struct {
	shift  uint
	slots  []uint16   // position + 1, 0 for a free slot
	prints []keyPrint // by position
	texts  []string
}

// maxTexts is the most texts that a textIndex holds.
const maxTexts = math.MaxUint16 - 1

// newTextIndex indexes at most maxTexts texts; empty ones are not found.
func newTextIndex(texts []string) *textIndex {
	bits := uint(3)
	for 1<<bits < 4*len(texts) {
		bits++
	}
	x := &textIndex{shift: 64 - bits, slots: make([]uint16, 1<<bits), texts: texts, prints: make([]keyPrint, len(texts))}
	for at, text := range texts {
		if text == "" || x.find([]byte(text)) >= 0 {
			continue
		}
		p := printOf([]byte(text))
		x.prints[at] = p
		i := x.slot(p)
		for x.slots[i] != 0 {
			i = (i + 1) & (len(x.slots) - 1)
		}
		x.slots[i] = uint16(at + 1)
	}
	return x
}

func (x *textIndex) slot(p keyPrint) int {
	h := (p.head ^ bits.RotateLeft64(p.tail, 29) + uint64(p.n)) * 0x9E3779B97F4A7C15
	return int(h >> (x.shift & 63))
}

// find returns the position of text, or -1.
func (x *textIndex) find(text []byte) int {
	if len(text) == 0 {
		return -1
	}
	p := printOf(text)
	for i := x.slot(p); ; i++ {
		at := int(x.slots[i&(len(x.slots)-1)]) - 1
		if at < 0 || x.prints[at] == p && (p.n <= 16 || x.texts[at] == string(text)) {
			return at
		}
	}
}

// keyIndex holds the known keys.
var keyIndex = newTextIndex(keyNames)

// lookupKey returns the id of a lower-case key, or 0.
func lookupKey(key []byte) keyID {
	if at := keyIndex.find(key); at > 0 {
		return keyID(at)
	}
	return 0
}

// knownKey returns the length and the id of the known key that s begins with,
// "=" behind it. The id is 0 when there is none of at most 15 bytes.
func knownKey(s *[16]byte) (n int, id keyID) {
	const equals = '=' * 0x0101010101010101
	p := keyPrint{head: binary.LittleEndian.Uint64(s[:8])}
	x := zeroBytes(p.head ^ equals)
	if x != 0 {
		p.n = bits.TrailingZeros64(x) / 8
		p.head &= lowMask[p.n]
	} else {
		if x = zeroBytes(binary.LittleEndian.Uint64(s[8:]) ^ equals); x == 0 {
			return 0, 0
		}
		p.n = bits.TrailingZeros64(x)/8 + 8
		p.tail = binary.LittleEndian.Uint64(s[p.n-8:])
	}
	for i := keyIndex.slot(p); ; i++ {
		at := int(keyIndex.slots[i&(len(keyIndex.slots)-1)]) - 1
		if at <= 0 {
			return 0, 0
		}
		if keyIndex.prints[at] == p {
			return p.n, keyID(at)
		}
	}
}

// keyText is a known key with a space before it and "=" behind it, to be compared with
// 16 bytes of a line at once.
type keyText struct {
	head, tail, headMask, tailMask uint64
	n                              int // with what stands around the key
}

// begins reports whether s begins with the text.
func (t *keyText) begins(s *[16]byte) bool {
	head, tail := binary.LittleEndian.Uint64(s[:8]), binary.LittleEndian.Uint64(s[8:])
	return (head^t.head)&t.headMask|(tail^t.tail)&t.tailMask == 0
}

// keyTexts holds the known keys of at most 14 bytes by id. The others match only bytes
// that UTF-8 does not have.
var keyTexts = func() (t [256]keyText) {
	const none = math.MaxUint64
	for id := range t {
		t[id] = keyText{head: none, tail: none, headMask: none, tailMask: none}
		if id == 0 || id >= len(keyNames) || len(keyNames[id]) > 14 {
			continue
		}
		var text, mask [16]byte
		n := copy(text[:], " "+keyNames[id]+"=")
		for i := range n {
			mask[i] = 0xff
		}
		word := binary.LittleEndian.Uint64
		t[id] = keyText{word(text[:8]), word(text[8:]), word(mask[:8]), word(mask[8:]), n}
	}
	return t
}()

// keyChars tells which bytes may stand in a key of a key=value line, and
// plainKeyChars which of them are written as they are.
var keyChars, plainKeyChars = func() (all, plain [256]bool) {
	for c := 0; c < 256; c++ {
		lower := c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_'
		plain[c] = lower
		all[c] = lower || c >= 'A' && c <= 'Z' || c == '-' || c == '.'
	}
	return all, plain
}()

// isPlainKey reports whether key can be written under fortinet.ems unchanged.
func isPlainKey(key []byte) bool {
	for _, c := range key {
		if !plainKeyChars[c] {
			return false
		}
	}
	return len(key) > 0 && len(key) <= maxKeyLen
}

// appendKey appends the written form of a key: lower case, every byte that is
// not a letter, digit or underscore replaced by "_", at most maxKeyLen bytes.
func appendKey(dst, key []byte) []byte {
	if len(key) > maxKeyLen {
		key = key[:maxKeyLen]
	}
	if len(key) == 0 {
		return append(dst, '_')
	}
	for _, c := range key {
		switch {
		case plainKeyChars[c]:
			dst = append(dst, c)
		case c >= 'A' && c <= 'Z':
			dst = append(dst, c|0x20)
		default:
			dst = append(dst, '_')
		}
	}
	return dst
}

// nameIndex finds the first pair of an unknown key in one event. Keys come from
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
		if s.hash == h && string(pairs[s.pair].key) == string(key) {
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
