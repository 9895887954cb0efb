// Package package_test builds the packages, checks their contents, installs one into an
// empty root and loads the object from there. The image cannot be built without a
// container engine, so the steps of its Dockerfile are run here without one.
package package_test

import (
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
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

// files are the files that a deb or rpm must contain, with the targets of links.
func files(t *testing.T) map[string]string {
	t.Helper()
	want := map[string]string{
		"/usr/lib/fluent-bit/flb-filter_fortiems.so":              "",
		"/usr/lib/fluent-bit/out_fortiems_es.so":                  "flb-filter_fortiems.so",
		"/usr/lib/systemd/system/fluent-bit-fortiems.service":     "",
		"/etc/fluent-bit/fortiems.env":                            "",
		"/etc/fluent-bit/fortiems/plugins.conf":                   "",
		"/usr/share/doc/fluent-bit-fortiems/copyright":            "",
		"/usr/share/doc/fluent-bit-fortiems/THIRD_PARTY_LICENSES": "",
	}
	for _, pattern := range []string{"*.yaml", "*.conf"} {
		for _, name := range glob(t, "conf", pattern) {
			want["/etc/fluent-bit/fortiems/"+filepath.Base(name)] = ""
		}
	}
	maps.Copy(want, shared(t))
	return want
}

// shared are the files of every package, the apk included.
func shared(t *testing.T) map[string]string {
	t.Helper()
	want := map[string]string{
		"/usr/bin/fortiems": "",
		"/usr/share/bash-completion/completions/fortiems":    "",
		"/usr/share/zsh/site-functions/_fortiems":            "",
		"/usr/share/fish/vendor_completions.d/fortiems.fish": "",
		"/usr/share/fluent-bit-fortiems/port-514.conf":       "",
		"/usr/share/doc/fluent-bit-fortiems/CHANGELOG.md":    "",
	}
	for _, dir := range []string{"dashboards", "detections", "elasticsearch", "opensearch", "topologies"} {
		n := 0
		err := filepath.WalkDir(filepath.Join(root, "conf", dir), func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && filepath.Ext(name) != ".go" && filepath.Ext(name) != ".md" {
				rel, _ := filepath.Rel(root+"/conf", name)
				want["/usr/share/fluent-bit-fortiems/"+rel] = ""
				n++
			}
			return err
		})
		if err != nil || n < 3 {
			t.Fatalf("%s: %d files, %v", dir, n, err)
		}
	}
	// The documents and the built-in rules, in the folders that their links expect.
	documents := 0
	for _, pattern := range []string{"README.md", "*/README.md", "*/*/README.md", "plugin/cmd/fortiems/README.md", "plugin/cmd/fortiems/*.png", "plugin/cmd/fortiems/*.svg", ".github/[CS]*.md", "parser/rules*.yaml", "parser/rules/*.yaml"} {
		for _, name := range glob(t, "", pattern) {
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

func glob(t *testing.T, dir, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root, dir, pattern))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// modeOf is the mode that a file must have.
func modeOf(name string) fs.FileMode {
	switch {
	case strings.HasPrefix(name, "/usr/bin/"):
		return 0o755
	case name == "/etc/fluent-bit/fortiems.env": // credentials
		return 0o600
	}
	return 0o644
}

// wantFiles compares the files below dir with want.
func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	for _, top := range []string{"usr", "etc"} {
		err := filepath.WalkDir(filepath.Join(dir, top), func(name string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) && name == filepath.Join(dir, top) {
				return nil
			}
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
			if info, err := d.Info(); err != nil || to == "" && info.Mode() != modeOf(rel) {
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
	wantFiles(t, unpacked, files(t))
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
	// The empty root has neither libc6, on which the package depends, nor a shell: the
	// scripts run outside, with the root in DPKG_ROOT.
	dpkg := func(args ...string) string {
		return run(t, "dpkg", append([]string{"--root=" + clean, "--force-depends", "--force-script-chrootless"}, args...)...)
	}
	if text := dpkg("--install", deb); !strings.Contains(text, "Fluent Bit is not installed yet") || !strings.Contains(text, "  fluent-bit -c /etc/fluent-bit/fortiems/fluent-bit.yaml") {
		t.Errorf("without Fluent Bit and systemd the installation says\n%s", text)
	}
	wantFiles(t, clean, files(t))
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
	// Another Fluent Bit that uses the plugin, and a line that is still to be delivered.
	other := filepath.Join(clean, "etc/fluent-bit/fluent-bit.conf")
	if err := os.WriteFile(other, []byte("# fortiems\n[SERVICE]\n    Plugins_File /etc/fluent-bit/fortiems/plugins.conf\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	chunk := filepath.Join(clean, "var/lib/fluent-bit/fortiems/syslog.0/1-1.flb")
	if err := os.MkdirAll(filepath.Dir(chunk), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(chunk, []byte("line"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := dpkg("--remove", "fluent-bit-fortiems")
	if !strings.Contains(text, "\n  "+other+":3\n") || strings.Contains(text, other+":1") || strings.Contains(text, "/fortiems/plugins.conf:") || !strings.Contains(text, "lines that are not delivered yet") {
		t.Errorf("the removal says\n%s", text)
	}
	if text := read(t, conf); text != "changed\n" {
		t.Errorf("after the removal the configuration is %q", text)
	}
	read(t, chunk)
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	dpkg("--purge", "fluent-bit-fortiems")
	for _, name := range []string{"usr/lib/fluent-bit", "etc/fluent-bit", "usr/share/fluent-bit-fortiems", "usr/share/doc/fluent-bit-fortiems", "var/lib/fluent-bit"} {
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
	wantFiles(t, unpacked, files(t))
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
		modes := map[string]string{}
		for line := range strings.Lines(run(t, "rpm", "-qp", "--qf", "[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME}\\n]", name)) {
			if f, mode, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				modes[f] = mode
			}
		}
		conf := strings.Fields(run(t, "rpm", "-qpc", name))
		for f, to := range files(t) {
			if want := fmt.Sprintf("100%o root", modeOf(f)); to == "" && modes[f] != want {
				t.Errorf("%s: mode %q, want %s", f, modes[f], want)
			}
			if strings.HasPrefix(f, "/etc/") != slices.Contains(conf, f) {
				t.Errorf("%s: is a configuration file, or is none", f)
			}
			delete(modes, f)
		}
		delete(modes, "/usr/lib/fluent-bit/out_fortiems_es.so")
		for f, mode := range modes {
			t.Errorf("unexpected file %s, %s", f, mode)
		}
		scripts := run(t, "rpm", "-qp", "--scripts", name)
		for _, script := range []string{"postinstall", "preuninstall", "postuninstall"} {
			if !strings.Contains(scripts, script+" scriptlet (using /bin/sh)") {
				t.Errorf("no script %s", script)
			}
		}
	}
}

// TestAPK reads the files of the apk: two tar archives, each compressed, one after the other.
func TestAPK(t *testing.T) {
	packages(t)
	need(t, "the apk", "tar")
	version := strings.TrimSpace(run(t, "make", "-s", "apk-version"))
	if !regexp.MustCompile(`^[0-9]+(\.[0-9]+)*(_[a-z]+[0-9]*)*$`).MatchString(version) {
		t.Errorf("%s is no version of apk", version)
	}
	for _, arch := range []string{"x86_64", "aarch64"} {
		unpacked := t.TempDir()
		run(t, "tar", "-xzf", "build/out/fortiems_"+version+"_"+arch+".apk", "--ignore-zeros", "--warning=no-unknown-keyword", "-C", unpacked)
		want := shared(t)
		want["/usr/share/licenses/fortiems/LICENSE"] = ""
		want["/usr/share/licenses/fortiems/THIRD_PARTY_LICENSES"] = ""
		wantFiles(t, unpacked, want)
		if info := read(t, unpacked+"/.PKGINFO"); !strings.Contains(info, "pkgname = fortiems\n") || !strings.Contains(info, "arch = "+arch+"\n") {
			t.Errorf("%s", info)
		}
	}
}

// TestPackagedConfigurations checks that each names the plugins and the parser as they are
// installed, so that it works from any directory.
func TestPackagedConfigurations(t *testing.T) {
	packages(t)
	n := 0
	for _, pattern := range []string{"f*.yaml", "f*.conf"} {
		for _, name := range glob(t, "build/out/package/conf", pattern) {
			text := strings.ToLower(read(t, name))
			if len(regexp.MustCompile(`(?m)^ +plugins_file:? +/etc/fluent-bit/fortiems/plugins\.conf$`).FindAllString(text, -1)) != 1 {
				t.Errorf("%s loads no plugins", name)
			}
			if strings.Contains(text, "parsers_file") != strings.Contains(text, " /etc/fluent-bit/fortiems/parsers_fortiems.conf\n") || strings.Contains(text, "/path/to") {
				t.Errorf("%s: parsers, or a path that is not there", name)
			}
			n++
		}
	}
	if n != 11 {
		t.Errorf("%d configurations", n)
	}
}

// TestUnit checks the unit and its drop-in with systemd's own tool.
func TestUnit(t *testing.T) {
	need(t, "the unit", "systemd-analyze")
	dir := t.TempDir()
	unit := filepath.Join(dir, "fluent-bit-fortiems.service")
	for to, from := range map[string]string{unit: "fluent-bit-fortiems.service", unit + ".d/port-514.conf": "port-514.conf"} {
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(read(t, root+"/conf/service/"+from)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// It prints what it does not know or find, and may still end with 0. The manual is not installed here.
	if text := run(t, "systemd-analyze", "verify", "--man=no", unit); text != "" {
		t.Errorf("%s", text)
	}
	// Every variable of the configuration has a line in the settings, and the reverse.
	env := read(t, root+"/conf/service/fortiems.env")
	used := map[string]bool{"FORTIEMS_CONFIG": true}
	for _, m := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(read(t, root+"/conf/fluent-bit-service.yaml"), -1) {
		used[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z_]+)=`).FindAllStringSubmatch(env, -1) {
		if !used[m[1]] {
			t.Errorf("nothing uses %s", m[1])
		}
		delete(used, m[1])
	}
	for name := range used {
		t.Errorf("the settings lack %s", name)
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
