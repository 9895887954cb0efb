package line

import (
	"encoding/binary"
	"math/bits"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/dict"
)

// This file reads the usual pairs eight bytes at a time. scanPairs in kv.go is its plain
// twin and gives the same pairs without it, which a test checks.

// padding is how many bytes a padded text has after its end: enough to load words up to
// its end, and a longest key there.
const padding = 24

// padded is a text with padding zero bytes after its end. Only pad makes one.
type padded struct {
	all []byte // the text and its padding
	n   int    // length of the text
}

// pad copies s into the arena, with its padding.
func pad(s []byte, a *arena.Arena) padded {
	all := append(append(a.Start(len(s)+padding), s...), make([]byte, padding)...)
	return padded{a.Keep(all), len(s)}
}

func (t padded) text() []byte { return t.all[:t.n:t.n] }

// scanKnown adds pairs as long as they are plain: a key of the dictionary, a value that
// ends at the first quote or the first blank, one space, and another key of the
// dictionary. It returns the first key that it has not added. k must be a key of t.
func (p *Pairs) scanKnown(t padded, k keySpan) keySpan {
	all := t.all
	var last dict.Key // of the pair whose value is all[start:end]
	start, end := 0, 0
	for next := k.start; ; {
		// The padding has no "=", so that a key that is found here is one of the text.
		key, n := knownKey((*[16]byte)(all[next : next+16]))
		if key == dict.NoKey {
			return k
		}
		if last != dict.NoKey {
			p.AddKey(last, all[start:end])
		}
		last, k = key, keySpan{start: next, end: next + n}
		start = k.end + 1
		// Eight bytes at a time: a byte ends the value if it is below limit after the XOR
		// with flip. Unquoted: a space or below. Quoted: the quote, which the XOR makes 0.
		flip, limit := uint64(0), uint64(' '+1)*ones
		gap := 1 // bytes from the end of the value to the next key: the space, and a quote
		if c := all[start]; c == '"' {
			start++
			flip, limit = quotes, ones
			gap = 2
		} else if c == '<' || c == '\'' || c == '\\' {
			return k
		}
		end = start
		for {
			w := binary.LittleEndian.Uint64(all[end:end+8]) ^ flip
			if x := (w - limit) &^ w & highs; x != 0 {
				end += bits.TrailingZeros64(x) / 8
				break
			}
			if end += 8; end >= t.n {
				return k
			}
		}
		if next = end + gap; all[next-1] != ' ' {
			return k
		}
		if gap == 2 && (all[start] <= ' ' || all[end-1] <= ' ') {
			return k // blanks to trim
		}
	}
}

// knownKey returns the key of the dictionary that s begins with, with "=" after it, and its
// length; NoKey if there is none of at most 15 bytes.
func knownKey(s *[16]byte) (k dict.Key, n int) {
	p := keyPrint{head: binary.LittleEndian.Uint64(s[:8])}
	if x := firstZero(p.head ^ equals); x != 0 {
		n = bits.TrailingZeros64(x) / 8
		p.head &= upTo(x)
	} else {
		p.tail = binary.LittleEndian.Uint64(s[8:])
		if x = firstZero(p.tail ^ equals); x == 0 {
			return dict.NoKey, 0
		}
		n = bits.TrailingZeros64(x) / 8
		p.tail &= upTo(x)
		n += 8
	}
	for at := p.slot(); ; at++ {
		k = keyTable.slots[at%(1<<keyTableBits)]
		if k == dict.NoKey || keyTable.prints[k] == p {
			return k, n
		}
	}
}

// upTo is a mask of the bytes of a word up to the first one with its high bit set in x.
func upTo(x uint64) uint64 { return x ^ (x - 1) }

// keyPrint is a key of at most 15 bytes with the "=" after it and zeros up to 16 bytes.
type keyPrint struct{ head, tail uint64 }

func (p keyPrint) slot() uint {
	return uint((p.head ^ bits.RotateLeft64(p.tail, 29)) * 0x9E3779B97F4A7C15 >> (64 - keyTableBits))
}

const keyTableBits = 10 // at most a quarter full: collisions are rare

// keyTable is a hash table with open addressing of the keys of the dictionary.
var keyTable = func() (t struct {
	slots  [1 << keyTableBits]dict.Key
	prints [dict.MaxKeys]keyPrint
}) {
	for i, name := range dict.Names() {
		if i == 0 || len(name) > 15 {
			continue
		}
		var b [16]byte
		copy(b[:], name+"=")
		p := keyPrint{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
		at := p.slot()
		for t.slots[at%(1<<keyTableBits)] != dict.NoKey {
			at++
		}
		t.slots[at%(1<<keyTableBits)] = dict.Key(i)
		t.prints[i] = p
	}
	return t
}()

const (
	ones   = 0x0101010101010101
	highs  = 0x80 * ones
	quotes = '"' * ones
	equals = '=' * ones
)

// firstZero sets the high bit of the first zero byte of a word. Bits above it may be set in
// error.
func firstZero(x uint64) uint64 { return (x - ones) &^ x & highs }
