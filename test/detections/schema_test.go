package detections

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// TestSigmaSchema checks the rules against the JSON schemas of the Sigma specification.
// They are in no package registry: SIGMA_SCHEMA names the folder json-schema of a clone
// of https://github.com/SigmaHQ/sigma-specification.
func TestSigmaSchema(t *testing.T) {
	folder := os.Getenv("SIGMA_SCHEMA")
	if folder == "" {
		t.Skip("not run: the JSON schemas of Sigma (clone https://github.com/SigmaHQ/sigma-specification, name its json-schema folder in $SIGMA_SCHEMA)")
	}
	schema := func(name string) *jsonschema.Schema {
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		s, err := c.Compile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	detection, correlation := schema("sigma-detection-rule-schema.json"), schema("sigma-correlation-rules-schema.json")
	files, err := filepath.Glob(dir + "/*.yml")
	if err != nil || len(files) != 8 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		for i, doc := range documents(t, file) {
			s := detection
			if _, ok := doc["correlation"]; ok {
				s = correlation
			}
			if err := s.Validate(map[string]any(doc)); err != nil {
				t.Errorf("%s, document %d: %v", filepath.Base(file), i+1, err)
			}
			delete(doc, "title")
			if s.Validate(map[string]any(doc)) == nil {
				t.Errorf("%s, document %d: the schema takes a rule without title", filepath.Base(file), i+1)
			}
		}
	}
}

// documents returns the documents of a YAML file as JSON values; dates are text.
func documents(t *testing.T, file string) (docs []map[string]any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var node yaml.Node
		if err := dec.Decode(&node); errors.Is(err, io.EOF) {
			return docs
		} else if err != nil {
			t.Fatal(file, err)
		}
		plainDates(&node)
		var doc any
		if err := node.Decode(&doc); err != nil {
			t.Fatal(file, err)
		}
		text, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(file, err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(file, err)
		}
		docs = append(docs, v.(map[string]any))
	}
}

// plainDates converts values that YAML reads as times to text.
func plainDates(n *yaml.Node) {
	if n.Tag == "!!timestamp" {
		n.Tag = "!!str"
	}
	for _, c := range n.Content {
		plainDates(c)
	}
}
