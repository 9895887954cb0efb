package conf

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// section is a section of a configuration: its keys in lower case.
type section map[string]string

// classic reads a configuration in Fluent Bit's own format.
func classic(t *testing.T, file string) map[string][]section {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return classicText(t, file, string(text))
}

func classicText(t *testing.T, file, text string) map[string][]section {
	t.Helper()
	c := map[string][]section{}
	name := ""
	for n, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		switch {
		case l == "" || l[0] == '#':
		case l[0] == '[':
			name = strings.ToLower(strings.Trim(l, "[]"))
			c[name] = append(c[name], section{})
		default:
			key, value, ok := strings.Cut(l, " ")
			if !ok || name == "" {
				t.Fatalf("%s:%d: %q", file, n+1, l)
			}
			c[name][len(c[name])-1][strings.ToLower(key)] = strings.TrimSpace(value)
		}
	}
	return c
}

// TestClassicSaysWhatYAMLSays checks that both forms of a configuration are equal.
func TestClassicSaysWhatYAMLSays(t *testing.T) {
	files, err := filepath.Glob("../../conf/fluent-bit*.conf")
	if err != nil || len(files) != 5 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(strings.TrimSuffix(file, ".conf") + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			var y struct {
				Service  section
				Parsers  []section
				Pipeline struct{ Inputs, Filters, Outputs []section }
			}
			if err := yaml.Unmarshal(text, &y); err != nil {
				t.Fatal(err)
			}
			c := classic(t, file)
			// A classic configuration has its parser in another file.
			parser := classic(t, filepath.Join(filepath.Dir(file), c["service"][0]["parsers_file"]))["parser"]
			if len(y.Parsers) != 1 || len(parser) != 1 || y.Parsers[0]["regex"] != parser[0]["regex"] || y.Parsers[0]["name"] != parser[0]["name"] {
				t.Errorf("parser %v\nYAML %v", parser, y.Parsers)
			}
			delete(c["service"][0], "parsers_file")
			for name, want := range map[string][]section{"service": {y.Service}, "input": y.Pipeline.Inputs, "filter": y.Pipeline.Filters, "output": y.Pipeline.Outputs} {
				if len(c[name]) != len(want) {
					t.Errorf("%d sections %s, %d in YAML", len(c[name]), name, len(want))
					continue
				}
				for i := range want {
					if got := c[name][i]; !maps.EqualFunc(got, want[i], strings.EqualFold) {
						t.Errorf("%s %d\nis   %v\nYAML %v", name, i, got, want[i])
					}
				}
			}
			if len(c) != 4 {
				t.Errorf("sections %v", c)
			}
		})
	}
}
