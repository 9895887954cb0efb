package line

import (
	"bytes"
	"regexp"

	"fluent-bit-fortiems/parser/ascii"
)

// LEEF (IBM QRadar Log Event Extended Format): LEEF:1.0|vendor|product|version|event id|,
// then pairs with tabs between them. LEEF:2.0 may name another delimiter after the event id.

var leefPrefix = []byte("LEEF:")

func isLEEF(s []byte) bool {
	return bytes.HasPrefix(s, leefPrefix) && len(s) > len(leefPrefix) && (ascii.IsDigit(s[len(leefPrefix)]) || s[len(leefPrefix)] == ' ')
}

// leefHeaderKeys are the raw keys of the header fields after the version, in their order.
var leefHeaderKeys = [...]string{"leef_device_vendor", "leef_device_product", "leef_device_version", "leef_event_id"}

// Positions in leefHeaderKeys.
const (
	leefVendor, leefProduct, leefEventID = 0, 1, 3
)

// leefKeys maps the predefined keys of LEEF to the raw keys of Fortinet. No LEEF line of
// FortiClient or FortiEMS is public: the mapping is inferred from IBM's list of keys.
var leefKeys = map[string]string{
	"src": "srcip", "srcPort": "srcport", "srcMAC": "srcmac", "srcBytes": "sentbyte",
	"dst": "dstip", "dstPort": "dstport", "dstBytes": "rcvdbyte",
	"usrName": "user", "accountName": "username", "identHostName": "hostname", "identSrc": "deviceip", "identMac": "devicemac",
	"devTime": "dtime", "policy": "policyname",
}

// readLEEF reads a line of LEEF, as far as it goes.
func (l *Line) readLEEF(s []byte) {
	version, s, more := bytes.Cut(s[len(leefPrefix):], []byte{'|'})
	var fields [len(leefHeaderKeys)][]byte
	for i, key := range leefHeaderKeys {
		if !more {
			break
		}
		fields[i], s, more = bytes.Cut(s, []byte{'|'})
		l.Pairs.AddName([]byte(key), fields[i])
	}
	delimiter := byte('\t')
	if d, rest, ok := bytes.Cut(s, []byte{'|'}); ok && len(ascii.TrimLeft(version)) > 0 && ascii.TrimLeft(version)[0] == '2' {
		if c, ok := leefDelimiter(d); ok {
			delimiter, s = c, rest
		}
	}
	l.CEF.Endpoint = isEndpointProduct(fields[leefVendor], fields[leefProduct])
	l.readAttributes(s, delimiter)
	if id := fields[leefEventID]; len(id) > 0 {
		l.addLogID(id, fields[leefProduct])
	}
}

// readAttributes adds the pairs behind the header.
func (l *Line) readAttributes(s []byte, delimiter byte) {
	if delimiter == '\t' && bytes.IndexByte(s, '\t') < 0 {
		if bytes.Contains(s, []byte("#011")) {
			s = cutTab.ReplaceAll(s, nil)
		}
		if s = escapedTabs.ReplaceAll(s, []byte("\t$1")); bytes.IndexByte(s, '\t') < 0 {
			l.readExtension(s, leefName) // a relay made the tabs blanks
			return
		}
	}
	for more := true; more; {
		var field []byte
		field, s, more = bytes.Cut(s, []byte{delimiter})
		key, value, ok := bytes.Cut(field, []byte{'='})
		if key = trimBlanks(key); !ok || len(key) == 0 {
			continue
		}
		if value = unquote(trimBlanks(value)); string(key) == "cat" {
			l.addCategory(value)
		} else {
			l.Pairs.Add(leefName(key), value)
		}
	}
}

var (
	// escapedTabs finds tabs that a relay wrote as text before a key.
	escapedTabs = regexp.MustCompile(`(?:#011|\\t)([A-Za-z0-9_][A-Za-z0-9_.-]*=)`)
	// cutTab finds the beginning of such a tab and key at the end of a line that was cut.
	cutTab = regexp.MustCompile(`#(?:0(?:1(?:1[A-Za-z0-9_.-]*)?)?)?$`)
)

// leefDelimiter reads the delimiter of LEEF 2.0: a character, or its code as x09 or 0x09.
// Without one it is a tab.
func leefDelimiter(d []byte) (c byte, ok bool) {
	d = bytes.TrimPrefix(d, []byte{'0'})
	switch {
	case len(d) == 0 || string(d) == `\t`:
		return '\t', true
	case len(d) == 1 && d[0] != '=':
		return d[0], true
	case d[0] == 'x' && len(d) <= 3:
		for _, h := range d[1:] {
			if !ascii.IsHex(h) {
				return 0, false
			}
			n := h & 0xf
			if h > '9' {
				n += 9
			}
			c = c<<4 | n
		}
		return c, c != 0
	}
	return 0, false
}

// leefName returns the raw key of Fortinet for a key of LEEF.
func leefName(key []byte) []byte {
	if name, ok := leefKeys[string(key)]; ok {
		return []byte(name)
	}
	return key
}
