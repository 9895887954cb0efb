// Package reference reads FortiEMS lines slowly and plainly: a second opinion on
// the record contract, for the differential test.
//
// It is written from the contract, with maps, regular expressions and the
// standard library, and shares no code with the parser. What it takes from there
// is data: the rows of the field table. What rules decide is not compared.
package reference

import (
	"strings"
	"time"
)

// Options are those of the filter that change a record.
type Options struct {
	Location         *time.Location
	EventTime        bool
	PreserveOriginal bool
	Flat             bool
	Mark             bool // unmatched lines are marked, else passed
}

// Incoming is a pair of the incoming record. Value is what a msgpack decoder
// makes of it: string, []byte, int64, float64, bool, nil, map[string]any, []any.
type Incoming struct {
	Key   string
	Value any
}

// Result is what becomes of a record.
type Result struct {
	Matched bool
	Record  map[string]any // nil when the record passes as it is
	Time    time.Time
}

// Enrich makes a record of an incoming one whose raw line stands at raw.
func Enrich(in []Incoming, raw int, received time.Time, o Options) Result {
	text := textOf(in[raw].Value)
	clean := toUTF8(strings.TrimRight(text, "\r\n\x00"))
	l := readLine(clean)
	l.received, l.o = received, o
	if !l.isFortiEMS() {
		if !o.Mark {
			return Result{Time: received}
		}
		l.fields = map[string]any{
			"message": clean, "event.kind": "pipeline_error", "error.message": "not a FortiEMS line",
		}
		l.keys = nil
		return Result{Record: l.record(in, raw), Time: received}
	}
	l.resolve()
	at := l.resolveTime()
	l.fields["event.created"] = received.UTC().Format("2006-01-02T15:04:05.000000000Z")
	if o.PreserveOriginal {
		l.fields["event.original"] = clean
	}
	return Result{Matched: true, Record: l.record(in, raw), Time: at}
}

func textOf(v any) string {
	if b, ok := v.([]byte); ok {
		return string(b)
	}
	s, _ := v.(string)
	return s
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

func sameASCII(s, lower string) bool { return lowerASCII(s) == lower }
