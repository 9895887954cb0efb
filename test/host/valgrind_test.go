package host_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/rig"
)

// valgrind finds reads of uninitialised memory, which the sanitizers do not. It does not
// support Go programs, so the plugins are those of the tests.
func TestValgrindFindsNothing(t *testing.T) {
	needHost(t)
	valgrind, err := exec.LookPath("valgrind")
	if err != nil {
		t.Skip("not run: the stand-in host under valgrind (package valgrind)")
	}
	out := t.TempDir()
	host := filepath.Join(out, "fortiems-host")
	if text, err := exec.Command("make", "-s", "-C", "../..", "-f", "test/host/host.mk", "CC="+rig.Compiler(), "HOST_OUT="+out, host).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	input := tempFile(t, "abc\n\nd\xff\x00e\n"+strings.Repeat("x", 70000)+"\nlast")
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"upper":       {[]string{"--filter-prop", "mode=upper", "--repeat", "20", "--chunk", "2"}, 0},
		"drop":        {[]string{"--filter-prop", "mode=drop"}, 0},
		"cut":         {[]string{"--filter-prop", "mode=cut"}, 2},
		"threads":     {[]string{"--filter-prop", "mode=upper", "--threads", "3", "--instances", "2", "--reload", "3", "--repeat", "10", "--chunk", "1"}, 0},
		"groups":      {[]string{"--filter-prop", "mode=notouch", "--group", "--extra", "a=b"}, 0},
		"old form":    {[]string{"--filter-prop", "mode=notouch", "--old-form", "--abi", "2.2"}, 0},
		"bad option":  {[]string{"--filter-prop", "mod=upper"}, 1},
		"with output": {[]string{"--output", plugin("out_probe.so")}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite", "-q",
				host, "--input", input, "--quiet", "--filter", plugin("flb-filter_probe.so")}, c.args...)
			cmd := exec.Command(valgrind, args...)
			if text, err := cmd.CombinedOutput(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != c.code {
				t.Errorf("%v, want exit status %d\n%s", err, c.code, text)
			}
		})
	}
	t.Run("printing", func(t *testing.T) {
		cmd := exec.Command(valgrind, "--error-exitcode=99", "--leak-check=full", "--errors-for-leak-kinds=definite", "-q", host, "--input", input)
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%.4000s", err, text)
		}
	})
}
