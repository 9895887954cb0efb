package docs

import (
	"regexp"
	"testing"
)

// TestEveryDependencyIsJustified compares the direct dependencies of go.mod with the
// table of build/README.md.
func TestEveryDependencyIsJustified(t *testing.T) {
	needed, described := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\s*([a-z0-9.-]+\.[a-z]+/\S+) v\S+$`).FindAllStringSubmatch(readAll(t, root+"/go.mod"), -1) {
		needed[m[1]] = true
	}
	_, rows, _, ok := cutMarks(readAll(t, root+"/build/README.md"), "dependencies")
	if !ok || len(needed) < 5 {
		t.Fatalf("no table, or hardly anything in go.mod: %v", needed)
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| .+ \\| .+ \\|$").FindAllStringSubmatch(rows, -1) {
		described[m[1]] = true
	}
	for m := range needed {
		if !described[m] {
			t.Errorf("the table does not say what %s is for", m)
		}
	}
	for m := range described {
		if !needed[m] {
			t.Errorf("the table has %s, which go.mod does not have", m)
		}
	}
}
