package main

import (
	"context"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
)

const builtImage = "fluent-bit-fortiems:9.8.7"

// TestImageInAnEngine builds build/Dockerfile with docker build and runs the image, on
// stand-ins for its two base images: Debian with this machine's Go, and Fluent Bit.
func TestImageInAnEngine(t *testing.T) {
	e := startEngine(t)
	e.plugin(t, "buildx")
	rig.Build(t) // for the sender
	text, err := os.ReadFile("../../build/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	bases := regexp.MustCompile(`(?m)^FROM (?:--platform=\S+ )?(\S+)`).FindAllStringSubmatch(string(text), -1)
	if len(bases) != 2 {
		t.Fatalf("base images %q", bases)
	}
	e.builder(t, bases[0][1])
	base := bases[1][1]
	fluentBit(t, e, base)
	begin := time.Now()
	e.must(t, "docker", "build", "-f", "../../build/Dockerfile", "--build-arg", "VERSION=9.8.7",
		"--build-arg", "REVISION=0123abc", "-t", builtImage, "../..")
	t.Logf("built in %s", time.Since(begin).Round(time.Second))
	e.checkImage(t, base)
	e.checkRun(t)
	e.checkReadme(t)
	if runtime.GOARCH != "amd64" || !strings.Contains(e.output("docker", "run", "--rm", bases[0][1], "sh", "-c", "command -v aarch64-linux-gnu-gcc"), "gcc") {
		t.Log("not run: the image for arm64 (the builder has no cross compiler)")
		return
	}
	e.checkArm64(t, base)
}

// checkArm64 builds the image for arm64 on this machine. Its last stage only copies, so the
// stand-in for the base needs nothing in it but its platform (which docker import cannot set).
func (e *engine) checkArm64(t *testing.T, base string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/Dockerfile", []byte("FROM scratch\nWORKDIR /fluent-bit\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	e.must(t, "docker", "build", "--platform", "linux/arm64", "-t", base, dir)
	const crossed = "fluent-bit-fortiems-arm64"
	begin := time.Now()
	e.must(t, "docker", "build", "--platform", "linux/arm64", "-f", "../../build/Dockerfile", "-t", crossed, "../..")
	t.Logf("built for arm64 in %s", time.Since(begin).Round(time.Second))
	if i := e.inspect(t, crossed); i.Os+"/"+i.Architecture != "linux/arm64" || i.Config.User != "65532:65532" {
		t.Errorf("the image for arm64 says %+v", i)
	}
	id := e.output("docker", "create", "--platform", "linux/arm64", crossed) // and a warning on standard error
	for _, from := range []string{"/fluent-bit/plugins/flb-filter_fortiems.so", "/usr/bin/fortiems"} {
		to := filepath.Join(dir, filepath.Base(from))
		e.must(t, "docker", "cp", id+":"+from, to)
		f, err := elf.Open(to)
		if err != nil {
			t.Fatal(from, err)
		}
		if f.Machine != elf.EM_AARCH64 {
			t.Errorf("%s is for %v", from, f.Machine)
		}
		f.Close()
	}
}

// imageInfo is what docker image inspect says of an image.
type imageInfo struct {
	Size             int64
	Architecture, Os string
	Config           struct {
		User         string
		Labels       map[string]string
		ExposedPorts map[string]any
		Healthcheck  struct{ Test []string }
	}
}

func (e *engine) inspect(t *testing.T, ref string) imageInfo {
	t.Helper()
	var list []imageInfo
	if err := json.Unmarshal([]byte(e.must(t, "docker", "image", "inspect", ref)), &list); err != nil {
		t.Fatal(err)
	}
	return list[0]
}

// checkImage compares what the image says of itself with the Dockerfile's promises.
func (e *engine) checkImage(t *testing.T, base string) {
	t.Helper()
	i := e.inspect(t, builtImage)
	if i.Config.User != "65532:65532" || len(i.Config.Healthcheck.Test) == 0 || len(i.Config.ExposedPorts) != 3 || i.Architecture != runtime.GOARCH {
		t.Errorf("%+v", i)
	}
	for key, want := range map[string]string{"title": "fluent-bit-fortiems", "licenses": "Apache-2.0", "version": "9.8.7", "revision": "0123abc", "base.name": base} {
		if got := i.Config.Labels["org.opencontainers.image."+key]; got != want {
			t.Errorf("label %s is %q", key, got)
		}
	}
	added := (i.Size - e.inspect(t, base).Size) >> 20
	if added > 64 {
		t.Errorf("the image adds %d MB to its base", added)
	}
	t.Logf("the image adds %d MB to its base", added)
	if got := e.must(t, "docker", "run", "--rm", "--entrypoint", "/usr/bin/fortiems", builtImage, "version"); got != "fortiems 9.8.7" {
		t.Errorf("version: %s", got)
	}
}

// checkRun runs the image without arguments, as tightly as it can be, and sends it lines.
func (e *engine) checkRun(t *testing.T) {
	t.Helper()
	id := e.must(t, "docker", "run", "--detach", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "256m",
		"--health-interval", "1s", "--publish", "127.0.0.1::5514/tcp", "--publish", "127.0.0.1::5514/udp", builtImage)
	defer func() {
		if t.Failed() {
			t.Log(e.output("sh", "-c", "docker logs --tail 40 "+id+" 2>&1"))
		}
		e.must(t, "docker", "rm", "--force", "--volumes", id)
	}()
	err := eventually(t.Context(), time.Minute, 500*time.Millisecond, func(context.Context) error {
		if health := e.output("docker", "inspect", "--format", "{{.State.Health.Status}}", id); health != "healthy" {
			return fmt.Errorf("health %q", health)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, proto := range []string{"tcp", "udp"} {
		addr := e.must(t, "docker", "port", id, "5514/"+proto)
		file := filepath.Join(t.TempDir(), "line")
		line := `<134>dtime="2024-10-02 11:07:28" type=event subtype=system emsserial=FCTEMS0000000001 msg="Malware is detected" by=` + proto + "\n"
		if err := os.WriteFile(file, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		e.must(t, rig.Fortiems, "send", "--time", "own", "--proto", proto, "--addr", addr, file)
		err := eventually(t.Context(), 30*time.Second, 500*time.Millisecond, func(context.Context) error {
			if text := e.output("docker", "logs", id); !strings.Contains(text, `"by":"`+proto+`"`) || !strings.Contains(text, "endpoint-threat") {
				return errors.New("no record of the line")
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", proto, err)
		}
	}
	e.must(t, "docker", "stop", "--time", "45", id)
	if code := e.output("docker", "inspect", "--format", "{{.State.ExitCode}} {{.State.OOMKilled}}", id); code != "0 false" {
		t.Errorf("ended with %s", code)
	}
}

// checkReadme runs the command of build/README.md, with a configuration of one's own.
func (e *engine) checkReadme(t *testing.T) {
	t.Helper()
	text, err := os.ReadFile("../../build/README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)docker run (-v .*?)\n```").FindStringSubmatch(string(text))
	if m == nil {
		t.Fatal("no docker run in build/README.md")
	}
	dir := t.TempDir()
	config, err := os.ReadFile("../../build/image.yaml")
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(dir+"/my.yaml", config, 0o644))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := e.command("sh", "-c", "docker run --detach "+strings.Replace(m[1], "fluent-bit-fortiems ", builtImage+" ", 1))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	id := lastLines(string(out), 1)
	defer e.must(t, "docker", "rm", "--force", "--volumes", id)
	err = eventually(t.Context(), 30*time.Second, 500*time.Millisecond, func(context.Context) error {
		if text := e.output("sh", "-c", "docker logs "+id+" 2>&1"); !strings.Contains(text, "version 9.8.7") {
			return fmt.Errorf("the filter has not logged its version: %s", lastLines(text, 20))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// builder creates the stand-in of the image that compiles: Debian with a C compiler, this
// machine's Go, and the modules of go.sum as a module proxy.
func (e *engine) builder(t *testing.T, ref string) {
	t.Helper()
	root := filepath.Join(rig.Root, "build/out/docker/bookworm")
	if _, err := os.Stat(root + "/usr/bin/make"); err != nil {
		if _, err := exec.LookPath("debootstrap"); err != nil {
			t.Skip("not run: the stand-in of the Go image needs debootstrap")
		}
		packages := "gcc,libc6-dev,make,ca-certificates"
		if runtime.GOARCH == "amd64" {
			packages += ",gcc-aarch64-linux-gnu,libc6-dev-arm64-cross"
		}
		if out, err := exec.Command("debootstrap", "--variant=minbase", "--include="+packages, "bookworm", root).CombinedOutput(); err != nil {
			t.Skipf("not run: no Debian for the stand-in of the Go image: %v\n%s", err, lastLines(string(out), 3))
		}
	}
	goRoot := strings.TrimSpace(e.output("go", "env", "GOROOT"))
	dir := t.TempDir()
	modules(t, dir+"/goproxy")
	tree := func(cmd ...string) string { return "tar --create " + strings.Join(cmd, " ") }
	base := ref + "-debian"
	e.must(t, "sh", "-c", tree("-C", root, "--exclude=./proc/*", "--exclude=./sys/*", "--exclude=./dev/*", ".")+" | docker import - "+base)
	// Two more layers, as a Dockerfile without BuildKit would make them.
	dockerfile := "FROM " + base + "\nADD go.tar /usr/local/\nADD goproxy.tar /\n" +
		"ENV PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin GOPROXY=file:///goproxy GOSUMDB=off GOTOOLCHAIN=local\n"
	if err := os.WriteFile(dir+"/Dockerfile", []byte(dockerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	e.must(t, "sh", "-c", tree("-f", dir+"/goproxy.tar", "-C", dir, "goproxy")+" && "+
		tree("-f", dir+"/go.tar", "-C", filepath.Dir(goRoot), "--transform='s,^"+filepath.Base(goRoot)+",go,S'", filepath.Base(goRoot)))
	e.must(t, "docker", "build", "-t", ref, dir)
}

// modules writes what go.sum names to dir in the layout of a module proxy.
func modules(t *testing.T, dir string) {
	t.Helper()
	download := exec.Command("go", "mod", "download")
	download.Dir = rig.Root
	if out, err := download.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(rig.Root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	capital := regexp.MustCompile(`[A-Z]`)
	for line := range strings.Lines(string(sums)) {
		f := strings.Fields(line)
		version := strings.TrimSuffix(f[1], "/go.mod")
		at := capital.ReplaceAllStringFunc(f[0], func(c string) string { return "!" + strings.ToLower(c) }) + "/@v"
		from := filepath.Join(strings.TrimSpace(string(cache)), "cache/download", at)
		if err := os.MkdirAll(filepath.Join(dir, at), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, ext := range []string{".mod", ".info", ".zip"} {
			err := os.Link(filepath.Join(from, version+ext), filepath.Join(dir, at, version+ext))
			if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, os.ErrExist) {
				text, err := os.ReadFile(filepath.Join(from, version+ext))
				if err == nil {
					err = os.WriteFile(filepath.Join(dir, at, version+ext), text, 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
