package package_test

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
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

// TestActionsArePinned checks that every action is named by its commit and every container by
// its digest, and that a workflow may do nothing unless a job says so.
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
		for _, m := range regexp.MustCompile(`(?m)^ +container: (.*)`).FindAllStringSubmatch(text, -1) {
			if !regexp.MustCompile(`@sha256:[0-9a-f]{64}$`).MatchString(m[1]) {
				t.Errorf("%s: container %s has no digest", f, m[1])
			}
		}
		for _, m := range regexp.MustCompile(`uses: ((\S+)@.*)`).FindAllStringSubmatch(text, -1) {
			if !pinned.MatchString(m[1]) || versions[m[2]] != "" && versions[m[2]] != m[1] {
				t.Errorf("%s: %s", f, m[1])
			}
			versions[m[2]] = m[1]
		}
	}
}

const release = root + "/build/out/release"

// TestReleaseFiles checks the files that make release-check has written for the version in
// FORTIEMS_RELEASE: that all are there, that they say the same version, and what the SBOMs list.
func TestReleaseFiles(t *testing.T) {
	version := os.Getenv("FORTIEMS_RELEASE")
	if version == "" {
		t.Skip("not run: the files of a release are written by make release-check")
	}
	packaged := strings.TrimSpace(run(t, "build/version.sh", version))
	want := []string{"SHA256SUMS", "THIRD_PARTY_LICENSES", "notes.md"}
	for arch, machine := range map[string]string{"amd64": "x86_64", "arm64": "aarch64"} {
		want = append(want, "fluent-bit-fortiems_"+packaged+"_"+arch+".deb", "fluent-bit-fortiems-"+packaged+"-1."+machine+".rpm",
			"flb-filter_fortiems-"+arch+".cdx.json", "fortiems-"+arch+".cdx.json")
	}
	for _, system := range []string{"linux-amd64", "linux-arm64", "windows-amd64", "darwin-amd64", "darwin-arm64"} {
		want = append(want, "fortiems-"+packaged+"-"+system+".tar.gz")
	}
	entries, err := os.ReadDir(release)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
	checkSums(t, slices.DeleteFunc(want, func(n string) bool { return n == "SHA256SUMS" || n == "notes.md" }))
	if notes := read(t, release+"/notes.md"); notes != run(t, "build/notes.sh", version) {
		t.Errorf("the notes are not those of %s:\n%.200s", version, notes)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		for _, file := range []string{"flb-filter_fortiems.so", "fortiems"} {
			checkSBOM(t, release+"/"+strings.TrimSuffix(file, ".so")+"-"+arch+".cdx.json", root+"/build/out/package/"+arch+"/"+file, packaged)
		}
		if object := read(t, root+"/build/out/package/"+arch+"/flb-filter_fortiems.so"); !strings.Contains(object, version) {
			t.Errorf("the object for %s does not say %s", arch, version)
		}
	}
	checkArchive(t, version, packaged)
	// A release without a rest of git describe is also the one that the examples name.
	if strings.Trim(strings.TrimPrefix(version, "v"), "0123456789.") == "" {
		if values := read(t, root+"/conf/topologies/kubernetes-values.yaml"); !strings.Contains(values, `tag: "`+packaged+`"`) {
			t.Errorf("conf/topologies/kubernetes-values.yaml has another image than %s", packaged)
		}
	}
}

func checkSums(t *testing.T, names []string) {
	t.Helper()
	var sums strings.Builder
	for _, name := range names {
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256([]byte(read(t, release+"/"+name))), name)
	}
	if text := read(t, release+"/SHA256SUMS"); text != sums.String() {
		t.Errorf("SHA256SUMS has\n%s, the files\n%s", text, sums.String())
	}
}

// checkSBOM compares the components of an SBOM with the modules that Go has written into the file.
func checkSBOM(t *testing.T, sbom, file, version string) {
	t.Helper()
	var b struct {
		Format   string `json:"bomFormat"`
		Metadata struct{ Component struct{ Version string } }
		Parts    []struct{ Name, Version, PURL string } `json:"components"`
	}
	if err := json.Unmarshal([]byte(read(t, sbom)), &b); err != nil || b.Format != "CycloneDX" || b.Metadata.Component.Version != version {
		t.Errorf("%s: %v, format %q, version %q", sbom, err, b.Format, b.Metadata.Component.Version)
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]string{}
	for _, c := range b.Parts {
		have[c.Name] = c.Version
	}
	for _, m := range info.Deps {
		if have[m.Path] != m.Version {
			t.Errorf("%s lists %s %q, the file has %s", sbom, m.Path, have[m.Path], m.Version)
		}
	}
	if len(info.Deps) < 4 {
		t.Errorf("%s: only %d modules", file, len(info.Deps))
	}
}

// checkArchive unpacks the command for this machine and asks it for its version.
func checkArchive(t *testing.T, version, packaged string) {
	t.Helper()
	system := runtime.GOOS + "-" + runtime.GOARCH
	f, err := os.Open(release + "/fortiems-" + packaged + "-" + system + ".tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]bool{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		files[h.Name] = true
		program := filepath.Join(t.TempDir(), "fortiems")
		text, err := io.ReadAll(r)
		if err == nil {
			err = os.WriteFile(program, text, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(program, "version").Output(); err != nil || strings.TrimSpace(string(out)) != "fortiems "+version {
			t.Errorf("%s says %q, %v", h.Name, out, err)
		}
	}
	if list := slices.Collect(maps.Keys(files)); !slices.Equal(list, []string{"./fortiems"}) {
		t.Errorf("%s holds %q", f.Name(), list)
	}
}
