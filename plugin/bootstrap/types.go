package bootstrap

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"fluent-bit-fortiems/plugin/hostlog"
)

// fieldTypes are the types of fields by their full name.
type fieldTypes map[string]string

// typesOf reads the types of mappings, as templates and indices have them.
func typesOf(mappings map[string]any) fieldTypes {
	types := fieldTypes{}
	types.add("", mappings)
	return types
}

func (f fieldTypes) add(prefix string, parent map[string]any) {
	fields, _ := parent["properties"].(map[string]any)
	for name, v := range fields {
		field, _ := v.(map[string]any)
		kind, _ := field["type"].(string)
		if field["properties"] != nil {
			f.add(prefix+name+".", field)
		} else if kind != "" && kind != "alias" {
			f[prefix+name] = kind
		}
	}
}

// wantedTypes are the types that our template gives the fields of the target.
func (t *template) wantedTypes(product string) (fieldTypes, error) {
	doc, _, err := load(product, t.file)
	if err != nil {
		return nil, err
	}
	mappings, _ := at(doc, "template", "mappings")
	return typesOf(mappings), nil
}

// otherTypes says which fields have another type than wanted, in words, "" if none has. An
// address without a type counts, because a server never guesses that type, and comes last.
// Addresses, dates and numbers come first: searches by network and range need their types.
func otherTypes(found, wanted fieldTypes) string {
	var names []string
	for name, want := range wanted {
		if have := found[name]; have != want && (have != "" || want == "ip") {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	order := []string{"ip", "date", "long", "float", "geo_point"}
	rank := func(name string) int {
		switch i := slices.Index(order, wanted[name]); {
		case found[name] == "":
			return len(order) + 1
		case i < 0:
			return len(order)
		default:
			return i
		}
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	var b strings.Builder
	for i, name := range names[:min(len(names), 3)] {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s is %s instead of %s", name, cmp.Or(found[name], "without a type"), wanted[name])
	}
	if n := len(names) - 3; n > 0 {
		fmt.Fprintf(&b, ", and %d more", n)
	}
	return b.String()
}

// simulation is what the server would make a new index of. The zero value says that the
// server does not tell.
type simulation struct {
	known bool
	none  bool // no template fits
	types fieldTypes
	loses []string // templates that fit as well, with a lower priority
}

// simulate asks for the index that the target would become. A server without this question,
// a missing privilege and a target that exists (OpenSearch 2.19.1: 500) leave it unknown.
func (b *Bootstrap) simulate(ctx context.Context, target string) (simulation, error) {
	a, err := b.ask(ctx, http.MethodPost, "/_index_template/_simulate_index/"+url.PathEscape(target))
	if err != nil || !a.OK() {
		return simulation{}, err
	}
	var answer struct {
		Template *struct {
			Mappings map[string]any `json:"mappings"`
		} `json:"template"`
		Overlapping []struct {
			Name string `json:"name"`
		} `json:"overlapping"`
	}
	if json.Unmarshal(a.Body, &answer) != nil {
		return simulation{}, nil
	}
	s := simulation{known: true, none: answer.Template == nil}
	for _, o := range answer.Overlapping {
		s.loses = append(s.loses, o.Name)
	}
	if answer.Template != nil {
		s.types = typesOf(answer.Template.Mappings)
	}
	return s, nil
}

// existingTypes are the types of the fields of an index, or of the newest index of a data
// stream or alias; nil if it does not exist or the server does not tell.
func (b *Bootstrap) existingTypes(ctx context.Context, name string) (fieldTypes, error) {
	a, err := b.ask(ctx, http.MethodGet, "/"+url.PathEscape(name)+"/_mapping")
	if err != nil || !a.OK() {
		return nil, err
	}
	var indices map[string]struct {
		Mappings map[string]any `json:"mappings"`
	}
	if json.Unmarshal(a.Body, &indices) != nil || len(indices) == 0 {
		return nil, nil
	}
	newest := ""
	for index := range indices {
		newest = max(newest, index) // they end in a date and a number
	}
	return typesOf(indices[newest].Mappings), nil
}

// checkExisting logs the fields of an existing data stream whose types were guessed, with
// what to do. Its documents are taken all the same.
func (b *Bootstrap) checkExisting(ctx context.Context, s server, t *template) error {
	if s.product == "" {
		return nil
	}
	wanted, err := t.wantedTypes(s.product)
	if err != nil {
		return err
	}
	found, err := b.existingTypes(ctx, t.target)
	if err != nil || found == nil {
		return err
	}
	other := otherTypes(found, wanted)
	if other == "" {
		return nil
	}
	best, err := b.winner(ctx, s, t.target, simulation{})
	if err != nil {
		return err
	}
	first := ""
	switch {
	case !b.config.Bootstrap:
		first = "with our template in place, "
	case best.name != "" && best.name != t.name:
		first = fmt.Sprintf("lower the priority (%d) of index template %s below 250, then ", best.priority, best.name) // one in use cannot be removed
	}
	b.differs("data stream %s has other field types than our template: %s; %sgive it the types with POST /%s/_rollover (older documents keep theirs)", t.target, other, first, t.target)
	return nil
}

// differs logs that types differ: with bootstrap off this can be meant to be so.
func (b *Bootstrap) differs(format string, args ...any) {
	level := hostlog.Warn
	if !b.config.Bootstrap {
		level = hostlog.Info
	}
	b.sayf(level, "types", format, args...)
}

// checkIndex logs the fields of the index of now whose types are or will be guessed.
func (b *Bootstrap) checkIndex(ctx context.Context, s server, t *template) error {
	if b.indexAt == nil {
		return nil
	}
	name := b.indexAt(b.now())
	wanted, err := t.wantedTypes(s.product)
	if err != nil {
		return err
	}
	found, err := b.existingTypes(ctx, name)
	if err != nil {
		return err
	}
	if found != nil {
		if other := otherTypes(found, wanted); other != "" {
			b.differs("index %s has other field types than our template: %s; they change only with a new index: reindex it, or choose another index", name, other)
		}
		return nil
	}
	sim, err := b.simulate(ctx, name)
	if err != nil {
		return err
	}
	if best, err := b.winner(ctx, s, name, sim); err != nil {
		return err
	} else if best.name != t.name && sim.known {
		if other := otherTypes(sim.types, wanted); other != "" {
			b.differs("index template %s (priority %d) wins over %s, so the types of %s would be guessed: %s; remove it, or lower its priority below 250", best.name, best.priority, t.name, name, other)
		}
	}
	return nil
}
