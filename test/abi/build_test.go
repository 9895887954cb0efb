package abi_test

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"fluent-bit-fortiems/test/rig"
)

// copySources copies the project without build results.
func copySources(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "sources")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if text, err := command("sh", "-c", `tar -C ../.. --exclude=./.git --exclude=./build/out -c . | tar -C "$0" -x`, dir); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return dir
}

func TestBuildIsReproducible(t *testing.T) {
	rig.Build(t)
	var objects [2][]byte
	for i := range objects {
		dir := copySources(t)
		if text, err := command("make", "-s", "-C", dir, "VERSION=x", "build/out/flb-filter_fortiems.so"); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		var err error
		if objects[i], err = os.ReadFile(filepath.Join(dir, "build/out/flb-filter_fortiems.so")); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(objects[i], []byte(dir)) {
			t.Errorf("the object names the directory %s", dir)
		}
	}
	if !bytes.Equal(objects[0], objects[1]) {
		t.Error("the same sources gave two objects")
	}
}

// Tests of several packages build at the same time: only one of them must do the work.
func TestBuildsAtTheSameMoment(t *testing.T) {
	rig.Build(t)
	if _, err := exec.LookPath("flock"); err != nil {
		t.Skip("not run: concurrent builds need flock (package util-linux)")
	}
	dir := copySources(t)
	var wg sync.WaitGroup
	texts, errs := make([][]byte, 3), make([]error, 3)
	for i := range texts {
		wg.Go(func() { texts[i], errs[i] = command("make", "-C", dir, "VERSION=x", "build") })
	}
	wg.Wait()
	built := 0
	for i := range texts {
		if errs[i] != nil {
			t.Errorf("%v\n%s", errs[i], texts[i])
		}
		built += strings.Count(string(texts[i]), "Compiling the plugin: ")
	}
	if built != 1 {
		t.Errorf("the object was built %d times", built)
	}
}

// emulator returns the program that runs linux/arm64 programs here.
func emulator(t *testing.T) (name string, args []string) {
	t.Helper()
	rig.Build(t)
	if runtime.GOARCH == "arm64" {
		t.Skip("not run: linux/arm64 under emulation; this machine is arm64, so every other test covers it")
	}
	if _, err := exec.LookPath("aarch64-linux-gnu-gcc"); err != nil {
		t.Skip("not run: linux/arm64 needs aarch64-linux-gnu-gcc (packages gcc-aarch64-linux-gnu, libc6-dev-arm64-cross)")
	}
	for _, name := range []string{"qemu-aarch64", "qemu-aarch64-static"} {
		if _, err := exec.LookPath(name); err == nil {
			return name, []string{"-L", "/usr/aarch64-linux-gnu"}
		}
	}
	t.Skip("not run: linux/arm64 needs qemu-aarch64 (package qemu-user)")
	return "", nil
}

func TestARM64ObjectGivesTheSameRecords(t *testing.T) {
	qemu, args := emulator(t)
	if text, err := command("make", "-s", "-C", "../..", "build-arm64"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	dir, err := filepath.Abs("../../build/out/arm64")
	if err != nil {
		t.Fatal(err)
	}
	armObject := filepath.Join(dir, "flb-filter_fortiems.so")
	f := openELF(t, armObject)
	if f.Machine != elf.EM_AARCH64 {
		t.Errorf("built for %v", f.Machine)
	}
	wantLibraries(t, f)
	wantExports(t, f)
	run := []string{"--key", "message", "--input", corpusFile(t), "--time", "1700000000.5", "--threads", "2", "--chunk", "50"}
	arm := start(t, "", qemu, append(append(args, filepath.Join(dir, "fortiems-host"), "--filter", armObject), run...)...).wait(t).wantCode(t, 0)
	native := withHost(t, "", run...).wantCode(t, 0)
	if got, want := strings.Join(arm.sortedLines(), ""), strings.Join(native.sortedLines(), ""); got != want || want == "" {
		t.Errorf("the %d lines differ from the %d lines on this machine", strings.Count(got, "\n"), strings.Count(want, "\n"))
	}
}

// The packages without cgo pass their tests on arm64, except the one that measures time,
// which is meaningless under emulation.
func TestARM64Packages(t *testing.T) {
	qemu, args := emulator(t)
	cmd := exec.Command("go", "test", "-count", "1", "-skip", "TestCostIsLinear", "-exec", strings.Join(append([]string{qemu}, args...), " "),
		"./parser", "./plugin/event", "./plugin/option", "./plugin/hostlog", "./plugin/enrich")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, text)
	}
}
