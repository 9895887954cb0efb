package rig

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestFindFluentBits checks the search order, which test/demo/find.sh must share.
func TestFindFluentBits(t *testing.T) {
	dir := t.TempDir()
	inPath := filepath.Join(dir, "fluent-bit")
	if err := os.WriteFile(inPath, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv("FLUENT_BIT", "")
	if got := FindFluentBits(); !slices.Equal(got, []string{inPath}) {
		t.Errorf("in PATH: %q", got)
	}
	t.Setenv("FLUENT_BIT", "/a/fluent-bit:/b/fluent-bit")
	if got := FindFluentBits(); !slices.Equal(got, []string{"/a/fluent-bit", "/b/fluent-bit"}) {
		t.Errorf("in FLUENT_BIT: %q", got)
	}
	script, err := os.ReadFile(filepath.Join(Root, "test/demo/find.sh"))
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for _, place := range []string{"${FLUENT_BIT:-}", "command -v fluent-bit", "/opt/fluent-bit/bin/fluent-bit"} {
		at := strings.Index(string(script), place)
		if at <= last {
			t.Errorf("find.sh searches for %s in another place", place)
		}
		last = at
	}
}
