package ecs

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/parser/ecs"
)

var update = flag.Bool("update", false, "update fields.json from ecs_flat.yml")

// flat is ECS 9.4 as its repository generates it, if it is next to the project.
const flat = "../../../shared/ecs/ecs_flat.yml"

// TestFieldsAreThoseOfECS compares fields.json with ecs_flat.yml.
func TestFieldsAreThoseOfECS(t *testing.T) {
	text, err := os.ReadFile(flat)
	if err != nil {
		t.Skip("not run: no ecs_flat.yml next to the project")
	}
	var all map[string]struct {
		Type      string   `yaml:"type"`
		Normalize []string `yaml:"normalize"`
		Multi     []struct {
			Name string `yaml:"name"`
			Type string `yaml:"type"`
		} `yaml:"multi_fields"`
		Allowed []struct {
			Name     string   `yaml:"name"`
			Expected []string `yaml:"expected_event_types"`
		} `yaml:"allowed_values"`
	}
	if err := yaml.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	want := map[string]Field{}
	for _, name := range append(ecs.Fields[:], "@timestamp", "labels") {
		src, ok := all[name]
		if !ok {
			continue
		}
		f := Field{Type: src.Type}
		for _, n := range src.Normalize {
			f.Array = f.Array || n == "array"
		}
		for _, m := range src.Multi {
			if f.Multi == nil {
				f.Multi = map[string]string{}
			}
			f.Multi[m.Name] = m.Type
		}
		for _, a := range src.Allowed {
			f.Allowed = append(f.Allowed, a.Name)
			if name == "event.category" {
				if f.Expected == nil {
					f.Expected = map[string][]string{}
				}
				f.Expected[a.Name] = a.Expected
			}
		}
		want[name] = f
	}
	if *update {
		b, err := json.MarshalIndent(want, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("fields.json", append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := Fields()
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Error("fields.json is not that of ecs_flat.yml: run go test ./test/ecs -update")
	}
}
