// Package host_test tests the stand-in host: the ASan build with small C plugins that report
// what they receive. Binary layouts are checked against the declarations of the plugins, not
// those of the host.
package host_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
)

// patience bounds every wait; normally a step takes less than a hundredth of it.
const patience = 60 * time.Second

var (
	hostPath string // the ASan host, alone in its directory
	plugins  string // directory of the built test plugins
	missing  string // the missing tool, if nothing was built
	leaks    = true // leak checks work here
)

func TestMain(m *testing.M) {
	for _, tool := range []string{rig.Compiler(), "make"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = tool
			os.Exit(m.Run())
		}
	}
	dir, err := os.MkdirTemp("", "fortiems-host")
	if err == nil {
		err = build(dir)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) error {
	out := filepath.Join(dir, "out")
	plugins = filepath.Join(dir, "plugins")
	hostPath = filepath.Join(dir, "alone", "fortiems-host-asan")
	for _, d := range []string{plugins, filepath.Dir(hostPath)} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	made := exec.Command("make", "-s", "-C", "../..", "-f", "test/host/host.mk",
		"CC="+rig.Compiler(), "HOST_OUT="+out, filepath.Join(out, "fortiems-host-asan"))
	if text, err := made.CombinedOutput(); err != nil {
		return fmt.Errorf("make: %w\n%s", err, text)
	}
	for name, args := range map[string][]string{
		"flb-filter_probe.so":   {"testdata/filter_probe.c"},
		"flb-filter_wrong.so":   {"testdata/filter_probe.c", "-DNAME=filter_wrong_plugin", "-DWRONG_LAYOUT"},
		"flb-filter_short.so":   {"testdata/filter_probe.c", "-DNAME=filter_short_plugin", "-DTRAIL=2"},
		"flb-filter_nothing.so": {"testdata/filter_probe.c"},
		"flb-in_probe.so":       {"testdata/filter_probe.c"},
		"filter_probe.so":       {"testdata/filter_probe.c"},
		"out_probe.so":          {"testdata/out_probe.c"},
	} {
		args = append(args, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-g", "-O1", "-fPIC", "-shared",
			"-o", filepath.Join(plugins, name), "-lpthread")
		if text, err := exec.Command(rig.Compiler(), args...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", name, err, text)
		}
	}
	// The host must run without its sources and other build results.
	if err := os.Rename(filepath.Join(out, "fortiems-host-asan"), hostPath); err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	// Leak checks need ptrace, which some sandboxes deny.
	probe := exec.Command(hostPath, "--help")
	probe.Env = append(os.Environ(), "ASAN_OPTIONS=detect_leaks=1")
	if probe.Run() != nil {
		leaks = false
		os.Setenv("ASAN_OPTIONS", "detect_leaks=0")
	}
	return nil
}

// plugin returns the path of a built test plugin.
func plugin(name string) string { return filepath.Join(plugins, name) }

// result is the output and exit status of a run.
type result struct {
	out, log string
	code     int
}

// lines are the records printed.
func (r result) lines() []string {
	if r.out == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(r.out, "\n"), "\n")
}

// needHost skips the test where the host could not be built.
func needHost(t *testing.T) {
	t.Helper()
	if missing != "" {
		t.Skip("not run: the stand-in host needs " + missing)
	}
}

// run feeds input to the host's stdin and waits for its end.
func run(t *testing.T, input string, args ...string) result {
	t.Helper()
	needHost(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, log bytes.Buffer
	cmd := exec.CommandContext(ctx, hostPath, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("host did not end: %v\n%s", args, log.String())
	}
	return result{out.String(), log.String(), cmd.ProcessState.ExitCode()}
}

// lineRun feeds lines with a fixed time of receipt.
func lineRun(t *testing.T, input string, args ...string) result {
	t.Helper()
	return run(t, input, append([]string{"--input", "-", "--time", "1700000000.000000001"}, args...)...)
}

func (r result) wantCode(t *testing.T, code int) result {
	t.Helper()
	if r.code != code {
		t.Fatalf("exit status %d, want %d\nstdout: %.2000s\nstderr: %s", r.code, code, r.out, r.log)
	}
	return r
}

func (r result) wantOut(t *testing.T, want ...string) result {
	t.Helper()
	got := r.lines()
	for i := 0; i < len(got) || i < len(want); i++ {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("line %d differs\ngot:\n%.4000s\nwant:\n%.4000s\nstderr: %s",
				i, strings.Join(got, "\n"), strings.Join(want, "\n"), r.log)
		}
	}
	return r
}

// wantLog checks that the texts appear on stderr in this order.
func (r result) wantLog(t *testing.T, texts ...string) result {
	t.Helper()
	rest := r.log
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			t.Fatalf("stderr lacks %q (in this order)\n%s", text, r.log)
		}
		rest = after
	}
	return r
}

func (r result) wantNoLog(t *testing.T, text string) result {
	t.Helper()
	if strings.Contains(r.log, text) {
		t.Fatalf("stderr has %q\n%s", text, r.log)
	}
	return r
}

// record is the printed form of a raw line received at the fixed time of lineRun.
func record(fields string) string {
	return `{"@timestamp":"2023-11-14T22:13:20.000000001Z",` + fields + `}`
}

// tempFile returns the path of a new file with the content.
func tempFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRunsAreCheckedForLeaks(t *testing.T) {
	needHost(t)
	if !leaks {
		t.Skip("not run: leak checks of the stand-in host, they need ptrace")
	}
}

func TestUsage(t *testing.T) {
	help := run(t, "", "--help").wantCode(t, 0)
	for _, flag := range strings.Fields("--filter --output --filter-prop --output-prop --syslog-udp --syslog-tcp " +
		"--input --chunk --tag --key --abi --raw-chunk --dump-chunk --threads --reload --daemon --guard --grace") {
		if !strings.Contains(help.out, "\n  "+flag+" ") {
			t.Errorf("--help does not document %s", flag)
		}
	}
	for name, args := range map[string][]string{
		"unknown flag":           {"--input", "-", "--nonsense"},
		"missing value":          {"--input"},
		"no input":               {"--tag", "x"},
		"two inputs":             {"--input", "-", "--syslog-udp", "127.0.0.1:0"},
		"chunk of no lines":      {"--input", "-", "--chunk", "0"},
		"number with rest":       {"--input", "-", "--chunk", "5x"},
		"number that overflows":  {"--input", "-", "--repeat", "99999999999999999999"},
		"pair without equals":    {"--input", "-", "--filter-prop", "mode"},
		"pair without key":       {"--input", "-", "--extra", "=v"},
		"unknown release":        {"--input", "-", "--abi", "3.0"},
		"time that is a marker":  {"--input", "-", "--time", "4294967295"},
		"fraction of ten digits": {"--input", "-", "--time", "1.0123456789"},
		"repeated stdin":         {"--input", "-", "--repeat", "2"},
		"flag with value":        {"--input", "-", "--quiet=yes"},
		"group in the old form":  {"--input", "-", "--group", "--old-form"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, "", args...).wantCode(t, 64)
			if r.out != "" || !strings.HasPrefix(r.log, "fortiems-host: ") {
				t.Errorf("stdout %q, stderr %q", r.out, r.log)
			}
		})
	}
	t.Run("missing input file", func(t *testing.T) {
		run(t, "", "--input", "/nonexistent/file").wantCode(t, 1).wantLog(t, "/nonexistent/file: No such file")
	})
}

func TestStatsCountWhatHappened(t *testing.T) {
	file := tempFile(t, "a\nb\nc\n")
	r := run(t, "", "--input", file, "--chunk", "2", "--repeat", "3", "--stats", "--group", "--quiet",
		"--filter", plugin("flb-filter_probe.so")).wantCode(t, 0).wantOut(t)
	r.wantLog(t, "stats: records_in=9 records_out=9 group_markers=12 not_events=0 chunks=6 modified=0 not_touched=6 emptied=0",
		"filter_cpu_seconds=")
	r.wantNoLog(t, "invalid_utf8") // not checked when nothing is printed
}
