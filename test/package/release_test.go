package package_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestNotesOfARelease checks which part of a changelog becomes the notes of a version.
func TestNotesOfARelease(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(dir+"/build", 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"build/notes.sh": read(t, root+"/build/notes.sh"),
		"CHANGELOG.md":   "# Changelog\n\n## [Unreleased]\n\n- next\n\n## [1.2.3] - 2025-01-01\n\n### Added\n\n- this\n\n## [1.2.30] - 2024-01-01\n\n- other\n\n## [1.0.0] - 2023-01-01\n\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for version, want := range map[string]string{
		"v1.2.3": "### Added\n\n- this", "1.2.30": "- other", "v1.2.3-4-gabcdef0": "- next", "v1.2.3-dirty": "- next", "abcdef0": "- next",
		"v1.2.4": "", "v1.0.0": "",
	} {
		out, err := exec.Command(dir+"/build/notes.sh", version).Output()
		if got := strings.TrimSpace(string(out)); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", version, got, err)
		}
	}
}

// TestActionsArePinned checks that every action is named by its commit and that a workflow
// may do nothing unless a job says so.
func TestActionsArePinned(t *testing.T) {
	files, err := filepath.Glob(root + "/.github/workflows/*.yml")
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	pinned := regexp.MustCompile(`@[0-9a-f]{40} # v\d`)
	versions := map[string]string{}
	for _, f := range files {
		text := read(t, f)
		if !strings.Contains(text, "\npermissions:\n  contents: read\n") {
			t.Errorf("%s: permissions", f)
		}
		for _, m := range regexp.MustCompile(`uses: ((\S+)@.*)`).FindAllStringSubmatch(text, -1) {
			if !pinned.MatchString(m[1]) || versions[m[2]] != "" && versions[m[2]] != m[1] {
				t.Errorf("%s: %s", f, m[1])
			}
			versions[m[2]] = m[1]
		}
	}
}
