package line

import (
	"bytes"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
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
// FortiGate sends.
var cefKeys = map[string]string{
	"src": "srcip", "spt": "srcport", "smac": "srcmac", "sproc": "srcname",
	"dst": "dstip", "dpt": "dstport", "dhost": "remotename", "shost": "hostname",
	"suser": "user", "duser": "username", "sntdom": "pcdomain",
	"in": "rcvdbyte", "out": "sentbyte", "app": "service", "request": "url",
	"fname": "file", "fsize": "filesize", "fileHash": "checksum", "filePath": "file",
	"act": "action", "outcome": "result", "reason": "reason", "cat": "subtype",
	"deviceExternalId": "devid", "dvchost": "devname", "externalId": "sessionid",
	"rt": "eventtime", "deviceDirection": "direction",
}

// cefKeyPrefixes are the prefixes of Fortinet's own extension keys. FTNTFGT is what
// FortiGate sends, the others are inferred from it.
var cefKeyPrefixes = []string{"FTNTFGT", "FTNTFCT", "FTNTEMS", "FortinetFortiGate", "FortinetFortiClientEMS", "FortinetFortiClient"}

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
	product := fields[cefProduct]
	l.CEF.Name = fields[cefName]
	l.CEF.Endpoint = ascii.EqualFold(fields[cefVendor], "fortinet") &&
		(ascii.ContainsFold(product, "forticlient") || ascii.ContainsFold(product, "fortiems"))
	l.readCEFExtension(s)
	// The signature is the log id and the name is the message, if the extension has none.
	p := &l.Pairs
	if fields[cefSignature] != nil && !p.Has(dict.KeyID) && !p.Has(dict.KeyLogid) && !p.Has(dict.KeyLogID) {
		p.AddKey(dict.KeyLogid, fields[cefSignature])
	}
	if l.CEF.Name != nil && !p.Has(dict.KeyMsg) {
		p.AddKey(dict.KeyMsg, l.CEF.Name)
	}
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

// readCEFExtension adds the pairs of the extension. A value may have blanks without quotes
// and ends before the next key.
func (l *Line) readCEFExtension(s []byte) {
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
		l.Pairs.Add(cefKey(key), l.cefUnescape(ascii.TrimRight(s[from:to])))
	}
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
