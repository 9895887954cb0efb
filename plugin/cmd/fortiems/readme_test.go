package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var update = flag.Bool("update", false, "write the example of README.md")

// TestExampleOfExplain compares the example of README.md with what the command prints.
func TestExampleOfExplain(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- explain -->\n```text\n(\\$ echo '([^']+)' \\| fortiems explain\n)(.*?)```").FindSubmatchIndex(text)
	if m == nil {
		t.Fatal("README.md has no example")
	}
	got := fortiems(t, string(text[m[4]:m[5]])+"\n", "explain")
	if got.code != exitFine {
		t.Fatalf("%+v", got)
	}
	want, _, found := strings.Cut(got.out, "\n  record ")
	if !found {
		t.Fatalf("no record in\n%s", got.out)
	}
	if want += "\n  record    {...}\n"; string(text[m[6]:m[7]]) == want {
		return
	}
	if !*update {
		t.Fatalf("the example is out of date: run make golden. The command prints\n%s", got.out)
	}
	if err := os.WriteFile("README.md", []byte(string(text[:m[6]])+want+string(text[m[7]:])), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocumentsNameCommandsAndOptionsThatExist looks at every fortiems command in the
// documents and scripts.
func TestDocumentsNameCommandsAndOptionsThatExist(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.md", "*/*.md", "*/*/*.md", "*/*/*/*.md", ".github/*.md", ".github/*/*.yml", "test/demo/*.sh", "Makefile"} {
		found, err := filepath.Glob("../../../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	root := newRoot(&app{})
	command := regexp.MustCompile("(?:^|[\\s`/$(])fortiems ([a-z]+)([^\\n`#|>;)]*)")
	named := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range regexp.MustCompile("`[^`\n]*`|(?m)^[^`|]*$").FindAllString(string(text), -1) {
			for _, m := range command.FindAllStringSubmatch(line, -1) {
				sub, _, err := root.Find([]string{m[1]})
				if err != nil || sub == root {
					// Prose ("the command fortiems explains"), unless it is code.
					if strings.HasPrefix(line, "`") && m[1] != "completion" {
						t.Errorf("%s: no command %q in %s", file, m[1], line)
					}
					continue
				}
				named++
				for _, flag := range regexp.MustCompile(`(?:^|\s)--?([a-z][a-z-]*)`).FindAllStringSubmatch(m[2], -1) {
					if !known(sub, flag[1]) {
						t.Errorf("%s: %s has no option %q in %s", file, sub.Name(), flag[1], line)
					}
				}
			}
		}
	}
	if named < 20 {
		t.Errorf("%d commands found", named)
	}
}

func known(c *cobra.Command, name string) bool {
	if name == "help" || name == "h" {
		return true
	}
	if len(name) == 1 {
		return c.Flags().ShorthandLookup(name) != nil || c.InheritedFlags().ShorthandLookup(name) != nil
	}
	return c.Flags().Lookup(name) != nil || c.InheritedFlags().Lookup(name) != nil
}
