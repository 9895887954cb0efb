// Package reference reads lines a second time, slowly, as an independent check of the
// parser in the differential test: the header, the pairs and the time of the event.
//
// It is written from parser/README.md with regular expressions, maps and the standard
// library, and shares no code with the parser. Conversions to ECS fields and rules are not
// part of it; tables and golden records test them.
//
// The reference reads pairs in their usual notation (key=value, key="value", key='value',
// with blanks between them), whole JSON objects and the lines that they wrap, CEF, LEEF and
// XML. The parser also reads pairs with marks between them, blanks around "=", keys in
// quotes, escaped and framed bodies, keys glued to the value before, and lines that were cut
// inside a key. These rules weigh signs against each other, so that a second statement of
// them would copy the code. The reference only notices that a line has such a sign. Its
// pairs and time are not compared then, but the header is, keys must have their written
// form, and the values must be parts of the line. The tests print how many lines were
// compared fully, and fail below 60 %. Cases of parser/line and the corpus test the other
// notations.
package reference

import (
	"regexp"
	"strings"
	"time"
)

// Options are those of a parser, and the time of receipt.
type Options struct {
	Location    *time.Location // of times without a zone
	ReceiptTime bool           // the time of the event is the time of receipt
	Received    time.Time
}

// Reading is what a line says. The test compares its exported members, those of the header
// only if the notation of the body is one that only the parser reads.
type Reading struct {
	Clean string // valid UTF-8, without CR, LF and NUL at the end

	// The header. Stamp is that of [stamp.String].
	Priority                         int // -1 without one
	Hostname, AppName, ProcID, MsgID string
	StructuredData                   string
	Elements                         []string // "[id" of each element, then "name=value" of its parameters
	Stamp                            string

	// The body.
	Body, Stray string // text after the header; its part before the first pair
	CEFName     string
	CEFEndpoint bool // the product is FortiClient or FortiEMS
	Pairs       []Pair

	FortiEMS bool // the line belongs to FortiEMS; the members below are set only if it does
	Time     time.Time
	Timezone string   // event.timezone, "" without one
	Kept     []string // keys of times that stay under fortinet.ems

	other  bool // the body has a sign of a notation that the reference does not read
	stamp  *stamp
	keys   []string            // in the order of their first pairs
	values map[string][]string // by key, without null markers
}

// Pair is a key and its values that are not null markers.
type Pair struct {
	Key    string
	Values []string
}

// Read reads a line.
func Read(text string, o Options) *Reading {
	r := &Reading{Clean: toUTF8(trimTail(text)), values: map[string][]string{}}
	r.readHeader()
	r.readBody(r.Body, 0)
	for _, k := range r.keys {
		r.Pairs = append(r.Pairs, Pair{k, r.values[k]})
	}
	if r.FortiEMS = r.isFortiEMS(); r.FortiEMS {
		r.readTime(o)
	}
	return r
}

var (
	tail       = regexp.MustCompile(`(?s)^(.*?)(?:[\r\n\x00]|#012|#015|#000|\\r\\n)+$`)
	quotedTail = regexp.MustCompile(`(?s)^(.*")\\[nr]$`)
)

// trimTail drops CR, LF and NUL at the end, also as a relay escapes them.
func trimTail(s string) string {
	for {
		switch m, q := tail.FindStringSubmatch(s), quotedTail.FindStringSubmatch(s); {
		case m != nil:
			s = m[1]
		case q != nil:
			s = q[1]
		default:
			return s
		}
	}
}

// toUTF8 replaces every byte that is not UTF-8 by U+FFFD.
func toUTF8(s string) string { return string([]rune(s)) }

// lowerASCII leaves letters outside ASCII as they are.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}
