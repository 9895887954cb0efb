package reference

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
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
	leefStart = regexp.MustCompile(`^LEEF:[0-9 ]`)
	arrayOf   = regexp.MustCompile(`^\[` + space + `*\{`)
)

// Signs of notations that only the parser reads: see the package comment.
var (
	otherStart  = regexp.MustCompile(`^(?:"|\\")`)
	otherStray  = regexp.MustCompile(`[="']|[\[({<` + "`" + `]$|#01[125]$`)
	single      = regexp.MustCompile(`^'([^'"=]*)'(` + space + `+` + key + `|` + space + `*$)`)
	otherBare   = regexp.MustCompile(`^(?:'|\\+"|&quot;|[A-Za-z0-9_][A-Za-z0-9_.-]+=)|#01|\\t[A-Za-z0-9_]|=` + space + `*"`)
	otherEnd    = regexp.MustCompile(`(?s)"(?:[.,;:)\]}>']+|\r*\n.*)$|(?:#000|#01[25]|\\[nr])"$|"\\t[A-Za-z0-9_]`) // of a quoted value
	otherQuote  = regexp.MustCompile(`^[ \t\r\n\v\f,;|]*(?:#|<|[^ \t\r\n\v\f"=]*` + space + `*=|["']?[^ \t\r\n\v\f"]*["']?` + space + `*$)`)
	hidden      = regexp.MustCompile(`#01`)
	separator   = regexp.MustCompile(`[,;|]`)
	perhapsCut  = regexp.MustCompile(`[ \t\r\n\v\f,;|#]|\\(?:t[A-Za-z0-9_.-]*)?$`)
	onlyEscaped = regexp.MustCompile(`^(?:[^"]*\\")+[^"]*$`) // quotes, with a backslash before each
	pairOrQuote = regexp.MustCompile(`[="]`)
)

// isXML reports whether s begins with a start tag, not with "<key=".
func isXML(s string) bool { return startsXML.MatchString(s) && !startsKey.MatchString(s[1:]) }

func (r *Reading) readBody(s string, depth int) {
	s = strings.TrimLeft(strings.TrimPrefix(s, "@cee:"), spaces)
	if strings.HasPrefix(s, "{") || arrayOf.MatchString(s) {
		r.other = !strings.HasPrefix(s, "{") || !r.readJSON(s, depth)
		return
	}
	if r.other = otherStart.MatchString(s); r.other {
		return
	}
	if isXML(s) {
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
		case leefStart.MatchString(s[i:]):
			r.setStray(s[:i])
			r.readLEEF(s[i+len("LEEF:"):])
			return
		case inWord != nil:
			i += inWord[2]
			r.setStray(s[:i])
			r.other = otherStray.MatchString(strings.TrimRight(s[:i], spaces)) || onlyEscaped.MatchString(s)
			r.readPairs(s[i:])
			return
		}
		i += len(word)
	}
	r.other = pairOrQuote.MatchString(s)
}

// setStray notes text before the first pair.
func (r *Reading) setStray(s string) {
	if s = strings.TrimRight(s, spaces); s != "" {
		r.Stray = s
	}
}

// readPairs reads key=value pairs from the start of s to its end.
func (r *Reading) readPairs(s string) {
	for first := true; ; first = false {
		s = strings.TrimLeft(s, spaces)
		name := startsKey.FindString(s)
		if name == "" {
			return
		}
		s = s[len(name):]
		v, rest := cutValue(s)
		r.other = r.other || first && separator.MatchString(v) || isOther(s, rest)
		s = rest
		r.add(strings.TrimSuffix(name, "="), strings.Trim(v, spaces))
	}
}

// isOther reports whether the value at the start of s, which rest follows, has a sign of
// another notation.
func isOther(s, rest string) bool {
	v := strings.TrimRight(s[:len(s)-len(rest)], spaces)
	switch {
	case isXML(v):
		return hidden.MatchString(v)
	case single.MatchString(s):
		return hidden.MatchString(v)
	case !strings.HasPrefix(v, `"`):
		return otherBare.MatchString(v) || strings.Trim(rest, spaces) == "" && perhapsCut.MatchString(v)
	}
	end := len(v)
	if rest != "" || strings.HasSuffix(v, `"`) {
		end-- // the closing quote
	}
	for i := 1; i < end; i++ {
		// A quote after a blank begins a text.
		begins := i > 1 && strings.IndexByte(spaces+"=", v[i-1]) >= 0 && i+1 < len(v) && strings.IndexByte(spaces+",;|#<", v[i+1]) < 0
		if v[i] == '"' && !begins && otherQuote.MatchString(s[i+1:]) {
			return true
		}
	}
	return hidden.MatchString(v) || otherEnd.MatchString(v)
}

func cutValue(s string) (v, rest string) {
	if t := strings.TrimLeft(s, spaces); strings.HasPrefix(t, `"`) || strings.HasPrefix(t, "'") {
		s = t
	}
	switch {
	case strings.HasPrefix(s, `"`):
		return cutQuoted(s[1:])
	case isXML(s):
		return cutXML(s)
	}
	if m := single.FindStringSubmatch(s); m != nil {
		return m[1], s[len(m[1])+2:]
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
	} else if strings.Trim(rest, spaces) == "" && strings.LastIndex(v, `"`) == 0 {
		v = v[1:] // cut
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

// jsonMember is a member of an object and its value as a text.
type jsonMember struct {
	name, value string
	text        bool // a string
}

// readJSON reads an object that is whole, and the line or event that it wraps.
func (r *Reading) readJSON(s string, depth int) bool {
	d := json.NewDecoder(strings.NewReader(s))
	var object json.RawMessage
	if d.Decode(&object) != nil {
		return false
	}
	behind := strings.Trim(strings.TrimLeft(s[d.InputOffset():], "], \t\r\n"), spaces)
	all, err := membersOf(string(object))
	wrapper := wrapperOf(all, depth)
	if depth >= 4 {
		wrapper = -1
	}
	prefix := ""
	if wrapper >= 0 {
		prefix = "json_"
		if m := all[wrapper]; m.text {
			r.readWrapped(m.value, depth)
		} else if !r.readJSON(m.value, depth+1) {
			return false
		}
	}
	for i, m := range all {
		if i != wrapper {
			r.add(prefix+m.name, m.value)
		}
	}
	if r.Stray == "" {
		r.Stray = behind
	}
	return err == nil && !r.other
}

// membersOf returns the members of a whole object.
func membersOf(object string) (all []jsonMember, err error) {
	d := json.NewDecoder(strings.NewReader(object))
	_, err = d.Token()
	for err == nil && d.More() {
		var name json.Token
		name, err = d.Token()
		var raw json.RawMessage
		err = errors.Join(err, d.Decode(&raw))
		m := jsonMember{name: name.(string)}
		var compact bytes.Buffer
		switch raw[0] {
		case 'n':
		case '"':
			m.text = true
			err = errors.Join(err, json.Unmarshal(raw, &m.value))
		default:
			err = errors.Join(err, json.Compact(&compact, raw))
			if m.value = compact.String(); integers[lowerASCII(m.name)] {
				m.value = asInteger(m.value)
			}
		}
		all = append(all, m)
	}
	return all, err
}

var ownMember = regexp.MustCompile(`^(?i:emsserial|emshostname|fctver|fctsn|fctuid|fctemssn|devid|device_id|logid|log_id|subtype)$`)

// wrapperOf returns the index of the member that holds a line or an event, or -1.
func wrapperOf(all []jsonMember, depth int) int {
	if slices.ContainsFunc(all, isOwn) {
		return -1
	}
	if i := longestLine(all); i >= 0 {
		return i
	}
	if i := slices.IndexFunc(all, func(m jsonMember) bool { return m.hasEvent(depth + 1) }); i >= 0 {
		return i
	}
	for _, name := range []string{"log", "message", "msg"} {
		i := slices.IndexFunc(all, func(m jsonMember) bool { return m.text && m.value != "" && lowerASCII(m.name) == name })
		if i >= 0 {
			return i
		}
	}
	return -1
}

func isOwn(m jsonMember) bool { return ownMember.MatchString(m.name) }

var (
	ownSign    = regexp.MustCompile(`(?:^|[^?&])(?:emsserial|fctver)|FCTEMS[0-9]`)
	pairOrJSON = regexp.MustCompile(`[={]`)
)

// longestLine returns the index of the longest text that is a line, or -1.
func longestLine(all []jsonMember) int {
	found := -1
	for i, m := range all {
		inner := Reading{Clean: m.value}
		inner.readHeader()
		line := pairOrJSON.MatchString(m.value) && ownSign.MatchString(m.value) || inner.Priority >= 0 && inner.stamp != nil || inner.Body != "" && emsToken.MatchString(inner.AppName)
		if m.text && line && (found < 0 || len(m.value) > len(all[found].value)) {
			found = i
		}
	}
	return found
}

// hasEvent reports whether an object is an event or has one or a line in it.
func (m jsonMember) hasEvent(depth int) bool {
	if m.text || !strings.HasPrefix(m.value, "{") || depth >= 4 {
		return false
	}
	all, _ := membersOf(m.value)
	return slices.ContainsFunc(all, isOwn) || longestLine(all) >= 0 ||
		slices.ContainsFunc(all, func(m jsonMember) bool { return m.hasEvent(depth + 1) })
}

// perhapsTwo finds what may separate a message from the next one.
var perhapsTwo = regexp.MustCompile(`[\n\x00].|#0[01]|\\n.|.<[0-9]{1,3}>`)

// readWrapped reads a line that a text of JSON holds. What its header does not say is as in
// the header around it.
func (r *Reading) readWrapped(text string, depth int) {
	if r.other = perhapsTwo.MatchString(text); r.other {
		return
	}
	outer := *r
	inner := Reading{Clean: trimTail(text)}
	inner.readHeader()
	if inner.Priority < 0 {
		inner.Priority = outer.Priority
	}
	if inner.stamp == nil {
		inner.stamp, inner.Stamp = outer.stamp, outer.Stamp
	}
	if inner.Hostname == "" && inner.AppName == "" {
		inner.Hostname, inner.AppName, inner.ProcID, inner.MsgID = outer.Hostname, outer.AppName, outer.ProcID, outer.MsgID
	}
	if inner.StructuredData == "" {
		inner.StructuredData, inner.Elements = outer.StructuredData, outer.Elements
	}
	inner.Clean, inner.keys, inner.values = outer.Clean, outer.keys, outer.values
	*r = inner
	r.readBody(r.Body, depth+1)
}

// integers are the members whose numbers are integers in any form.
var integers = func() map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields("id logid log_id eventtime timestamp itime dtime srcport dstport destport gatewayport sentbyte rcvdbyte " +
		"filesize proto sessionid vulnid count httpcode level severity vid sigid") {
		set[name] = true
	}
	return set
}()

var writtenFloat = regexp.MustCompile(`^-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$`)

// asInteger writes 96900.0 and 9.69e4 as 96900.
func asInteger(v string) string {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil || !writtenFloat.MatchString(v) || !strings.ContainsAny(v, ".eE") || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
		return v
	}
	return strconv.FormatFloat(f+0, 'f', 0, 64)
}

var cefEscapes = strings.NewReplacer(`\\`, `\`, `\|`, `|`, `\=`, `=`, `\n`, "\n", `\r`, "\r")

var cefNames = map[string]string{
	"src": "srcip", "spt": "srcport", "smac": "srcmac", "sproc": "srcname",
	"dst": "dstip", "dpt": "dstport", "dhost": "remotename", "shost": "hostname",
	"suser": "user", "duser": "username", "sntdom": "pcdomain",
	"in": "rcvdbyte", "out": "sentbyte", "app": "service", "request": "url",
	"fname": "file", "fsize": "filesize", "fileHash": "checksum", "filePath": "file",
	"act": "action", "outcome": "status", "reason": "reason", "deviceSeverity": "level",
	"deviceExternalId": "devid", "dvchost": "devname", "externalId": "sessionid", "deviceDirection": "direction",
	"deviceInboundInterface": "srcintf", "deviceOutboundInterface": "dstintf",
}

var cefPrefixed = regexp.MustCompile(`^(?:ad\.|FTNTFGT|FTNTFCT|FTNTEMS|FortinetFortiGate|FortinetFortiClientEMS|FortinetFortiClient)(.+)$`)

var cefField = regexp.MustCompile(`(?s)^((?:[^|\\]|\\.|\\$)*)(\|?)`)

func cefName(name string) string {
	if m := cefPrefixed.FindStringSubmatch(name); m != nil {
		return m[1]
	}
	if ours, ok := cefNames[name]; ok {
		return ours
	}
	return name
}

var (
	category = regexp.MustCompile(`^([A-Za-z0-9._/-]{1,48})(:([A-Za-z0-9._/-]{1,48}))?$`)
	shortID  = regexp.MustCompile(`^[0-9]{5}$`)
)

func isEndpoint(vendor, product string) bool {
	product = lowerASCII(product)
	return lowerASCII(vendor) == "fortinet" && (strings.Contains(product, "forticlient") || strings.Contains(product, "fortiems"))
}

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
	r.readExtension(s, cefName)
	if len(fields) > 2 {
		r.CEFEndpoint = isEndpoint(fields[1], fields[2])
	}
	if len(fields) > 5 {
		r.CEFName = fields[5]
		if m := category.FindStringSubmatch(firstWord(r.CEFName)); m != nil && m[2] != "" && !r.has("type") && !r.has("subtype") {
			r.add("type", m[1])
			r.add("subtype", m[3])
		}
	}
	if len(fields) > 4 && !r.has("id") && !r.has("logid") && !r.has("log_id") {
		r.add("logid", r.longID(fields[4], fields[2]))
	}
	if len(fields) > 5 && !r.has("msg") && !r.has("logdesc") {
		r.add("msg", r.CEFName)
	}
}

// longID returns the whole log id of the last five digits that a FortiGate sends.
func (r *Reading) longID(id, product string) string {
	if shortID.MatchString(id) && strings.Contains(lowerASCII(product), "fortigate") {
		return map[string]string{"endpoint": "01070", "connector": "01120"}[lowerASCII(r.first("subtype"))] + id
	}
	return id
}

var (
	firstPair   = regexp.MustCompile(`(?:^|` + space + `)` + key)
	wholeQuoted = regexp.MustCompile(`(?s)^"([^"]*)"?$`)
)

// withoutQuotes drops the quotes around all of v; the second one may be cut off.
func withoutQuotes(v string) string {
	if m := wholeQuoted.FindStringSubmatch(v); m != nil {
		if strings.HasSuffix(v[1:], `"`) {
			return strings.Trim(m[1], spaces)
		}
		return m[1]
	}
	return v
}

// addOnce adds a pair that the line does not have with this value.
func (r *Reading) addOnce(key, v string) {
	if normal := normalKey(key); r.has(normal) && slices.Equal(r.values[normal][:min(1, len(r.values[normal]))], []string{v}) {
		return
	}
	r.add(key, v)
}

// readExtension reads the pairs of CEF, whose values have no quotes.
func (r *Reading) readExtension(s string, translate func(string) string) {
	m := firstPair.FindStringIndex(s)
	if m == nil {
		return
	}
	var start []string // the value of start, or of rt
	for s = s[m[0]:]; ; {
		s = strings.TrimLeft(s, spaces)
		name := startsKey.FindString(s)
		if name == "" {
			break
		}
		s = s[len(name):]
		v := s
		if m := bareEnd.FindStringIndex(s); m != nil {
			v = s[:m[0]]
		}
		s = s[len(v):]
		v = strings.Trim(v, spaces)
		r.other = r.other || strings.Trim(s, spaces) == "" && perhapsCut.MatchString(v)
		v = withoutQuotes(cefEscapes.Replace(v))
		name = strings.TrimSuffix(name, "=")
		cat := category.FindStringSubmatch(v)
		switch {
		case (name == "start" || name == "rt") && start == nil:
			start = []string{v}
		case name == "start" && !digitsOnly.MatchString(start[0]):
			r.addOnce(name, start[0])
			start[0] = v
		case name == "cat" && cat != nil:
			r.addOnce("type", cat[1])
			if cat[2] != "" {
				r.addOnce("subtype", cat[3])
			}
		case name == "cat", name == "rt":
			r.addOnce(name, v)
		case name == "deviceDirection" && (v == "0" || v == "1"):
			r.addOnce("direction", map[string]string{"0": "inbound", "1": "outbound"}[v])
		default:
			r.addOnce(translate(name), v)
		}
	}
	if start != nil {
		r.addStart(start[0])
	}
}

// addStart adds the time of the event in the keys that Fortinet uses.
func (r *Reading) addStart(v string) {
	_, n, _ := readStamp(v)
	r.other = r.other || n > 0 && n < len(v) && v[n] == ' ' // perhaps a key that was cut
	t, ok := readWholeStamp(v)
	switch dated := r.has("date") || r.has("time") || r.has("dtime"); {
	case digitsOnly.MatchString(v) && !r.has("eventtime"):
		r.add("eventtime", v)
	case digitsOnly.MatchString(v) || !ok || dated:
		r.addOnce("start", v)
	case t.hasZone:
		r.add("dtime", v)
	default:
		at := t.in(time.UTC)
		r.add("date", at.Format("2006-01-02"))
		layout := "15:04:05"
		if t.nsec != 0 {
			layout = "15:04:05.000000000"
		}
		r.add("time", at.Format(layout))
	}
}

var leefNames = map[string]string{
	"src": "srcip", "srcPort": "srcport", "srcMAC": "srcmac", "srcBytes": "sentbyte", "dst": "dstip", "dstPort": "dstport", "dstBytes": "rcvdbyte",
	"usrName": "user", "accountName": "username", "identHostName": "hostname", "identSrc": "deviceip", "identMac": "devicemac", "devTime": "dtime", "policy": "policyname",
}

var (
	leefDelimiter = regexp.MustCompile(`^0?(?:|\\t|[\x00-<>-\x7f]|x([0-9A-Fa-f]{1,2}))$`)
	leefTwo       = regexp.MustCompile(`^` + space + `*2`)
)

func leefName(name string) string {
	if ours, ok := leefNames[name]; ok {
		return ours
	}
	return name
}

// readLEEF reads what follows "LEEF:".
func (r *Reading) readLEEF(s string) {
	fields := strings.SplitN(s, "|", 6)
	for i, key := range []string{"leef_device_vendor", "leef_device_product", "leef_device_version", "leef_event_id"} {
		if i+1 < len(fields) {
			r.add(key, fields[i+1])
		}
	}
	if len(fields) > 2 {
		r.CEFEndpoint = isEndpoint(fields[1], fields[2])
	}
	if len(fields) < 5 {
		return
	}
	fields = append(fields, "") // of a header without attributes
	s = fields[5]
	delimiter := "\t"
	if d, rest, ok := strings.Cut(s, "|"); ok && leefTwo.MatchString(fields[0]) {
		if m := leefDelimiter.FindStringSubmatch(d); m != nil {
			code, _ := strconv.ParseUint("0"+m[1], 16, 8)
			switch d = strings.TrimPrefix(d, "0"); {
			case m[1] != "" && code == 0:
				rest = s // no delimiter
			case m[1] != "":
				delimiter = string([]byte{byte(code)})
			case d != "" && d != `\t`:
				delimiter = d
			}
			s = rest
		}
	}
	r.readAttributes(s, delimiter)
	if id := fields[4]; id != "" && !r.has("id") && !r.has("logid") && !r.has("log_id") {
		r.add("logid", r.longID(id, fields[2]))
	}
}

var tabCut = regexp.MustCompile(`#$|#0$|#01$|#011[A-Za-z0-9_.-]*$`)

var tabAsText = regexp.MustCompile(`(?:#011|\\t)(` + key + `)`)

func (r *Reading) readAttributes(s, delimiter string) {
	if delimiter == "\t" && !strings.Contains(s, "\t") {
		if strings.Contains(s, "#011") {
			s = tabCut.ReplaceAllString(s, "")
		}
		if s = tabAsText.ReplaceAllString(s, "\t$1"); !strings.Contains(s, "\t") {
			r.readExtension(s, leefName)
			return
		}
	}
	for _, pair := range strings.Split(s, delimiter) {
		name, v, ok := strings.Cut(pair, "=")
		if name = strings.Trim(name, spaces); !ok || name == "" {
			continue
		}
		v = withoutQuotes(strings.Trim(v, spaces))
		switch cat := category.FindStringSubmatch(v); {
		case name != "cat":
			r.add(leefName(name), v)
		case cat == nil:
			r.addOnce(name, v)
		default:
			r.addOnce("type", cat[1])
			if cat[2] != "" {
				r.addOnce("subtype", cat[3])
			}
		}
	}
}

var (
	clientID = regexp.MustCompile(`^9[0-9]{4}$`)
	emsID    = regexp.MustCompile(`^(?:9[68][0-9]{3}|(?:0107|0112)[0-9]{6}|(?:107045|112053)[0-9]{3})$`)
	fct      = regexp.MustCompile(`^[fF][cC][tT]`)
	fg       = regexp.MustCompile(`^[fF][gG]`)
	namesEMS = regexp.MustCompile(`(?:^|[^?&])(?:emsserial|fctver)|FCTEMS[0-9]`)
	// Programs of EMS whose names no other product has.
	emsProgram = regexp.MustCompile(`(?i)^(?:(?:adconnector|addaemon|adtask|adevtsrv|ftntdbimporter|wspgbouncer|licenseso|ecsocksrv|mdmproxy|emsworkers)(?:worker)?|` +
		`(?:update|event|reg|ka|tag)worker)$`)
)

// isFortiEMS reports whether the line has a sign of FortiEMS.
func (r *Reading) isFortiEMS() bool {
	for _, k := range []string{"emsserial", "emshostname", "fctver", "fctsn", "fctemssn"} {
		if r.has(k) {
			return true
		}
	}
	// FortiGate names the endpoint in its traffic and UTM lines too, which are not about it.
	ofGate := fg.MatchString(r.first("devid", "device_id"))
	if kind := lowerASCII(r.first("type")); r.has("fctuid") && (!ofGate || kind != "traffic" && kind != "utm") {
		return true
	}
	if namesEMS.MatchString(r.Clean) {
		return true
	}
	for _, v := range []string{r.first("subtype"), r.first("type"), r.first("logtype"), r.first("log_type"), r.first("module"), r.AppName, r.CEFName, r.first("id", "logid", "log_id")} {
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
	if !ofClient && !ofGate && emsProgram.MatchString(r.AppName) {
		return true
	}
	return r.CEFEndpoint || fct.MatchString(r.first("devid", "device_id")) || fct.MatchString(r.first("devname"))
}
