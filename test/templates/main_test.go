package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"fluent-bit-fortiems/test/ecs"
)

const confDir = "../../conf"

func TestFilesAreUpToDate(t *testing.T) {
	want, err := files()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range want {
		got, err := os.ReadFile(filepath.Join(confDir, name))
		if err != nil || !bytes.Equal(got, text) {
			t.Errorf("conf/%s is out of date: run make generate (%v)", name, err)
		}
	}
	for _, dir := range []string{"elasticsearch", "opensearch"} {
		found, err := filepath.Glob(filepath.Join(confDir, dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			name := dir + "/" + filepath.Base(f)
			if _, ok := want[name]; !ok {
				t.Errorf("conf/%s is not generated", name)
			}
		}
	}
}

// TestTypes looks at what the templates promise: explicit types for
// all fields, keywords for all keys of the dictionary, and no types that early
// versions of OpenSearch 2 lack.
func TestTypes(t *testing.T) {
	types, err := ecs.Fields()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []product{elasticsearch, opensearch} {
		m, err := p.mappings(types)
		if err != nil {
			t.Fatal(err)
		}
		leaves := map[string]object{}
		flatten("", m["properties"].(object), leaves)
		for _, name := range []string{"source.ip", "destination.ip", "host.ip", "related.ip"} {
			if leaves[name]["type"] != "ip" {
				t.Errorf("%s: %s is %v", p.dir, name, leaves[name])
			}
		}
		for _, key := range []string{"vpntunnel", "usingpolicy", "user", "category", "endpoint_serial", "srcip"} {
			if l := leaves["fortinet.ems."+key]; l["type"] != "keyword" || l["ignore_above"] != vendorIgnoreAbove {
				t.Errorf("%s: fortinet.ems.%s is %v", p.dir, key, l)
			}
		}
		early := []any{"keyword", "text", "long", "float", "double", "ip", "date", "geo_point", "object"}
		for name, l := range leaves {
			if p.dir == "opensearch" && !slices.Contains(early, l["type"]) {
				t.Errorf("opensearch: %s is %v", name, l["type"])
			}
			if limit, ok := l["ignore_above"].(int); l["type"] == "keyword" && l["index"] != false && (!ok || limit > 32766/4) {
				t.Errorf("%s: %s has no limit that keeps a long value from being rejected: %v", p.dir, name, l)
			}
		}
	}
}

func flatten(prefix string, properties object, into map[string]object) {
	for name, m := range properties {
		m := m.(object)
		if p, ok := m["properties"].(object); ok {
			flatten(prefix+name+".", p, into)
			continue
		}
		into[prefix+name] = m
	}
}
