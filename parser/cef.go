package parser

import "bytes"

var cefPrefix = []byte("CEF:")

// cefHeaderKeys are the raw keys for the header fields behind the version, in
// their order (ArcSight Common Event Format, "Header Information").
var cefHeaderKeys = [...]string{
	"cef_device_vendor", "cef_device_product", "cef_device_version", "cef_signature_id", "cef_name", "cef_severity",
}

// cefKeys maps CEF extension keys to the raw keys of Fortinet. No CEF line of
// FortiClient or FortiEMS is public: the mapping is inferred from the CEF
// dictionary and from what FortiGate sends.
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

// cefKeyPrefixes are what Fortinet puts before its own keys; FTNTFGT is seen
// from FortiGate, the others are inferred from it.
var cefKeyPrefixes = []string{"FTNTFGT", "FTNTFCT", "FTNTEMS", "FortinetFortiGate", "FortinetFortiClientEMS", "FortinetFortiClient"}

// parseCEF reads CEF:version|vendor|product|version|signature|name|severity|ext.
// A header cut short leaves what is there.
func (ev *Event) parseCEF(s []byte) {
	s = s[len(cefPrefix):]
	_, s, _ = ev.cefHeaderField(s) // the version of CEF itself
	var vendor, signature []byte
	for i, key := range cefHeaderKeys {
		v, rest, more := ev.cefHeaderField(s)
		if !more {
			// The last header field needs no separator behind it.
			rest = nil
		}
		s = rest
		switch i {
		case 0:
			vendor = v
		case 1:
			ev.cefClient = equalFold(vendor, "fortinet") && containsFold(v, "forticlient") ||
				equalFold(vendor, "fortinet") && containsFold(v, "fortiems")
		case 3:
			signature = v
		case 4:
			ev.cefName = v
		}
		ev.addRaw([]byte(key), v)
		if !more {
			break
		}
	}
	ev.cefExtension(s)
	// The signature is the log id, the name the message, unless the extension
	// says better.
	if !ev.has(keyID_) && !ev.has(keyLogid) && !ev.has(keyLogID) && signature != nil {
		ev.addRaw([]byte("logid"), signature)
	}
	if !ev.has(keyMsg) && ev.cefName != nil {
		ev.addRaw([]byte("msg"), ev.cefName)
	}
}

// cefHeaderField reads up to an unescaped "|". more is false at the end.
func (ev *Event) cefHeaderField(s []byte) (v, rest []byte, more bool) {
	escaped := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			escaped = true
			i++
		case s[i] == '|':
			return ev.cefUnescape(s[:i], escaped), s[i+1:], true
		}
	}
	return ev.cefUnescape(s, escaped), nil, false
}

// cefExtension reads the key=value pairs. Values hold spaces without quotes and
// end before the next key whose "=" is not escaped.
func (ev *Event) cefExtension(s []byte) {
	k := nextKey(s, 0)
	for k.end < 0 && k.start < len(s) {
		k = nextKey(s, k.start+wordEnd(s[k.start:]))
	}
	for k.end >= 0 {
		key, i := s[k.start:k.end], k.end+1
		last := len(s)
		k.end = -1
		for j := i; j < len(s); {
			if !blank[s[j]] {
				j++
				continue
			}
			if k = nextKey(s, j); k.end >= 0 {
				last = j
				break
			}
			j = k.start
		}
		v := trimRight(s[i:last])
		ev.addRaw(cefKey(key), ev.cefUnescape(v, bytes.IndexByte(v, '\\') >= 0))
	}
}

func cefKey(key []byte) []byte {
	for _, prefix := range cefKeyPrefixes {
		if len(key) > len(prefix) && string(key[:len(prefix)]) == prefix {
			return key[len(prefix):]
		}
	}
	if name, ok := cefKeys[string(key)]; ok {
		return []byte(name)
	}
	return key
}

// cefUnescape undoes \\ \| \= \n \r.
func (ev *Event) cefUnescape(v []byte, escaped bool) []byte {
	if !escaped {
		return v
	}
	b := ev.scratch(len(v))
	n := len(b)
	for i := 0; i < len(v); i++ {
		c := v[i]
		if c == '\\' && i+1 < len(v) {
			switch v[i+1] {
			case '\\', '|', '=':
				i++
				c = v[i]
			case 'n':
				i++
				c = '\n'
			case 'r':
				i++
				c = '\r'
			}
		}
		b = append(b, c)
	}
	return ev.keep(b, n)
}

// containsFold reports whether a text in lower case, which is not empty, stands in
// v, its ASCII letters in any case.
func containsFold(v []byte, lower string) bool {
	for i := 0; i+len(lower) <= len(v); i++ {
		if c := v[i]; (c == lower[0] || c|0x20 == lower[0] && isLetter(c)) && equalFold(v[i:i+len(lower)], lower) {
			return true
		}
	}
	return false
}
