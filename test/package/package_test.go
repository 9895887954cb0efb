// Package package_test builds the packages, checks their contents, installs one into an
// empty root and loads the object from there. The image cannot be built without a
// container engine, so the steps of its Dockerfile are run here without one.
package package_test

import (
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const root = "../.."

// run runs a program in the root of the project and returns what it prints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = root
	text, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, text)
	}
	return string(text)
}

func need(t *testing.T, why string, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("not run: %s needs %s", why, tool)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestVersionOfPackages(t *testing.T) {
	for described, want := range map[string]string{
		"v1.2.3":                           "1.2.3",
		"1.2.3":                            "1.2.3",
		"v1.2.3-rc.1":                      "1.2.3~rc.1",
		"v1.2.3-4-gabcdef0":                "1.2.3+4.gabcdef0",
		"v1.2.3-rc.1-4-gabcdef0-dirty":     "1.2.3~rc.1+4.gabcdef0.dirty",
		"v1.2.3-dirty":                     "1.2.3+dirty",
		"abcdef0":                          "0.0.0+42.gabcdef0",
		"abcdef0-dirty":                    "0.0.0+42.gabcdef0.dirty",
		"dev":                              "0.0.0+dev",
		"$(touch x)":                       "0.0.0+dev",
		"a tag that is no version-1-gabc0": "0.0.0+dev",
	} {
		if got := strings.TrimSpace(run(t, "build/version.sh", described, "42")); got != want {
			t.Errorf("%s: got %s, want %s", described, got, want)
		}
	}
}

// made builds the packages once. It returns the reason if it could not.
var made = sync.OnceValues(func() (skip string, err error) {
	for _, tool := range []string{"make", "python3", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			return "packages need " + tool, nil
		}
	}
	cmd := exec.Command("make", "-s", "package-tools")
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		return "Zig (PyPI) or nfpm (Go module) could not be had: " + lastLine(text), nil
	}
	cmd = exec.Command("make", "-s", "package", "build/out/fortiems-host")
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		return string(text), err
	}
	return "", nil
})

func lastLine(text []byte) string {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return lines[len(lines)-1]
}

func packages(t *testing.T) (version string) {
	t.Helper()
	why, err := made()
	if err != nil {
		t.Fatalf("%v\n%s", err, why)
	}
	if why != "" {
		t.Skip("not run: " + why)
	}
	return strings.TrimSpace(run(t, "build/version.sh"))
}

// files are the files that a package must contain, with the targets of links.
func files(t *testing.T) map[string]string {
	t.Helper()
	want := map[string]string{
		"/usr/lib/fluent-bit/flb-filter_fortiems.so":              "",
		"/usr/lib/fluent-bit/out_fortiems_es.so":                  "flb-filter_fortiems.so",
		"/usr/bin/fortiems":                                       "",
		"/etc/fluent-bit/fortiems/plugins.conf":                   "",
		"/usr/share/doc/fluent-bit-fortiems/CHANGELOG.md":         "",
		"/usr/share/doc/fluent-bit-fortiems/copyright":            "",
		"/usr/share/doc/fluent-bit-fortiems/THIRD_PARTY_LICENSES": "",
	}
	err := filepath.WalkDir(root+"/conf", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Ext(name) != ".go" && filepath.Ext(name) != ".md" {
			rel, _ := filepath.Rel(root+"/conf", name)
			want["/etc/fluent-bit/fortiems/"+rel] = ""
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// The documents and the built-in rules, in the folders that their links expect.
	documents := 0
	for _, pattern := range []string{"README.md", "*/README.md", "*/*/README.md", "plugin/cmd/fortiems/README.md", "plugin/cmd/fortiems/*.png", ".github/[CS]*.md", "parser/rules*.yaml", "parser/rules/*.yaml"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			rel, _ := filepath.Rel(root, name)
			want["/usr/share/doc/fluent-bit-fortiems/"+rel] = ""
			documents++
		}
	}
	if documents < 10 {
		t.Fatalf("only %d documents", documents)
	}
	return want
}

// wantFiles compares the files below dir with those that a package must contain.
func wantFiles(t *testing.T, dir string) {
	t.Helper()
	want := files(t)
	for _, top := range []string{"usr", "etc"} {
		err := filepath.WalkDir(filepath.Join(dir, top), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || d.Name() == "changelog.Debian.gz" {
				return err
			}
			rel := "/" + strings.TrimPrefix(name, dir+"/")
			to, ok := want[rel]
			if !ok {
				t.Errorf("unexpected file %s", rel)
			}
			delete(want, rel)
			if link, _ := os.Readlink(name); link != to {
				t.Errorf("%s points to %q, want %q", rel, link, to)
			}
			mode := fs.FileMode(0o644)
			if strings.HasPrefix(rel, "/usr/bin/") {
				mode = 0o755
			}
			if info, err := d.Info(); err != nil || to == "" && info.Mode() != mode {
				t.Errorf("%s: %v, %v", rel, info.Mode(), err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for rel := range want {
		t.Errorf("lacks %s", rel)
	}
}

func TestPackagedObjects(t *testing.T) {
	packages(t)
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		t.Run(arch, func(t *testing.T) {
			name := root + "/build/out/package/" + arch + "/flb-filter_fortiems.so"
			f, err := elf.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Machine != machine {
				t.Errorf("is for %v", f.Machine)
			}
			needs, err := f.DynamicVersionNeeds()
			if err != nil || len(needs) == 0 {
				t.Fatalf("%v, %v", needs, err)
			}
			for _, lib := range needs {
				for _, v := range lib.Needs {
					if !olderThan229(v.Dep) {
						t.Errorf("%s: needs %s, newer than glibc 2.28", lib.Name, v.Dep)
					}
				}
			}
			libraries, err := f.ImportedLibraries()
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range libraries {
				if !slices.Contains([]string{"libc.so.6", "libpthread.so.0", "libdl.so.2", "libresolv.so.2"}, l) && !strings.HasPrefix(l, "ld-linux") {
					t.Errorf("needs %s", l)
				}
			}
			flags, err := f.DynValue(elf.DT_FLAGS_1)
			if err != nil || len(flags) != 1 || elf.DynFlag1(flags[0])&elf.DF_1_NODELETE == 0 {
				t.Errorf("flags %v, %v: no NODELETE", flags, err)
			}
			licences(t, name)
		})
	}
}

// olderThan229 reports whether a symbol version of the C library is in 2.28.
func olderThan229(version string) bool {
	major, minor, ok := strings.Cut(strings.TrimPrefix(version, "GLIBC_"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	n, err := strconv.Atoi(minor)
	return ok && err == nil && major == "2" && n <= 28
}

// licences checks that every module in the object is in the list of licences.
func licences(t *testing.T, object string) {
	t.Helper()
	info, err := buildinfo.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	text := read(t, root+"/build/out/package/THIRD_PARTY_LICENSES")
	for _, m := range info.Deps {
		if !strings.Contains(text, "\n"+m.Path+" "+m.Version+": ") {
			t.Errorf("no licence of %s %s", m.Path, m.Version)
		}
	}
	if !strings.Contains(text, "\nGo: LICENSE\n") || len(info.Deps) < 4 {
		t.Errorf("no licence of Go, or only %d modules", len(info.Deps))
	}
}

// record filters a line with the object in dir and checks the record. host is
// the command that runs the stand-in host.
func record(t *testing.T, dir string, host ...string) {
	t.Helper()
	input, err := filepath.Abs(root + "/test/corpus/real-wazuh-26094/input.log")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(host[0], append(host[1:], "--filter", filepath.Join(dir, "usr/lib/fluent-bit/flb-filter_fortiems.so"), "--input", input)...)
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	var r struct {
		Event struct{ Action string }
	}
	first, _, _ := strings.Cut(string(out), "\n")
	if err := json.Unmarshal([]byte(first), &r); err != nil || r.Event.Action != "endpoint-offline" {
		t.Errorf("%v in %s", err, out)
	}
	if version := strings.TrimSpace(run(t, "git", "describe", "--tags", "--always", "--dirty")); !strings.Contains(log.String(), "] version "+strings.TrimSuffix(version, "-dirty")) {
		t.Errorf("no version %s in\n%s", version, log.String())
	}
}

func TestDebInAnEmptyRoot(t *testing.T) {
	version := packages(t)
	need(t, "the deb", "dpkg", "dpkg-deb")
	deb, err := filepath.Abs(root + "/build/out/fluent-bit-fortiems_" + version + "_amd64.deb")
	if err != nil {
		t.Fatal(err)
	}
	for field, want := range map[string]string{
		"Package": "fluent-bit-fortiems", "Version": version, "Architecture": "amd64", "Depends": "libc6 (>= 2.28)", "Recommends": "fluent-bit",
	} {
		if got := strings.TrimSpace(run(t, "dpkg-deb", "-f", deb, field)); got != want {
			t.Errorf("%s: got %q, want %q", field, got, want)
		}
	}
	host, err := filepath.Abs(root + "/build/out/fortiems-host")
	if err != nil {
		t.Fatal(err)
	}
	unpacked := t.TempDir()
	run(t, "dpkg-deb", "-x", deb, unpacked)
	wantFiles(t, unpacked)
	if arch := strings.TrimSpace(run(t, "go", "env", "GOARCH")); arch != "amd64" {
		t.Skip("not run: loading the amd64 object needs linux/amd64")
	}
	record(t, unpacked, host)
	if os.Geteuid() != 0 {
		t.Skip("not run: installing with dpkg needs root")
	}
	clean := t.TempDir()
	for _, dir := range []string{"updates", "info", "triggers"} {
		if err := os.MkdirAll(filepath.Join(clean, "var/lib/dpkg", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"status", "available"} {
		if err := os.WriteFile(filepath.Join(clean, "var/lib/dpkg", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The empty root has no libc6, on which the package depends.
	run(t, "dpkg", "--root="+clean, "--force-depends", "--install", deb)
	wantFiles(t, clean)
	record(t, clean, host)
	conffiles := strings.Fields(read(t, filepath.Join(clean, "var/lib/dpkg/info/fluent-bit-fortiems.conffiles")))
	for name := range files(t) {
		if strings.HasPrefix(name, "/etc/") != slices.Contains(conffiles, name) {
			t.Errorf("%s: is a configuration file, or is none", name)
		}
	}
	// A configuration file that an administrator changed survives removal, but not purge.
	conf := filepath.Join(clean, "etc/fluent-bit/fortiems/fluent-bit.yaml")
	if err := os.WriteFile(conf, []byte("changed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, "dpkg", "--root="+clean, "--remove", "fluent-bit-fortiems")
	if text := read(t, conf); text != "changed\n" {
		t.Errorf("after the removal the configuration is %q", text)
	}
	run(t, "dpkg", "--root="+clean, "--purge", "fluent-bit-fortiems")
	for _, name := range []string{"usr/lib/fluent-bit", "etc/fluent-bit", "usr/share/doc/fluent-bit-fortiems"} {
		if _, err := os.Lstat(filepath.Join(clean, name)); err == nil {
			t.Errorf("%s is left after the purge", name)
		}
	}
}

// The arm64 object runs in an emulated processor with the C library of the cross compiler.
func TestArm64Deb(t *testing.T) {
	version := packages(t)
	need(t, "the arm64 deb", "dpkg-deb")
	unpacked := t.TempDir()
	run(t, "dpkg-deb", "-x", "build/out/fluent-bit-fortiems_"+version+"_arm64.deb", unpacked)
	wantFiles(t, unpacked)
	need(t, "loading the arm64 object", "qemu-aarch64", "aarch64-linux-gnu-gcc")
	out := t.TempDir()
	run(t, "make", "-s", "-f", "test/host/host.mk", "host", "CC=aarch64-linux-gnu-gcc", "HOST_OUT="+out)
	record(t, unpacked, "qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", out+"/fortiems-host")
}

func TestRPM(t *testing.T) {
	version := packages(t)
	need(t, "the rpm", "rpm")
	for arch, file := range map[string]string{"x86_64": "x86_64", "aarch64": "aarch64"} {
		name := "build/out/fluent-bit-fortiems-" + version + "-1." + file + ".rpm"
		if got := run(t, "rpm", "-qp", "--qf", "%{NAME} %{VERSION} %{ARCH} %{LICENSE}", name); got != "fluent-bit-fortiems "+version+" "+arch+" Apache-2.0" {
			t.Errorf("got %q", got)
		}
		if requires := run(t, "rpm", "-qp", "--requires", name); !strings.Contains(requires, "glibc >= 2.28") {
			t.Errorf("requires %s", requires)
		}
		list := strings.Fields(run(t, "rpm", "-qpl", name))
		conf := strings.Fields(run(t, "rpm", "-qpc", name))
		for f := range files(t) {
			if !slices.Contains(list, f) {
				t.Errorf("lacks %s", f)
			}
			if strings.HasPrefix(f, "/etc/") != slices.Contains(conf, f) {
				t.Errorf("%s: is a configuration file, or is none", f)
			}
		}
	}
}

// plugins.conf of the packages names the files that they install.
func TestPluginsFile(t *testing.T) {
	var paths []string
	for _, m := range regexp.MustCompile(`(?m)^\s+Path\s+(\S+)$`).FindAllStringSubmatch(read(t, root+"/build/plugins.conf"), -1) {
		paths = append(paths, m[1])
	}
	if !slices.Equal(paths, []string{"/usr/lib/fluent-bit/flb-filter_fortiems.so", "/usr/lib/fluent-bit/out_fortiems_es.so"}) {
		t.Errorf("names %q", paths)
	}
}
