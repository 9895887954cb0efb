package docs

import (
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestIssueTemplates: valid YAML with what a form needs, and every category to choose.
func TestIssueTemplates(t *testing.T) {
	files, err := filepath.Glob("../../.github/ISSUE_TEMPLATE/*.yml")
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	var choices []string
	for _, f := range files {
		var form struct {
			Name, Description string
			Body              []struct {
				Type, ID   string
				Attributes struct {
					Label, Value string
					Options      []string
				}
			}
		}
		if err := yaml.Unmarshal([]byte(readAll(t, f)), &form); err != nil {
			t.Fatal(f, err)
		}
		if form.Name == "" || form.Description == "" {
			t.Errorf("%s has no name or description", f)
		}
		seen := map[string]bool{}
		for _, b := range form.Body {
			if b.Type == "markdown" {
				continue
			}
			if b.ID == "" || seen[b.ID] || b.Attributes.Label == "" {
				t.Errorf("%s: field %q", f, b.ID)
			}
			seen[b.ID] = true
			choices = append(choices, b.Attributes.Options...)
		}
	}
	for _, c := range categories() {
		if c.name != "unknown" && !slices.Contains(choices, c.name) {
			t.Errorf("no category %s to choose", c.name)
		}
	}
}
