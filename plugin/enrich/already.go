package enrich

import (
	"bytes"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/plugin/event"
)

// Names and the value that the filter writes into each of its records.
var (
	moduleName   = ecs.Fields[ecs.EventModule]
	categoryName = ecs.Fields[ecs.EMSCategory]
	kindName     = ecs.Fields[ecs.EventKind]
	errorName    = ecs.Fields[ecs.ErrorMessage]

	vendor = []byte(ecs.VendorPrefix[:len("fortinet")])
)

// isOurs reports whether a filter of this kind has written the record: it has event.module
// fortinet and a category at fortinet.ems.category, in any form of names that [find]
// accepts. Such records come back by rewrite_tag, from an edge, or to a second filter.
func isOurs(pairs []event.Pair) bool {
	for i := range pairs {
		// Few other records have such a key, so the search ends here.
		if bytes.HasPrefix(pairs[i].Key, vendor) {
			return string(find(pairs, moduleName)) == string(vendor) && isCategory(find(pairs, categoryName))
		}
	}
	return false
}

func isCategory(name []byte) bool {
	_, ok := dict.CategoryOf(string(name))
	return ok
}

// isMarked reports whether a filter of this kind has marked the record as one whose line is
// not FortiEMS.
func isMarked(pairs []event.Pair) bool {
	return bytes.Equal(find(pairs, kindName), pipelineError) && bytes.Equal(find(pairs, errorName), notFortiEMS)
}

// find returns the text at a dotted name, nil without one: in nested maps, or in keys that
// hold several names joined by dots or, as in the schema flat, by underscores.
func find(pairs []event.Pair, name string) []byte {
	for i := range pairs {
		if text := findIn(&pairs[i], name); text != nil {
			return text
		}
	}
	return nil
}

func findIn(p *event.Pair, name string) []byte {
	if !isNamePrefix(p.Key, name) {
		return nil
	}
	if len(p.Key) == len(name) {
		text, _ := event.Text(p.Value)
		return text
	}
	for q := range event.Pairs(p.Value) {
		if text := findIn(q, name[len(p.Key)+1:]); text != nil {
			return text
		}
	}
	return nil
}

// isNamePrefix reports whether key is the first names of a dotted name, or all of them.
func isNamePrefix(key []byte, name string) bool {
	if len(key) == 0 || len(key) > len(name) || len(key) < len(name) && name[len(key)] != '.' {
		return false
	}
	for i, c := range key {
		if c != name[i] && !(c == '_' && name[i] == '.') {
			return false
		}
	}
	return true
}
