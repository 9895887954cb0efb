package enrich

import (
	"bytes"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
)

// appendStructuredData appends RFC 5424 structured data as {id: {name: value}}, with a list
// where a name repeats; in the flat schema as its text. It is rare, so it allocates.
func appendStructuredData(b, s []byte, flat bool) []byte {
	if flat {
		return appendText(b, s)
	}
	type param struct {
		name   string
		values [][]byte
	}
	type element struct {
		id     string
		params []param
		index  map[string]int
	}
	var elements []element
	index := map[string]int{}
	cur := 0
	parser.EachSD(s, func(sent []byte) {
		id := validSDName(sent)
		i, ok := index[id]
		if !ok {
			i = len(elements)
			index[id] = i
			elements = append(elements, element{id: id, index: map[string]int{}})
		}
		cur = i
	}, func(sent, value []byte) {
		el, name := &elements[cur], validSDName(sent)
		i, ok := el.index[name]
		if !ok {
			i = len(el.params)
			el.index[name] = i
			el.params = append(el.params, param{name: name})
		}
		el.params[i].values = append(el.params[i].values, parser.UnescapeSD(nil, value))
	})
	b = msgp.AppendMapHeader(b, uint32(len(elements)))
	for _, el := range elements {
		b = msgp.AppendString(b, el.id)
		b = msgp.AppendMapHeader(b, uint32(len(el.params)))
		for _, p := range el.params {
			b = msgp.AppendString(b, p.name)
			if len(p.values) == 1 {
				b = appendText(b, p.values[0])
			} else {
				b = appendList(b, p.values, false)
			}
		}
	}
	return b
}

// maxSDName is the longest name of structured data in bytes. A flattened field
// takes no term of more than 32766, which is the whole path and the value.
const maxSDName = 255

// validSDName returns a name that a JSON object can have, and a flattened field of
// Elasticsearch, which refuses a document with NUL in one. An empty name becomes "_".
func validSDName(sent []byte) string {
	if len(sent) == 0 {
		return "_"
	}
	if len(sent) > maxSDName {
		n := maxSDName
		for n > 0 && !utf8.RuneStart(sent[n]) {
			n--
		}
		sent = sent[:n]
	}
	name := bytes.Clone(sent)
	for i, c := range name {
		if c < ' ' || c == 0x7f {
			name[i] = '_'
		}
	}
	return string(name)
}
