package line

import (
	"bytes"
	"fmt"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/timestamp"
)

// CEF is what the header of a CEF line (ArcSight Common Event Format) says beside its
// pairs.
type CEF struct {
	Name     []byte // of the event
	Endpoint bool   // Fortinet is the vendor and the product is FortiClient or FortiEMS
}

var cefPrefix = []byte("CEF:")

// cefHeaderKeys are the raw keys of the header fields after the version, in their order.
var cefHeaderKeys = [...]string{
	"cef_device_vendor", "cef_device_product", "cef_device_version", "cef_signature_id", "cef_name", "cef_severity",
}

// Positions in cefHeaderKeys.
const (
	cefVendor, cefProduct, cefSignature, cefName = 0, 1, 3, 4
)

// cefKeys maps CEF extension keys to the raw keys of Fortinet. No CEF line of FortiClient
// or FortiEMS is public: the mapping is inferred from the CEF dictionary and from what
// FortiGate and FortiAnalyzer send. cat, start and rt are in readExtension.
var cefKeys = map[string]string{
	"src": "srcip", "spt": "srcport", "smac": "srcmac", "sproc": "srcname",
	"dst": "dstip", "dpt": "dstport", "dhost": "remotename", "shost": "hostname",
	"suser": "user", "duser": "username", "sntdom": "pcdomain",
	"in": "rcvdbyte", "out": "sentbyte", "app": "service", "request": "url",
	"fname": "file", "fsize": "filesize", "fileHash": "checksum", "filePath": "file",
	"act": "action", "outcome": "status", "reason": "reason", "deviceSeverity": "level",
	"deviceExternalId": "devid", "dvchost": "devname", "externalId": "sessionid",
	"deviceInboundInterface": "srcintf", "deviceOutboundInterface": "dstintf",
	"deviceDirection": "direction",
}

// cefKeyPrefixes are the prefixes of Fortinet's own extension keys. FTNTFGT is what
// FortiGate sends and ad. what FortiAnalyzer sends, the others are inferred from them.
var cefKeyPrefixes = []string{"ad.", "FTNTFGT", "FTNTFCT", "FTNTEMS", "FortinetFortiGate", "FortinetFortiClientEMS", "FortinetFortiClient"}

// readCEF reads CEF:version|vendor|product|version|signature|name|severity|extension. A
// header that was cut short gives the fields that it has.
func (l *Line) readCEF(s []byte) {
	_, s, more := l.cefHeaderField(s[len(cefPrefix):]) // the version of CEF itself
	var fields [len(cefHeaderKeys)][]byte
	for i, key := range cefHeaderKeys {
		if i > 0 && !more {
			break
		}
		fields[i], s, more = l.cefHeaderField(s)
		l.Pairs.Add([]byte(key), fields[i])
	}
	l.CEF.Name = fields[cefName]
	l.CEF.Endpoint = isEndpointProduct(fields[cefVendor], fields[cefProduct])
	l.readExtension(s, cefKey)
	p := &l.Pairs
	if kind, subtype, ok := splitCategory(fields[cefName][:ascii.WordEnd(fields[cefName])]); ok && subtype != nil && !p.Has(dict.KeyType) && !p.Has(dict.KeySubtype) {
		p.AddKey(dict.KeyType, kind)
		p.AddKey(dict.KeySubtype, subtype)
	}
	// The signature is the log id and the name is the message, if the extension has none.
	if id := fields[cefSignature]; id != nil {
		l.addLogID(id, fields[cefProduct])
	}
	if l.CEF.Name != nil && !p.Has(dict.KeyMsg) && !p.Has(dict.KeyLogdesc) {
		p.AddKey(dict.KeyMsg, l.CEF.Name)
	}
}

// isEndpointProduct reports whether a header of CEF or LEEF is one of FortiClient or
// FortiEMS.
func isEndpointProduct(vendor, product []byte) bool {
	return ascii.EqualFold(vendor, "fortinet") && (ascii.ContainsFold(product, "forticlient") || ascii.ContainsFold(product, "fortiems"))
}

// addLogID adds the id of a header as the log id, unless the line has one.
func (l *Line) addLogID(id, product []byte) {
	p := &l.Pairs
	if !p.Has(dict.KeyID) && !p.Has(dict.KeyLogid) && !p.Has(dict.KeyLogID) {
		p.AddKey(dict.KeyLogid, l.wholeLogID(id, product))
	}
}

// wholeLogID returns the log id of a signature. FortiGate sends the last five digits of its
// id (FortiOS to CEF log field mapping guidelines); the type and subtype give the rest.
func (l *Line) wholeLogID(id, product []byte) []byte {
	if len(id) != 5 || !ascii.AllDigits(id) || !ascii.ContainsFold(product, "fortigate") {
		return id
	}
	prefix := ""
	switch subtype := l.Pairs.Value(dict.KeySubtype); {
	case ascii.EqualFold(subtype, "endpoint"):
		prefix = "01070"
	case ascii.EqualFold(subtype, "connector"):
		prefix = "01120"
	default:
		return id
	}
	return l.arena.Keep(append(append(l.arena.Start(10), prefix...), id...))
}

// splitCategory splits type:subtype; subtype is nil without one.
func splitCategory(v []byte) (kind, subtype []byte, ok bool) {
	kind, subtype, found := bytes.Cut(v, []byte{':'})
	if !found {
		subtype = nil
	}
	return kind, subtype, IsTagName(kind) && (!found || IsTagName(subtype))
}

// cefHeaderField reads up to the next "|" that is not escaped. more is false at the end.
func (l *Line) cefHeaderField(s []byte) (v, rest []byte, more bool) {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '|':
			return l.cefUnescape(s[:i]), s[i+1:], true
		}
	}
	return l.cefUnescape(s), nil, false
}

// readExtension adds the pairs of an extension, whose keys name translates. A value may have
// blanks without quotes and ends before the next key.
func (l *Line) readExtension(s []byte, name func([]byte) []byte) {
	var start []byte
	k := nextKey(s, 0)
	for !k.found() && k.start < len(s) {
		k = nextKey(s, k.start+ascii.WordEnd(s[k.start:]))
	}
	for k.found() {
		key, from, to := s[k.start:k.end], k.end+1, len(s)
		k.end = -1
		for j := from; j < len(s); {
			if !ascii.IsBlank(s[j]) {
				j++
				continue
			}
			if k = nextKey(s, j); k.found() {
				to = j
				break
			}
			j = k.start
		}
		ours := name(key)
		value := trimBlanks(s[from:to])
		if !k.found() {
			value = l.cutExtension(value, ours)
		}
		value = unquote(l.cefUnescape(value))
		switch string(key) {
		case "start", "rt":
			if start == nil || key[0] == 's' && !ascii.AllDigits(start) {
				start, value = value, start
			}
			if value != nil {
				l.addOnce(key, value)
			}
		case "cat":
			l.addCategory(value)
		case "deviceDirection":
			switch string(value) {
			case "0":
				value = []byte("inbound")
			case "1":
				value = []byte("outbound")
			}
			l.addOnce(ours, value)
		default:
			l.addOnce(ours, value)
		}
	}
	l.addStart(start)
}

// addCategory adds the value of cat, which is the type, or type:subtype.
func (l *Line) addCategory(v []byte) {
	kind, subtype, ok := splitCategory(v)
	if !ok {
		l.addOnce([]byte("cat"), v)
		return
	}
	l.addOnce(dict.KeyType.Bytes(), kind)
	if subtype != nil {
		l.addOnce(dict.KeySubtype.Bytes(), subtype)
	}
}

// cutExtension returns the last value of an extension without the beginning of another key.
func (l *Line) cutExtension(v, key []byte) []byte {
	i := bytes.LastIndexByte(v, ' ')
	if i < 0 {
		return v
	}
	w := v[i+1:]
	prefixed := bytes.HasPrefix([]byte("FTNTFGT"), w)
	for _, prefix := range cefKeyPrefixes {
		prefixed = prefixed || bytes.HasPrefix(w, []byte(prefix))
	}
	if prefixed {
		return ascii.TrimRight(v[:i])
	}
	k := dict.Lookup(l.arena.Lower(key))
	if k != dict.NoKey && !textKeys.Has(k) {
		for name := range cefKeys {
			if len(w) <= len(name) && name[:len(w)] == string(w) {
				return ascii.TrimRight(v[:i])
			}
		}
	}
	return l.cutTail(v, k)
}

// addOnce adds a pair unless the line has the key with this value already: FortiAnalyzer
// sends tz= beside ad.tz=.
func (l *Line) addOnce(key, value []byte) {
	name := key
	if !isPlainName(key) {
		name = l.arena.Keep(appendName(l.arena.Start(min(len(key), maxNameLen)+1), key))
	}
	if have, ok := l.Pairs.Lookup(name, dict.Lookup(name)); ok && bytes.Equal(have, value) {
		return
	}
	l.Pairs.Add(name, value)
}

// addStart adds the time of start or rt: "Oct 01 2024 22:17:30" as date and time, one with
// a zone as dtime, a Unix time as eventtime.
func (l *Line) addStart(v []byte) {
	var t timestamp.Stamp
	p := &l.Pairs
	if n, _ := t.Read(v); n > 0 && n < len(v) && v[n] == ' ' && isCutKey(v[n+1:]) {
		v = v[:n]
	}
	switch {
	case v == nil:
	case ascii.AllDigits(v) && !p.Has(dict.KeyEventtime):
		p.AddKey(dict.KeyEventtime, v)
	case !ascii.AllDigits(v) && t.ReadAll(v) && !t.NoYear && !p.Has(dict.KeyDate) && !p.Has(dict.KeyTime) && !p.Has(dict.KeyDtime):
		if t.HasZone {
			p.AddKey(dict.KeyDtime, v)
			return
		}
		d := &t.Local
		date := fmt.Appendf(nil, "%04d-%02d-%02d", d.Year, d.Month, d.Day)
		clock := fmt.Appendf(nil, "%02d:%02d:%02d", d.Hour, d.Min, d.Sec)
		if d.Nsec != 0 {
			clock = fmt.Appendf(clock, ".%09d", d.Nsec)
		}
		p.AddKey(dict.KeyDate, date)
		p.AddKey(dict.KeyTime, clock)
	default:
		l.addOnce([]byte("start"), v)
	}
}

// unquote returns v without the quotes around all of it.
func unquote(v []byte) []byte {
	n := len(v)
	if n > 0 && v[0] == '"' && bytes.IndexByte(v[1:], '"') < 0 {
		return v[1:] // cut before the closing quote
	}
	if n < 2 || v[0] != '"' || v[n-1] != '"' || bytes.IndexByte(v[1:n-1], '"') >= 0 {
		return v
	}
	return trimBlanks(v[1 : n-1])
}

// cefKey returns the raw key of Fortinet for an extension key.
func cefKey(key []byte) []byte {
	for _, prefix := range cefKeyPrefixes {
		if rest, ok := bytes.CutPrefix(key, []byte(prefix)); ok && len(rest) > 0 {
			return rest
		}
	}
	if name, ok := cefKeys[string(key)]; ok {
		return []byte(name)
	}
	return key
}

// cefUnescape replaces \\ \| \= \n \r.
func (l *Line) cefUnescape(v []byte) []byte {
	if bytes.IndexByte(v, '\\') < 0 {
		return v
	}
	b := l.arena.Start(len(v))
	for i := 0; i < len(v); i++ {
		c := v[i]
		if c == '\\' && i+1 < len(v) {
			switch next := v[i+1]; next {
			case '\\', '|', '=':
				c = next
				i++
			case 'n':
				c = '\n'
				i++
			case 'r':
				c = '\r'
				i++
			}
		}
		b = append(b, c)
	}
	return l.arena.Keep(b)
}
