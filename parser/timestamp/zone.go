package timestamp

import (
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

// zones caches the zones of the IANA database by name, nil for names that it does not have.
// Names come from the network, so it is emptied when it is full.
var zones struct {
	sync.RWMutex
	byName map[string]*time.Location
}

const maxZones = 1024 // the database has about 600

// Location returns the zone of an IANA name such as Europe/Berlin, or nil. It is safe for
// concurrent use. Programs that run on hosts without a database import time/tzdata.
func Location(name []byte) *time.Location {
	// Names begin with a capital. Other files next to the database do not.
	if len(name) < 2 || len(name) > 40 || name[0] < 'A' || name[0] > 'Z' || string(name) == "Local" {
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
