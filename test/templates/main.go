// Command templates writes the index templates and lifecycle policies under
// conf/ from the field table of the parser and the types of ECS, so that what is
// emitted and what is mapped cannot disagree.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	ecsdoc "fluent-bit-fortiems/test/ecs"
)

// The version of each file, raised whenever the file changes: servers that hold an
// older one get the new one.
const (
	templateVersion   = 1
	deadLetterVersion = 1
	policyVersion     = 1
)

const (
	managedBy = "fluent-bit-fortiems"
	dataName  = "logs-fortinet.fortiems"
	deadName  = "logs-fortinet.fortiems.dead_letter"

	// Above 200, the highest of the built-in templates for logs-*-*.
	dataPriority = 250
	deadPriority = 260

	// Room for what other filters add; ours are about 350. A server that maps
	// whatever comes is otherwise open to an explosion of fields.
	totalFields = 2000

	// ignoreAbove is that of ECS. vendorIgnoreAbove is the longest text, in
	// characters, that fits Lucene's limit of 32766 bytes for a term however it is
	// encoded: longer values are kept and found in _source only, not rejected.
	ignoreAbove       = 1024
	vendorIgnoreAbove = 8191

	rolloverAge  = "30d"
	rolloverSize = "50gb"
)

type object = map[string]any

func main() {
	dir := flag.String("dir", "", "the conf directory")
	flag.Parse()
	files, err := files()
	for name, text := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(*dir, name), text, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// files returns the generated files by their path under conf/.
func files() (map[string][]byte, error) {
	types, err := ecsdoc.Fields()
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	add := func(name string, content object) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if e.Encode(content) == nil { // maps, texts and numbers always encode
			files[name] = b.Bytes()
		}
	}
	for _, p := range []product{elasticsearch, opensearch} {
		mappings, err := p.mappings(types)
		if err != nil {
			return nil, err
		}
		add(p.dir+"/index-template.json", p.template(dataName, dataPriority, templateVersion, mappings,
			"Records of FortiClient EMS, FortiClient and FortiGate endpoints as fluent-bit-fortiems writes them"))
		add(p.dir+"/dead-letter-template.json", p.template(deadName, deadPriority, deadLetterVersion, p.deadLetterMappings(),
			"Documents that were rejected for good, with the reason"))
		add(p.dir+"/lifecycle-policy.json", p.policy())
	}
	return files, nil
}

// product holds what the two products spell differently.
type product struct {
	dir      string
	text     string            // type of message texts
	types    map[string]object // mapping by ECS type
	settings object
	policy   func() object
}

var elasticsearch = product{
	dir:  "elasticsearch",
	text: "match_only_text",
	types: map[string]object{
		"wildcard":  {"type": "wildcard"},
		"flattened": {"type": "flattened", "ignore_above": ignoreAbove},
	},
	settings: object{"lifecycle": object{"name": dataName}},
	policy:   ilm,
}

// OpenSearch from 2.0 on: match_only_text, flat_object, wildcard and
// constant_keyword came later, and Wazuh indexers run early versions.
var opensearch = product{
	dir:  "opensearch",
	text: "text",
	types: map[string]object{
		"wildcard":  {"type": "keyword", "ignore_above": vendorIgnoreAbove},
		"flattened": {"type": "object", "dynamic": false},
	},
	settings: object{},
	policy:   ism,
}

func (p product) template(name string, priority, version int, mappings object, about string) object {
	index := object{
		"codec":   "best_compression",
		"mapping": object{"total_fields": object{"limit": totalFields}},
	}
	for k, v := range p.settings {
		index[k] = v
	}
	return object{
		"index_patterns": []string{name + "-*"},
		"data_stream":    object{},
		"priority":       priority,
		"version":        version,
		"template":       object{"settings": object{"index": index}, "mappings": mappings},
		"_meta": object{
			"managed_by":  managedBy,
			"version":     version,
			"description": about,
			"ecs_version": ecs.ECSVersionText,
		},
	}
}

// mappings are those of the records: every field that the filter can emit, and
// rules that keep what others add from being rejected.
func (p product) mappings(types map[string]ecsdoc.Field) (object, error) {
	root := object{}
	// Servers accept few attributes on the clock of a data stream.
	put(root, "@timestamp", object{"type": "date"})
	for _, name := range ecs.Fields {
		f, ok := types[name]
		if !ok {
			continue // of the vendor, below
		}
		m, err := p.field(name, f)
		if err != nil {
			return nil, err
		}
		put(root, name, m)
	}
	// What geoip filters and pipelines add to them.
	for _, side := range []string{"source", "destination"} {
		put(root, side+".geo.location", object{"type": "geo_point", "ignore_malformed": true})
	}
	put(root, ecs.LabelsName, object{"type": "object", "dynamic": true})
	put(root, ecs.VendorPrefix, object{"type": "object", "dynamic": false, "properties": vendor()})
	return object{
		"dynamic":           true,
		"date_detection":    false,
		"numeric_detection": false,
		"dynamic_templates": p.dynamic(),
		"properties":        root,
	}, nil
}

// vendor are the keys of the field dictionary. The object takes any other key too,
// without mapping it: no sender can make a field here.
func vendor() object {
	keys := object{}
	names := dict.Names()[1:]
	for _, name := range ecs.Fields {
		if key, ok := cutVendor(name); ok {
			names = append(names, key)
		}
	}
	for _, key := range append(names, "header_text", "raw_category", "raw_endpoint_serial", "raw_type", "raw_subtype") {
		keys[key] = object{"type": "keyword", "ignore_above": vendorIgnoreAbove}
	}
	return keys
}

func cutVendor(name string) (string, bool) {
	const prefix = ecs.VendorPrefix + "."
	if len(name) > len(prefix) && name[:len(prefix)] == prefix {
		return name[len(prefix):], true
	}
	return "", false
}

// field is the mapping of an ECS field.
func (p product) field(name string, f ecsdoc.Field) (object, error) {
	if name == "event.original" { // kept, not searched (ECS)
		return object{"type": "keyword", "index": false, "doc_values": false}, nil
	}
	m, ok := p.types[f.Type]
	if !ok {
		switch f.Type {
		case "keyword":
			m = object{"type": "keyword", "ignore_above": ignoreAbove}
		case "match_only_text":
			m = object{"type": p.text}
		case "long", "float", "ip", "date":
			m = object{"type": f.Type, "ignore_malformed": true}
		default:
			return nil, fmt.Errorf("%s: no mapping for the type %s of ECS", name, f.Type)
		}
	}
	if len(f.Multi) == 0 {
		return m, nil
	}
	full, fields := object{}, object{}
	for k, v := range m {
		full[k] = v
	}
	for name, kind := range f.Multi {
		if kind != "match_only_text" {
			return nil, fmt.Errorf("%s: no mapping for the type %s of ECS", name, kind)
		}
		fields[name] = object{"type": p.text}
	}
	full["fields"] = fields
	return full, nil
}

// dynamic are the rules for fields that we do not know. Text becomes a keyword, as
// everywhere in ECS; a number that is text in the next record must not cost it.
func (p product) dynamic() []object {
	rules := []object{}
	keyword := object{"type": "keyword", "ignore_above": ignoreAbove}
	for _, kind := range []string{"long", "double", "boolean"} {
		rules = append(rules, object{"label_" + kind: object{
			"path_match": ecs.LabelsName + ".*", "match_mapping_type": kind, "mapping": keyword,
		}})
	}
	return append(rules,
		object{"text": object{"match_mapping_type": "string", "mapping": keyword}},
		object{"whole_number": object{"match_mapping_type": "long", "mapping": object{"type": "long", "ignore_malformed": true}}},
		object{"number": object{"match_mapping_type": "double", "mapping": object{"type": "double", "ignore_malformed": true}}},
	)
}

// put enters a mapping under its dotted name.
func put(properties object, name string, m object) {
	for i := range len(name) {
		if name[i] != '.' {
			continue
		}
		parent, ok := properties[name[:i]].(object)
		if !ok {
			parent = object{"properties": object{}}
			properties[name[:i]] = parent
		}
		put(parent["properties"].(object), name[i+1:], m)
		return
	}
	properties[name] = m
}

// deadLetterMappings are those of what the output writes there. Nothing else is
// mapped and nothing is malformed: a dead letter must never be rejected itself. The
// document is a text that is kept, not searched.
func (p product) deadLetterMappings() object {
	root := object{}
	keyword := object{"type": "keyword", "ignore_above": ignoreAbove}
	put(root, "@timestamp", object{"type": "date"})
	for _, name := range []string{
		"event.kind", "event.module", "event.dataset", "error.type",
		"dead_letter.encoding", "dead_letter.target", "dead_letter.id", "dead_letter.tag",
	} {
		put(root, name, keyword)
	}
	put(root, "error.message", object{"type": p.text})
	put(root, "dead_letter.time", object{"type": "date", "ignore_malformed": true})
	for _, name := range []string{"http.response.status_code", "dead_letter.part", "dead_letter.parts"} {
		put(root, name, object{"type": "long", "ignore_malformed": true})
	}
	put(root, "dead_letter.document", object{"type": "keyword", "index": false, "doc_values": false})
	return object{"dynamic": false, "date_detection": false, "properties": root}
}

// ilm rolls over and never deletes: how long logs are kept is the operator's to say.
func ilm() object {
	return object{"policy": object{
		"_meta": object{
			"managed_by":  managedBy,
			"version":     policyVersion,
			"description": "Rolls the data streams of fluent-bit-fortiems over; deletes nothing",
		},
		"phases": object{"hot": object{
			"min_age": "0ms",
			"actions": object{"rollover": object{"max_age": rolloverAge, "max_primary_shard_size": rolloverSize}},
		}},
	}}
}

// ism is the same for OpenSearch. Policies have no _meta there; the description
// names the owner and the version.
func ism() object {
	return object{"policy": object{
		"description":   fmt.Sprintf("managed_by %s version %d: rolls the data streams over; deletes nothing", managedBy, policyVersion),
		"default_state": "hot",
		"states": []object{{
			"name":        "hot",
			"actions":     []object{{"rollover": object{"min_index_age": rolloverAge, "min_size": rolloverSize}}},
			"transitions": []object{},
		}},
		"ism_template": []object{{"index_patterns": []string{dataName + "-*", deadName + "-*"}, "priority": dataPriority}},
	}}
}
