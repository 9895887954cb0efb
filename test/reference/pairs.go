package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
)

func (r *Reading) has(key string) bool {
	_, ok := r.values[key]
	return ok
}

// first returns the first value of the first of keys that has one, or "".
func (r *Reading) first(keys ...string) string {
	for _, k := range keys {
		if v := r.values[k]; len(v) > 0 {
			return v[0]
		}
	}
	return ""
}

var notPlain = regexp.MustCompile(`[^A-Za-z0-9_]`)

// normalKey returns the written form of a key.
func normalKey(key string) string {
	if key == "" {
		return "_"
	}
	return lowerASCII(notPlain.ReplaceAllStringFunc(key[:min(len(key), 64)], func(c string) string { return strings.Repeat("_", len(c)) }))
}

var ports = map[string]bool{"srcport": true, "dstport": true, "destport": true, "gatewayport": true, "remoteport": true, "destinationport": true}

func isNull(key, v string) bool {
	switch v {
	case "", "N/A", "(null)", "-":
		return true
	}
	return ports[key] && strings.Trim(v, "0") == ""
}

func (r *Reading) add(key, value string) {
	key = normalKey(key)
	if !r.has(key) {
		r.keys = append(r.keys, key)
		r.values[key] = nil
	}
	if !isNull(key, value) {
		r.values[key] = append(r.values[key], value)
	}
}

var (
	startsXML = regexp.MustCompile(`^<([A-Za-z][A-Za-z0-9_.:-]*)`)
	gluedKey  = regexp.MustCompile(`^[^=]*[>\]|](` + key + `)`)
	bareEnd   = regexp.MustCompile(space + `+(?:` + key + `|$)`)
	quoteEnd  = regexp.MustCompile(`"(?:$|` + space + `+(?:` + key + `|$))`)
)

func (r *Reading) readBody(s string) {
	if strings.HasPrefix(s, "{") && r.readJSON(s) {
		return
	}
	if startsXML.MatchString(s) {
		_, rest := cutXML(s)
		r.readPairs(rest)
		return
	}
	for i := 0; i < len(s); {
		word := firstWord(s[i:])
		inWord := gluedKey.FindStringSubmatchIndex(word)
		if startsKey.MatchString(word) {
			inWord = []int{2: 0}
		}
		switch {
		case word == "":
			i++ // a blank
		case strings.HasPrefix(word, "CEF:"):
			r.setStray(s[:i])
			r.readCEF(s[i+len("CEF:"):])
			return
		case inWord != nil:
			i += inWord[2]
			r.setStray(s[:i])
			r.readPairs(s[i:])
			return
		}
		i += len(word)
	}
}

// setStray notes text before the first pair.
func (r *Reading) setStray(s string) {
	if s = strings.TrimRight(s, spaces); s != "" {
		r.Stray = s
	}
}

// readPairs reads key=value pairs from the start of s to its end.
func (r *Reading) readPairs(s string) {
	for {
		s = strings.TrimLeft(s, spaces)
		name := startsKey.FindString(s)
		if name == "" {
			return
		}
		var v string
		v, s = cutValue(s[len(name):])
		r.add(strings.TrimSuffix(name, "="), v)
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

// cutXML cuts an element off s, up to its end tag before a pair or at the end; without one
// it is all of s.
func cutXML(s string) (v, rest string) {
	m := startsXML.FindStringSubmatch(s)
	end := regexp.MustCompile(regexp.QuoteMeta("</"+m[1]+">") + `(?:` + space + `+` + key + `|` + space + `*$)`)
	if at := end.FindStringIndex(s); at != nil {
		n := at[0] + len("</"+m[1]+">")
		return s[:n], s[n:]
	}
	return s, ""
}

func (r *Reading) readJSON(s string) bool {
	if !json.Valid([]byte(s)) {
		return false
	}
	d := json.NewDecoder(strings.NewReader(s))
	_, err := d.Token()
	for err == nil && d.More() {
		var name json.Token
		name, err = d.Token()
		var raw json.RawMessage
		err = errors.Join(err, d.Decode(&raw))
		text := ""
		var compact bytes.Buffer
		switch raw[0] {
		case 'n':
		case '"':
			err = errors.Join(err, json.Unmarshal(raw, &text))
		default:
			err = errors.Join(err, json.Compact(&compact, raw))
			text = compact.String()
		}
		r.add(name.(string), text)
	}
	return err == nil
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

// readCEF reads what follows "CEF:".
func (r *Reading) readCEF(s string) {
	var fields []string
	for more := true; more && len(fields) < 7; {
		m := cefField.FindStringSubmatch(s)
		fields = append(fields, cefEscapes.Replace(m[1]))
		s, more = s[len(m[0]):], m[2] != ""
	}
	if len(fields) == 1 {
		fields = append(fields, "") // the vendor is always entered
	}
	for i, key := range []string{"cef_device_vendor", "cef_device_product", "cef_device_version", "cef_signature_id", "cef_name", "cef_severity"} {
		if i+1 < len(fields) {
			r.add(key, fields[i+1])
		}
	}
	r.readCEFExtension(s)
	if len(fields) > 2 {
		product := lowerASCII(fields[2])
		r.CEFEndpoint = lowerASCII(fields[1]) == "fortinet" && (strings.Contains(product, "forticlient") || strings.Contains(product, "fortiems"))
	}
	if len(fields) > 4 && !r.has("id") && !r.has("logid") && !r.has("log_id") {
		r.add("logid", fields[4])
	}
	if len(fields) > 5 {
		if r.CEFName = fields[5]; !r.has("msg") {
			r.add("msg", r.CEFName)
		}
	}
}

var firstPair = regexp.MustCompile(`(?:^|` + space + `)` + key)

func (r *Reading) readCEFExtension(s string) {
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
		r.add(name, cefEscapes.Replace(v))
	}
}

var (
	clientID = regexp.MustCompile(`^9[0-9]{4}$`)
	emsID    = regexp.MustCompile(`^(?:9[68][0-9]{3}|(?:0107|0112)[0-9]{6}|(?:107045|112053)[0-9]{3})$`)
	fct      = regexp.MustCompile(`^[fF][cC][tT]`)
	fg       = regexp.MustCompile(`^[fF][gG]`)
	// Programs of EMS whose names no other product has.
	emsProgram = regexp.MustCompile(`(?i)^(?:(?:adconnector|addaemon|adtask|adevtsrv|ftntdbimporter|wspgbouncer|licenseso|ecsocksrv|mdmproxy|emsworkers)(?:worker)?|` +
		`(?:update|event|reg|ka|tag)worker)$`)
)

// isFortiEMS reports whether the line has a sign of FortiEMS.
func (r *Reading) isFortiEMS() bool {
	for _, k := range []string{"emsserial", "emshostname", "fctver", "fctsn", "fctuid", "fctemssn"} {
		if r.has(k) {
			return true
		}
	}
	for _, v := range []string{r.first("subtype"), r.first("type"), r.first("logtype"), r.first("log_type"), r.first("module"), r.AppName, r.CEFName} {
		if emsToken.MatchString(v) {
			return true
		}
	}
	ofClient := false
	// A relay may add an id of its own: the first one of FortiClient or FortiGate counts.
	for _, k := range []string{"id", "logid", "log_id"} {
		if v := r.first(k); emsID.MatchString(v) {
			return true
		} else if clientID.MatchString(v) {
			ofClient = true
			break
		}
	}
	if !ofClient && !fg.MatchString(r.first("devid", "device_id")) && emsProgram.MatchString(r.AppName) {
		return true
	}
	return r.CEFEndpoint || fct.MatchString(r.first("devid", "device_id")) || fct.MatchString(r.first("devname"))
}
