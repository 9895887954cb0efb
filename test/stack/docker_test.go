package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/rig"
)

// TestDockerComposeReadsTheFile runs the real `docker compose config` on the file, as the
// commands of the README do. It needs no Docker engine.
func TestDockerComposeReadsTheFile(t *testing.T) {
	compose := []string{"docker", "compose"}
	if exec.Command("docker", "compose", "version").Run() != nil {
		// Where the tests with an engine have built it.
		compose = []string{filepath.Join(rig.Root, "build/out/docker/docker-compose")}
		if _, err := os.Stat(compose[0]); err != nil {
			t.Skip("not run: docker compose config (docker with its compose plugin; no engine is needed)")
		}
	}
	env := filepath.Join(t.TempDir(), ".env")
	if err := runEnv(t.Context(), []string{"-file", env, "-dir", filepath.Join(filepath.Dir(env), "stack")}); err != nil {
		t.Fatal(err)
	}
	config := func(env, profile string) (string, error) {
		args := append(compose[1:], "-f", composeFile, "--env-file", env, "--profile", profile, "config", "--format", "json")
		cmd := exec.Command(compose[0], args...)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return stderr.String(), err
		}
		return string(out), nil
	}
	for _, profile := range profiles {
		text, err := config(env, profile)
		if err != nil {
			t.Fatalf("%s: %v\n%s", profile, err, text)
		}
		var c struct {
			Services map[string]struct{ Image string }
		}
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(profile, err)
		}
		var names []string
		for name := range c.Services {
			names = append(names, name)
		}
		slices.Sort(names)
		want := load(t, profile, dummyEnv()).ServiceNames()
		slices.Sort(want)
		if !slices.Equal(names, want) {
			t.Errorf("%s: docker compose starts %q, its loader %q", profile, names, want)
		}
	}
	// Without the passwords that make stack writes, the error says how to create them.
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if text, err := config(empty, "elasticsearch"); err == nil || !strings.Contains(text, "run make stack") {
		t.Errorf("without .env: %v, %s", err, text)
	}
}
