package docs

import (
	"os"
	"regexp"
	"testing"
)

// TestEveryDependencyIsJustified compares the direct dependencies of go.mod with the
// lines that the README has about them.
func TestEveryDependencyIsJustified(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	needed, told := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\s*([a-z0-9.-]+\.[a-z]+/\S+) v\S+$`).FindAllSubmatch(mod, -1) {
		needed[string(m[1])] = true
	}
	rows := regexp.MustCompile(`(?s)<!-- dependencies -->\n(.*?)<!-- /dependencies -->`).FindSubmatch(text)
	if rows == nil || len(needed) < 5 {
		t.Fatalf("no table in the README, or hardly anything in go.mod: %v", needed)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| .+ \\| .+ \\|$").FindAllSubmatch(rows[1], -1) {
		told[string(m[1])] = true
	}
	for m := range needed {
		if !told[m] {
			t.Errorf("the README does not say what %s is for", m)
		}
	}
	for m := range told {
		if !needed[m] {
			t.Errorf("the README tells of %s, which go.mod does not have", m)
		}
	}
}
