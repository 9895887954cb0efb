package abi_test

import (
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/rig"
)

// glibcCeiling is the newest symbol version of the C library that the object may
// need: that of Debian 12, RHEL 9 and the images of Fluent Bit since 3.0.7.
var glibcCeiling = []int{2, 34}

// exported are the symbols that a host looks up in the object.
var exported = []string{
	"FLBPluginExitCtx", "FLBPluginFlushCtx", "FLBPluginInit", "FLBPluginRegister", "FLBPluginUnregister",
	"filter_fortiems_plugin",
}

func openObject(t *testing.T) *elf.File {
	t.Helper()
	rig.Build(t)
	return openELF(t, object)
}

func openELF(t *testing.T, name string) *elf.File {
	t.Helper()
	f, err := elf.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestNeededLibraries(t *testing.T) { wantLibraries(t, openObject(t)) }

func wantLibraries(t *testing.T, f *elf.File) {
	t.Helper()
	libraries, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range libraries {
		// Before glibc 2.34 the C library was several files.
		if !slices.Contains([]string{"libc.so.6", "libpthread.so.0", "libdl.so.2", "libresolv.so.2"}, l) && !strings.HasPrefix(l, "ld-linux") {
			t.Errorf("needs %s", l)
		}
	}
	needs, err := f.DynamicVersionNeeds()
	if err != nil || len(needs) == 0 {
		t.Fatalf("version needs: %v, %v", needs, err)
	}
	for _, lib := range needs {
		for _, v := range lib.Needs {
			text, ok := strings.CutPrefix(v.Dep, "GLIBC_")
			if !ok {
				t.Errorf("%s: needs %s", lib.Name, v.Dep)
				continue
			}
			var version []int
			for part := range strings.SplitSeq(text, ".") {
				n, err := strconv.Atoi(part)
				if err != nil {
					t.Fatalf("%s: %v", v.Dep, err)
				}
				version = append(version, n)
			}
			if slices.Compare(version, glibcCeiling) > 0 {
				t.Errorf("%s: needs %s, above %v", lib.Name, v.Dep, glibcCeiling)
			}
		}
	}
}

func TestExportedSymbols(t *testing.T) { wantExports(t, openObject(t)) }

func wantExports(t *testing.T, f *elf.File) {
	t.Helper()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF && elf.ST_BIND(s.Info) != elf.STB_LOCAL {
			got = append(got, s.Name)
			if s.Name == "filter_fortiems_plugin" && (elf.ST_TYPE(s.Info) != elf.STT_OBJECT || s.Size < 88) {
				t.Errorf("%s: type %v, %d bytes; a host copies 88", s.Name, elf.ST_TYPE(s.Info), s.Size)
			}
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, exported) {
		t.Errorf("exported: %q\nwant:     %q", got, exported)
	}
}

// A Go runtime cannot be unloaded; the host's dlclose at a reload must leave it loaded.
func TestObjectStaysLoaded(t *testing.T) {
	flags, err := openObject(t).DynValue(elf.DT_FLAGS_1)
	if err != nil || len(flags) != 1 || elf.DynFlag1(flags[0])&elf.DF_1_NODELETE == 0 {
		t.Errorf("flags %v, %v: no NODELETE", flags, err)
	}
}

// Two files would be two Go runtimes in one process; an absolute link would
// break when the directory is copied.
func TestOutputIsALinkToTheSameFile(t *testing.T) {
	rig.Build(t)
	to, err := os.Readlink(outputLink)
	if err != nil || to != filepath.Base(object) {
		t.Errorf("got %q, %v", to, err)
	}
}
