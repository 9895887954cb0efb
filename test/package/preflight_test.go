package package_test

import (
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestPreflight checks what is said, before the first build, about each thing that may be missing.
func TestPreflight(t *testing.T) {
	script, err := filepath.Abs(root + "/build/preflight.sh")
	if err != nil {
		t.Fatal(err)
	}
	const (
		works = "#!/bin/sh\nexit 0\n"
		fails = "#!/bin/sh\necho 'fatal error: stdlib.h: No such file or directory' >&2\nexit 1\n"
	)
	for _, c := range []struct {
		name        string
		programs    map[string]string // in PATH, by path below the folder of this case
		environment []string
		want        []string // parts of the message; none: nothing is missing
	}{
		{"everything", map[string]string{"go/bin/go": works, "go/VERSION": "go1.26.8\ntime 2026-01-01\n", "go/bin/gcc": works}, nil, nil},
		{"a package of Go without VERSION", map[string]string{"go/bin/go": "#!/bin/sh\necho go version go1.24.4 linux/amd64\n", "go/bin/gcc": works}, []string{"GOTOOLCHAIN=auto"}, nil},
		{"another compiler", map[string]string{"go/bin/go": works, "go/VERSION": "go1.30\n", "go/bin/clang": works}, []string{"CC=clang -m64"}, nil},
		{"no Go", map[string]string{"go/bin/gcc": works}, nil, []string{"Go 1.26 (https://go.dev/dl"}},
		{"the Go of Debian 12", map[string]string{"go/bin/go": "#!/bin/sh\necho go version go1.19.8 linux/amd64\n", "go/bin/gcc": works}, nil, []string{"Go 1.26 (this one is 1.19; https://go.dev/dl)"}},
		{"an older Go that may fetch nothing", map[string]string{"go/bin/go": works, "go/VERSION": "go1.24.4\n", "go/bin/gcc": works}, []string{"GOTOOLCHAIN=local"}, []string{"this one is 1.24 and GOTOOLCHAIN=local"}},
		{"a Go that says nothing", map[string]string{"go/bin/go": works, "go/bin/gcc": works}, nil, []string{"Go 1.26 (this one is 1.?"}},
		{"no C compiler", map[string]string{"go/bin/go": works, "go/VERSION": "go1.26.0\n"}, nil, []string{"a C compiler (Debian, Ubuntu: apt install gcc libc6-dev"}},
		{"a C compiler that is not there", map[string]string{"go/bin/go": works, "go/VERSION": "go1.26.0\n", "go/bin/gcc": works}, []string{"CC=tcc"}, []string{"a C compiler: CC=tcc is not there"}},
		{"no headers", map[string]string{"go/bin/go": works, "go/VERSION": "go1.26.0\n", "go/bin/cc": fails}, []string{"CC=cc"}, []string{"headers of the C library (Debian, Ubuntu: apt install libc6-dev"}},
		{"nothing", nil, nil, []string{"Go 1.26", "; a C compiler"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range c.programs {
				if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("/bin/sh", script)
			cmd.Dir = dir
			cmd.Env = append([]string{"PATH=" + dir + "/go/bin", "HOME=" + dir, "SSL_CERT_FILE=/x"}, c.environment...)
			text, err := cmd.CombinedOutput()
			said := string(text)
			if len(c.want) == 0 {
				if err != nil || !strings.HasPrefix(said, "First build: ") {
					t.Errorf("%v, %s", err, said)
				}
			} else if err == nil || !strings.HasPrefix(said, "To build, install: ") || strings.Contains(said, ":  ") || strings.Count(said, "\n") != 1 {
				t.Errorf("%v, %s", err, said)
			}
			for _, part := range c.want {
				if !strings.Contains(said, part) {
					t.Errorf("no %q in %s", part, said)
				}
			}
			// Its own time and that of what it starts, so that a busy machine does not matter.
			if used := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(); used > 100*time.Millisecond {
				t.Errorf("took %v", used)
			}
		})
	}
}

// TestFortiemsForEverySystem builds the command for the systems of a release.
func TestFortiemsForEverySystem(t *testing.T) {
	if testing.Short() {
		t.Skip("not run: it compiles for five systems")
	}
	need(t, "building the command", "make")
	run(t, "make", "-s", "fortiems")
	out := root + "/build/out/fortiems-"
	for system, machine := range map[string]elf.Machine{"linux-amd64": elf.EM_X86_64, "linux-arm64": elf.EM_AARCH64} {
		f, err := elf.Open(out + system + "/fortiems")
		if err != nil {
			t.Fatal(err)
		}
		if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) != 0 || f.Machine != machine {
			t.Errorf("%s: %v, needs %v, %v", system, f.Machine, libraries, err)
		}
		f.Close()
	}
	for system, cpu := range map[string]macho.Cpu{"darwin-amd64": macho.CpuAmd64, "darwin-arm64": macho.CpuArm64} {
		f, err := macho.Open(out + system + "/fortiems")
		if err != nil || f.Cpu != cpu {
			t.Fatal(system, err)
		}
		f.Close()
	}
	f, err := pe.Open(out + "windows-amd64/fortiems.exe")
	if err != nil || f.Machine != pe.IMAGE_FILE_MACHINE_AMD64 {
		t.Fatal(err)
	}
	f.Close()
	for _, system := range []string{"windows", "darwin"} {
		cmd := exec.Command("go", "vet", "./plugin/cmd/...")
		cmd.Dir, cmd.Env = root, append(os.Environ(), "GOOS="+system, "CGO_ENABLED=0")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("go vet for %s: %v\n%s", system, err, text)
		}
	}
}
