// Package reference reads lines a second time, slowly, as an independent check of the
// parser in the differential test: the header, the pairs and the time of the event.
//
// It is written from parser/README.md with regular expressions, maps and the standard
// library, and shares no code with the parser. Conversions to ECS fields and rules are not
// part of it; tables and golden records test them.
package reference

import (
	"strings"
	"time"
)

// Options are those of a parser, and the time of receipt.
type Options struct {
	Location    *time.Location // of times without a zone
	ReceiptTime bool           // the time of the event is the time of receipt
	Received    time.Time
}

// Reading is what a line says. The test compares its exported members.
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
	r := &Reading{Clean: toUTF8(strings.TrimRight(text, "\r\n\x00")), values: map[string][]string{}}
	r.readHeader()
	r.readBody(strings.TrimLeft(strings.TrimPrefix(r.Body, "@cee:"), spaces))
	for _, k := range r.keys {
		r.Pairs = append(r.Pairs, Pair{k, r.values[k]})
	}
	if r.FortiEMS = r.isFortiEMS(); r.FortiEMS {
		r.readTime(o)
	}
	return r
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
