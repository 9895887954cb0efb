package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindFile(t *testing.T) {
	conf, cwd := t.TempDir(), t.TempDir()
	t.Chdir(cwd)
	for _, f := range []string{filepath.Join(conf, "fluent-bit.yaml"), filepath.Join(conf, "beside.yaml"), filepath.Join(conf, "both.yaml"), filepath.Join(cwd, "both.yaml")} {
		if err := os.WriteFile(f, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := filepath.Join(conf, "fluent-bit.yaml")
	for _, args := range [][]string{{"fluent-bit", "-c", config}, {"fluent-bit", "-c" + config}, {"fluent-bit", "--config", config}, {"fluent-bit", "--config=" + config, "-v"}} {
		for name, want := range map[string]string{
			"beside.yaml": filepath.Join(conf, "beside.yaml"), "both.yaml": "both.yaml", "/no/such": "/no/such",
		} {
			if got, err := findFile(name, args); got != want || err != nil {
				t.Errorf("%q, %s: %s %v", args, name, got, err)
			}
		}
		_, err := findFile("none.yaml", args)
		if err == nil || !strings.Contains(err.Error(), conf) || !strings.Contains(err.Error(), cwd) {
			t.Errorf("%q: %v does not name the directories", args, err)
		}
	}
	if _, err := findFile("beside.yaml", []string{"fluent-bit"}); err == nil {
		t.Error("found without a configuration")
	}
}
