// Package docs checks that the generated parts of the README are up to date and
// that what it shows is what the filter does.
package docs

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
)

var update = flag.Bool("update", false, "write the generated parts of the README anew")

const readme = "../../README.md"

// The README shows the real line of this case.
const example = "../corpus/real-wazuh-26094/input.log"

func TestReadmeIsUpToDate(t *testing.T) {
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	want := generate(t, string(text))
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatal("README.md is out of date: run go test ./test/docs -update")
	}
	if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func generate(t *testing.T, text string) string {
	t.Helper()
	text = between(t, text, "options:filter", optionTable(option.Filter()))
	text = between(t, text, "options:output", optionTable(option.Output()))
	text = between(t, text, "fields", fieldTable())
	text = between(t, text, "categories", categoryTable(t))
	text = between(t, text, "metrics", metricTable())
	line, record := exampleRecord(t)
	text = between(t, text, "line", "```text\n"+line+"\n```\n")
	return between(t, text, "record", "```json\n"+record+"\n```\n")
}

// between replaces what stands between the marks of name.
func between(t *testing.T, text, name, content string) string {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	head, rest, ok := strings.Cut(text, begin)
	if !ok {
		t.Fatalf("README.md has no %q", strings.TrimSpace(begin))
	}
	_, tail, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("README.md has no %q", end)
	}
	return head + begin + content + end + tail
}

// exampleRecord returns the example line and its record.
func exampleRecord(t *testing.T) (line, record string) {
	t.Helper()
	raw, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	line = strings.TrimRight(string(raw), "\n")
	chunk := event.AppendTime([]byte{0x92, 0x92}, 1727821050, 250000000)
	chunk = append(chunk, 0x80, 0x81)
	chunk = msgp.AppendString(chunk, "message")
	chunk = msgp.AppendString(chunk, line)
	out, _, err := enrich.New(enrich.Options{EventTime: true}).Run(nil, chunk)
	if err != nil {
		t.Fatal(err)
	}
	ev, _, err := event.Next(out)
	if err != nil {
		t.Fatal(err)
	}
	var compact, indented bytes.Buffer
	if _, err := msgp.UnmarshalAsJSON(&compact, ev.Record); err != nil {
		t.Fatal(err)
	}
	if err := json.Indent(&indented, compact.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	return line, indented.String()
}

// TestRulesExampleLoads loads the rules file of conf and the one the README shows.
func TestRulesExampleLoads(t *testing.T) {
	if _, err := parser.LoadRules("../../conf/rules-example.yaml"); err != nil {
		t.Error(err)
	}
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "<!-- rule -->\n```yaml\n")
	rule, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("README.md has no rule example")
	}
	file := t.TempDir() + "/rules.yaml"
	if err := os.WriteFile(file, []byte(rule), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := parser.LoadRules(file)
	if err != nil {
		t.Fatal(err)
	}
	var ev parser.Event
	line := []byte(`emsserial=FCTEMS0000000001 type=event subtype=system msg="directory harvest finished"`)
	if !parser.New(parser.Options{Rules: rules}).Parse(&ev, line, 1727821050, 0) || ev.Category != parser.ADConnector {
		t.Errorf("the rule of the README gives %s", ev.Category)
	}
}
