package reference

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"time"
)

// line is what is known of a line.
type line struct {
	header
	text     string
	keys     []string            // in order of their first appearance
	values   map[string][]string // those that say something
	cefName  string
	cefEMS   bool
	mapped   map[string]bool // the first value stands in a field
	fields   map[string]any  // by dotted name
	received time.Time
	o        Options
}

func readLine(s string) *line {
	l := &line{values: map[string][]string{}, mapped: map[string]bool{}, fields: map[string]any{}}
	l.header, l.text = readHeader(s)
	l.readBody(strings.TrimLeft(strings.TrimPrefix(l.text, "@cee:"), spaces))
	return l
}

func (l *line) has(key string) bool {
	_, ok := l.values[key]
	return ok
}

// first returns the first value of a key that says something, or "".
func (l *line) first(key string) string {
	if v := l.values[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func normalKey(key string) string {
	b := []byte(key)
	if len(b) > 64 {
		b = b[:64]
	}
	if len(b) == 0 {
		return "_"
	}
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			b[i] = c + 'a' - 'A'
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		default:
			b[i] = '_'
		}
	}
	return string(b)
}

var ports = map[string]bool{"srcport": true, "dstport": true, "destport": true, "gatewayport": true}

func saysNothing(key, v string) bool {
	switch v {
	case "", "N/A", "(null)", "-":
		return true
	}
	return ports[key] && strings.Trim(v, "0") == ""
}

func (l *line) add(key, value string) {
	key = normalKey(key)
	if !l.has(key) {
		l.keys = append(l.keys, key)
		l.values[key] = nil
	}
	if !saysNothing(key, value) {
		l.values[key] = append(l.values[key], value)
	}
}

var (
	startsXML = regexp.MustCompile(`^<([A-Za-z][A-Za-z0-9_.:-]*)`)
	gluedKey  = regexp.MustCompile(`^[^=]*[>\]|](` + key + `)`)
	bareEnd   = regexp.MustCompile(space + `+(?:` + key + `|$)`)
	quoteEnd  = regexp.MustCompile(`"(?:$|` + space + `+(?:` + key + `|$))`)
)

func (l *line) readBody(s string) {
	if strings.HasPrefix(s, "{") && l.readJSON(s) {
		return
	}
	if startsXML.MatchString(s) {
		_, rest := cutXML(s)
		l.readPairs(rest)
		return
	}
	for i := 0; i < len(s); {
		if strings.ContainsRune(spaces, rune(s[i])) {
			i++
			continue
		}
		word := firstWord(s[i:])
		glued := gluedKey.FindStringSubmatchIndex(word)
		switch {
		case strings.HasPrefix(word, "CEF:"):
			l.stray = strings.TrimRight(s[:i], spaces)
			l.readCEF(s[i+len("CEF:"):])
			return
		case startsKey.MatchString(word):
			glued = []int{0, 0, 0}
			fallthrough
		case glued != nil:
			i += glued[2]
			l.stray = strings.TrimRight(s[:i], spaces)
			l.readPairs(s[i:])
			return
		}
		i += len(word)
	}
}

// readPairs reads key=value pairs from the start of s to its end.
func (l *line) readPairs(s string) {
	for {
		s = strings.TrimLeft(s, spaces)
		name := startsKey.FindString(s)
		if name == "" {
			return
		}
		var v string
		v, s = cutValue(s[len(name):])
		l.add(strings.TrimSuffix(name, "="), v)
	}
}

func cutValue(s string) (v, rest string) {
	switch {
	case strings.HasPrefix(s, `"`):
		return cutQuoted(s[1:])
	case startsXML.MatchString(s):
		return cutXML(s)
	}
	if m := bareEnd.FindStringIndex(s); m != nil {
		return s[:m[0]], s[m[0]:]
	}
	return s, ""
}

func cutQuoted(s string) (v, rest string) {
	v = s
	if m := quoteEnd.FindStringIndex(s); m != nil {
		v, rest = s[:m[0]], s[m[0]+1:]
	}
	// Doubled quotes count as one.
	if v == `"` {
		v = ""
	} else if strings.HasPrefix(v, `"`) && strings.HasSuffix(v, `"`) {
		v = strings.ReplaceAll(v[1:len(v)-1], `""`, `"`)
	}
	return strings.ReplaceAll(v, `\"`, `"`), rest
}

// cutXML cuts an element off s, whose end tag stands before a pair or at the end;
// without one it is all of s.
func cutXML(s string) (v, rest string) {
	m := startsXML.FindStringSubmatch(s)
	end := regexp.MustCompile(regexp.QuoteMeta("</"+m[1]+">") + `(?:` + space + `+` + key + `|` + space + `*$)`)
	if at := end.FindStringIndex(s); at != nil {
		n := at[0] + len("</"+m[1]+">")
		return s[:n], s[n:]
	}
	return s, ""
}

func (l *line) readJSON(s string) bool {
	if !json.Valid([]byte(s)) {
		return false
	}
	d := json.NewDecoder(strings.NewReader(s))
	if _, err := d.Token(); err != nil {
		return false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return false
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return false
		}
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			return false
		}
		switch v := v.(type) {
		case nil:
			l.add(name.(string), "")
		case string:
			l.add(name.(string), v)
		default:
			var compact bytes.Buffer
			if err := json.Compact(&compact, raw); err != nil {
				return false
			}
			l.add(name.(string), compact.String())
		}
	}
	return true
}

var cefEscapes = strings.NewReplacer(`\\`, `\`, `\|`, `|`, `\=`, `=`, `\n`, "\n", `\r`, "\r")

var cefNames = map[string]string{
	"src": "srcip", "spt": "srcport", "smac": "srcmac", "sproc": "srcname",
	"dst": "dstip", "dpt": "dstport", "dhost": "remotename", "shost": "hostname",
	"suser": "user", "duser": "username", "sntdom": "pcdomain",
	"in": "rcvdbyte", "out": "sentbyte", "app": "service", "request": "url",
	"fname": "file", "fsize": "filesize", "fileHash": "checksum", "filePath": "file",
	"act": "action", "outcome": "result", "reason": "reason", "cat": "subtype",
	"deviceExternalId": "devid", "dvchost": "devname", "externalId": "sessionid",
	"rt": "eventtime", "deviceDirection": "direction",
}

var cefPrefixed = regexp.MustCompile(`^(?:FTNTFGT|FTNTFCT|FTNTEMS|FortinetFortiGate|FortinetFortiClientEMS|FortinetFortiClient)(.+)$`)

var cefField = regexp.MustCompile(`(?s)^((?:[^|\\]|\\.|\\$)*)(\|?)`)

// readCEF reads what stands behind "CEF:".
func (l *line) readCEF(s string) {
	var fields []string
	for more := true; more && len(fields) < 7; {
		m := cefField.FindStringSubmatch(s)
		fields = append(fields, cefEscapes.Replace(m[1]))
		s, more = s[len(m[0]):], m[2] != ""
	}
	for i, name := range []string{"vendor", "product", "version", "signature", "name", "severity"} {
		if i+1 < len(fields) {
			full := "cef_device_" + name
			if i >= 3 {
				full = map[string]string{"signature": "cef_signature_id", "name": "cef_name", "severity": "cef_severity"}[name]
			}
			l.add(full, fields[i+1])
		}
	}
	fields = append(fields, make([]string, 7)...)
	product := lowerASCII(fields[2])
	l.cefEMS = sameASCII(fields[1], "fortinet") && (strings.Contains(product, "forticlient") || strings.Contains(product, "fortiems"))
	l.cefName = fields[5]
	l.readCEFExtension(s)
	if !l.has("id") && !l.has("logid") && !l.has("log_id") {
		l.add("logid", fields[4])
	}
	if !l.has("msg") {
		l.add("msg", l.cefName)
	}
}

var firstPair = regexp.MustCompile(`(?:^|` + space + `)` + key)

func (l *line) readCEFExtension(s string) {
	m := firstPair.FindStringIndex(s)
	if m == nil {
		return
	}
	for s = s[m[0]:]; ; {
		s = strings.TrimLeft(s, spaces)
		name := startsKey.FindString(s)
		if name == "" {
			return
		}
		s = s[len(name):]
		v := s
		if m := bareEnd.FindStringIndex(s); m != nil {
			v = s[:m[0]]
		}
		s = s[len(v):]
		name = strings.TrimSuffix(name, "=")
		if m := cefPrefixed.FindStringSubmatch(name); m != nil {
			name = m[1]
		} else if ours, ok := cefNames[name]; ok {
			name = ours
		}
		l.add(name, cefEscapes.Replace(v))
	}
}
