package enrich

import (
	"math/bits"
	"strings"

	"fluent-bit-fortiems/parser"
)

// object is a nested object of the record.
type object struct {
	parent   int8 // -1 for the record itself
	name     string
	own      parser.FieldSet // its own fields
	all      parser.FieldSet // its own fields and those of the objects in it
	children []int8
}

// size returns the number of pairs the object has when the fields of set are
// written.
func (o *object) size(set *parser.FieldSet) int {
	n := 0
	for i, word := range set {
		n += bits.OnesCount64(word & o.own[i])
	}
	for _, c := range o.children {
		if objects[c].isIn(set) {
			n++
		}
	}
	return n
}

// isIn reports whether any field of the object or below is in set.
func (o *object) isIn(set *parser.FieldSet) bool {
	any := uint64(0)
	for i, word := range set {
		any |= word & o.all[i]
	}
	return any != 0
}

// leaf is the place of a field in the record.
type leaf struct {
	object int8
	name   string // the last of its names
	flat   string // all names joined by "_"
}

// The tree of the record, from the dotted names of the fields.
var objects, leaves, emsObject = buildTree()

func buildTree() (objs []object, ls [parser.NumFields]leaf, ems int8) {
	index := map[string]int8{"": 0}
	objs = []object{{parent: -1}}
	var at func(path string) int8
	at = func(path string) int8 {
		if i, ok := index[path]; ok {
			return i
		}
		parent, name := splitName(path)
		p, i := at(parent), int8(len(objs))
		objs = append(objs, object{parent: p, name: name})
		objs[p].children = append(objs[p].children, i)
		index[path] = i
		return i
	}
	for f, name := range parser.Fields {
		path, last := splitName(name)
		o := at(path)
		ls[f] = leaf{o, last, flatName(name)}
		objs[o].own.Add(parser.Field(f))
		for ; o >= 0; o = objs[o].parent {
			objs[o].all.Add(parser.Field(f))
		}
	}
	return objs, ls, index[parser.VendorPrefix]
}

// splitName splits a dotted name before its last part.
func splitName(name string) (path, last string) {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}
