package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/test/rig"
)

func readAll(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestReadmeNamesEveryFile: what lies in these folders is described.
func TestReadmeNamesEveryFile(t *testing.T) {
	text := readAll(t, readme)
	for _, pattern := range []string{"../../conf/topologies/*", "../../conf/detections/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, f := range files {
			if !strings.Contains(text, "`"+filepath.Base(f)+"`") {
				t.Errorf("README.md does not name %s", f)
			}
		}
	}
	for _, pattern := range []string{"../../conf/*.yaml", "../../conf/*.conf"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatal(pattern, err)
		}
		for _, f := range files {
			// Files that exist in both forms are named without their ending.
			name := filepath.Base(f)
			if !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, "`"+strings.TrimSuffix(name, filepath.Ext(name))+"`") {
				t.Errorf("README.md does not name %s", f)
			}
		}
	}
	var d struct{ Pages []struct{ Title string } }
	if err := yaml.Unmarshal([]byte(readAll(t, "../../conf/dashboards/dashboards.yaml")), &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Pages {
		if !strings.Contains(text, "| "+p.Title+" |") {
			t.Errorf("README.md does not name the page %s", p.Title)
		}
	}
}

// TestReadmeCommandsExist: every make target and file path that the README names.
func TestReadmeCommandsExist(t *testing.T) {
	text := readAll(t, readme)
	makefile := readAll(t, "../../Makefile") + readAll(t, "../../build/package.mk")
	targets := regexp.MustCompile("(?m)(?:^|`|&& )make (?:-s )?([a-z][a-z0-9-]*)").FindAllStringSubmatch(text, -1)
	if len(targets) < 8 {
		t.Fatalf("only %d targets", len(targets))
	}
	for _, m := range targets {
		if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(makefile) {
			t.Errorf("no target %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile("[ `@=]((?:conf|test|build|parser|plugin)/[A-Za-z0-9_./-]*[A-Za-z0-9_/])").FindAllStringSubmatch(text, -1) {
		path := "../../" + m[1]
		if strings.HasPrefix(m[1], "build/out") || m[1] == "test/.env" {
			continue // made
		}
		if _, err := os.Stat(path); err != nil {
			t.Errorf("README.md names %s: %v", m[1], err)
		}
	}
}

// TestReadmeLinksWithin: every link to a heading finds one.
func TestReadmeLinksWithin(t *testing.T) {
	text := readAll(t, readme)
	headings := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^##+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchor := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), "")
		headings[strings.ReplaceAll(anchor, " ", "-")] = true
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(text, -1) {
		if !headings[m[1]] {
			t.Errorf("no heading %s", m[1])
		}
	}
	// The table at the top leads to every section.
	contents, _, _ := strings.Cut(text, "\n## ")
	for _, m := range regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains(contents, "["+m[1]+"](#") {
			t.Errorf("the table at the top does not lead to %s", m[1])
		}
	}
}

// TestTryARule runs the command with which the README tries a rule on a line.
func TestTryARule(t *testing.T) {
	rig.Build(t)
	text := readAll(t, readme)
	_, command, ok := strings.Cut(text, "<!-- try -->\n```sh\n")
	command, _, ok2 := strings.Cut(command, "```\n<!-- /try -->")
	if !ok || !ok2 {
		t.Fatal("README.md has no command that tries a rule")
	}
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(rig.Root, "build"), filepath.Join(dir, "build")); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"my-rules.yaml": unknownLineRule(t), "line.log": unknownLine + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("sh", "-ec", command)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), `"category":"ems-event"`) {
		t.Errorf("the rule does not hold: %s", out)
	}
}

// unknownLine is a line that only the rule of the README knows.
const unknownLine = `emsserial=FCTEMS0000000001 type=event subtype=system msg="nightly digest sent"`

// unknownLineRule is the rule that the README gives for an unknown line.
func unknownLineRule(t *testing.T) string {
	t.Helper()
	_, text, ok := strings.Cut(readAll(t, readme), "### A line that is classified unknown")
	_, text, ok2 := strings.Cut(text, "```yaml\n")
	rule, _, ok3 := strings.Cut(text, "```")
	if !ok || !ok2 || !ok3 {
		t.Fatal("no rule")
	}
	return rule
}

// TestUnknownLineExample: the rule that the README gives for an unknown line makes the
// line known, which it is not without.
func TestUnknownLineExample(t *testing.T) {
	file := t.TempDir() + "/rules.yaml"
	if err := os.WriteFile(file, []byte(unknownLineRule(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := parser.LoadRules(file)
	if err != nil {
		t.Fatal(err)
	}
	line := []byte(unknownLine)
	var before, after parser.Event
	parser.New(parser.Options{}).Parse(&before, line, 1727821050, 0)
	parser.New(parser.Options{Rules: rules}).Parse(&after, line, 1727821050, 0)
	if before.Category != parser.Unknown || after.Category != parser.SystemEvent {
		t.Errorf("%s without the rule, %s with it", before.Category, after.Category)
	}
}

// TestIssueTemplates: valid YAML with what a form needs, and every category to choose.
func TestIssueTemplates(t *testing.T) {
	files, err := filepath.Glob("../../.github/ISSUE_TEMPLATE/*.yml")
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	var categories []string
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
			categories = append(categories, b.Attributes.Options...)
		}
	}
	for _, row := range parser.CategoryRows() {
		if row.Name != "unknown" && !strings.Contains(strings.Join(categories, " "), row.Name) {
			t.Errorf("no category %s to choose", row.Name)
		}
	}
}
