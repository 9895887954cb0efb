package line

import (
	"encoding/binary"
	"math/bits"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/dict"
)

// This file reads the usual pairs eight bytes at a time. scanPairs in kv.go is its plain
// twin and gives the same pairs without it, which a test checks.

// padding follows a padded text: quotes, which end a value that is open, two because it may
// begin at the first; zeros, which end one without quotes. It is long enough to load words and
// a longest key at the end of the text.
const padding = `""` + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x00\x00"

// padded is a text with padding after its end. Only pad makes one.
type padded struct {
	all []byte // the text and its padding
	n   int    // length of the text
}

// pad copies s into the arena, with its padding.
func pad(s []byte, a *arena.Arena) padded {
	all := append(append(a.Start(len(s)+len(padding)), s...), padding...)
	return padded{a.Keep(all), len(s)}
}

func (t padded) text() []byte { return t.all[:t.n:t.n] }

// scanKnown adds pairs as long as they are plain: a key of the dictionary; a value in
// quotes that ends at the first quote, or one without quotes that ends at the first blank and
// has no byte that may mean something else ([ends]); one space, and another key of the
// dictionary or, behind a quote, the end. It returns the first key that it has not added. k
// must be a key of t.
func (p *Pairs) scanKnown(t padded, k keySpan) keySpan {
	all, at := t.all, k.start
	key, n := knownKey((*[16]byte)(all[at : at+16]))
	if key == dict.NoKey {
		return k
	}
	for {
		// Eight bytes at a time, up to the end of the value. A value that nothing ends goes on
		// into the padding, which has quotes and zeros but no " " and no "=".
		start, next := at+n+1, 0
		end := start
		switch c := all[start]; c {
		case '"':
			start++
			x := firstZero(binary.LittleEndian.Uint64(all[start:start+8]) ^ quotes)
			for end = start; x == 0; x = firstZero(binary.LittleEndian.Uint64(all[end:end+8]) ^ quotes) {
				end += 8
			}
			end += bits.TrailingZeros64(x) / 8
			if next = end + 2; all[start] <= ' ' || all[end-1] <= ' ' { // blanks to trim
				return keySpan{start: at, end: at + n}
			}
		case '\'', '&':
			return keySpan{start: at, end: at + n}
		default:
			x := ends(binary.LittleEndian.Uint64(all[end : end+8]))
			for x == 0 {
				end += 8
				x = ends(binary.LittleEndian.Uint64(all[end : end+8]))
			}
			end += bits.TrailingZeros64(x) / 8
			next = end + 1
		}
		if all[next-1] != ' ' {
			if v := all[start:end]; next-1 == t.n && !(len(v) >= escapeLen && (v[len(v)-escapeLen] == '#' || v[len(v)-2] == '\\')) {
				p.AddKey(key, v) // its closing quote ends the text
				return noKey(t.text())
			}
			return keySpan{start: at, end: at + n}
		}
		following, m := knownKey((*[16]byte)(all[next : next+16]))
		if following == dict.NoKey {
			return keySpan{start: at, end: at + n}
		}
		p.AddKey(key, all[start:end])
		key, at, n = following, next, m
	}
}

// ends sets the high bit of the first byte of a word that ends a value without quotes or may
// mean something else there: a blank or control character; "=" of a glued key; "#" and "\\" of
// an escape; "<" of XML or of the PRI of another message. "]", "|" and "}" are among
// them because that is cheaper. Bits above it may be set in error.
func ends(w uint64) uint64 {
	blank := (w - (' '+1)*ones) &^ w
	escape := w ^ '#'*ones
	other := w&(0x9E*ones) ^ 0x1C*ones // "<" "=" "\\" "]" "|" "}"
	return (blank | (escape-ones)&^escape | (other-ones)&^other) & highs
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
