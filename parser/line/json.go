package line

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
)

const (
	// maxDepth is how many times a line may be wrapped in JSON or escaped.
	maxDepth = 4
	// maxResumed is how many times a broken object is read on behind what is broken, which
	// keeps the time linear.
	maxResumed = 8
)

// member is a name and a value of a JSON object.
type member struct {
	name  string
	value []byte // text of the value
	text  bool   // the value is a string
}

// readJSONBody reads a body that is a JSON object, an array whose first element is one, or
// a JSON string that holds a line.
func (l *Line) readJSONBody(s []byte, depth int) bool {
	switch s[0] {
	case '{':
		return l.readJSON(s, depth)
	case '[':
		i := ascii.SkipBlanks(s, 1)
		return i < len(s) && s[i] == '{' && l.readJSON(s[i:], depth)
	case '"':
		var text string
		if depth >= maxDepth || len(s) < 2 || keyEnd(s, 1) < 0 && s[1] != '{' && s[1] != '<' || json.Unmarshal(ascii.TrimRight(s), &text) != nil {
			return false
		}
		l.unwrap([]byte(text), depth)
		return true
	}
	return false
}

// readJSON adds the members of the JSON object at the start of s as pairs: strings
// unquoted, numbers and booleans as written, nested values as compact JSON, null as a null
// marker. What is cut or broken is read as far as it can be. A line or an event that the object
// wraps is read instead, and the other members are kept with the prefix json_. It adds nothing and
// returns false if s has no member.
//
// JSON bodies are rare, so encoding/json reads them although it allocates. Its limit on
// nesting protects the stack.
func (l *Line) readJSON(s []byte, depth int) bool {
	all, rest, empty := readMembers(s)
	defer l.leave(bytes.TrimLeft(rest, "], \t\r\n"))
	if len(all) == 0 {
		return empty
	}
	inner := -1
	if depth < maxDepth {
		inner = wrappedLine(all, depth)
	}
	switch {
	case inner < 0:
	case all[inner].text:
		l.unwrap(all[inner].value, depth)
	default:
		l.readJSON(all[inner].value, depth+1)
	}
	for i := range all {
		switch m := &all[i]; {
		case inner < 0:
			l.Pairs.Add([]byte(m.name), m.value)
		case i != inner:
			l.Pairs.Add([]byte("json_"+m.name), m.value)
		}
	}
	return true
}

// unwrap reads the line that a JSON text holds. What its header says counts before that of
// the line around it. Other messages behind the first are left as text.
func (l *Line) unwrap(text []byte, depth int) {
	var h Header
	outer := l.Header
	end, next := NextMessage(text)
	l.Body, l.Stray = h.parse(trimFraming(text[:end]))
	if h.Priority < 0 {
		h.Priority = outer.Priority
	}
	if !h.HasTime {
		h.HasTime, h.Time = outer.HasTime, outer.Time
	}
	if len(h.Hostname) == 0 && len(h.AppName) == 0 {
		h.Hostname, h.AppName, h.ProcID, h.MsgID = outer.Hostname, outer.AppName, outer.ProcID, outer.MsgID
	}
	if h.StructuredData == nil {
		h.StructuredData = outer.StructuredData
	}
	l.Header = h
	l.readBody(l.Body, depth+1)
	l.leave(text[next:])
}

// wrappers are the members that hold a line in an object that is no event itself.
var wrappers = [...]string{"log", "message", "msg"}

// isEvent reports whether the members are those of an event of FortiEMS.
func isEvent(all []member) bool {
	for i := range all {
		switch lower := string(bytes.ToLower([]byte(all[i].name))); lower {
		case "emsserial", "emshostname", "fctver", "fctsn", "fctuid", "fctemssn", "devid", "device_id", "logid", "log_id", "subtype":
			return true
		}
	}
	return false
}

// wrappedLine returns the index of the member that holds a whole line or event, or -1. A
// text that is a line counts under any name, the longest of several; then an
// object that is an event or holds a line; then any text under the name of a wrapper.
func wrappedLine(all []member, depth int) int {
	if isEvent(all) {
		return -1
	}
	if i := heldLine(all); i >= 0 {
		return i
	}
	for i := range all {
		if v := all[i].value; !all[i].text && len(v) > 0 && v[0] == '{' && holdsEvent(v, depth+1) {
			return i
		}
	}
	for _, name := range wrappers {
		for i := range all {
			if all[i].text && len(all[i].value) > 0 && ascii.EqualFold([]byte(all[i].name), name) {
				return i
			}
		}
	}
	return -1
}

// heldLine returns the index of the longest text that is a line, or -1.
func heldLine(all []member) int {
	longest := -1
	for i := range all {
		if all[i].text && (longest < 0 || len(all[i].value) > len(all[longest].value)) && isLine(all[i].value) {
			longest = i
		}
	}
	return longest
}

// holdsEvent reports whether the object at the start of s is an event, or one of its members
// holds a line or an event.
func holdsEvent(s []byte, depth int) bool {
	if depth >= maxDepth {
		return false
	}
	all, _, _ := readMembers(s)
	if isEvent(all) || heldLine(all) >= 0 {
		return true
	}
	return slices.ContainsFunc(all, func(m member) bool {
		return !m.text && len(m.value) > 0 && m.value[0] == '{' && holdsEvent(m.value, depth+1)
	})
}

// isLine reports whether a text is a line: it has pairs or JSON and a sign of FortiEMS, or a
// syslog header with PRI and time, or one with a token and something behind it.
func isLine(s []byte) bool {
	if bytes.ContainsAny(s, "={") && HoldsSign(s) {
		return true
	}
	var h Header
	rest, _ := h.parse(s)
	return h.Priority >= 0 && h.HasTime || len(rest) > 0 && dict.FindToken(h.AppName) != dict.NoToken
}

// readMembers returns the members of the object at the start of s, and what is behind it. empty
// reports that it is whole and has none.
func readMembers(s []byte) (all []member, rest []byte, empty bool) {
	for range maxResumed {
		dec := json.NewDecoder(bytes.NewReader(s))
		dec.Token() // the brace
		at := int64(1)
		for dec.More() {
			at = dec.InputOffset()
			name, err := dec.Token()
			key, ok := name.(string)
			if err != nil || !ok {
				break
			}
			at = dec.InputOffset()
			var raw json.RawMessage
			if dec.Decode(&raw) != nil {
				if m, ok := cutMember(key, s[at:]); ok {
					all = append(all, m)
				}
				break
			}
			all = append(all, newMember(key, raw))
			at = dec.InputOffset()
		}
		if _, err := dec.Token(); err == nil {
			return all, s[dec.InputOffset():], len(all) == 0
		}
		next := nextMember(s, int(at))
		if next < 0 {
			break
		}
		s = append([]byte{'{'}, s[next:]...)
	}
	return all, nil, false
}

// nextMember returns the index of the next name of a member in s[from:], behind a comma, or
// -1.
func nextMember(s []byte, from int) int {
	for i := from; i < len(s); i++ {
		if s[i] != ',' {
			continue
		}
		if j := ascii.SkipBlanks(s, i+1); j < len(s) && s[j] == '"' {
			if k := quotedKey(s, j); k.found() {
				return j
			}
		}
	}
	return -1
}

// cutMember returns the member of a value that ends before its end: rest is what follows
// the name.
func cutMember(name string, rest []byte) (m member, ok bool) {
	i := ascii.SkipBlanks(rest, 0)
	if i == len(rest) || rest[i] != ':' {
		return m, false
	}
	v := ascii.TrimLeft(rest[i+1:])
	if len(v) == 0 {
		return m, false
	}
	if v[0] != '"' {
		end := bytes.IndexAny(v, ",}]\" ")
		if end < 0 || v[0] == '{' || v[0] == '[' {
			end = len(v)
		}
		return member{name: name, value: v[:end]}, end > 0
	}
	v = v[1:]
	// The string goes on up to its quote, or to the end without half an escape.
	end := len(v)
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' {
			i++
		} else if v[i] == '"' {
			end = i
			break
		}
	}
	for n := end; n >= 0 && n > end-12; n-- {
		var text string
		quoted := append(append([]byte{'"'}, v[:n]...), '"')
		if json.Unmarshal(quoted, &text) == nil {
			return member{name, []byte(text), true}, true
		}
	}
	return member{name, v[:end], true}, true
}

func newMember(name string, raw json.RawMessage) member {
	switch raw[0] {
	case '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return member{name, []byte(s), true}
		}
	case 'n':
		return member{name: name}
	case '{', '[':
		var b bytes.Buffer
		if json.Compact(&b, raw) == nil {
			return member{name: name, value: b.Bytes()}
		}
	case 't', 'f':
	default:
		if integerKeys.Has(dict.Lookup(bytes.ToLower([]byte(name)))) {
			return member{name: name, value: integral(raw)}
		}
	}
	return member{name: name, value: raw}
}

// integerKeys have values that are integers, whatever form JSON gives them on the way.
var integerKeys = keySet("id", "logid", "log_id", "eventtime", "timestamp", "itime", "dtime", "srcport", "dstport", "destport", "gatewayport",
	"sentbyte", "rcvdbyte", "filesize", "proto", "sessionid", "vulnid", "count", "httpcode", "level", "severity", "vid", "sigid")

// integral returns a number without its zeros after the point and without an exponent if it
// is an integer that a double holds, else as it is.
func integral(v []byte) []byte {
	if !bytes.ContainsAny(v, ".eE") {
		return v
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f != float64(int64(f)) || f >= 1<<63 || f < -1<<63 {
		return v
	}
	return strconv.AppendInt(nil, int64(f), 10)
}
