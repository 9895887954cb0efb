package package_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// instructions returns the instructions of the Dockerfile, continued lines joined.
func instructions(t *testing.T) (list [][2]string) {
	t.Helper()
	text := strings.ReplaceAll(read(t, root+"/build/Dockerfile"), "\\\n", " ")
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		list = append(list, [2]string{word, strings.TrimSpace(rest)})
	}
	return list
}

// TestImageStages follows the Dockerfile in an empty folder: it copies the same files,
// runs the same commands, and looks for the files that the image starts with.
func TestImageStages(t *testing.T) {
	need(t, "building the shared object", "make", "gcc")
	src := t.TempDir()
	allowed := strings.Fields(read(t, root+"/build/Dockerfile.dockerignore"))
	image := map[string]string{} // folder of the image to folder of the build stage
	var command []string
	for _, in := range instructions(t) {
		args := strings.Fields(in[1])
		switch {
		case in[0] == "COPY" && strings.HasPrefix(in[1], "--from=build"):
			args = slices.DeleteFunc(args, func(a string) bool { return strings.HasPrefix(a, "--") })
			from, ok := strings.CutPrefix(args[0], "/src/")
			if len(args) != 2 || !ok || !strings.HasSuffix(from, "/") {
				t.Fatalf("COPY %s: not one folder of the build stage", in[1])
			}
			image[args[1]] = filepath.Join(src, from)
		case in[0] == "COPY":
			to := filepath.Join(src, args[len(args)-1])
			for _, from := range args[:len(args)-1] {
				if !slices.Contains(allowed, "!"+strings.TrimSuffix(from, "/")) {
					t.Errorf("%s is ignored by Dockerfile.dockerignore", from)
				}
				copyInto(t, root+"/"+from, to)
			}
		case in[0] == "RUN" && strings.Contains(in[1], "make VERSION"):
			cmd := exec.Command("sh", "-ec", strings.Replace(in[1], "CC=target-cc", "CC=cc", 1))
			cmd.Dir, cmd.Env = src, append(os.Environ(), "VERSION=9.8.7", "TARGETARCH="+runtime.GOARCH)
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
		case in[0] == "CMD":
			if err := json.Unmarshal([]byte(in[1]), &command); err != nil {
				t.Fatal(err)
			}
		}
	}
	plugins, conf := 0, 0
	for i, arg := range command {
		if !strings.HasPrefix(arg, "/") {
			continue
		}
		rest, ok := strings.CutPrefix(arg, "/fluent-bit/")
		if _, err := os.Stat(filepath.Join(image["/fluent-bit/"], rest)); !ok || err != nil {
			t.Errorf("the image starts with %s: %v", arg, err)
		}
		switch command[i-1] {
		case "-e":
			plugins++
		case "-c":
			conf++
		}
	}
	if plugins != 2 || conf != 1 {
		t.Errorf("starts with %q", command)
	}
	if to, err := os.Readlink(filepath.Join(image["/fluent-bit/"], "plugins/out_fortiems_es.so")); err != nil || to != "flb-filter_fortiems.so" {
		t.Errorf("the output is a link to %q, %v", to, err)
	}
	if text := read(t, filepath.Join(image["/fluent-bit/"], "plugins/flb-filter_fortiems.so")); !strings.Contains(text, "9.8.7") {
		t.Error("the version is not in the object")
	}
	if entries, err := os.ReadDir(image["/var/lib/fluent-bit/"]); err != nil || len(entries) != 0 {
		t.Errorf("the folder for buffers: %v, %v", entries, err)
	}
}

// copyInto copies a file, or the contents of a folder, into the folder to, as COPY does.
func copyInto(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if info.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else {
		if err = os.MkdirAll(to, 0o755); err == nil {
			err = os.WriteFile(filepath.Join(to, filepath.Base(from)), []byte(read(t, from)), 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestPins checks that every base image has a version, that it is the same
// wherever the project names the image, and that the builder has our Go.
func TestPins(t *testing.T) {
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:[0-9]+\.[0-9]+\.[0-9]+[a-z0-9.-]*$`)
	var fluentBit string
	for _, in := range instructions(t) {
		if in[0] != "FROM" {
			continue
		}
		name, _, _ := strings.Cut(strings.TrimPrefix(in[1], "--platform=$BUILDPLATFORM "), " ")
		if !pinned.MatchString(name) {
			t.Errorf("%s has no full version", name)
		}
		if version, ok := strings.CutPrefix(name, "golang:"); ok {
			want := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, root+"/go.mod"))[1]
			version, suite, _ := strings.Cut(version, "-")
			if suite != "bookworm" || !strings.HasPrefix(version, strings.TrimSuffix(want, ".0")+".") {
				t.Errorf("builds with %s on %s, go.mod says %s", version, suite, want)
			}
		}
		if strings.HasSuffix(strings.Split(name, ":")[0], "/fluent-bit") {
			fluentBit = strings.Split(name, ":")[1]
		}
	}
	if fluentBit == "" {
		t.Fatal("no Fluent Bit image")
	}
	named := regexp.MustCompile(`fluent/fluent-bit:([0-9][0-9a-z.-]*)`)
	for _, top := range []string{"README.md", "build", "conf", "test/docker-compose.yml"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(name string, d fs.DirEntry, err error) error {
			if os.IsNotExist(err) {
				return nil // not created yet
			}
			if err != nil || d.IsDir() && d.Name() == "out" {
				return fs.SkipDir
			}
			if d.Type().IsRegular() {
				for _, m := range named.FindAllStringSubmatch(read(t, name), -1) {
					if m[1] != fluentBit {
						t.Errorf("%s: Fluent Bit %s, in the Dockerfile %s", name, m[1], fluentBit)
					}
				}
			}
			return nil
		})
		if err != nil && err != fs.SkipDir {
			t.Error(err)
		}
	}
}
