// Package event reads the MessagePack events of Fluent Bit's log chunks.
//
// A chunk is a sequence of events: [[time, metadata], record] since Fluent Bit
// 2.1, [time, record] before. Everything returned is a sub-slice of the chunk
// and valid as long as that is; nothing is copied or allocated. The functions
// are pure and safe for concurrent use.
package event

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/tinylib/msgp/msgp"
)

// ErrCorrupt tells that a chunk is not a whole sequence of MessagePack objects.
var ErrCorrupt = errors.New("corrupt msgpack")

// Event is one event of a chunk.
type Event struct {
	// Head is what stands before the record: array headers, time, metadata.
	Head []byte
	// TimeStart and TimeEnd frame the time within Head.
	TimeStart, TimeEnd int
	// Sec and Nsec are the time of the event (Unix, UTC).
	Sec  int64
	Nsec int32
	// Record is the record with its map header, Body the same without, with
	// Count pairs. Record is empty when the event is to be passed as it is:
	// a group marker, a record that is no map, something that is no event.
	Record []byte
	Body   []byte
	Count  int
}

// Next reads the event at the start of chunk and returns the rest. The error is
// ErrCorrupt or nil.
func Next(chunk []byte) (ev Event, rest []byte, err error) {
	rest, err = msgp.Skip(chunk)
	if err != nil {
		return ev, chunk, ErrCorrupt
	}
	// Skip has walked the object, so what follows cannot run past its end.
	ev.readHead(chunk[:len(chunk)-len(rest)])
	return ev, rest, nil
}

// Read is Next that also appends the pairs of the record to pairs, in one walk.
// Without a record none are appended. ev is overwritten.
func (ev *Event) Read(chunk []byte, pairs []Pair) (_ []Pair, rest []byte, err error) {
	none := len(pairs)
	if ev.readHead(chunk) {
		rest = ev.Body
		for n := ev.Count; n > 0; n-- {
			// Made in place: a Pair is too large to be copied around.
			if len(pairs) == cap(pairs) {
				pairs = slices.Grow(pairs, 8)
			}
			pairs = pairs[:len(pairs)+1]
			if rest = pairs[len(pairs)-1].read(rest); rest == nil {
				return pairs[:none], chunk, ErrCorrupt
			}
		}
		ev.Record = ev.Record[:len(ev.Record)-len(rest)]
		ev.Body = ev.Body[:len(ev.Body)-len(rest)]
		return pairs, rest, nil
	}
	rest, err = msgp.Skip(chunk)
	if err != nil {
		return pairs, chunk, ErrCorrupt
	}
	return pairs, rest, nil
}

// readHead reads b up to the first pair of the record, which then reaches to the
// end of b. It reports whether b begins with an event that has a record.
func (ev *Event) readHead(b []byte) bool {
	ev.Head, ev.Record, ev.Body, ev.Count = nil, nil, nil, 0
	ev.Sec, ev.Nsec = 0, 0 // a time of whole seconds writes no nanoseconds
	raw := b
	n, b, ok := arrayHeader(b)
	if !ok || n != 2 {
		return false
	}
	behindTime := uint32(0) // elements of the inner array behind the time
	if m, c, ok := arrayHeader(b); ok {
		if m < 1 {
			return false
		}
		behindTime, b = m-1, c
	}
	ev.TimeStart = len(raw) - len(b)
	b, ok = ev.readTime(b)
	if !ok {
		return false
	}
	ev.TimeEnd = len(raw) - len(b)
	for ; behindTime > 0; behindTime-- {
		if b = skip(b); b == nil {
			return false
		}
	}
	count, body, err := msgp.ReadMapHeaderBytes(b)
	if err != nil {
		return false
	}
	ev.Head = raw[:len(raw)-len(b)]
	ev.Record, ev.Body, ev.Count = b, body, int(count)
	return true
}

// skip returns what stands behind the object at the start of b, nil if b does not
// hold all of it.
func skip(b []byte) []byte {
	if len(b) > 0 && (b[0] < 0x81 || b[0] == 0x90 || b[0] >= 0xe0) {
		return b[1:] // a small number, an empty map or array
	}
	if len(b) >= 5 && b[0] == 0xdf && binary.BigEndian.Uint32(b[1:]) == 0 {
		return b[5:] // the empty metadata of in_syslog
	}
	rest, err := msgp.Skip(b)
	if err != nil {
		return nil
	}
	return rest
}

func arrayHeader(b []byte) (n uint32, rest []byte, ok bool) {
	if len(b) > 0 && b[0]&0xf0 == 0x90 {
		return uint32(b[0] & 0x0f), b[1:], true
	}
	// The error of a wrong type is allocated, and events of the old form have none.
	if msgp.NextType(b) != msgp.ArrayType {
		return 0, b, false
	}
	n, rest, err := msgp.ReadArrayHeaderBytes(b)
	return n, rest, err == nil
}

// extTime is the MessagePack header of Fluent's EventTime: extension type 0 with
// eight bytes, seconds and nanoseconds, big endian.
const (
	fixExt8   = 0xd7
	ext8      = 0xc7
	timeBytes = 8
)

// readTime reads an EventTime, an integer or a float. ok is false for group
// markers, whose seconds are negative, and for what is no time.
func (ev *Event) readTime(b []byte) (rest []byte, ok bool) {
	switch {
	case len(b) >= 2+timeBytes && b[0] == fixExt8 && b[1] == 0:
		return ev.eventTime(b[2:])
	case len(b) >= 3+timeBytes && b[0] == ext8 && b[1] == timeBytes && b[2] == 0:
		return ev.eventTime(b[3:])
	}
	switch msgp.NextType(b) {
	case msgp.IntType, msgp.UintType:
		n, rest, err := msgp.ReadInt64Bytes(b)
		ev.Sec = n
		return rest, err == nil && n >= 0 && n <= math.MaxInt32
	case msgp.Float64Type:
		f, rest, err := msgp.ReadFloat64Bytes(b)
		if err != nil || !(f >= 0 && f <= math.MaxInt32) {
			return b, false
		}
		whole, part := math.Modf(f)
		ev.Sec, ev.Nsec = int64(whole), int32(part*1e9)
		return rest, true
	}
	return b, false
}

func (ev *Event) eventTime(b []byte) ([]byte, bool) {
	ev.Sec = int64(int32(binary.BigEndian.Uint32(b)))
	nsec := binary.BigEndian.Uint32(b[4:])
	ev.Nsec = int32(nsec)
	return b[timeBytes:], ev.Sec >= 0 && nsec < 1e9
}

// AppendTime appends an EventTime.
func AppendTime(dst []byte, sec int64, nsec int32) []byte {
	dst = append(dst, fixExt8, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(sec))
	return binary.BigEndian.AppendUint32(dst, uint32(nsec))
}

// Pair is one pair of a record: raw MessagePack, and the key's text if it is one.
type Pair struct {
	Raw   []byte // key and value
	Key   []byte // nil when the key is no text
	Value []byte // raw
}

// NextPair reads the pair at the start of a record's body.
func NextPair(body []byte) (p Pair, rest []byte, err error) {
	if rest = p.read(body); rest == nil {
		return Pair{}, body, ErrCorrupt
	}
	return p, rest, nil
}

// read reads the pair at the start of body and returns the rest, nil if body does
// not hold all of it.
func (p *Pair) read(body []byte) []byte {
	key, b, ok := readText(body)
	if ok {
		p.Key = key
	} else {
		p.Key = nil
		if b = skip(body); b == nil {
			return nil
		}
	}
	_, rest, ok := readText(b)
	if !ok {
		if rest = skip(b); rest == nil {
			return nil
		}
	}
	p.Raw = body[:len(body)-len(rest)]
	p.Value = b[:len(b)-len(rest)]
	return rest
}

// Text returns the bytes of a raw str or bin value, and whether it is one.
func Text(value []byte) ([]byte, bool) {
	v, rest, ok := readText(value)
	return v, ok && len(rest) == 0
}

// IsStr reports whether a raw value is a str.
func IsStr(value []byte) bool { return msgp.NextType(value) == msgp.StrType }

func readText(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, b, false
	}
	from, n := 1, 0
	switch c := b[0]; {
	case c&0xe0 == 0xa0:
		n = int(c & 0x1f)
	case (c == 0xc4 || c == 0xd9) && len(b) >= 2:
		from, n = 2, int(b[1])
	case (c == 0xc5 || c == 0xda) && len(b) >= 3:
		from, n = 3, int(binary.BigEndian.Uint16(b[1:]))
	case (c == 0xc6 || c == 0xdb) && len(b) >= 5:
		from, n = 5, int(binary.BigEndian.Uint32(b[1:]))
	default:
		return nil, b, false
	}
	if n > len(b)-from {
		return nil, b, false
	}
	return b[from : from+n : from+n], b[from+n:], true
}
