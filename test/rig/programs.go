package rig

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// Root is the top folder of the project.
var Root = func() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(filepath.Dir(filepath.Dir(file)))
}()

// The files that make build creates. They exist after Build.
var (
	Object     = filepath.Join(Root, "build/out/flb-filter_fortiems.so")
	OutputLink = filepath.Join(Root, "build/out/out_fortiems_es.so")
	Host       = filepath.Join(Root, "build/out/fortiems-host")
	Fortiems   = filepath.Join(Root, "build/out/fortiems")
)

// Build makes the shared object, its link, the command fortiems and the stand-in host, once in a test
// process. A test on a machine without the tools for it is skipped.
func Build(t testing.TB) {
	t.Helper()
	missing, err := build()
	if err != nil {
		t.Fatal(err)
	}
	if missing != "" {
		t.Skip("not run: building the shared object needs " + missing)
	}
}

var build = sync.OnceValues(func() (missing string, err error) {
	for _, tool := range []string{"make", Compiler()} {
		if _, err := exec.LookPath(tool); err != nil {
			return tool, nil
		}
	}
	if text, err := exec.Command("make", "-s", "-C", Root, "build").CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, text)
	}
	return "", nil
})

// Compiler is the C compiler that make uses.
func Compiler() string {
	if cc := os.Getenv("CC"); cc != "" {
		return cc
	}
	return "cc"
}

// FluentBits returns every real Fluent Bit to test with: the binaries that
// FLUENT_BIT names, separated by colons, or else the one in PATH or of the official
// packages. It skips the test if there is none.
func FluentBits(t testing.TB) []string {
	t.Helper()
	list := FindFluentBits()
	if len(list) == 0 {
		t.Skip("not run: real Fluent Bit (set $FLUENT_BIT, packages: https://docs.fluentbit.io/manual/installation)")
	}
	return list
}

// FluentBit returns the first of FluentBits, the one that make run starts.
func FluentBit(t testing.TB) string {
	t.Helper()
	return FluentBits(t)[0]
}

// FindFluentBits is FluentBits for programs that are not tests.
func FindFluentBits() []string {
	if list := os.Getenv("FLUENT_BIT"); list != "" {
		return filepath.SplitList(list)
	}
	for _, name := range []string{"fluent-bit", "/opt/fluent-bit/bin/fluent-bit"} {
		if path, err := exec.LookPath(name); err == nil {
			return []string{path}
		}
	}
	return nil
}
