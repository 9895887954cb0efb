package rules_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/parser/rules"
)

var update = flag.Bool("update", false, "update the table of rules in parser/README.md")

// eachList calls f for every list of texts in the built-in files.
func eachList(t *testing.T, f func(at string, texts []string)) {
	t.Helper()
	eachNode(t, func(at string, n *yaml.Node, _ []string) {
		var texts []string
		if n.Kind == yaml.SequenceNode && n.Decode(&texts) == nil {
			f(at, texts)
		}
	})
}

// eachNode calls f for every node of the built-in files, with the lines of its file.
func eachNode(t *testing.T, f func(at string, n *yaml.Node, lines []string)) {
	t.Helper()
	files, err := fs.Glob(rules.Files, "*.yaml")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := rules.Files.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var doc yaml.Node
		if err := yaml.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		var walk func(n *yaml.Node)
		walk = func(n *yaml.Node) {
			f(fmt.Sprintf("%s:%d", file, n.Line), n, lines)
			for _, child := range n.Content {
				walk(child)
			}
		}
		walk(&doc)
	}
}

// TestNoDuplicatePhrases checks that three texts in a row that two places share are a
// list with a name.
func TestNoDuplicatePhrases(t *testing.T) {
	const run = 3
	places := map[string]string{}
	eachList(t, func(at string, texts []string) {
		if strings.HasPrefix(at, "categories.yaml") {
			return // lists of categories, no phrases
		}
		for i := 0; i+run <= len(texts); i++ {
			key := strings.Join(texts[i:i+run], ", ")
			if first, ok := places[key]; ok {
				t.Errorf("%s and %s: name [%s] in lists.yaml", first, at, key)
			}
			places[key] = at
		}
	})
}

// TestListsAreUsed checks that every list is named, and one of phrases or values more
// than once.
func TestListsAreUsed(t *testing.T) {
	uses := map[string]int{}
	eachNode(t, func(_ string, n *yaml.Node, _ []string) {
		if name, ok := strings.CutPrefix(n.Value, "$"); ok && n.Kind == yaml.ScalarNode {
			name, _, _ = strings.Cut(name, " ")
			uses[name]++
		}
	})
	text, err := rules.Files.ReadFile("lists.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Lists map[string][]string }
	if err := yaml.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	for name, texts := range f.Lists {
		isRegex := strings.HasPrefix(texts[0], "(?i)")
		if uses[name] == 0 || uses[name] == 1 && !isRegex {
			t.Errorf("list %s is named %d times", name, uses[name])
		}
	}
}

// TestRegularExpressionsAreOnOneLine checks that none depends on how YAML folds lines.
func TestRegularExpressionsAreOnOneLine(t *testing.T) {
	eachNode(t, func(at string, n *yaml.Node, lines []string) {
		if n.Kind != yaml.ScalarNode || !strings.Contains(n.Value, "(?i)") {
			return
		}
		if line := strings.ReplaceAll(lines[n.Line-1], "''", "'"); !strings.Contains(line, n.Value) {
			t.Errorf("%s: %s is on more than one line", at, n.Value)
		}
	})
}

// TestEvidence checks that no rule of an ems-* log type claims a document, and none but the
// one with a public line a sample.
func TestEvidence(t *testing.T) {
	for _, r := range rule.Builtin().All() {
		ems := strings.Contains(r.Example, "subtype=ems-") && strings.Contains(r.Example, "FCTEMS0000000001")
		if ems && (r.Evidence == "doc" || r.Evidence == "sample" && r.Name != "endpoint-offline") {
			t.Errorf("%s:%d: no line and no document with an ems-* type is public, so %s cannot rest on a %s", r.File, r.Line, r.Name, r.Evidence)
		}
	}
}

const readme = "../README.md"

// TestTableOfRules compares the table of parser/README.md with the rules.
func TestTableOfRules(t *testing.T) {
	evidence := []string{"sample", "doc", "article", "inferred"}
	var files []string
	count := map[string]map[string]int{"": {}}
	for _, r := range rule.Builtin().All() {
		file := strings.TrimSuffix(path.Base(r.File), ".yaml")
		if count[file] == nil {
			count[file] = map[string]int{}
			files = append(files, file)
		}
		count[file][r.Evidence]++
		count[""][r.Evidence]++
	}
	slices.Sort(files)
	var b strings.Builder
	fmt.Fprintf(&b, "| rules | %s | all |\n|---|%s---:|\n", strings.Join(evidence, " | "), strings.Repeat("---:|", len(evidence)))
	for _, file := range append(files, "") {
		all := 0
		fmt.Fprintf(&b, "| %s |", map[bool]string{true: "all", false: "`" + file + "`"}[file == ""])
		for _, e := range evidence {
			fmt.Fprintf(&b, " %d |", count[file][e])
			all += count[file][e]
		}
		fmt.Fprintf(&b, " %d |\n", all)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?s)<!-- rules -->\n.*<!-- /rules -->`)
	want := table.ReplaceAllLiteralString(string(text), "<!-- rules -->\n"+b.String()+"<!-- /rules -->")
	if *update {
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) || !table.Match(text) {
		t.Errorf("the table of parser/README.md is not up to date: run make golden")
	}
}

// TestTableOfServices compares the table of parser/README.md with package dict.
func TestTableOfServices(t *testing.T) {
	var b strings.Builder
	b.WriteString("| service | category | name from | own |\n|---|---|---|---|\n")
	for _, s := range dict.Services() {
		category := "by the rules"
		if c, ok := s.Token.Category(); ok {
			category = "`" + c.String() + "`"
		} else if s.Token == dict.ContactToken {
			category = "`ems-client` if the line is about the state of an endpoint, else `ems-network`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", s.Name, category, s.Evidence, map[bool]string{true: "yes"}[s.Own])
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	table := regexp.MustCompile(`(?s)<!-- services -->\n.*<!-- /services -->`)
	want := table.ReplaceAllLiteralString(string(text), "<!-- services -->\n"+b.String()+"<!-- /services -->")
	if *update {
		if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if want != string(text) || !table.Match(text) {
		t.Errorf("the table of services in parser/README.md is not up to date: run make golden")
	}
}

// TestDocumentedFormatLoads loads the rules file that parser/README.md shows.
func TestDocumentedFormatLoads(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, file, ok := strings.Cut(string(text), "```yaml\nversion: 1\n")
	file, _, closed := strings.Cut(file, "```")
	if !ok || !closed {
		t.Fatal("parser/README.md shows no rules file")
	}
	name := path.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(name, []byte("version: 1\n"+file), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := rule.Load(name); err != nil {
		t.Error(err)
	}
}
