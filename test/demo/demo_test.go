package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
)

// patience bounds every wait.
const patience = 60 * time.Second

const vpnLine = `<190>Oct  1 22:17:30 h ems-vpn: emsserial=FCTEMS0000000001 msg="VPN tunnel connected"`

// withoutFluentBit is the search path with no fluent-bit on it.
func withoutFluentBit(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat("/opt/fluent-bit/bin/fluent-bit"); err == nil {
		t.Skip("not run: the stand-in host is for machines without /opt/fluent-bit/bin/fluent-bit")
	}
	dirs := filepath.SplitList(os.Getenv("PATH"))
	for i, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, "fluent-bit")); err != nil {
			continue
		}
		others, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		dirs[i] = t.TempDir()
		for _, o := range others {
			if o.Name() == "fluent-bit" {
				continue
			}
			if err := os.Symlink(filepath.Join(dir, o.Name()), filepath.Join(dirs[i], o.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	return strings.Join(dirs, string(os.PathListSeparator))
}

// eachProgram runs a test with the stand-in host and with every real Fluent Bit. env
// makes the scripts use it, and says is the text that they then print.
func eachProgram(t *testing.T, test func(t *testing.T, env []string, says string)) {
	if testing.Short() {
		t.Skip("not run: builds the object (-short)")
	}
	rig.Build(t)
	t.Run("stand-in", func(t *testing.T) {
		test(t, []string{"FLUENT_BIT=", "PATH=" + withoutFluentBit(t)}, "using the stand-in host")
	})
	t.Run("Fluent Bit", func(t *testing.T) {
		for _, path := range rig.FluentBits(t) {
			t.Run(path, func(t *testing.T) { test(t, []string{"FLUENT_BIT=" + path}, "Fluent Bit: "+path) })
		}
	})
}

// corpusLines counts the lines of the corpus.
func corpusLines(t *testing.T) (n int) {
	t.Helper()
	inputs, err := filepath.Glob("../corpus/*/input.log")
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range inputs {
		text, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		n += strings.Count(strings.TrimSuffix(string(text), "\n")+"\n", "\n")
	}
	if n < 400 {
		t.Fatalf("%d lines", n)
	}
	return n
}

func TestDemo(t *testing.T) {
	lines := corpusLines(t)
	eachProgram(t, func(t *testing.T, env []string, says string) {
		var out, log bytes.Buffer
		cmd := exec.Command("make", "-s", "-C", "../..", "demo", "DEMO=all")
		cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &out, &log
		if err := cmd.Run(); err != nil {
			t.Fatalf("%v\n%s", err, log.String())
		}
		if !strings.Contains(log.String(), says) {
			t.Errorf("no %q in\n%s", says, log.String())
		}
		records, table, found := strings.Cut(out.String(), "\nCOUNT")
		if !found {
			t.Fatalf("no table in\n%s", out.String())
		}
		n := 0
		for l := range strings.Lines(records) {
			if !json.Valid([]byte(l)) {
				t.Errorf("no record: %s", l)
			}
			n++
		}
		if n != lines {
			t.Errorf("%d records of %d lines", n, lines)
		}
		wantTable(t, table, lines)
	})
}

// wantTable checks that the rows add up and that every category has a row.
func wantTable(t *testing.T, table string, lines int) {
	t.Helper()
	var categories []string
	sum, all := 0, 0
	for l := range strings.Lines(table) {
		var count int
		var category string
		if n, _ := fmt.Sscan(l, &count, &category); n < 2 {
			continue
		}
		if category == "all" {
			all = count
			continue
		}
		sum += count
		categories = append(categories, category)
	}
	if all != lines || sum != lines {
		t.Errorf("the rows add up to %d, the last says %d, want %d\n%s", sum, all, lines, table)
	}
	for _, c := range strings.Fields("ems-adconnector ems-addaemonworker ems-update ems-event ems-error ems-client ems-vpn ems-authentication " +
		"ems-policy ems-network fct-traffic fct-security fct-vulnerability fct-event fgt-endpoint fgt-connector unknown (not") {
		if !slices.Contains(categories, c) {
			t.Errorf("no row of %s in\n%s", c, table)
		}
	}
}

func TestRun(t *testing.T) {
	eachProgram(t, func(t *testing.T, env []string, says string) {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(signal.String(), func(t *testing.T) {
				port := rig.FreePort(t)
				t.Cleanup(func() { os.RemoveAll(fmt.Sprintf("../../build/out/run-%d", port)) })
				var out, log rig.Output
				cmd := exec.Command("sh", "../../test/demo/run.sh")
				cmd.Env = append(os.Environ(), append(env, fmt.Sprint("FORTIEMS_PORT=", port), "ES_HOSTS=")...)
				cmd.Stdout, cmd.Stderr = &out, &log
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				t.Cleanup(func() { cmd.Process.Kill() })

				records := func() int { return strings.Count(out.String(), `"action":"vpn-connect"`) }
				for _, network := range []string{"tcp", "udp"} {
					before := records()
					until(t, network+" to become a record", &log, func() bool {
						if conn, err := net.Dial(network, fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
							fmt.Fprintln(conn, vpnLine)
							conn.Close()
						}
						return records() > before
					})
				}
				if !strings.Contains(log.String(), says) {
					t.Errorf("no %q in\n%s", says, log.String())
				}
				if err := cmd.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				select {
				case err := <-ended:
					if err != nil {
						t.Errorf("%v\n%s", err, log.String())
					}
				case <-time.After(patience):
					t.Fatalf("has not ended\n%s", log.String())
				}
			})
		}
	})
}

// until polls until a condition holds.
func until(t *testing.T, what string, log *rig.Output, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s\n%s", what, log.String())
		}
	}
}

func TestBadRecordsAreNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "records")
	if err := os.WriteFile(file, []byte("a banner\n{\"message\":\"x\"}\n{broken\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, f := range []func(io.Writer, string) error{table, screen} {
		if err := f(io.Discard, file); err == nil || !strings.Contains(err.Error(), "record 2 ") {
			t.Errorf("got %v", err)
		}
		if err := f(io.Discard, file+"x"); err == nil {
			t.Error("a file that is not there is counted")
		}
	}
}

// TestScreen: the demo fits on a screen and says what became of each line.
func TestScreen(t *testing.T) {
	eachProgram(t, func(t *testing.T, env []string, says string) {
		cmd := exec.Command("make", "-s", "-C", "../..", "demo")
		cmd.Env = append(os.Environ(), env...)
		text, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		out := string(text)
		if n := strings.Count(out, "\n"); n > 50 || strings.Count(out, "  → ") != len(chosen) {
			t.Errorf("%d lines", n)
		}
		for _, want := range []string{"→ ems-client, endpoint-offline", "→ ems-authentication, login, failure", "alert", "report.html", "next         make run", "(not FortiEMS)"} {
			if !strings.Contains(out, want) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		// A run of text may begin or end within a word, so blanks do not count.
		shown := strings.Join(words(t), "")
		if printed := strings.Join(strings.Fields("$ make demo "+bar.ReplaceAllString(out, "")), ""); shown != printed {
			t.Errorf("the picture of README.md does not show this output; is it up to date (make golden)?\n%s", out)
		}
	})
}

func TestRunChecksFirst(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	used := fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
	for _, c := range [][2]string{
		{"FORTIEMS_PORT=" + used, "port " + used + " is in use (tcp)"}, {"FORTIEMS_PORT=" + used, "FORTIEMS_PORT=5515"}, {"FORTIEMS_PORT=x", "no port number"},
		{"FORTIEMS_PORT=70000", "1 to 65535"}, {"FLUENT_BIT=/nonexistent", "is no program"}, {"ES_CA_FILE=/nonexistent", "cannot be read"},
	} {
		cmd := exec.Command("sh", "check.sh")
		cmd.Env = append(os.Environ(), "FORTIEMS_PORT="+fmt.Sprint(rig.FreePort(t)), "FLUENT_BIT=", c[0])
		if text, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(text), c[1]) || strings.Count(string(text), "\n") != 1 {
			t.Errorf("%s: %v, %s", c[0], err, text)
		}
	}
}
