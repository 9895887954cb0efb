package main

import (
	"maps"
	"slices"
	"strings"
)

// grafanaFlavour is how the same pages differ between the field schemas.
type grafanaFlavour struct {
	prefix, tag string // of uids and links, so that both sets can be imported
	time        string // field with the time of the event
	deadLetters bool
}

var (
	grafanaECS  = grafanaFlavour{"fortiems-", "fortiems", "@timestamp", true}
	grafanaFlat = grafanaFlavour{"fortiems-flat-", "fortiems-flat", "timestamp", false}
)

// flatName is the name under which Graylog stores a field that the filter writes with
// schema flat and the configuration conf/topologies/graylog-gelf.yaml sends: GELF has
// names of its own for the fields that this configuration names as its keys.
func flatName(field string) string {
	switch field {
	case "@timestamp":
		return "timestamp"
	case "host.name":
		return "source"
	case "event.severity":
		return "level"
	}
	return strings.ReplaceAll(field, ".", "_")
}

// flat returns the description for the flat schema. Dead letters are documents of
// our own output, which does not take part there.
func (d *description) flat() *description {
	f := &description{Views: map[string]view{"events": d.Views["events"]}}
	for _, x := range d.Filters {
		f.Filters = append(f.Filters, filter{flatName(x.Field), x.Title})
	}
	for _, p := range d.Pages {
		panels := p.Panels
		p.Panels = nil
		for _, pan := range panels {
			if pan.View != "events" {
				continue
			}
			pan.By, pan.Exists, pan.Missing, pan.Columns = flatNames(pan.By), flatNames(pan.Exists), flatNames(pan.Missing), flatNames(pan.Columns)
			pan.Where, pan.Without = flatKeys(pan.Where), flatKeys(pan.Without)
			p.Panels = append(p.Panels, pan)
		}
		f.Pages = append(f.Pages, p)
	}
	return f
}

func flatNames(fields []string) []string {
	out := slices.Clone(fields)
	for i := range out {
		out[i] = flatName(out[i])
	}
	return out
}

func flatKeys(m map[string]values) map[string]values {
	out := map[string]values{}
	for k, v := range maps.All(m) {
		out[flatName(k)] = v
	}
	return out
}
