package docs

import (
	"encoding/json"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/plugin/option"
)

var (
	fence    = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")
	span     = regexp.MustCompile("`[^`\n]+`")
	heading  = regexp.MustCompile(`(?m)^(#+) (.*)$`)
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	target   = regexp.MustCompile("(?m)(?:^|`|&& )make (?:-s )?([a-z][a-z0-9-]*)")
	filePath = regexp.MustCompile("(?m)(?:^|[ `@=])((?:conf|test|build|parser|plugin)/[A-Za-z0-9_./-]*[A-Za-z0-9_/])")
)

type block struct{ language, text string }

// codeBlocks returns the fenced code blocks of text.
func codeBlocks(text string) (blocks []block) {
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, block{m[1], m[2]})
	}
	return blocks
}

// code returns what is code in text: blocks and spans. prose is text without blocks.
func code(text string) (code, prose string) {
	var b strings.Builder
	for _, block := range codeBlocks(text) {
		b.WriteString(block.text + "\n")
	}
	prose = fence.ReplaceAllString(text, "")
	for _, s := range span.FindAllString(prose, -1) {
		b.WriteString(s + "\n")
	}
	return b.String(), prose
}

// anchors returns the anchors that GitHub gives to the headings of text.
func anchors(text string) map[string]bool {
	_, prose := code(text)
	found := map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(prose, -1) {
		a := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[2]), "")
		found[strings.ReplaceAll(a, " ", "-")] = true
	}
	return found
}

// TestLinks: every link to a file or heading of the project finds it.
func TestLinks(t *testing.T) {
	for name, text := range documents(t) {
		_, prose := code(text)
		for _, m := range link.FindAllStringSubmatch(prose, -1) {
			u, err := url.Parse(m[1])
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err != nil || u.Scheme != "" {
				continue
			}
			file := filepath.Join(root, name)
			if u.Path != "" {
				file = filepath.Join(filepath.Dir(file), u.Path)
			}
			if info, err := os.Stat(file); err != nil || info.IsDir() {
				t.Errorf("%s: link to %s: %v", name, m[1], err)
			} else if u.Fragment != "" && !anchors(readAll(t, file))[u.Fragment] {
				t.Errorf("%s: %s has no heading %s", name, u.Path, u.Fragment)
			}
		}
	}
}

// TestContents: in a document of more than three sections, what precedes the first
// links every section.
func TestContents(t *testing.T) {
	for name, text := range documents(t) {
		_, prose := code(text)
		contents, _, _ := strings.Cut(prose, "\n## ")
		sections := regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(prose, -1)
		for _, m := range sections {
			if len(sections) > 3 && !strings.Contains(contents, "["+m[1]+"](#") {
				t.Errorf("%s: the contents do not link %s", name, m[1])
			}
		}
	}
	if n := strings.Count(readAll(t, root+"/README.md"), "\n"); n > 250 {
		t.Errorf("README.md has %d lines: at most 250, the rest belongs next to what it describes", n)
	}
}

// TestTargetsAndFilesExist: every make target and file that the documents name.
func TestTargetsAndFilesExist(t *testing.T) {
	makefile := readAll(t, root+"/Makefile") + readAll(t, root+"/build/package.mk")
	for name, text := range documents(t) {
		code, _ := code(text)
		for _, m := range target.FindAllStringSubmatch(code, -1) {
			if !regexp.MustCompile(`(?m)^` + m[1] + `:`).MatchString(makefile) {
				t.Errorf("%s: no target %s", name, m[1])
			}
		}
		for _, m := range filePath.FindAllStringSubmatch(code, -1) {
			if strings.HasPrefix(m[1], "build/out") || m[1] == "test/.env" {
				continue // made
			}
			if _, err := os.Stat(filepath.Join(root, m[1])); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for _, m := range []string{"demo", "run", "test", "check"} {
		if !regexp.MustCompile("(?m)(?:^|`)make " + m + "\\b").MatchString(readAll(t, root+"/README.md")) {
			t.Errorf("README.md does not name make %s", m)
		}
	}
}

// TestHelp: make help lists every target that the documents may name, and every variable
// of the Makefile, in groups.
func TestHelp(t *testing.T) {
	out, err := exec.Command("make", "-s", "-C", root, "help").Output()
	if err != nil {
		t.Fatal(err)
	}
	help := string(out)
	makefile := readAll(t, root+"/Makefile")
	variables := []string{"FLUENT_BIT", "FORTIEMS_PORT", "DEMO=all", "ES_HOSTS", "ES_API_KEY", "ES_CA_FILE", "NODES"}
	for _, m := range regexp.MustCompile(`(?m)^([A-Z_]+) +\?=`).FindAllStringSubmatch(makefile, -1) {
		variables = append(variables, m[1])
	}
	for _, v := range variables {
		if !strings.Contains(help, "\n    "+v+" ") {
			t.Errorf("no variable %s in\n%s", v, help)
		}
	}
	for _, target := range []string{"demo", "run", "opensearch", "stack", "build", "package", "check", "test", "golden", "bench"} {
		if !strings.Contains(help, "\n  make "+target+" ") {
			t.Errorf("no target %s", target)
		}
	}
	last := -1
	for _, group := range []string{"Try", "Run with a search server", "Build", "Package", "Develop", "Test", "Measure"} {
		at := strings.Index(help, "\n"+group+"\n")
		if at <= last {
			t.Errorf("the group %s is missing or in another place", group)
		}
		last = at
	}
}

// TestEveryFileIsNamed: the documents of conf name what users load.
func TestEveryFileIsNamed(t *testing.T) {
	for _, of := range []struct{ document, pattern string }{
		{"conf/README.md", "conf/*.yaml"},
		{"conf/README.md", "conf/*.conf"},
		{"conf/README.md", "conf/topologies/*"},
		{"conf/detections/README.md", "conf/detections/*.yml"},
	} {
		text := readAll(t, filepath.Join(root, of.document))
		files, err := filepath.Glob(filepath.Join(root, of.pattern))
		if err != nil || len(files) == 0 {
			t.Fatal(of.pattern, err)
		}
		for _, f := range files {
			// Files that exist in both forms are named without their ending.
			name := filepath.Base(f)
			if !strings.Contains(text, "`"+name+"`") && !strings.Contains(text, "`"+strings.TrimSuffix(name, filepath.Ext(name))+"`") {
				t.Errorf("%s does not name %s", of.document, name)
			}
		}
	}
	var d struct{ Pages []struct{ Title string } }
	if err := yaml.Unmarshal([]byte(readAll(t, root+"/conf/dashboards/dashboards.yaml")), &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Pages {
		if !strings.Contains(readAll(t, root+"/conf/dashboards/README.md"), "| "+p.Title+" |") {
			t.Errorf("conf/dashboards/README.md does not name the page %s", p.Title)
		}
	}
}

// TestCodeBlocks: every block has a language; shell, YAML and JSON parse; options of
// our plugins exist.
func TestCodeBlocks(t *testing.T) {
	for name, text := range documents(t) {
		for _, b := range codeBlocks(text) {
			var err error
			switch b.language {
			case "sh":
				cmd := exec.Command("sh", "-n")
				cmd.Stdin = strings.NewReader(b.text)
				var out []byte
				if out, err = cmd.CombinedOutput(); err != nil {
					t.Errorf("%s: %s", name, out)
				}
			case "yaml":
				err = checkYAML(t, b.text)
			case "json":
				err = json.Unmarshal([]byte(b.text), new(any))
			case "ini", "text", "mermaid":
			default:
				t.Errorf("%s: a code block of language %q", name, b.language)
			}
			if err != nil {
				t.Errorf("%s: %v in\n%s", name, err, b.text)
			}
		}
	}
}

// checkYAML reads YAML and, of a configuration of Fluent Bit, the options of our
// plugins.
func checkYAML(t *testing.T, text string) error {
	if err := yaml.Unmarshal([]byte(text), new(any)); err != nil {
		return err
	}
	var c struct {
		Pipeline struct {
			Filters, Outputs []map[string]any
		}
	}
	if yaml.Unmarshal([]byte(text), &c) != nil {
		return nil // not a configuration
	}
	known := map[string]bool{"name": true, "match": true, "alias": true, "workers": true, "retry_limit": true}
	for _, o := range append(option.Filter(), option.Output()...) {
		known[o.Key] = true
	}
	for _, p := range append(c.Pipeline.Filters, c.Pipeline.Outputs...) {
		if plugin, _ := p["name"].(string); !strings.HasPrefix(plugin, "fortiems") {
			continue
		}
		for key := range p {
			if !known[key] {
				t.Errorf("no option %s", key)
			}
		}
	}
	return nil
}
