package line

import (
	"bytes"
	"encoding/json"
)

// readJSON adds the members of a JSON object as pairs: strings unquoted, numbers and
// booleans as written, nested values as compact JSON, null as a null marker. It adds
// nothing and returns false if s is not one valid object.
//
// JSON bodies are rare, so encoding/json reads them although it allocates. Its limit on
// nesting protects the stack.
func (l *Line) readJSON(s []byte) bool {
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
		l.Pairs.Add([]byte(key), jsonText(raw))
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
