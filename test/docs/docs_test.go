// Package docs checks the documents of the project: generated parts are up to date,
// links and names of files and targets lead somewhere, examples do what they show.
package docs

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
)

var update = flag.Bool("update", false, "write the generated parts of the documents")

// root is the repository.
const root = "../.."

// The README shows the real line of this case.
const example = "../corpus/real-wazuh-26094/input.log"

// documents returns the Markdown documents of the project by their path below root:
// every README.md, and those of .github.
func documents(t *testing.T) map[string]string {
	t.Helper()
	docs := map[string]string{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, name)
		if d.IsDir() && (rel == ".git" || rel == "build/out") {
			return fs.SkipDir
		}
		if d.Name() == "README.md" || strings.HasPrefix(rel, ".github/") && strings.HasSuffix(rel, ".md") {
			docs[rel] = readAll(t, name)
		}
		return nil
	})
	if err != nil || len(docs) < 9 {
		t.Fatalf("%d documents, %v", len(docs), err)
	}
	return docs
}

func readAll(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// cutMarks splits text at the marks <!-- name --> and <!-- /name -->.
func cutMarks(text, name string) (before, between, after string, ok bool) {
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	before, rest, ok := strings.Cut(text, begin)
	if !ok {
		return "", "", "", false
	}
	between, after, ok = strings.Cut(rest, end)
	return before + begin, between, end + after, ok
}

// marked returns the code block between the marks of name in the one document that
// has them.
func marked(t *testing.T, name string) string {
	t.Helper()
	var found []string
	for _, text := range documents(t) {
		if _, between, _, ok := cutMarks(text, name); ok {
			found = append(found, between)
		}
	}
	if len(found) != 1 {
		t.Fatalf("<!-- %s --> is in %d documents, not in one", name, len(found))
	}
	blocks := codeBlocks(found[0])
	if len(blocks) != 1 {
		t.Fatalf("%s: %d code blocks", name, len(blocks))
	}
	return blocks[0].text
}

// TestGeneratedPartsAreUpToDate compares tables and the example record with what the
// code says. With -update it writes them.
func TestGeneratedPartsAreUpToDate(t *testing.T) {
	line, record := exampleRecord(t)
	parts := map[string]string{
		"options:filter": optionTable(option.Filter()),
		"options:output": optionTable(option.Output()),
		"fields":         fieldTable(),
		"categories":     categoryTable(t),
		"metrics":        metricTable(),
		"line":           "```text\n" + line + "\n```\n",
		"record":         "```json\n" + record + "\n```\n",
	}
	if counts := rulesByEvidence(); counts != nil {
		parts["evidence"] = evidenceTable(counts)
	}
	seen := map[string]int{}
	for name, text := range documents(t) {
		want := text
		for part, content := range parts {
			before, _, after, ok := cutMarks(want, part)
			if ok {
				want = before + content + after
				seen[part]++
			}
		}
		if want == text {
			continue
		}
		if !*update {
			t.Errorf("%s is out of date: run make generate", name)
		} else if err := os.WriteFile(filepath.Join(root, name), []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for part := range parts {
		if seen[part] != 1 {
			t.Errorf("<!-- %s --> is in %d documents, not in one", part, seen[part])
		}
	}
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
	var compact bytes.Buffer
	if _, err := msgp.UnmarshalAsJSON(&compact, ev.Record); err != nil {
		t.Fatal(err)
	}
	return line, layout(t, compact.Bytes(), "")
}

// layout writes JSON with what fits into a line in one line, in the same order.
func layout(t *testing.T, raw []byte, indent string) string {
	t.Helper()
	keys, values := members(t, raw)
	if short := oneLine(t, raw); len(keys) == 0 || indent != "" && len(indent)+len(short) < 125 {
		return short
	}
	lines := make([]string, len(keys))
	for i, key := range keys {
		lines[i] = indent + "  " + key + ": " + layout(t, values[i], indent+"  ")
	}
	return "{\n" + strings.Join(lines, ",\n") + "\n" + indent + "}"
}

func oneLine(t *testing.T, raw []byte) string {
	t.Helper()
	keys, values := members(t, raw)
	if len(keys) == 0 {
		return strings.ReplaceAll(string(raw), `","`, `", "`)
	}
	parts := make([]string, len(keys))
	for i, key := range keys {
		parts[i] = key + ": " + oneLine(t, values[i])
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// members returns the members of an object in their order, none of another value.
func members(t *testing.T, raw []byte) (keys []string, values []json.RawMessage) {
	t.Helper()
	if !bytes.HasPrefix(raw, []byte("{")) {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	_, err := d.Token()
	for err == nil && d.More() {
		var key json.Token
		var value json.RawMessage
		if key, err = d.Token(); err == nil {
			err = d.Decode(&value)
		}
		keys, values = append(keys, fmt.Sprintf("%q", key)), append(values, value)
	}
	if err != nil {
		t.Fatal(err)
	}
	return keys, values
}
