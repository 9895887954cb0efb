package parser

import (
	"bytes"
	"encoding/json"
)

// parseJSON enters the members of a JSON object as pairs: texts as they are,
// numbers and booleans as written, nested values as compact text, null as a null
// marker. It reports false and enters nothing when s is not an object.
//
// JSON is rare on this wire and is read by the standard library, which
// allocates; its nesting limit keeps hostile input from the stack.
func (ev *Event) parseJSON(s []byte) bool {
	if !json.Valid(s) {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(s))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return false
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return false
		}
		key, ok := name.(string)
		if !ok {
			return false
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return false
		}
		ev.addRaw([]byte(key), jsonText(raw))
	}
	return true
}

func jsonText(raw json.RawMessage) []byte {
	switch raw[0] {
	case '"':
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return []byte(s)
		}
	case 'n':
		return nil
	case '{', '[':
		var b bytes.Buffer
		if json.Compact(&b, raw) == nil {
			return b.Bytes()
		}
	}
	return raw
}
