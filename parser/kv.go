package parser

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// blank tells the bytes that separate pairs.
var blank = [256]bool{' ': true, '\t': true, '\r': true, '\n': true, '\v': true, '\f': true}

// keyEnd returns the index of the "=" of a key that starts at s[i], or -1.
func keyEnd(s []byte, i int) int {
	if i >= len(s) || s[i] == '-' || s[i] == '.' {
		return -1
	}
	for j := i; j < len(s); j++ {
		if !keyChars[s[j]] {
			if s[j] == '=' && j > i {
				return j
			}
			return -1
		}
	}
	return -1
}

// span is where a key stands within a line.
type span struct {
	start int   // len of the line when only white space is left
	end   int   // of the key, where its "=" stands; -1 without a key
	id    keyID // of a known key that is written as it is sent, else 0
}

// nextKey reports whether white space and then a key begin at s[i]. Without a
// key, start is where to go on looking. Nearly all keys are known ones, and of
// those a look-up tells more quickly than their bytes that they are keys.
func nextKey(s []byte, i int) span {
	for i < len(s) && blank[s[i]] {
		i++
	}
	if i < len(s) && cap(s)-i >= 16 {
		if n, id := knownKey((*[16]byte)(s[i : i+16])); id != 0 && i+n < len(s) {
			return span{i, i + n, id}
		}
	}
	return span{i, keyEnd(s, i), 0}
}

// scanPairs enters the pairs of s, whose first key is k. A value is read up to the
// white space before the next key, and that key, which the search for the end of the
// value has found already, begins the next round. Each byte is looked at a bounded
// number of times.
func (ev *Event) scanPairs(s []byte, k span) {
	for k.end >= 0 {
		if k.id != 0 {
			k = ev.scanUsual(s, k)
		}
		value, behind := ev.scanValue(s, k.end+1)
		if k.id != 0 {
			ev.addKnown(k.id, value)
		} else {
			ev.addRaw(s[k.start:k.end], value)
		}
		if behind.id != 0 {
			ev.behind[k.id] = behind.id
		}
		k = behind
	}
}

// scanUsual enters pairs, k the first of them, as long as they are the usual ones, and
// returns the first key that it has not entered: a known key whose value ends at
// the first blank or the first quote, with the key behind it that came there last time
// too, since senders write their keys in the same order in every line.
//
// It calls nothing, so that all it needs stays in registers.
//
//go:noinline
func (ev *Event) scanUsual(s []byte, k span) span {
	const quotes = '"' * 0x0101010101010101
	// What stands behind the text may be looked at, but is no part of it.
	limit, s := len(s), s[:cap(s)]
	from, id := k.end+1, k.id // of the value
	n := len(ev.Pairs)
	ev.Pairs = ev.Pairs[:cap(ev.Pairs)]
	for uint(n) < uint(len(ev.Pairs)) && uint(from) < uint(len(s)) {
		start, end, at := from, 0, 0
		if s[from] == '"' {
			start++
			for at = start; ; at += 8 {
				if uint(at+8) > uint(len(s)) {
					goto done
				}
				if x := zeroBytes(binary.LittleEndian.Uint64(s[at:at+8]) ^ quotes); x != 0 {
					end = at + bits.TrailingZeros64(x)/8
					break
				}
			}
			at = end + 1
		} else {
			for at = start; ; at += 8 {
				if uint(at+8) > uint(len(s)) {
					goto done
				}
				if x := blankBytes(binary.LittleEndian.Uint64(s[at : at+8])); x != 0 {
					end = at + bits.TrailingZeros64(x)/8
					break
				}
			}
			at = end
		}
		if uint(at+16) > uint(len(s)) {
			break
		}
		behind := ev.behind[id]
		t := &keyTexts[behind]
		if !t.begins((*[16]byte)(s[at : at+16])) {
			break
		}
		if at += t.n; at >= limit {
			break
		}
		state := pairState(0)
		if unusualStart[s[start]] {
			if end > start {
				break
			}
			state = null
		}
		if ev.seen.has(id) {
			break
		}
		ev.seen.add(id)
		if state == 0 {
			ev.valued.add(id)
		}
		ev.byKey[id] = int32(n)
		p := &ev.Pairs[n]
		p.Value = s[start:end]
		p.next, p.id, p.state = 0, id, state
		n++
		from, id = at, behind
	}
done:
	ev.Pairs = ev.Pairs[:n]
	return span{0, from - 1, id}
}

// unusualStart tells the bytes that a value begins with which is nothing, may be a null
// marker, or is read in another way.
var unusualStart = [256]bool{'-': true, 'N': true, '(': true, '0': true, '<': true, '"': true, ' ': true}

// scanValue reads the value at s[i] and finds the next key.
func (ev *Event) scanValue(s []byte, i int) (value []byte, next span) {
	switch {
	case i >= len(s):
		return nil, span{i, -1, 0}
	case s[i] == '"':
		return ev.scanQuoted(s, i+1)
	case s[i] == '<' && i+1 < len(s) && isLetter(s[i+1]):
		return scanXML(s, i)
	}
	for j := i; j < len(s); {
		if !blank[s[j]] {
			j = nextBlank(s, j+1)
			continue
		}
		next = nextKey(s, j)
		if next.end >= 0 || next.start == len(s) {
			return s[i:j], next
		}
		j = next.start
	}
	return s[i:], span{len(s), -1, 0}
}

// zeroBytes sets the high bit of the first byte of a word that is 0, and perhaps in error
// of those above it: a borrow sets it.
func zeroBytes(x uint64) uint64 {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	return (x - ones) &^ x & highs
}

// blankBytes is zeroBytes for bytes that are a space or below.
func blankBytes(x uint64) uint64 {
	const limits, highs = (' ' + 1) * 0x0101010101010101, 0x8080808080808080
	return (x - limits) &^ x & highs
}

// nextByte returns the index of the first c in s[i:], or len(s); i is at most that.
// Most values are too short for a call of bytes.IndexByte to pay.
func nextByte(s []byte, i int, c byte) int {
	all := uint64(c) * 0x0101010101010101
	for ; i >= 0 && i+8 <= len(s); i += 8 {
		if x := zeroBytes(binary.LittleEndian.Uint64(s[i:i+8]) ^ all); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < len(s) && s[i] != c {
		i++
	}
	return i
}

// nextBlank returns the index of the first byte of s[i:] that is a space or below,
// or len(s); i is at most that.
func nextBlank(s []byte, i int) int {
	for ; i >= 0 && i+8 <= len(s); i += 8 {
		if x := blankBytes(binary.LittleEndian.Uint64(s[i : i+8])); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < len(s) && s[i] > ' ' {
		i++
	}
	return i
}

// scanQuoted reads a quoted value that begins at s[i]. A quote closes it only
// before white space and the next key, or at the end, escaped or not. A value
// that is never closed reaches to the end of the line: that is what a line cut
// short by a relay looks like, and pairs inside a value somebody else chose
// (a file name, a message) must not become fields.
func (ev *Event) scanQuoted(s []byte, i int) (value []byte, next span) {
	next = span{len(s), -1, 0}
	escaped := false
	for j := i; ; j++ {
		if j = nextByte(s, j, '"'); j+1 >= len(s) {
			value = s[i:j]
			break
		}
		if blank[s[j+1]] {
			if k := nextKey(s, j+1); k.end >= 0 || k.start == len(s) {
				value, next = s[i:j], k
				break
			}
		}
		escaped = escaped || j > i && s[j-1] == '\\'
	}
	if n := len(value); n > 0 && value[0] == '"' {
		// Doubled quotes, k=""v"", are left by a CSV export on the way.
		if n == 1 {
			value = nil
		} else if value[n-1] == '"' {
			value = ev.undoubleQuotes(value[1 : n-1])
		}
	}
	if escaped {
		value = ev.unescapeQuotes(value)
	}
	return value, next
}

// undoubleQuotes turns "" into ": whatever doubled the quotes around a value did
// so with those in it.
func (ev *Event) undoubleQuotes(v []byte) []byte {
	if !bytes.Contains(v, doubledQuote) {
		return v
	}
	b := ev.scratch(len(v))
	n := len(b)
	for i := 0; i < len(v); i++ {
		b = append(b, v[i])
		if v[i] == '"' && i+1 < len(v) && v[i+1] == '"' {
			i++
		}
	}
	return ev.keep(b, n)
}

var doubledQuote = []byte(`""`)

// unescapeQuotes turns \" into ". Other backslashes are part of the value: a
// Windows path holds them.
func (ev *Event) unescapeQuotes(v []byte) []byte {
	b := ev.scratch(len(v))
	n := len(b)
	for i, c := range v {
		if c == '\\' && i+1 < len(v) && v[i+1] == '"' {
			continue
		}
		b = append(b, c)
	}
	return ev.keep(b, n)
}

// scanXML reads an XML body: up to the end of its root element when a key or the
// end follows, else to the end of the line, because attributes look like pairs.
func scanXML(s []byte, i int) (value []byte, next span) {
	j := i + 1
	for j < len(s) && (keyChars[s[j]] || s[j] == ':') {
		j++
	}
	name := s[i+1 : j]
	// The name holds no "<", so comparing it at every "</" stays linear.
	for {
		n := bytes.Index(s[j:], xmlClose)
		if n < 0 {
			break
		}
		j += n + len(xmlClose)
		if !bytes.HasPrefix(s[j:], name) || j+len(name) >= len(s) || s[j+len(name)] != '>' {
			continue
		}
		j += len(name) + 1
		if next = nextKey(s, j); next.end >= 0 && next.start > j || next.start == len(s) {
			return s[i:j], next
		}
	}
	return s[i:], span{len(s), -1, 0}
}

var xmlClose = []byte("</")

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
