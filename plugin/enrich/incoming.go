package enrich

import (
	"bytes"
	"slices"
	"strings"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/plugin/event"
)

// topNames are the names that the top level of a record can have, and flatNames those of
// flat records. An incoming key of such a name moves to labels in every record.
var topNames, flatNames = func() (top, flat map[string]bool) {
	top, flat = map[string]bool{ecs.LabelsName: true}, map[string]bool{}
	for _, n := range ecs.Fields {
		first, _, _ := strings.Cut(n, ".")
		top[first] = true
		flat[flatName(n)] = true
	}
	return top, flat
}()

// Prefixes of names in flat records.
var (
	flatVendor = flatName(ecs.VendorPrefix) + "_"
	flatLabels = ecs.LabelsName + "_"
)

func flatName(dotted string) string { return strings.ReplaceAll(dotted, ".", "_") }

// scalarNames are the dotted names of fields, objectNames those of the objects that hold
// them.
var scalarNames, objectNames = func() (scalars, objects map[string]bool) {
	scalars, objects = map[string]bool{}, map[string]bool{}
	for _, n := range ecs.Fields {
		scalars[n] = true
		for i, c := range n {
			if c == '.' {
				objects[n[:i]] = true
			}
		}
	}
	return scalars, objects
}()

// isReserved reports whether the filter itself can write a key of this name, or in nested
// records one that a search server takes for the same: event.module is module in event.
func isReserved(key []byte, flat bool) bool {
	if flat {
		return flatNames[string(key)] || bytes.HasPrefix(key, []byte(flatVendor)) || bytes.HasPrefix(key, []byte(flatLabels))
	}
	return topNames[string(key)] || bytes.IndexByte(key, '.') >= 0 && isReservedDotted(key)
}

// isReservedDotted reports whether a dotted key is a field of ours, lies below one, or is
// an object of ours. Below fortinet.ems every name may be a field.
func isReservedDotted(key []byte) bool {
	if objectNames[string(key)] || scalarNames[string(key)] || bytes.HasPrefix(key, []byte(ecs.VendorPrefix+".")) {
		return true
	}
	for i, c := range key {
		if c == '.' && scalarNames[string(key[:i])] {
			return true
		}
	}
	return false
}

// place is where a pair of the incoming record goes.
type place int

const (
	kept    place = iota // it stays as it is
	left                 // it is left out
	labeled              // it becomes a label
	merged               // its pairs become labels
)

// place returns where pair i of the incoming record goes. A reserved key that repeats the
// raw line, or a raw key without text, is left out.
func (e *encoder) place(it *item, i int) place {
	p := &it.pairs[i]
	switch {
	case i == it.raw:
		return left
	case p.Key == nil:
		return kept
	case string(p.Key) == ecs.LabelsName && isMap(p.Value):
		return merged
	case !isReserved(p.Key, e.flat):
		return kept
	case sameText(p.Value, it.pairs[it.raw].Value) || e.isEmptyLine(p):
		return left
	}
	return labeled
}

func isMap(value []byte) bool { return msgp.NextType(value) == msgp.MapType }

// isEmptyLine reports whether the pair is a raw line without text.
func (e *encoder) isEmptyLine(p *event.Pair) bool {
	text, ok := event.Text(p.Value)
	return ok && isEmpty(text) && slices.ContainsFunc(e.w.keys, func(k []byte) bool { return bytes.Equal(k, p.Key) })
}

// incoming writes the pairs of the incoming record but the raw line: unchanged, or as
// labels.
func (e *encoder) incoming(it *item) {
	labels, plain := 0, true
	for i := range it.pairs {
		p := &it.pairs[i]
		switch e.place(it, i) {
		case kept:
			e.b = append(e.b, p.Raw...)
			e.record.n++
		case labeled:
			labels++
			plain = plain && bytes.IndexByte(p.Key, '.') < 0
		case merged:
			labels++
			plain = false
		}
	}
	switch {
	case labels == 0:
	case plain:
		e.beginLabels(labels)
		for i := range it.pairs {
			if e.place(it, i) == labeled {
				e.label(it.pairs[i].Key, it.pairs[i].Value)
			}
		}
	default:
		e.mergedLabels(it)
	}
}

// beginLabels writes the header of n labels.
func (e *encoder) beginLabels(n int) {
	if e.flat {
		e.record.n += n
		return
	}
	e.record.n++
	e.b = msgp.AppendString(e.b, ecs.LabelsName)
	e.b = msgp.AppendMapHeader(e.b, uint32(n))
}

// mergedLabels writes the labels of a record that has some already, or dotted keys. ECS
// allows no dots in the names of labels, so those become "_". A name that is taken gets
// another "_". It is rare, so it allocates.
func (e *encoder) mergedLabels(it *item) {
	type entry struct {
		name  string
		value []byte
	}
	var entries []entry
	names := map[string]bool{}
	add := func(name string, value []byte) {
		for names[name] {
			name += "_"
		}
		names[name] = true
		entries = append(entries, entry{name, value})
	}
	for i := range it.pairs {
		if e.place(it, i) == merged {
			for p := range event.Pairs(it.pairs[i].Value) {
				add(string(p.Key), p.Value)
			}
		}
	}
	for i := range it.pairs {
		if e.place(it, i) == labeled {
			add(strings.ReplaceAll(string(it.pairs[i].Key), ".", "_"), it.pairs[i].Value)
		}
	}
	if len(entries) == 0 && e.flat {
		return
	}
	e.beginLabels(len(entries))
	for _, l := range entries {
		e.label([]byte(l.name), l.value)
	}
}

// label writes an incoming value as a label. Labels are texts, numbers or
// booleans in ECS: bin becomes text, and anything nested JSON text.
func (e *encoder) label(name, value []byte) {
	prefix := ""
	if e.flat {
		prefix = flatLabels
	}
	e.b = appendStrHeader(e.b, len(prefix)+len(name))
	e.b = append(append(e.b, prefix...), name...)
	if text, ok := event.Text(value); ok {
		e.w.valid = line.AppendValid(e.w.valid[:0], text)
		e.b = appendText(e.b, e.w.valid)
		return
	}
	switch msgp.NextType(value) {
	case msgp.MapType, msgp.ArrayType, msgp.ExtensionType:
		var js bytes.Buffer
		if _, err := msgp.UnmarshalAsJSON(&js, value); err == nil {
			e.b = appendText(e.b, line.AppendValid(nil, js.Bytes()))
			return
		}
	}
	e.b = append(e.b, value...)
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
