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
	raw := chunk[:len(chunk)-len(rest)]
	// Skip has walked the object, so what follows cannot run past its end.
	n, b, ok := arrayHeader(raw)
	if !ok || n != 2 {
		return ev, rest, nil
	}
	behindTime := uint32(0) // elements of the inner array behind the time
	if m, c, ok := arrayHeader(b); ok {
		if m < 1 {
			return ev, rest, nil
		}
		behindTime, b = m-1, c
	}
	ev.TimeStart = len(raw) - len(b)
	b, ok = ev.readTime(b)
	if !ok {
		return ev, rest, nil
	}
	ev.TimeEnd = len(raw) - len(b)
	for ; behindTime > 0; behindTime-- {
		if b, err = msgp.Skip(b); err != nil {
			return Event{}, chunk, ErrCorrupt
		}
	}
	count, body, merr := msgp.ReadMapHeaderBytes(b)
	if merr != nil {
		return ev, rest, nil
	}
	ev.Head = raw[:len(raw)-len(b)]
	ev.Record, ev.Body, ev.Count = b, body, int(count)
	return ev, rest, nil
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
	key, b, ok := readText(body)
	if ok {
		p.Key = key
	} else if b, err = msgp.Skip(body); err != nil {
		return p, body, ErrCorrupt
	}
	rest, err = msgp.Skip(b)
	if err != nil {
		return p, body, ErrCorrupt
	}
	p.Raw = body[:len(body)-len(rest)]
	p.Value = b[:len(b)-len(rest)]
	return p, rest, nil
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
	if c := b[0]; c&0xe0 == 0xa0 {
		n := int(c&0x1f) + 1
		if n > len(b) {
			return nil, b, false
		}
		return b[1:n:n], b[n:], true
	}
	var err error
	switch msgp.NextType(b) {
	case msgp.StrType:
		text, rest, err = msgp.ReadStringZC(b)
	case msgp.BinType:
		text, rest, err = msgp.ReadBytesZC(b)
	default:
		return nil, b, false
	}
	return text, rest, err == nil
}
