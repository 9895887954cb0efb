package timestamp

import (
	"bytes"
	"sync"
	"time"

	"fluent-bit-fortiems/parser/ascii"
)

// ParseZone reads a zone that is a UTC offset or an abbreviation of one: +0100, -05:00, Z,
// UTC, GMT+1, "UTC -05:00", "(GMT+1:00) Berlin", CEST. It returns the seconds east of UTC. An
// abbreviation that several zones share is none.
func ParseZone(v []byte) (seconds int32, ok bool) {
	if len(v) > 1 && v[0] == '(' {
		for i, c := range v {
			if c == ')' { // as FortiOS lists its zones, with cities after it
				return ParseZone(v[1:i])
			}
		}
		return 0, false
	}
	word := 0
	for word < len(v) && ascii.IsLetter(v[word]) {
		word++
	}
	if word == len(v) && word > 1 {
		return upperAbbreviation(v)
	}
	if word == len("UTC") && (ascii.HasPrefixFold(v, "utc") || ascii.HasPrefixFold(v, "gmt")) {
		v = ascii.TrimLeft(v[word:])
		if len(v) == 0 {
			return 0, true
		}
	}
	n, seconds := ParseOffset(v)
	return seconds, n > 0 && n == len(v)
}

func upperAbbreviation(v []byte) (seconds int32, ok bool) {
	var upper [maxAbbreviation]byte
	if len(v) > len(upper) {
		return 0, false
	}
	for i, c := range v {
		upper[i] = c &^ 0x20
	}
	seconds, kind := abbreviation(upper[:len(v)])
	return seconds, kind == oneZone
}

// abbreviationKind is whether a word abbreviates the name of a zone.
type abbreviationKind uint8

const (
	noZone    abbreviationKind = iota
	manyZones                  // zones with different offsets share it
	oneZone
)

const maxAbbreviation = len("AEDT") + 1

// abbreviation returns the UTC offset of the usual abbreviation, in upper case, of a zone.
// They are fixed offsets: CET is +01:00 in summer as well, because a sender names the summer
// time CEST. Those of North America are as in RFC 5322 section 4.3, but for CST, which is
// also China's. Like CST, each of manyZones is read in the zone of the option timezone,
// because a wrong zone would be worse than none: IST is of India, Israel and Ireland, BST of
// Britain and Bangladesh, AST and ADT of Canada and Arabia, GST of the Gulf and Guam.
func abbreviation(w []byte) (seconds int32, kind abbreviationKind) {
	quarters := int32(0)
	switch string(w) {
	case "IST", "CST", "BST", "AST", "ADT", "GST", "SST", "WST", "AMT", "ECT", "PYT":
		return 0, manyZones
	case "UTC", "GMT", "UT", "Z", "WET":
	case "WEST", "CET", "MEZ", "WAT":
		quarters = 4
	case "CEST", "MESZ", "EET", "SAST", "CAT":
		quarters = 8
	case "EEST", "MSK", "EAT", "TRT":
		quarters = 12
	case "PKT":
		quarters = 20
	case "WIB", "ICT":
		quarters = 28
	case "HKT", "SGT", "AWST", "MYT", "PHT":
		quarters = 32
	case "JST", "KST":
		quarters = 36
	case "ACST":
		quarters = 38
	case "AEST":
		quarters = 40
	case "ACDT":
		quarters = 42
	case "AEDT":
		quarters = 44
	case "NZST":
		quarters = 48
	case "NZDT":
		quarters = 52
	case "NDT":
		quarters = -10
	case "BRT", "ART":
		quarters = -12
	case "NST":
		quarters = -14
	case "EDT":
		quarters = -16
	case "EST", "CDT":
		quarters = -20
	case "MDT":
		quarters = -24
	case "MST", "PDT":
		quarters = -28
	case "PST", "AKDT":
		quarters = -32
	case "AKST":
		quarters = -36
	case "HST":
		quarters = -40
	default:
		return 0, noZone
	}
	return quarters * 900, oneZone
}

// ParseZoneText reads zones in more forms than ParseZone and Location: several of them that
// agree by being there ("+0200 (CEST)", "+02:00[Europe/Berlin]"), an IANA name in another
// case, offsets that lost a zero, a colon or their "+" on the way (-500, "02:00", 0200). No
// source documents these. Of several, an offset counts most and a name least. named reports
// that v has an IANA name, loc is its zone if v has nothing better.
func ParseZoneText(v []byte) (offset int32, ok bool, loc *time.Location, named bool) {
	var plain [maxText]byte
	if len(v) > len(plain) {
		return 0, false, nil, false
	}
	v = appendPlain(plain[:0], v)
	if n := len(v); n == len("0200") && ascii.AllDigits(v) || n == len("02:00") && v[2] == ':' && TwoDigits(v) >= 0 || string(v) == "0" {
		signed := append(append(make([]byte, 0, 8), '+'), v...)
		n, offset := ParseOffset(signed)
		return offset, n == len(signed), nil, false
	}
	var z zoneParts
	for {
		if v = ascii.TrimLeft(v); len(v) == 0 {
			break
		}
		n := z.read(v)
		if n == 0 {
			return 0, false, nil, false
		}
		v = v[n:]
	}
	ok, offset, loc = z.result()
	return offset, ok, loc, z.named
}

// zoneParts are the parts of a zone that have been read.
type zoneParts struct {
	offset, short       int32 // of a UTC offset; of an abbreviation
	hasOffset, hasShort bool
	word, named         bool // an abbreviation, even one of many zones; an IANA name
	loc                 *time.Location
}

// result returns the offset, or the zone of an IANA name.
func (z *zoneParts) result() (ok bool, offset int32, loc *time.Location) {
	switch {
	case z.hasOffset:
		return true, z.offset, nil
	case z.hasShort:
		return true, z.short, nil
	}
	return false, 0, z.loc
}

// read reads one part that is not there yet at the start of s and returns its length, 0 for
// anything else.
func (z *zoneParts) read(s []byte) int {
	switch c := s[0]; {
	case c == '+' || c == '-':
		if z.hasOffset {
			return 0
		}
		n, seconds := readOffset(s)
		z.hasOffset, z.offset = n > 0, seconds
		return n
	case c == '(' || c == '[':
		return z.readGroup(s)
	case ascii.IsLetter(c):
		return z.readWord(s)
	}
	return 0
}

// readOffset is ParseOffset for offsets without a zero before the hours as well (+200), and
// with seconds that are zero. It does not read +0, which may be cut.
func readOffset(s []byte) (n int, seconds int32) {
	if n, seconds = ParseOffset(s); n > 0 {
		if n == len("+0") && s[1] == '0' {
			return 0, 0
		}
		if len(s) >= n+3 && string(s[n:n+3]) == ":00" && (n+3 == len(s) || !ascii.IsDigit(s[n+3])) {
			n += 3
		}
		return n, seconds
	}
	if digitsIn(s[1:]) != len("200") || s[1] == '0' {
		return 0, 0
	}
	var full [len("+0200")]byte
	full[0], full[1] = s[0], '0'
	copy(full[2:], s[1:4])
	if n, seconds = ParseOffset(full[:]); n == 0 {
		return 0, 0
	}
	return len("+200"), seconds
}

// readGroup reads a zone in brackets. With an offset before it or in it, it may have a text,
// as JavaScript writes the name of the zone. An offset in it may have cities after the
// brackets, as FortiOS lists its zones.
func (z *zoneParts) readGroup(s []byte) int {
	closing := byte(')')
	if s[0] == '[' {
		closing = ']'
	}
	n := 1
	for n < len(s) && s[n] != closing {
		n++
	}
	if n == len(s) {
		return 0
	}
	inner, rest := ascii.TrimRight(ascii.TrimLeft(s[1:n])), s[n+1:]
	had := z.hasOffset
	for len(inner) > 0 {
		n := z.read(inner)
		if n == 0 {
			break
		}
		inner = ascii.TrimLeft(inner[n:])
	}
	switch {
	case len(inner) > 0 && !(z.hasOffset && isProse(inner)):
		return 0
	case !had && z.hasOffset && isProse(rest):
		return len(s)
	}
	return n + 1
}

// isProse reports whether s has no digits, brackets or colons.
func isProse(s []byte) bool {
	for _, c := range s {
		if ascii.IsDigit(c) || c == '(' || c == '[' || c == ':' {
			return false
		}
	}
	return true
}

// readWord reads UTC or GMT with an offset, an abbreviation, or an IANA name.
func (z *zoneParts) readWord(s []byte) int {
	letters := lettersIn(s)
	w := s[:letters]
	if ascii.EqualFold(w, "utc") || ascii.EqualFold(w, "gmt") {
		rest := ascii.TrimLeft(s[letters:])
		if len(rest) > 1 && (rest[0] == '+' || rest[0] == '-') && ascii.IsDigit(rest[1]) {
			n, seconds := readOffset(rest)
			if n == 0 || z.hasOffset {
				return 0
			}
			z.hasOffset, z.word, z.offset = true, true, seconds
			return len(s) - len(rest) + n
		}
	}
	end := letters
	for end < len(s) && !ascii.IsBlank(s[end]) && s[end] != '(' && s[end] != '[' && s[end] != ',' {
		end++
	}
	if end == letters && len(w) <= maxAbbreviation {
		var upper [maxAbbreviation]byte
		for i, c := range w {
			upper[i] = c &^ 0x20
		}
		if seconds, kind := abbreviation(upper[:letters]); kind != noZone {
			if z.word {
				return 0
			}
			z.word, z.hasShort, z.short = true, kind == oneZone, seconds
			return end
		}
	}
	if z.named {
		return 0
	}
	if z.loc = locationFold(s[:end]); z.loc == nil {
		return 0
	}
	z.named = true
	return end
}

// locationFold is Location for names with a slash in any case.
func locationFold(name []byte) *time.Location {
	if loc := Location(name); loc != nil || len(name) > maxZoneName || bytes.IndexByte(name, '/') < 0 {
		return loc
	}
	var title [maxZoneName]byte
	begins := true
	for i, c := range name {
		if title[i] = ascii.Lower(c); begins && ascii.IsLetter(c) {
			title[i] = c &^ 0x20
		}
		begins = !ascii.IsLetter(c)
	}
	return Location(title[:len(name)])
}

// zones caches the zones of the IANA database by name, nil for names that it does not have.
// Names come from the network, so it is emptied when it is full.
var zones struct {
	sync.RWMutex
	byName map[string]*time.Location
}

const (
	maxZones    = 1024 // the database has about 600
	maxZoneName = 40
)

// Location returns the zone of an IANA name such as Europe/Berlin, or nil. It is safe for
// concurrent use. Programs that run on hosts without a database import time/tzdata.
func Location(name []byte) *time.Location {
	// Names begin with a capital. Other files next to the database do not.
	if len(name) < 2 || len(name) > maxZoneName || name[0] < 'A' || name[0] > 'Z' || string(name) == "Local" {
		return nil
	}
	for _, c := range name {
		if !(ascii.IsLetter(c) || ascii.IsDigit(c) || c == '/' || c == '_' || c == '+' || c == '-') {
			return nil
		}
	}
	zones.RLock()
	loc, ok := zones.byName[string(name)]
	zones.RUnlock()
	if ok {
		return loc
	}
	loc, err := time.LoadLocation(string(name))
	if err != nil {
		loc = nil
	}
	zones.Lock()
	defer zones.Unlock()
	if zones.byName == nil || len(zones.byName) >= maxZones {
		zones.byName = map[string]*time.Location{}
	}
	zones.byName[string(name)] = loc
	return loc
}
