// Package abi_test tests the built shared object from outside: its dependencies and
// exports, and its behaviour in the stand-in host and in real Fluent Bit.
//
// FLUENT_BIT names the Fluent Bit binaries to test with, separated by colons;
// without it the one in PATH is used. Tests that find none are skipped as not run.
package abi_test

import (
	"context"
	"encoding/json"
	"errors"
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

var object, outputLink, host = rig.Object, rig.OutputLink, rig.Host

// line is a real line of FortiEMS about an endpoint that went offline.
func line(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../corpus/real-wazuh-26094/input.log")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	return first
}

// unmatched is a line of another sender on the same port.
const unmatched = "<38>Oct  1 22:17:30 gate sshd[311]: Accepted publickey for root"

// file writes text to a temporary file of the test.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// process is a running or ended program.
type process struct {
	cmd      *exec.Cmd
	out, log rig.Output
	done     chan struct{} // closed at its end
	code     int           // exit status, valid when done is closed; -1 after a signal
}

// start starts a program with input on its stdin (a pipe) and kills it when the test ends.
func start(t *testing.T, input, program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Stdin = strings.NewReader(input)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.log
	p.cmd.Env = append(os.Environ(), "GODEBUG=cgocheck=1")
	// A process that the program leaves behind with our pipes must not block the test.
	p.cmd.WaitDelay = 5 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := p.cmd.Wait()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			p.code = exit.ExitCode()
		} else if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
			p.code = -2
		}
		close(p.done)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
	})
	return p
}

// wait waits for the program to end by itself.
func (p *process) wait(t *testing.T) *process {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("%s has not ended\n%s\n%s", p.cmd.Path, p.out.String(), p.log.String())
	}
	return p
}

// stop sends SIGTERM and expects exit status 0.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if p.wait(t).code != 0 {
		t.Errorf("exit status %d\n%s", p.code, p.log.String())
	}
}

// until polls until a condition holds, while p runs.
func (p *process) until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-p.done:
			if !holds() {
				t.Fatalf("ended with status %d before %s\n%s\n%s", p.code, what, p.out.String(), p.log.String())
			}
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s\n%s\n%s", what, p.out.String(), p.log.String())
		}
	}
}

func (p *process) wantCode(t *testing.T, code int) *process {
	t.Helper()
	if p.code != code {
		t.Errorf("exit status %d, want %d\n%s", p.code, code, p.log.String())
	}
	return p
}

// wantLog checks that the log contains every part.
func (p *process) wantLog(t *testing.T, parts ...string) *process {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(p.log.String(), part) {
			t.Errorf("no %q in the log:\n%s", part, p.log.String())
		}
	}
	return p
}

// records decodes the JSON objects among the lines of stdout.
func (p *process) records(t *testing.T) (list []map[string]any) {
	t.Helper()
	for l := range strings.Lines(p.out.String()) {
		if !strings.HasPrefix(l, "{") || !strings.HasSuffix(l, "}\n") {
			continue // Fluent Bit also prints a banner, and the last line may be incomplete
		}
		var r map[string]any
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			t.Fatalf("%v in %q", err, l)
		}
		list = append(list, r)
	}
	return list
}

// at returns the value at a path of keys in nested records; nil if there is none.
func at(record map[string]any, keys ...string) any {
	var v any = record
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

// sortedLines returns the lines of stdout sorted, because threads change their order.
func (p *process) sortedLines() []string {
	return slices.Sorted(strings.Lines(p.out.String()))
}

// filterLines are the log lines of the filter itself.
func (p *process) filterLines() (list []string) {
	for l := range strings.Lines(p.log.String()) {
		if strings.Contains(l, "[filter:fortiems") {
			list = append(list, l)
		}
	}
	return list
}

// command runs a program to its end and returns what it printed.
func command(name string, args ...string) ([]byte, error) {
	return exec.Command(name, args...).CombinedOutput()
}
