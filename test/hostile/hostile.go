// Package hostile builds hostile chunks from the bytes of a fuzzer. Each byte is a
// choice, so that mutations move between whole constructs; mutated MessagePack would
// mostly be invalid from its first byte.
package hostile

import (
	"bytes"
	"encoding/binary"

	"github.com/tinylib/msgp/msgp"
)

// Chunk is a built chunk and the number of events in it.
type Chunk struct {
	Bytes  []byte
	Events int  // number of events written, one top-level value each
	Intact bool // nothing is cut and every length is right
}

// texts are keys and lines: those that the filter looks for, and confusing ones.
var texts = []string{
	"log", "message", "", "event", "host", "source", "@timestamp", ".", "a.b", "..", "_id", "labels", "\xff\xfe", "\x00", "é",
	`emsserial=FCTEMS1 type=event subtype=admin devid=FCT1 user="DOM\x" msg="offline"`,
	`<134>1 2024-10-01T22:17:30Z h ems-vpn - - [a b="c\"]"] emsserial=FCTEMS1 msg="a \"b\" c`,
	`CEF:0|Fortinet|FortiClient EMS|7|1|ems-vpn|5|src=1.2.3.4 msg=\`,
	`{"emsserial":"FCTEMS1","a":{"b":[1,2]}}`,
}

const (
	maxEvents = 6
	maxDepth  = 3000
	maxPairs  = 400
)

// builder reads choices from a program; after its end every choice is 0.
type builder struct {
	program []byte
	out     []byte
	intact  bool
}

// Build makes a chunk from a program. The same program gives the same chunk.
func Build(program []byte) Chunk {
	b := &builder{program: program, intact: true}
	c := Chunk{Events: 1 + b.choose(maxEvents)}
	for range c.Events {
		b.event()
	}
	if n := b.choose(8); n == 1 {
		keep := b.number() % (len(b.out) + 1)
		// A cut between two events would leave a valid chunk with fewer events.
		b.out, b.intact = b.out[:keep], false
	}
	c.Bytes, c.Intact = b.out, b.intact
	return c
}

// choose returns a choice from 0 to n-1.
func (b *builder) choose(n int) int {
	if len(b.program) == 0 {
		return 0
	}
	c := int(b.program[0])
	b.program = b.program[1:]
	return c % n
}

func (b *builder) number() int { return b.choose(256)<<8 | b.choose(256) }

func (b *builder) put(bytes ...byte) { b.out = append(b.out, bytes...) }

// event writes one of the forms of an event, or a value that is not an event.
func (b *builder) event() {
	switch b.choose(10) {
	case 0, 1, 2, 3, 4, 5:
		b.put(0x92, 0x92)
		b.time()
		b.metadata()
		b.record()
	case 6:
		b.put(0x92)
		b.time()
		b.record()
	case 7:
		b.put([]byte{0x90, 0x91, 0x93}[b.choose(3)])
		for range b.out[len(b.out)-1] & 0x0f {
			b.value()
		}
	case 8:
		b.put(0x92, 0xdc, 0, 2)
		b.time()
		b.metadata()
		b.record()
	case 9:
		b.value()
	}
}

// time writes a time: Fluent Bit's ext, group markers, numbers, or a value that is no time.
func (b *builder) time() {
	switch b.choose(8) {
	case 0, 1:
		b.put(0xd7, 0, 0x67, 0x51, 0x78, 0x20, 0, 0, 0, byte(b.choose(256)))
	case 2: // the start or the end of a group
		b.put(0xd7, 0, 0xff, 0xff, 0xff, byte(0xfe+b.choose(2)), 0, 0, 0, 0)
	case 3: // more nanoseconds than a second has
		b.put(0xd7, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	case 4:
		b.put(0xc7, 8, 0, 0x67, 0x51, 0x78, 0x20, 0, 0, 0, 1)
	case 5:
		b.out = msgp.AppendFloat64(b.out, float64(b.number())-100)
	case 6:
		b.put(0xce, 0x67, 0x51, 0x78, 0x20)
	case 7:
		b.value()
	}
}

func (b *builder) metadata() {
	switch b.choose(5) {
	case 0:
		b.put(0xdf, 0, 0, 0, 0)
	case 1:
		b.put(0x80)
	case 2:
		b.put(0xde, 0, 0)
	case 3:
		b.pairs(2, 0)
	case 4:
		b.value()
	}
}

func (b *builder) record() {
	switch b.choose(6) {
	case 0, 1, 2:
		b.pairs(b.choose(5), b.choose(3))
	case 3: // a huge map
		b.pairs(b.number()%maxPairs, 1+b.choose(2))
	case 4: // the line, twice
		b.put(0x82)
		for range 2 {
			b.str(texts[b.choose(2)])
			b.str(texts[15+b.choose(4)])
		}
	case 5:
		b.value()
	}
}

// pairs writes a map of n pairs with a header of at least 1 << wide bytes.
func (b *builder) pairs(n, wide int) {
	switch {
	case wide == 0 && n < 16:
		b.put(0x80 | byte(n))
	case wide <= 1:
		b.put(0xde)
		b.out = binary.BigEndian.AppendUint16(b.out, uint16(n))
	default:
		b.put(0xdf)
		b.out = binary.BigEndian.AppendUint32(b.out, uint32(n))
	}
	for range n {
		if b.choose(4) == 3 {
			b.value() // a key that is not text
		} else {
			b.str(texts[b.choose(len(texts))])
		}
		b.value()
	}
}

// str writes a text as str or bin, with any header that is wide enough.
func (b *builder) str(s string) {
	form := b.choose(6)
	switch {
	case form < 2 && len(s) < 32:
		b.put(0xa0 | byte(len(s)))
	case form < 3:
		b.put(0xd9, byte(len(s)))
	case form == 3:
		b.put(0xda, 0, byte(len(s)))
	case form == 4:
		b.put(0xdb, 0, 0, 0, byte(len(s)))
	default:
		b.put(0xc4, byte(len(s)))
	}
	b.out = append(b.out, s...)
}

// value writes any value.
func (b *builder) value() {
	switch b.choose(14) {
	case 0, 1:
		b.str(texts[b.choose(len(texts))])
	case 2:
		b.put(0xc0)
	case 3:
		b.put(byte(0xc2 + b.choose(2)))
	case 4:
		b.put(byte(b.choose(128)))
	case 5: // the widest numbers
		b.put(byte(0xcf+4*b.choose(2)), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, byte(b.choose(256)))
	case 6: // NaN, infinities, and the like
		b.put(0xcb, byte(0x7f+0x80*b.choose(2)), 0xf0, 0, 0, 0, 0, 0, byte(b.choose(2)))
	case 7:
		b.put(0xca, 0x7f, 0xc0, 0, byte(b.choose(256)))
	case 8: // ext of every size and any type
		size := []int{1, 2, 4, 8, 16}[b.choose(5)]
		b.put(byte(0xd4+bytes.IndexByte([]byte{1, 2, 4, 8, 16}, byte(size))), byte(b.choose(256)))
		b.out = append(b.out, make([]byte, size)...)
	case 9:
		n := b.choose(256)
		b.put([]byte{0xc7, byte(n), byte(b.choose(256))}...)
		b.out = append(b.out, make([]byte, n)...)
	case 10: // deep nesting
		deep := []byte{0x91, 0x81, 0xdd, 0xdf}[b.choose(4)]
		for range b.number() % maxDepth {
			b.put(deep)
			if deep >= 0xdd {
				b.put(0, 0, 0, 1)
			}
			if deep&0x0f == 1 && deep < 0x90 || deep == 0xdf {
				b.put(0xa1, 'k')
			}
		}
		b.put(0xc0)
	case 11:
		b.pairs(b.choose(3), b.choose(3))
	case 12: // a list
		n := b.choose(4)
		b.put(0x90 | byte(n))
		for range n {
			b.put(byte(b.choose(128)))
		}
	case 13: // a wrong length, or a byte that MessagePack does not define
		b.intact = false
		b.put([][]byte{
			{0xdb, 0xff, 0xff, 0xff, 0xff}, {0xdd, 0xff, 0xff, 0xff, 0xff}, {0xdf, 0xff, 0xff, 0xff, 0xff}, {0xc6, 0x7f, 0xff, 0xff, 0xff},
			{0xc9, 0xff, 0xff, 0xff, 0xff, 1}, {0xdc, 0xff, 0xff}, {0xde, 0x10, 0}, {0xda, 0x10, 0}, {0xc1},
		}[b.choose(9)]...)
	}
}

// Seed adds initial programs to the fuzz corpus.
func Seed(add func(args ...any)) {
	add([]byte{})
	add([]byte{1, 0, 0, 7, 0, 4, 0, 0, 15, 1, 1, 16})
	add([]byte{2, 0, 0, 7, 3, 2, 0, 0, 0, 10, 0, 11, 0xb8})
	add([]byte{0, 0, 0, 7, 0, 3, 1, 0x40, 1, 0, 0, 8, 3, 9, 0, 13, 0})
	add([]byte{0, 7, 2, 10, 2, 1, 0, 13, 8, 1, 0, 20})
	add(bytes.Repeat([]byte{5, 3, 11, 2, 9, 200}, 40))
}
