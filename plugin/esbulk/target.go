package esbulk

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/event"
)

// maxTarget is the most bytes of an index name (MetadataCreateIndexService).
const maxTarget = 255

// noValue replaces a field that a record does not have.
const noValue = "unknown"

// target makes the name of the index of a document: a fixed text, or a pattern with
// strftime of the record time in UTC and {field.path} of the record. It keeps the
// last times it formatted, so it serves one goroutine at a time; clone makes more.
type target struct {
	parts []part
	fixed []byte // the whole name when nothing varies, else nil
	name  []byte
}

type part struct {
	text string   // literal text or strftime layout
	path []string // of a field; nil for the others
	date bool

	day    int64 // hour that cached was made for
	cached []byte
}

// strftime are the conversions that an index name can use. A finer one than the
// hour would make an index per minute.
var strftime = map[byte]string{'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'H': "15", 'j': "002"}

// fixedTarget is a target without placeholders.
func fixedTarget(name string) *target { return &target{fixed: []byte(name)} }

// parseTarget reads an index pattern.
func parseTarget(pattern string) (*target, error) {
	t := &target{}
	literal := func(s string) {
		if n := len(t.parts); n > 0 && t.parts[n-1].path == nil && !t.parts[n-1].date {
			t.parts[n-1].text += s
			return
		}
		t.parts = append(t.parts, part{text: s})
	}
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '%':
			if i++; i == len(pattern) {
				return nil, errors.New("% at the end")
			}
			switch conversion := pattern[i]; {
			case conversion == '%':
				literal("%")
			case conversion == 'G' || conversion == 'V' || strftime[conversion] != "":
				t.parts = append(t.parts, part{text: string(conversion), date: true, day: math.MinInt64})
			default:
				return nil, fmt.Errorf("%%%c is not one of %%Y %%y %%m %%d %%H %%j %%G %%V %%%%", conversion)
			}
		case '{':
			path, _, ok := strings.Cut(pattern[i+1:], "}")
			if !ok || path == "" || strings.Contains(path, "{") {
				return nil, errors.New("{field.path} is not closed or empty")
			}
			t.parts = append(t.parts, part{path: strings.Split(path, ".")})
			i += len(path) + 1
		case '}':
			return nil, errors.New("} without {")
		default:
			literal(pattern[i : i+1])
		}
	}
	for _, p := range t.parts {
		if p.path == nil && !p.date && p.text != strings.ToLower(p.text) {
			return nil, errors.New("a name cannot have upper case letters")
		}
	}
	if len(t.parts) == 1 && t.parts[0].path == nil && !t.parts[0].date {
		return fixedTarget(t.parts[0].text), nil
	}
	return t, nil
}

// IndexAt returns the name that a valid option index has for a document of that time
// without fields.
func IndexAt(pattern string, at time.Time) string {
	t, err := parseTarget(pattern)
	if err != nil {
		return noValue
	}
	return string(t.of(at.Unix(), nil, 0))
}

// clone returns a target for another goroutine.
func (t *target) clone() *target {
	c := &target{fixed: t.fixed}
	for _, p := range t.parts {
		p.day, p.cached = math.MinInt64, nil
		c.parts = append(c.parts, p)
	}
	return c
}

// of returns the name for a record, valid until the next call. It is a name that
// Elasticsearch accepts, whatever the record holds.
func (t *target) of(sec int64, body []byte, n int) []byte {
	if t.fixed != nil {
		return t.fixed
	}
	name := t.name[:0]
	for i := range t.parts {
		switch p := &t.parts[i]; {
		case p.date:
			name = append(name, p.format(sec)...)
		case p.path != nil:
			name = appendPart(name, field(body, n, p.path))
		default:
			name = append(name, p.text...)
		}
	}
	for len(name) > 0 && strings.IndexByte("-_+.", name[0]) >= 0 {
		name = name[1:]
	}
	if len(name) == 0 {
		name = append(name, noValue...)
	}
	if len(name) > maxTarget {
		name = name[:maxTarget]
		for len(name) > 0 && !utf8.Valid(name[max(0, len(name)-4):]) && !utf8.Valid(name) {
			name = name[:len(name)-1]
		}
	}
	t.name = name
	return name
}

func (p *part) format(sec int64) []byte {
	hour := sec / 3600
	if p.day == hour {
		return p.cached
	}
	at := time.Unix(sec, 0).UTC()
	p.day = hour
	switch year, week := at.ISOWeek(); p.text {
	case "G":
		p.cached = strconv.AppendInt(p.cached[:0], int64(year), 10)
	case "V":
		p.cached = append(p.cached[:0], byte('0'+week/10), byte('0'+week%10))
	default:
		p.cached = at.AppendFormat(p.cached[:0], strftime[p.text[0]])
	}
	return p.cached
}

// appendPart appends the value of a field in the characters that an index name may
// have: lower case, everything else as _.
func appendPart(dst, value []byte) []byte {
	if len(value) == 0 {
		return append(dst, noValue...)
	}
	for len(value) > 0 {
		r, size := utf8.DecodeRune(value)
		value = value[size:]
		switch {
		case r <= ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`\/*?"<>|,#:`, r) || unicode.IsSpace(r) || !unicode.IsPrint(r):
			dst = append(dst, '_')
		default:
			dst = utf8.AppendRune(dst, unicode.ToLower(r))
		}
	}
	return dst
}

// field finds the text, number or boolean at a path of a record, also when a key has
// dots in it. nil means that there is none.
func field(body []byte, n int, path []string) []byte {
	var found []byte
	for range n {
		p, rest, err := event.NextPair(body)
		if err != nil {
			return nil
		}
		body = rest
		for depth := 1; depth <= len(path); depth++ {
			if !pathIs(p.Key, path[:depth]) {
				continue
			}
			if depth == len(path) {
				found = scalar(p.Value) // the last of equal keys wins, as in the document
			} else if m, inner, err := msgp.ReadMapHeaderBytes(p.Value); err == nil {
				if v := field(inner, int(m), path[depth:]); v != nil {
					found = v
				}
			}
		}
	}
	return found
}

// pathIs reports whether key is the parts joined by dots.
func pathIs(key []byte, parts []string) bool {
	for i, p := range parts {
		if i > 0 {
			if len(key) == 0 || key[0] != '.' {
				return false
			}
			key = key[1:]
		}
		if !bytes.HasPrefix(key, []byte(p)) {
			return false
		}
		key = key[len(p):]
	}
	return len(key) == 0
}

func scalar(value []byte) []byte {
	if s, ok := event.Text(value); ok {
		return s
	}
	switch msgp.NextType(value) {
	case msgp.IntType, msgp.UintType, msgp.BoolType, msgp.Float64Type, msgp.Float32Type:
		s, _, err := newEncoder().value(nil, value, 1)
		if err == nil {
			return s
		}
	}
	return nil
}
