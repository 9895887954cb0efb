// Package abi loads the shared object into the stand-in host and, where there is
// one, into the real Fluent Bit.
package abi

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const line = `<190>Oct  1 22:17:30 h ems-vpn: emsserial=FCTEMS0000000001 msg="VPN tunnel connected"`

// out is where the objects lie; built once.
var built = sync.OnceValues(func() (string, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return "", err
	}
	cmd := exec.Command("make", "-s", "build")
	cmd.Dir = root
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("make build: %w\n%s", err, text)
	}
	return filepath.Join(root, "build/out"), nil
})

func out(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"make", "gcc"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("not run: no " + tool)
		}
	}
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func object(t *testing.T) string { return filepath.Join(out(t), "flb-filter_fortiems.so") }

// host runs the stand-in host with the object.
func host(t *testing.T, input string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	args = append([]string{"--filter", object(t)}, args...)
	return run(t, input, filepath.Join(out(t), "fortiems-host"), args...)
}

func run(t *testing.T, input, program string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "GODEBUG=cgocheck=1")
	cmd.Stdin = strings.NewReader(input)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	timer := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func TestGlibcFloor(t *testing.T) {
	f, err := elf.Open(object(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.ImportedSymbols()
	if err != nil || len(symbols) == 0 {
		t.Fatal(len(symbols), err)
	}
	for _, s := range symbols {
		minor, ok := strings.CutPrefix(s.Version, "GLIBC_2.")
		if !ok {
			continue
		}
		minor, _, _ = strings.Cut(minor, ".")
		if n, err := strconv.Atoi(minor); err != nil || n > 34 {
			t.Errorf("%s needs %s", s.Name, s.Version)
		}
	}
}

func TestExports(t *testing.T) {
	f, err := elf.Open(object(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF {
			got = append(got, s.Name)
		}
	}
	slices.Sort(got)
	want := []string{"FLBPluginExitCtx", "FLBPluginFlushCtx", "FLBPluginInit", "FLBPluginRegister", "FLBPluginUnregister", "filter_fortiems_plugin"}
	if !slices.Equal(got, want) {
		t.Errorf("exports %v, want %v", got, want)
	}
}

var abis = []string{"2.2", "5.0.2", "5.1.1"}

func TestEveryLayoutFiltersAndListsTheOptions(t *testing.T) {
	for _, abi := range abis {
		t.Run(abi, func(t *testing.T) {
			stdout, stderr, code := host(t, line+"\n", "--abi", abi, "--input", "-", "--guard")
			if code != 0 || !strings.Contains(stdout, `"action":"vpn-connect"`) {
				t.Errorf("exit %d\n%s%s", code, stdout, stderr)
			}
			stdout, stderr, _ = host(t, "", "--abi", abi, "--filter-help")
			for _, key := range []string{"key_name", "schema", "timezone", "event_time", "preserve_original", "rules_file", "unmatched", "metrics_listen"} {
				if !strings.Contains(stdout+stderr, key) {
					t.Errorf("the help lacks %s", key)
				}
			}
		})
	}
}

func TestStartIsRefusedWithTheReason(t *testing.T) {
	rules := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(rules, []byte("version: 1\nrules:\n  - {name: a, set: {category: x}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args  []string
		words []string
	}{
		"unknown option":  {[]string{"--filter-prop", "key_nam=x"}, []string{"unknown configuration property 'key_nam'", "key_name"}},
		"bad zone":        {[]string{"--filter-prop", "timezone=Mars/X"}, []string{"timezone", "Mars/X", "valid"}},
		"bad schema":      {[]string{"--filter-prop", "schema=xml"}, []string{"schema", "xml", "flat"}},
		"bad unmatched":   {[]string{"--filter-prop", "unmatched=lose"}, []string{"unmatched", "lose", "drop"}},
		"bad boolean":     {[]string{"--filter-prop", "event_time=perhaps"}, []string{"event_time", "perhaps"}},
		"no rules file":   {[]string{"--filter-prop", "rules_file=/nowhere"}, []string{"/nowhere", "no such file"}},
		"bad rules file":  {[]string{"--filter-prop", "rules_file=" + rules}, []string{rules + ":3", `"x"`}},
		"daemon mode":     {[]string{"--daemon"}, []string{"daemon"}},
		"output not here": {[]string{"--output", filepath.Join(out(t), "out_fortiems_es.so")}, []string{"not available"}},
	} {
		for _, abi := range []string{"5.0.2", "5.1.1"} {
			t.Run(name+" "+abi, func(t *testing.T) {
				_, stderr, code := host(t, "", append(c.args, "--abi", abi, "--input", "-")...)
				if code != 1 {
					t.Errorf("exit %d", code)
				}
				for _, w := range c.words {
					if !strings.Contains(stderr, w) {
						t.Errorf("%q is missing in\n%s", w, stderr)
					}
				}
			})
		}
	}
}

func TestCorruptChunkPassesByteForByte(t *testing.T) {
	dir := t.TempDir()
	in, dump := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	raw := []byte("\x92\x92\xd7\x00 cut")
	if err := os.WriteFile(in, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, code := host(t, "", "--raw-chunk", in, "--dump-chunk", dump, "--repeat", "50")
	got, err := os.ReadFile(dump)
	if err != nil || code != 0 || !bytes.HasPrefix(got, raw) || len(got)%len(raw) != 0 {
		t.Errorf("exit %d, %v, %q\n%s", code, err, got[:min(len(got), 60)], stderr)
	}
	if n := strings.Count(stderr, "passed untouched"); n != 1 {
		t.Errorf("%d error lines, want one throttled\n%s", n, stderr)
	}
}

func TestUnlovelyLinesAreKept(t *testing.T) {
	input := "\n" + strings.Repeat("x", 64<<10) + "\n\x16\x03\x01\x02\x00\xff\n" + line + "\n" + line + " x=\"" + strings.Repeat("y", 64<<10) + "\"\n"
	stdout, stderr, code := host(t, input, "--input", "-", "--guard")
	if n := strings.Count(stdout, "\n"); code != 0 || n != 5 {
		t.Errorf("exit %d, %d records of 5\n%s", code, n, stderr)
	}
}

func TestThreadsInstancesAndReloads(t *testing.T) {
	const n = 2000
	input := strings.Repeat(line+"\nnot ours\n", n/2)
	for name, args := range map[string][]string{
		"threads":   {"--threads", "4", "--chunk", "10"},
		"instances": {"--instances", "3", "--chunk", "10"},
		"reloads":   {"--reload", "20", "--chunk", "10"},
		"groups":    {"--group", "--chunk", "7"},
		"old form":  {"--old-form"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, code := host(t, input, append(args, "--input", "-")...)
			if got := strings.Count(stdout, "\n"); code != 0 || got != n || strings.Count(stdout, `"vpn-connect"`) != n/2 {
				t.Errorf("exit %d, %d records of %d\n%s", code, got, n, stderr)
			}
		})
	}
}

func TestTimesAheadWarnOnce(t *testing.T) {
	input := strings.Repeat("emsserial=FCTEMS1 eventtime=1733403600 msg=x\n", 100)
	_, stderr, code := host(t, input, "--input", "-", "--time", "1733392800", "--chunk", "5")
	if n := strings.Count(stderr, "[ warn]"); code != 0 || n != 1 {
		t.Errorf("exit %d, %d warnings\n%s", code, n, stderr)
	}
}

// fluentBits returns the real Fluent Bits to test with.
func fluentBits(t *testing.T) []string {
	t.Helper()
	if list := os.Getenv("FLUENT_BIT"); list != "" {
		return strings.Split(list, ":")
	}
	if path, err := exec.LookPath("fluent-bit"); err == nil {
		return []string{path}
	}
	t.Skip("not run: real Fluent Bit (set $FLUENT_BIT)")
	return nil
}

func TestRealFluentBit(t *testing.T) {
	so := object(t)
	for _, bin := range fluentBits(t) {
		version, _, _ := run(t, "", bin, "--version")
		version, _, _ = strings.Cut(version, "\n")
		t.Run(version, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "in.log")
			if err := os.WriteFile(file, []byte(line+"\nplain\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			tail := []string{"-e", so, "-i", "tail", "-p", "path=" + file, "-p", "read_from_head=on", "-p", "exit_on_eof=on"}
			stdout, stderr, _ := run(t, "", bin, append([]string{"-q"}, append(tail, "-F", "fortiems", "-p", "match=*", "-o", "stdout", "-p", "match=*", "-p", "format=json_lines", "-f", "1")...)...)
			if !strings.Contains(stdout, `"vpn-connect"`) || !strings.Contains(stdout, `"log":"plain"`) {
				t.Errorf("records:\n%s%s", stdout, stderr)
			}
			help, stderr, _ := run(t, "", bin, "-e", so, "-F", "fortiems", "-h")
			if !strings.Contains(help+stderr, "preserve_original") {
				t.Errorf("-h prints no options:\n%s%s", help, stderr)
			}
			stdout, stderr, code := run(t, "", bin, append(tail, "-F", "fortiems", "-p", "match=*", "-p", "key_nam=x", "-o", "null")...)
			if code == 0 || !strings.Contains(stdout+stderr, "key_nam") {
				t.Errorf("an unknown option: exit %d\n%s", code, stderr)
			}
			stdout, stderr, code = run(t, "", bin, append(tail, "-F", "fortiems", "-p", "match=*", "-p", "timezone=Mars/X", "-o", "null")...)
			if code == 0 || !strings.Contains(stdout+stderr, "Mars/X") {
				t.Errorf("a bad zone: exit %d\n%s", code, stderr)
			}
		})
	}
}
