package parser

import (
	"bytes"
	"encoding/binary"
	"time"
	"unicode/utf8"
)

// Options configure a [Parser]. The zero value is usable.
type Options struct {
	// Location is the zone of times that name none; nil is UTC.
	Location *time.Location
	// ReceiptTime keeps the time of receipt as the time of the event.
	ReceiptTime bool
	// Rules that categorise; nil is [BuiltinRules].
	Rules *Rules
}

// Parser turns lines into events. It is immutable and safe for concurrent use.
type Parser struct {
	loc       *time.Location
	eventTime bool
	rules     *Rules
}

// New returns a parser.
func New(o Options) *Parser {
	p := &Parser{loc: o.Location, eventTime: !o.ReceiptTime, rules: o.Rules}
	if p.loc == nil {
		p.loc = time.UTC
	}
	if p.rules == nil {
		p.rules = BuiltinRules()
	}
	return p
}

// Line is a line for [Parser.ParseAll].
type Line struct {
	Text []byte
	// Sec and Nsec are the time of receipt (Unix).
	Sec  int64
	Nsec int32
	// Event is what the line says, one of its own for each line.
	Event *Event
	// Matched tells, afterwards, that the line belongs to FortiEMS; if not, only
	// Event.Clean is of use.
	Matched bool
}

// Parse reads one line, received at the given Unix time, into ev. It reports
// whether the line belongs to FortiEMS; if not, only ev.Clean is of use.
// It never fails: what it does not understand stays text. ev points into line. What
// stands behind line in the same array, up to its capacity, may be read, but is no part
// of what the event says.
func (p *Parser) Parse(ev *Event, line []byte, receivedSec int64, receivedNsec int32) bool {
	one := [1]Line{{Text: line, Sec: receivedSec, Nsec: receivedNsec, Event: ev}}
	p.ParseAll(one[:])
	return one[0].Matched
}

// ParseAll is Parse for several lines, best for a few at a time. Each step is taken with all of
// them before the next one: the code of one step, and what is known of a few lines,
// stay in the nearest caches of a processor, the code of all steps does not.
func (p *Parser) ParseAll(lines []Line) {
	for i := range lines {
		lines[i].Event.readHeader(lines[i].Text)
	}
	for i := range lines {
		lines[i].Event.parseBody()
	}
	for i := range lines {
		lines[i].Matched = lines[i].Event.identify()
	}
	for i := range lines {
		if lines[i].Matched {
			p.resolve(lines[i].Event)
		}
	}
	for i := range lines {
		if l := &lines[i]; l.Matched {
			p.resolveTime(l.Event, l.Sec, l.Nsec)
		}
	}
	for i := range lines {
		if lines[i].Matched {
			p.rules.apply(lines[i].Event)
		}
	}
}

// readHeader makes the event that of line and reads the header.
func (ev *Event) readHeader(line []byte) {
	ev.reset()
	line = trimTail(line)
	if !isASCII(line) && !utf8.Valid(line) {
		b := ev.scratch(len(line) + 64)
		n := len(b)
		line = ev.keep(AppendValid(b, line), n)
	}
	ev.Clean = line
	ev.text = ev.head.parseHeader(line)
}

// isASCII reports whether no byte of line is above 0x7F.
func isASCII(line []byte) bool {
	const highs = 0x8080808080808080
	var seen uint64
	if len(line) < 64 {
		for _, c := range line {
			seen |= uint64(c)
		}
		return seen&highs == 0
	}
	for i := 0; i < len(line); i += 64 {
		// The last bytes are read together with some of those before them.
		w := (*[64]byte)(line[min(i, len(line)-64):])
		seen |= binary.LittleEndian.Uint64(w[0:]) | binary.LittleEndian.Uint64(w[8:]) |
			binary.LittleEndian.Uint64(w[16:]) | binary.LittleEndian.Uint64(w[24:]) |
			binary.LittleEndian.Uint64(w[32:]) | binary.LittleEndian.Uint64(w[40:]) |
			binary.LittleEndian.Uint64(w[48:]) | binary.LittleEndian.Uint64(w[56:])
	}
	return seen&highs == 0
}

// trimTail drops the CR, LF and NUL that framing leaves at the end of a line.
func trimTail(line []byte) []byte {
	n := len(line)
	for n > 0 && (line[n-1] == '\n' || line[n-1] == '\r' || line[n-1] == 0) {
		n--
	}
	return line[:n]
}

var ceePrefix = []byte("@cee:")

// parseBody enters the pairs of the text after the header.
func (ev *Event) parseBody() {
	if ev.head.first.end > 0 {
		ev.scanPairs(ev.text, ev.head.first)
		return
	}
	s := trimLeft(bytes.TrimPrefix(ev.text, ceePrefix))
	if len(s) == 0 {
		return
	}
	switch {
	case s[0] == '{' && ev.parseJSON(s):
		return
	case s[0] == '<' && len(s) > 1 && isLetter(s[1]):
		// An XML body: its attributes are not pairs.
		if _, k := scanXML(s, 0); k.end >= 0 {
			ev.scanPairs(s, k)
		}
		return
	}
	for i := 0; i < len(s); {
		k := nextKey(s, i)
		if k.end < 0 && bytes.HasPrefix(s[k.start:], cefPrefix) {
			// Before glued keys: the header of CEF may be one word with the first key.
			ev.head.stray = trimRight(s[:k.start])
			ev.parseCEF(s[k.start:])
			return
		}
		if k.end < 0 {
			k = gluedKey(s, k.start)
		}
		if k.end >= 0 {
			ev.head.stray = trimRight(s[:k.start])
			ev.scanPairs(s, k)
			return
		}
		i = k.start + wordEnd(s[k.start:])
	}
}

// gluedKey finds a key within the word at s[i] when what a broken header left is
// glued to it, as in "<999>dtime=" or "[x]type=".
func gluedKey(s []byte, i int) span {
	word := s[i : i+wordEnd(s[i:])]
	eq := bytes.IndexByte(word, '=')
	k := eq
	for k > 0 && keyChars[word[k-1]] {
		k--
	}
	if k > 0 && k < eq && (word[k-1] == '>' || word[k-1] == ']' || word[k-1] == '|') {
		return span{i + k, keyEnd(s, i+k), 0}
	}
	return span{i, -1, 0}
}

func trimRight(s []byte) []byte {
	for len(s) > 0 && blank[s[len(s)-1]] {
		s = s[:len(s)-1]
	}
	return s
}
