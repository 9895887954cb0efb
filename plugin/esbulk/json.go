package esbulk

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

// maxDepth bounds the nesting of a record. Elasticsearch refuses more than 20
// mapped levels by default, and its JSON reader more than 1 000.
const maxDepth = 128

var (
	errCorrupt = errors.New("corrupt msgpack")
	errDepth   = errors.New("record is nested more than " + strconv.Itoa(maxDepth) + " levels deep")
)

// encoder turns MessagePack into JSON. It holds scratch space only: it may be used
// for any number of records, one at a time.
//
// What it writes is valid JSON on one line, in UTF-8: a bin is text, a byte that
// is no UTF-8 becomes U+FFFD, NaN and infinities become null, an extension becomes
// its time or base64, and of a key that is there more than once the last value
// stays. Keys that Elasticsearch refuses are renamed; see appendName.
type encoder struct {
	pairs []pair  // of the open maps, the innermost last
	table []int32 // of uniqueLarge
	seed  maphash.Seed

	sec   int64 // second that clock holds
	clock []byte
}

// pair frames a written pair within the output: its key with quotes and colon, and
// its end. A pair with end 0 is to be removed.
type pair struct{ key, value, end int }

func newEncoder() *encoder {
	return &encoder{seed: maphash.MakeSeed(), sec: math.MinInt64}
}

// document appends the record with the map header body and n pairs as a JSON
// object that begins with @timestamp. An incoming @timestamp is left out. On error
// dst comes back as it was given.
func (e *encoder) document(dst []byte, sec int64, nsec int32, body []byte, n int) ([]byte, error) {
	start := len(dst)
	dst = append(dst, `{"@timestamp":"`...)
	dst = e.time(dst, sec, nsec)
	dst = append(dst, '"')
	e.pairs = e.pairs[:0]
	dst, _, err := e.mapping(dst, body, n, 1, true)
	if err != nil {
		return dst[:start], err
	}
	return append(dst, '}'), nil
}

// time appends a time as RFC 3339 in UTC with nanoseconds.
func (e *encoder) time(dst []byte, sec int64, nsec int32) []byte {
	if sec != e.sec {
		e.sec = sec
		e.clock = time.Unix(sec, 0).UTC().AppendFormat(e.clock[:0], "2006-01-02T15:04:05.")
	}
	dst = append(dst, e.clock...)
	n := uint32(nsec)
	var digits [10]byte
	for i := 8; i >= 0; i-- {
		digits[i] = '0' + byte(n%10)
		n /= 10
	}
	digits[9] = 'Z'
	return append(dst, digits[:]...)
}

// value appends the value at the start of b and returns what follows it.
func (e *encoder) value(dst, b []byte, depth int) (out, rest []byte, err error) {
	if len(b) == 0 {
		return dst, b, errCorrupt
	}
	c := b[0]
	switch {
	case c <= 0x7f:
		return strconv.AppendUint(dst, uint64(c), 10), b[1:], nil
	case c <= 0x8f:
		return e.object(dst, b[1:], int(c&0x0f), depth)
	case c <= 0x9f:
		return e.array(dst, b[1:], int(c&0x0f), depth)
	case c <= 0xbf:
		return text(dst, b, 1, uint64(c&0x1f))
	case c >= 0xe0:
		return strconv.AppendInt(dst, int64(int8(c)), 10), b[1:], nil
	}
	switch c {
	case 0xc0:
		return append(dst, "null"...), b[1:], nil
	case 0xc2:
		return append(dst, "false"...), b[1:], nil
	case 0xc3:
		return append(dst, "true"...), b[1:], nil
	case 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return e.extension(dst, b)
	}
	width := widths[c-0xc0]
	if width == 0 || len(b) <= width {
		return dst, b, errCorrupt
	}
	n, rest := bigEndian(b[1:1+width]), b[1+width:]
	switch c {
	case 0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb:
		return text(dst, b, 1+width, n)
	case 0xca:
		return float(dst, float64(math.Float32frombits(uint32(n))), 32), rest, nil
	case 0xcb:
		return float(dst, math.Float64frombits(n), 64), rest, nil
	case 0xcc, 0xcd, 0xce, 0xcf:
		return strconv.AppendUint(dst, n, 10), rest, nil
	case 0xd0, 0xd1, 0xd2, 0xd3:
		shift := 64 - 8*width // the sign
		return strconv.AppendInt(dst, int64(n<<shift)>>shift, 10), rest, nil
	case 0xdc, 0xdd:
		return e.array(dst, rest, int(n), depth)
	default: // 0xde, 0xdf
		return e.object(dst, rest, int(n), depth)
	}
}

// widths are the bytes of the number that follows a type byte from 0xc0 on, for
// the types that have one of fixed width and are no extension.
var widths = [32]int{
	0x04: 1, 0x05: 2, 0x06: 4, // bin
	0x0a: 4, 0x0b: 8, // float
	0x0c: 1, 0x0d: 2, 0x0e: 4, 0x0f: 8, // uint
	0x10: 1, 0x11: 2, 0x12: 4, 0x13: 8, // int
	0x19: 1, 0x1a: 2, 0x1b: 4, // str
	0x1c: 2, 0x1d: 4, // array
	0x1e: 2, 0x1f: 4, // map
}

func bigEndian(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

// text appends the str or bin of n bytes behind a header of head bytes.
func text(dst, b []byte, head int, n uint64) (out, rest []byte, err error) {
	if n > uint64(len(b)-head) {
		return dst, b, errCorrupt
	}
	end := head + int(n)
	dst = append(dst, '"')
	dst = appendText(dst, b[head:end])
	return append(dst, '"'), b[end:], nil
}

func (e *encoder) array(dst, b []byte, n, depth int) (out, rest []byte, err error) {
	if depth >= maxDepth {
		return dst, b, errDepth
	}
	dst = append(dst, '[')
	for i := range n {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, b, err = e.value(dst, b, depth+1); err != nil {
			return dst, b, err
		}
	}
	return append(dst, ']'), b, nil
}

func (e *encoder) object(dst, b []byte, n, depth int) (out, rest []byte, err error) {
	if depth >= maxDepth {
		return dst, b, errDepth
	}
	dst = append(dst, '{')
	if dst, b, err = e.mapping(dst, b, n, depth+1, false); err != nil {
		return dst, b, err
	}
	return append(dst, '}'), b, nil
}

const timestampKey = `"@timestamp":`

// mapping appends n pairs without the braces. In the top map a pair stands
// before them already.
func (e *encoder) mapping(dst, b []byte, n, depth int, top bool) (out, rest []byte, err error) {
	open, base := len(dst), len(e.pairs)
	var seen uint64 // a bit per key: most maps are found to have no key twice by this alone
	repeated := false
	for range n {
		before := len(dst)
		if top || before > open {
			dst = append(dst, ',')
		}
		p := pair{key: len(dst)}
		if dst, b, err = e.key(dst, b, depth, top); err != nil {
			return dst, b, err
		}
		p.value = len(dst)
		key := dst[p.key:]
		if top && string(key) == timestampKey {
			if b, err = msgp.Skip(b); err != nil {
				return dst, b, errCorrupt
			}
			dst = dst[:before]
			continue
		}
		bit := uint64(1) << (uint(len(key)*7+int(key[1])*3+int(key[len(key)-3])*5) & 63)
		repeated = repeated || seen&bit != 0
		seen |= bit
		if dst, b, err = e.value(dst, b, depth); err != nil {
			return dst, b, err
		}
		p.end = len(dst)
		e.pairs = append(e.pairs, p)
	}
	if repeated && e.unique(dst, base) {
		dst = e.compact(dst, open, base, top)
	}
	e.pairs = e.pairs[:base]
	return dst, b, nil
}

// unique marks all but the last pair of each key from base on for removal and
// reports whether there are any.
func (e *encoder) unique(dst []byte, base int) (found bool) {
	pairs := e.pairs[base:]
	if len(pairs) > 32 {
		return e.uniqueLarge(dst, pairs)
	}
	for i := range pairs {
		for j := range i {
			if pairs[j].end > 0 && sameKey(dst, pairs[i], pairs[j]) {
				pairs[j].end, found = 0, true
				break // there was one at most
			}
		}
	}
	return found
}

// uniqueLarge is unique for maps of any size in linear time. The seed keeps a
// sender from choosing keys that fall together.
func (e *encoder) uniqueLarge(dst []byte, pairs []pair) (found bool) {
	size := 64
	for size < 2*len(pairs) {
		size *= 2
	}
	e.table = slices.Grow(e.table[:0], size)[:size]
	clear(e.table)
	for i, p := range pairs {
		at := int(maphash.Bytes(e.seed, dst[p.key:p.value])) & (size - 1)
		for ; e.table[at] != 0; at = (at + 1) & (size - 1) {
			if old := &pairs[e.table[at]-1]; sameKey(dst, p, *old) {
				old.end, found = 0, true
				break
			}
		}
		e.table[at] = int32(i + 1)
	}
	if cap(e.table) > 1<<16 {
		e.table = nil
	}
	return found
}

func sameKey(dst []byte, a, b pair) bool {
	return a.value-a.key == b.value-b.key && bytes.Equal(dst[a.key:a.value], dst[b.key:b.value])
}

// compact moves the pairs that stay together.
func (e *encoder) compact(dst []byte, open, base int, top bool) []byte {
	at := open
	for _, p := range e.pairs[base:] {
		if p.end == 0 {
			continue
		}
		if top || at > open {
			dst[at] = ','
			at++
		}
		at += copy(dst[at:], dst[p.key:p.end])
	}
	return dst[:at]
}

// key appends the key at the start of b as a JSON name with its colon.
func (e *encoder) key(dst, b []byte, depth int, top bool) (out, rest []byte, err error) {
	name, rest, ok := readText(b)
	if !ok {
		// A number, nil, even a map: its JSON is the name.
		var other []byte
		if other, rest, err = newEncoder().value(nil, b, depth); err != nil {
			return dst, b, err
		}
		name = bytes.Trim(other, `"`)
	}
	dst = append(dst, '"')
	dst = appendName(dst, name, top)
	return append(dst, '"', ':'), rest, nil
}

// readText reads a str or bin.
func readText(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, b, false
	}
	head, n := 1, uint64(0)
	switch c := b[0]; {
	case c&0xe0 == 0xa0:
		n = uint64(c & 0x1f)
	case c >= 0xc4 && c <= 0xc6 || c >= 0xd9 && c <= 0xdb:
		head += widths[c-0xc0]
		if len(b) < head {
			return nil, b, false
		}
		n = bigEndian(b[1:head])
	default:
		return nil, b, false
	}
	if n > uint64(len(b)-head) {
		return nil, b, false
	}
	return b[head : head+int(n)], b[head+int(n):], true
}

// metadata are the names that Elasticsearch keeps for itself at the top of a
// document: it refuses a document that has one (MapperService, 8.x; the older ones
// 7.x and OpenSearch 2.x).
var metadata = map[string]bool{
	"_id": true, "_index": true, "_type": true, "_source": true, "_routing": true, "_size": true, "_ignored": true,
	"_ignored_source": true, "_field_names": true, "_doc_count": true, "_nested_path": true, "_tier": true,
	"_data_stream_timestamp": true, "_tsid": true, "_seq_no": true, "_primary_term": true, "_version": true,
	"_parent": true, "_uid": true, "_all": true, "_timestamp": true, "_ttl": true,
}

// appendName appends a field name, renamed where Elasticsearch would refuse the
// document for it: a dot at either end or next to another dot becomes "_", a part
// between dots that is empty or only white space becomes "_", and a name that
// Elasticsearch keeps for itself gets a "_" behind it.
func appendName(dst, name []byte, top bool) []byte {
	if len(name) > 0 && name[0] > ' ' && name[0] < utf8.RuneSelf && name[0] != '.' && name[len(name)-1] != '.' &&
		!(top && name[0] == '_') && (bytes.IndexByte(name, '.') < 0 || !oddParts(name)) {
		return appendText(dst, name)
	}
	old := strings.ToValidUTF8(string(name), "\uFFFD")
	s := []byte(old)
	for i := range s {
		if old[i] == '.' && (i == 0 || i == len(old)-1 || old[i-1] == '.' || old[i+1] == '.') {
			s[i] = '_'
		}
	}
	parts := strings.Split(string(s), ".")
	for i, p := range parts {
		if strings.TrimSpace(p) == "" {
			parts[i] = "_"
		}
	}
	renamed := strings.Join(parts, ".")
	if top && metadata[renamed] {
		renamed += "_"
	}
	return appendText(dst, []byte(renamed))
}

// oddParts reports whether a part between dots begins with a blank or is empty.
func oddParts(name []byte) bool {
	for i := 1; i < len(name); i++ {
		if c := name[i]; name[i-1] == '.' && (c == '.' || c <= ' ' || c >= utf8.RuneSelf) {
			return true
		}
	}
	return false
}

// float appends a number that stays a floating point number for a server that
// guesses types from the first document: 1.0, not 1.
func float(dst []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(dst, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, format, -1, bits)
	if !bytes.ContainsAny(dst[start:], ".e") {
		dst = append(dst, '.', '0')
	}
	return dst
}

// extension appends an EventTime of Fluent or a timestamp of MessagePack as RFC
// 3339 and any other extension as base64.
func (e *encoder) extension(dst, b []byte) (out, rest []byte, err error) {
	head, n := 2, uint64(0)
	switch c := b[0]; {
	case c >= 0xd4:
		n = 1 << (c - 0xd4)
	default:
		width := 1 << (c - 0xc7)
		head += width
		if len(b) < head {
			return dst, b, errCorrupt
		}
		n = bigEndian(b[1 : 1+width])
	}
	if len(b) < head || n > uint64(len(b)-head) {
		return dst, b, errCorrupt
	}
	kind, data, rest := int8(b[head-1]), b[head:head+int(n)], b[head+int(n):]
	dst = append(dst, '"')
	if sec, nsec, ok := extensionTime(kind, data); ok {
		dst = e.time(dst, sec, nsec)
	} else {
		dst = base64.StdEncoding.AppendEncode(dst, data)
	}
	return append(dst, '"'), rest, nil
}

// extensionTime reads the times that are in use as extensions, in the years that
// RFC 3339 can write.
func extensionTime(kind int8, data []byte) (sec int64, nsec int32, ok bool) {
	const first, last = -62135596800, 253402300799 // years 1 to 9999
	n := uint32(0)
	switch {
	case kind == 0 && len(data) == 8:
		sec, n = int64(binary.BigEndian.Uint32(data)), binary.BigEndian.Uint32(data[4:])
	case kind == -1 && len(data) == 4:
		sec = int64(binary.BigEndian.Uint32(data))
	case kind == -1 && len(data) == 8:
		both := binary.BigEndian.Uint64(data)
		sec, n = int64(both&(1<<34-1)), uint32(both>>34)
	case kind == -1 && len(data) == 12:
		n, sec = binary.BigEndian.Uint32(data), int64(binary.BigEndian.Uint64(data[4:]))
	default:
		return 0, 0, false
	}
	return sec, int32(n), n < 1e9 && sec >= first && sec <= last
}

// appendText appends s with JSON escapes and without quotes.
func appendText(dst, s []byte) []byte {
	for {
		n := plain(s)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return dst
		}
		s = s[n:]
		if s[0] >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(s)
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, "\uFFFD"...)
			} else {
				dst = append(dst, s[:size]...)
			}
			s = s[size:]
			continue
		}
		switch c := s[0]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		s = s[1:]
	}
}

// plain returns how many bytes at the start of s are ASCII that needs no escape.
// It looks at eight at a time.
func plain(s []byte) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	n := 0
	for ; len(s)-n >= 8; n += 8 {
		w := binary.LittleEndian.Uint64(s[n:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		if (w|(w-ones*' ')&^w|(quote-ones)&^quote|(slash-ones)&^slash)&tops != 0 {
			break
		}
	}
	for ; n < len(s); n++ {
		if c := s[n]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			break
		}
	}
	return n
}
