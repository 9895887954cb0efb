package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/rig"
)

// writeFile writes content to a file of a temporary directory and returns its path.
func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRulesExampleLoads loads the rules file of conf and the one of parser/README.md.
func TestRulesExampleLoads(t *testing.T) {
	if err := loadRules(root + "/conf/rules-example.yaml"); err != nil {
		t.Error(err)
	}
	line := `emsserial=FCTEMS0000000001 type=event subtype=system msg="directory harvest finished"`
	if c := categoryOf(t, writeFile(t, "rules.yaml", marked(t, "rule")), line); c != "ems-adconnector" {
		t.Errorf("got %s", c)
	}
}

// TestFirstLine: the line that README.md sends with logger has the category that it names.
func TestFirstLine(t *testing.T) {
	text := readAll(t, root+"/README.md")
	sent := regexp.MustCompile(`(?m)^logger .* -t (\S+) '([^']+)'$`).FindStringSubmatch(text)
	if sent == nil {
		t.Fatal("README.md sends no line")
	}
	c := categoryOf(t, "", "<13>Nov 28 09:00:00 host "+sent[1]+": "+sent[2])
	if !strings.Contains(text, `"category":"`+c+`"`) {
		t.Errorf("README.md does not name %s", c)
	}
}

// TestRulesWithListsLoad loads the rules that use the lists of parser/rules.
func TestRulesWithListsLoad(t *testing.T) {
	for _, text := range []string{marked(t, "rule-with-list"), "version: 1\nrules:\n" + marked(t, "new-rule")} {
		if err := loadRules(writeFile(t, "rules.yaml", text)); err != nil {
			t.Error(err)
		}
	}
}

// TestConditionsAndEffects loads every condition and effect that the tables of
// parser/README.md name.
func TestConditionsAndEffects(t *testing.T) {
	text := readAll(t, root+"/parser/README.md")
	keys := func(section string) (spans []string) {
		_, rest, _ := strings.Cut(text, "\n### "+section+"\n")
		rest, _, _ = strings.Cut(rest, "\n### ")
		for _, row := range regexp.MustCompile("(?m)^\\| (`.*?`) \\|").FindAllStringSubmatch(rest, -1) {
			spans = append(spans, regexp.MustCompile("`([^`]+)`").FindAllString(row[1], -1)...)
		}
		if len(spans) < 6 {
			t.Fatalf("%s: %q", section, spans)
		}
		return spans
	}
	load := func(when, set string) error {
		return loadRules(writeFile(t, "rules.yaml", "version: 1\nrules:\n  - {name: x, when: {"+when+"}, set: {"+set+"}}\n"))
	}
	for _, span := range keys("Conditions") {
		when := strings.Trim(span, "`")
		if !strings.Contains(when, ":") {
			when += ": [admin]" // a key that is named beside another one
		}
		if err := load(when, "action: x"); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	values := map[string]string{
		"category": "ems-vpn", "action": "x", "outcome": "fields", "kind": "alert",
		"event_category": "[network], event_type: [start]", "event_type": "[start], event_category: [network]", "severity": "3",
	}
	for _, span := range keys("Effects") {
		key := strings.Trim(span, "`")
		if err := load("words: x", key+": "+values[key]); values[key] == "" || err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// unknownLine is a line that only the rule of conf/README.md matches.
const unknownLine = `emsserial=FCTEMS0000000001 type=event subtype=system msg="nightly digest sent"`

// TestUnknownLineExample: the rule for an unknown line classifies a line that is
// unknown without it.
func TestUnknownLineExample(t *testing.T) {
	before := categoryOf(t, "", unknownLine)
	after := categoryOf(t, writeFile(t, "rules.yaml", marked(t, "unknown-rule")), unknownLine)
	if before != "unknown" || after != "ems-event" {
		t.Errorf("%s without the rule, %s with it", before, after)
	}
}

// TestTryARule runs the command that tries a rule on a line.
func TestTryARule(t *testing.T) {
	if testing.Short() {
		t.Skip("not run: builds the object (-short)")
	}
	rig.Build(t)
	dir := filepath.Dir(writeFile(t, "my-rules.yaml", marked(t, "unknown-rule")))
	if err := os.WriteFile(filepath.Join(dir, "line.log"), []byte(unknownLine+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(rig.Root, "build"), filepath.Join(dir, "build")); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-ec", marked(t, "try"))
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(out), `"category":"ems-event"`) {
		t.Errorf("the rule has no effect: %s", out)
	}
}
