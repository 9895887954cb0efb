package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/rig"
)

// block returns the code block between the marks of name in a document.
func block(t *testing.T, document, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(rig.Root, document))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- " + name + " -->\n```\\w+\n(.*?)```\n<!-- /" + name + " -->").FindSubmatch(text)
	if m == nil {
		t.Fatalf("%s has no block %s", document, name)
	}
	return string(m[1])
}

// TestQueriesOfTheDocuments runs what the documents say for a search server: installs the
// templates by hand, ships the corpus, asks what README.md asks, and removes everything.
func TestQueriesOfTheDocuments(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("not run: needs curl")
	}
	s := start(t)
	shell := func(block string) string {
		t.Helper()
		cmd := exec.Command("sh", "-ec", strings.ReplaceAll(block, "https://es1.example.com:9200", s.URL()))
		cmd.Dir = rig.Root
		cmd.Env = append(os.Environ(), "ES="+s.URL())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}

	// The server has no lifecycle plugin, so only the templates are acknowledged.
	if out := shell(block(t, "plugin/README.md", "templates")); strings.Count(out, `{"acknowledged":true}`) != 2 {
		t.Fatalf("the templates are not installed: %s", out)
	}
	dirs, err := filepath.Glob("../corpus/ems-*")
	if err != nil || len(dirs) < 5 {
		t.Fatalf("%d cases, %v", len(dirs), err)
	}
	all, categories, failed := 0, map[string]int{}, 0
	for _, dir := range dirs {
		records, err := golden(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			all++
			of := map[string][]any{}
			leaves("", r, of)
			text := func(field string) string {
				if v := of[field]; len(v) > 0 {
					return fmt.Sprint(v[0])
				}
				return ""
			}
			if c := text("fortinet.ems.category"); c != "" {
				categories[c]++
				if c == "ems-authentication" && text("event.outcome") == "failure" {
					failed++
				}
			}
		}
		ship(t, s, dir, "--output-prop", "bootstrap=off")
	}
	s.Must(t, "POST", "/"+stream+"/_refresh", "", nil)

	var count struct{ Count int }
	var found struct {
		Aggregations struct {
			Categories struct {
				Buckets []struct {
					Key      string
					DocCount int `json:"doc_count"`
				}
			}
		}
	}
	answers := json.NewDecoder(strings.NewReader(shell(block(t, "README.md", "count"))))
	if err := answers.Decode(&count); err != nil || count.Count != all {
		t.Errorf("the count is %d of %d, %v", count.Count, all, err)
	}
	if err := answers.Decode(&found); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, b := range found.Aggregations.Categories.Buckets {
		got[b.Key] = b.DocCount
	}
	if fmt.Sprint(got) != fmt.Sprint(categories) {
		t.Errorf("categories %v, want %v", got, categories)
	}
	query, err := json.Marshal(map[string]any{"query_string": map[string]string{"query": strings.TrimSpace(block(t, "README.md", "discover"))}})
	if err != nil {
		t.Fatal(err)
	}
	if n := s.Count(t, stream, string(query)); n != failed || n == 0 {
		t.Errorf("the query finds %d of %d failed logins", n, failed)
	}

	out := shell(block(t, "build/README.md", "uninstall"))
	for _, path := range []string{"/_data_stream/" + stream, "/_index_template/logs-fortinet.fortiems", "/_index_template/logs-fortinet.fortiems.dead_letter"} {
		if status, _ := s.Do(t, "GET", path, ""); status != 404 {
			t.Errorf("%s is still there: %d\n%s", path, status, out)
		}
	}
}
