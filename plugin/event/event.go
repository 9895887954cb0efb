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
	"iter"
	"math"
	"slices"

	"github.com/tinylib/msgp/msgp"
)

// ErrCorrupt means that a chunk is not a whole sequence of MessagePack objects.
var ErrCorrupt = errors.New("corrupt msgpack")

// Event is one event of a chunk.
type Event struct {
	// Head is everything before the record: array headers, time, metadata.
	Head []byte
	// TimeStart and TimeEnd are the offsets of the time in Head.
	TimeStart, TimeEnd int
	// Sec and Nsec are the time of the event (Unix, UTC).
	Sec  int64
	Nsec int32
	// Record is the record with its map header. Body is the record without it, Count
	// pairs. Record is empty when the event is to be passed unchanged: a group
	// marker, a record that is no map, an object that is no event.
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

// Read is Next into ev that also appends the pairs of the record to pairs, in one pass.
// Without a record it appends none.
func (ev *Event) Read(chunk []byte, pairs []Pair) (_ []Pair, rest []byte, err error) {
	none := len(pairs)
	if ev.readHead(chunk) {
		rest = ev.Body
		for n := ev.Count; n > 0; n-- {
			// Filling the pair in place is cheaper than copying one.
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

// readHead reads b up to the first pair of the record; ev.Record and ev.Body then extend
// to the end of b. It reports whether b begins with an event that has a record.
func (ev *Event) readHead(b []byte) bool { return ev.readUsualHead(b) || ev.readAnyHead(b) }

func (ev *Event) readAnyHead(b []byte) bool {
	ev.Head, ev.Record, ev.Body, ev.Count = nil, nil, nil, 0
	ev.Sec, ev.Nsec = 0, 0 // a time of whole seconds writes no nanoseconds
	raw := b
	n, b, ok := arrayHeader(b)
	if !ok || n != 2 {
		return false
	}
	metadata := uint32(0) // elements of the inner array after the time
	if m, c, ok := arrayHeader(b); ok {
		if m < 1 {
			return false
		}
		metadata, b = m-1, c
	}
	ev.TimeStart = len(raw) - len(b)
	b, ok = ev.readTime(b)
	if !ok {
		return false
	}
	ev.TimeEnd = len(raw) - len(b)
	for ; metadata > 0; metadata-- {
		if b = skip(b); b == nil {
			return false
		}
	}
	count, size := mapHeader(b)
	if size == 0 {
		return false
	}
	ev.Head = raw[:len(raw)-len(b)]
	ev.Record, ev.Body, ev.Count = b, b[size:], count
	return true
}

// readUsualHead is readAnyHead for the form that Fluent Bit writes: an EventTime and
// empty metadata.
func (ev *Event) readUsualHead(b []byte) bool {
	const start = 0x9292<<16 | fixExt8<<8 // two arrays of two, an EventTime
	const time, metadata = 4, 4 + timeBytes
	if len(b) < metadata || binary.BigEndian.Uint32(b) != start {
		return false
	}
	count, size := mapHeader(b[metadata:])
	if size == 0 || count > 0 {
		return false
	}
	record := metadata + size
	if count, size = mapHeader(b[record:]); size == 0 {
		return false
	}
	if _, ok := ev.eventTime(b[time:]); !ok {
		return false
	}
	ev.TimeStart, ev.TimeEnd = 2, metadata
	ev.Head, ev.Record, ev.Body, ev.Count = b[:record], b[record:], b[record+size:], count
	return true
}

// mapHeader reads the header of a map and returns the number of pairs and its own
// length, 0 without one.
func mapHeader(b []byte) (count, size int) {
	switch {
	case len(b) >= 1 && b[0]&0xf0 == 0x80:
		return int(b[0] & 0x0f), 1
	case len(b) >= 5 && b[0] == 0xdf:
		return int(binary.BigEndian.Uint32(b[1:])), 5
	case len(b) >= 3 && b[0] == 0xde:
		return int(binary.BigEndian.Uint16(b[1:])), 3
	}
	return 0, 0
}

// skip returns b after the object at its start, nil if b does not hold all of it.
func skip(b []byte) []byte {
	if len(b) > 0 && (b[0] < 0x81 || b[0] == 0x90 || b[0] >= 0xe0) {
		return b[1:] // a small number, an empty map or array
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
	// msgp allocates the error of a wrong type; events of the old form have no array here.
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

// readTime reads an EventTime, an integer or a float (seconds). ok is false for group
// markers, whose seconds are negative, and for anything that is no time.
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

// Pair is one pair of a record.
type Pair struct {
	Raw   []byte // key and value, MessagePack
	Key   []byte // text of the key, nil if the key is no str or bin
	Value []byte // MessagePack
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
	value := body
	if from, end := textIn(body); end > 0 {
		p.Key, value = body[from:end:end], body[end:]
	} else {
		p.Key = nil
		if value = skip(body); value == nil {
			return nil
		}
	}
	rest := value
	if _, end := textIn(value); end > 0 {
		rest = value[end:]
	} else if rest = skip(value); rest == nil {
		return nil
	}
	p.Raw = body[:len(body)-len(rest)]
	p.Value = value[:len(value)-len(rest)]
	return rest
}

// Text returns the bytes of a raw str or bin value, and whether it is one.
func Text(value []byte) ([]byte, bool) {
	from, end := textIn(value)
	return value[from:end:end], end > 0 && end == len(value)
}

// textIn returns the offsets of the text of the str or bin at the start of b, 0 and 0 if
// b does not hold all of one.
func textIn(b []byte) (from, end int) {
	if len(b) == 0 {
		return 0, 0
	}
	n := 0
	switch c := b[0]; {
	case c&0xe0 == 0xa0:
		from, n = 1, int(c&0x1f)
	case (c == 0xc4 || c == 0xd9) && len(b) >= 2:
		from, n = 2, int(b[1])
	case (c == 0xc5 || c == 0xda) && len(b) >= 3:
		from, n = 3, int(binary.BigEndian.Uint16(b[1:]))
	case (c == 0xc6 || c == 0xdb) && len(b) >= 5:
		from, n = 5, int(binary.BigEndian.Uint32(b[1:]))
	default:
		return 0, 0
	}
	if n > len(b)-from {
		return 0, 0
	}
	return from, from + n
}

// Pairs returns the pairs of a map, none of any other value. They are valid as long as
// value is.
func Pairs(value []byte) iter.Seq[*Pair] {
	return func(yield func(*Pair) bool) {
		count, size := mapHeader(value)
		rest := value[size:]
		var p Pair
		for range count {
			if rest = p.read(rest); rest == nil || !yield(&p) {
				return
			}
		}
	}
}
