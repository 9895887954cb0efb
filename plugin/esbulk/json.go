package esbulk

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
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
// its time or base64, and of a repeated key the last value counts. Keys that Elasticsearch refuses are renamed; see appendName.
type encoder struct {
	pairs []pair // of the open maps, the innermost last

	sec   int64 // second that clock holds
	clock []byte
}

// pair frames a written pair within the output: its key with quotes and colon, and
// its end. A pair with end 0 is to be removed.
type pair struct{ key, value, end int }

func newEncoder() *encoder {
	return &encoder{sec: math.MinInt64}
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
	if s, rest, ok := readText(b); ok {
		dst = append(dst, '"')
		dst = appendText(dst, s)
		return append(dst, '"'), rest, nil
	}
	switch msgp.NextType(b) {
	case msgp.MapType:
		n, rest, err := msgp.ReadMapHeaderBytes(b)
		if err != nil {
			return dst, b, errCorrupt
		}
		return e.object(dst, rest, int(n), depth)
	case msgp.ArrayType:
		n, rest, err := msgp.ReadArrayHeaderBytes(b)
		if err != nil {
			return dst, b, errCorrupt
		}
		return e.array(dst, rest, int(n), depth)
	case msgp.IntType:
		n, rest, err := msgp.ReadInt64Bytes(b)
		return strconv.AppendInt(dst, n, 10), rest, corrupt(err)
	case msgp.UintType:
		n, rest, err := msgp.ReadUint64Bytes(b)
		return strconv.AppendUint(dst, n, 10), rest, corrupt(err)
	case msgp.Float32Type:
		f, rest, err := msgp.ReadFloat32Bytes(b)
		return float(dst, float64(f), 32), rest, corrupt(err)
	case msgp.Float64Type:
		f, rest, err := msgp.ReadFloat64Bytes(b)
		return float(dst, f, 64), rest, corrupt(err)
	case msgp.BoolType:
		t, rest, err := msgp.ReadBoolBytes(b)
		return strconv.AppendBool(dst, t), rest, corrupt(err)
	case msgp.NilType:
		return append(dst, "null"...), b[1:], nil
	case msgp.StrType, msgp.BinType, msgp.InvalidType:
		return dst, b, errCorrupt
	}
	return e.extension(dst, b)
}

// corrupt is errCorrupt if err is an error.
func corrupt(err error) error {
	if err != nil {
		return errCorrupt
	}
	return nil
}

// readText reads a str or bin.
func readText(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, b, false
	}
	switch c := b[0]; {
	case c&0xe0 == 0xa0: // most keys and values
		if end := 1 + int(c&0x1f); end <= len(b) {
			return b[1:end], b[end:], true
		}
		return nil, b, false
	case c >= 0xd9 && c <= 0xdb:
		s, rest, err := msgp.ReadStringZC(b)
		return s, rest, err == nil
	case c >= 0xc4 && c <= 0xc6:
		s, rest, err := msgp.ReadBytesZC(b)
		return s, rest, err == nil
	}
	return nil, b, false
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

// mapping appends n pairs without the braces. In the top map they follow
// another pair.
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
		return uniqueLarge(dst, pairs)
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

// uniqueLarge is unique for maps of any size in linear time.
func uniqueLarge(dst []byte, pairs []pair) (found bool) {
	last := make(map[string]int, len(pairs))
	for i, p := range pairs {
		key := string(dst[p.key:p.value])
		if old, ok := last[key]; ok {
			pairs[old].end, found = 0, true
		}
		last[key] = i
	}
	return found
}

func sameKey(dst []byte, a, b pair) bool {
	return a.value-a.key == b.value-b.key && bytes.Equal(dst[a.key:a.value], dst[b.key:b.value])
}

// compact closes the gaps that removed pairs leave.
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
// Elasticsearch keeps for itself gets a "_" appended.
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
	rest, err = msgp.Skip(b)
	if err != nil {
		return dst, b, errCorrupt
	}
	head := 2 // fixext: type byte and kind
	if b[0] <= 0xc9 {
		head += 1 << (b[0] - 0xc7) // ext 8, 16, 32: the length between them
	}
	kind, data := int8(b[head-1]), b[head:len(b)-len(rest)]
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
