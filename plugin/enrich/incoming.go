package enrich

import (
	"bytes"
	"strings"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/plugin/event"
)

// topNames are the names that the top level of a record can have, and flatNames those of
// flat records. An incoming key of such a name moves to labels in every record.
var topNames, flatNames = func() (top, flat map[string]bool) {
	top, flat = map[string]bool{parser.LabelsName: true}, map[string]bool{}
	for _, n := range parser.Fields {
		first, _, _ := strings.Cut(n, ".")
		top[first] = true
		flat[flatName(n)] = true
	}
	return top, flat
}()

// Prefixes of names in flat records.
var (
	flatVendor = flatName(parser.VendorPrefix) + "_"
	flatLabels = parser.LabelsName + "_"
)

func flatName(dotted string) string { return strings.ReplaceAll(dotted, ".", "_") }

// isReserved reports whether the filter itself can write a key of this name.
func isReserved(key []byte, flat bool) bool {
	if !flat {
		return topNames[string(key)]
	}
	return flatNames[string(key)] || bytes.HasPrefix(key, []byte(flatVendor)) || bytes.HasPrefix(key, []byte(flatLabels))
}

// incoming writes the pairs of the incoming record but the raw line: unchanged, or as
// labels when their key is reserved. A reserved key that repeats the raw line is left out.
func (e *encoder) incoming(it *item) {
	labels := 0
	for i := range it.pairs {
		p := &it.pairs[i]
		switch {
		case i == it.raw:
		case p.Key == nil || !isReserved(p.Key, e.flat):
			e.b = append(e.b, p.Raw...)
			e.record.n++
		case !sameText(p.Value, it.pairs[it.raw].Value):
			labels++
		}
	}
	if labels == 0 {
		return
	}
	if e.flat {
		e.record.n += labels
	} else {
		e.record.n++
		e.b = msgp.AppendString(e.b, parser.LabelsName)
		e.b = msgp.AppendMapHeader(e.b, uint32(labels))
	}
	for i := range it.pairs {
		p := &it.pairs[i]
		if i != it.raw && p.Key != nil && isReserved(p.Key, e.flat) && !sameText(p.Value, it.pairs[it.raw].Value) {
			e.label(p)
		}
	}
}

// label writes an incoming pair as a label. Labels are texts, numbers or
// booleans in ECS: bin becomes text, and anything nested JSON text.
func (e *encoder) label(p *event.Pair) {
	prefix := ""
	if e.flat {
		prefix = flatLabels
	}
	e.b = appendStrHeader(e.b, len(prefix)+len(p.Key))
	e.b = append(append(e.b, prefix...), p.Key...)
	if text, ok := event.Text(p.Value); ok {
		e.w.valid = parser.AppendValid(e.w.valid[:0], text)
		e.b = appendText(e.b, e.w.valid)
		return
	}
	switch msgp.NextType(p.Value) {
	case msgp.MapType, msgp.ArrayType, msgp.ExtensionType:
		var js bytes.Buffer
		if _, err := msgp.UnmarshalAsJSON(&js, p.Value); err == nil {
			e.b = appendText(e.b, parser.AppendValid(nil, js.Bytes()))
			return
		}
	}
	e.b = append(e.b, p.Value...)
}

// sameText reports whether two raw values hold the same text.
func sameText(a, b []byte) bool {
	x, ok := event.Text(a)
	if !ok {
		return false
	}
	y, ok := event.Text(b)
	return ok && bytes.Equal(x, y)
}
