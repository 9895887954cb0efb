package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
)

// kills is how many times a host is killed.
const kills = 20

// gate holds bulk requests while it is shut. Once open it delays each one, before and
// after the server handles it, so that kills fall into every phase of a request.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // closed while the gate is open
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	g.release()
	return g
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

func (g *gate) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
	default:
		close(g.open)
	}
}

func (g *gate) before() {
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	<-open
	time.Sleep(rand.N(40 * time.Millisecond))
}

func (g *gate) pass(int) bool {
	time.Sleep(rand.N(40 * time.Millisecond))
	return true
}

// TestStandInKilled kills the stand-in host with SIGKILL and sends the same chunks again,
// as Fluent Bit does from its files.
func TestStandInKilled(t *testing.T) {
	s := start(t)
	const n = 20000
	g := newGate()
	url, input := between(t, s, g.before, g.pass), numbered(t, n)
	t.Cleanup(g.release) // otherwise the gateway waits for the requests it holds
	args := []string{"--input", input, "--time", received, "--output-prop", "bulk_max_docs=250", "--flush-threads", "2"}
	delivered := false
	for range kills {
		p := run(t, url, args...)
		select {
		case <-p.done:
			delivered = p.err == nil
		case <-time.After(200*time.Millisecond + rand.N(time.Second)):
			p.cmd.Process.Signal(syscall.SIGKILL)
			<-p.done
		}
	}
	if delivered {
		t.Log("a run came to its end before its kill")
	}
	run(t, url, args...).wait(t)
	exactlyOnce(t, s, stream, n)
}

// TestFluentBitKilled kills Fluent Bit with SIGKILL while it delivers what it has
// buffered in files, and then checks what is stored.
func TestFluentBitKilled(t *testing.T) {
	binary := rig.FluentBit(t)
	s := start(t)
	const batch = 1000
	g := newGate()
	url, storage := between(t, s, g.before, g.pass), t.TempDir()
	t.Cleanup(g.release)
	midway := 0
	for k := range kills {
		g.shut()
		f := startFluentBit(t, binary, url, storage, "")
		f.send(t, k*batch, (k+1)*batch)
		g.release()
		time.Sleep(rand.N(700 * time.Millisecond)) // anywhere in the delivery
		f.kill()
		if !f.idle() {
			midway++
		}
	}
	if t.Logf("%d of %d kills left chunks behind", midway, kills); midway < kills/2 {
		t.Error("the kills came too late: most left no chunks")
	}
	last := startFluentBit(t, binary, url, storage, "")
	until(t, "everything is delivered", func() bool { return s.Count(t, stream, "") >= kills*batch && last.idle() })
	last.kill()
	exactlyOnce(t, s, stream, kills*batch)
	if d := s.Count(t, dead, ""); d != 0 {
		t.Errorf("%d dead letters", d)
	}
}

// agent is a running Fluent Bit.
type agent struct {
	cmd        *exec.Cmd
	log        *rig.Output
	syslog     string
	monitoring string
	storage    string
	stop       sync.Once
}

// startFluentBit starts it with a syslog input over TCP, or with tail on a file, and
// with buffers in storage.
func startFluentBit(t *testing.T, binary, url, storage, tail string) *agent {
	t.Helper()
	a := &agent{log: &rig.Output{}, syslog: freeAddr(t), monitoring: freeAddr(t), storage: storage}
	parsers, err := filepath.Abs("../../conf/parsers_fortiems.conf")
	if err != nil {
		t.Fatal(err)
	}
	_, syslogPort, _ := net.SplitHostPort(a.syslog)
	_, httpPort, _ := net.SplitHostPort(a.monitoring)
	input := fmt.Sprintf("name: syslog, mode: tcp, listen: 127.0.0.1, port: %s, parser: fortiems_raw", syslogPort)
	if tail != "" {
		input = fmt.Sprintf("name: tail, path: %s, key: message, read_from_head: on", tail)
	}
	config := fmt.Sprintf(`
service:
  flush: 0.2
  grace: 40
  log_level: info
  coro_stack_size: 131072
  parsers_file: %s
  storage.path: %s
  storage.sync: normal
  storage.backlog.mem_limit: 50M
  scheduler.base: 1
  scheduler.cap: 2
  http_server: on
  http_listen: 127.0.0.1
  http_port: %s
plugins:
  - %s
  - %s
pipeline:
  inputs:
    - { %s, tag: fortiems, buffer_chunk_size: 256k, buffer_max_size: 1m, storage.type: filesystem }
  filters:
    - name: fortiems
      match: fortiems
  outputs:
    - name: fortiems_es
      match: fortiems
      hosts: %s
      bulk_max_docs: 100
      flush_timeout: 10s
      workers: 2
      retry_limit: no_limits
`, parsers, storage, httpPort, filterObject, outputObject, input, url)
	file := filepath.Join(t.TempDir(), "fluent-bit.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a.cmd = exec.Command(binary, "-c", file)
	a.cmd.Stdout, a.cmd.Stderr = a.log, a.log
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		a.kill()
		if t.Failed() {
			t.Logf("Fluent Bit: %s", a.log)
		}
	})
	until(t, "Fluent Bit is up", func() bool {
		_, ok := a.records()
		return ok
	})
	return a
}

func (a *agent) kill() {
	a.stop.Do(func() {
		a.cmd.Process.Signal(syscall.SIGKILL)
		_ = a.cmd.Wait() // killed by a signal
	})
}

// send sends the lines with the numbers from, to-1 and returns when all of them are
// in chunks: from then on a kill must not lose them.
func (a *agent) send(t *testing.T, from, to int) {
	t.Helper()
	c, err := net.Dial("tcp", a.syslog)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before, _ := a.records()
	for i := from; i < to; i++ {
		if _, err := fmt.Fprintln(c, numberedLine(i)); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "all lines are buffered", func() bool {
		n, ok := a.records()
		return ok && n-before == to-from
	})
}

// records is the number of records that the input has accepted.
func (a *agent) records() (int, bool) {
	resp, err := http.Get("http://" + a.monitoring + "/api/v1/metrics")
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, false
	}
	var m struct {
		Input map[string]struct {
			Records int `json:"records"`
		} `json:"input"`
	}
	if json.Unmarshal(text, &m) != nil {
		return 0, false
	}
	for name, in := range m.Input {
		if strings.HasPrefix(name, "syslog.") || strings.HasPrefix(name, "tail.") {
			return in.Records, true
		}
	}
	return 0, false
}

// idle reports whether no chunk is left in the files.
func (a *agent) idle() bool {
	chunks, err := filepath.Glob(filepath.Join(a.storage, "*", "*.flb"))
	return err == nil && len(chunks) == 0
}

// freeAddr returns an address that was free when it was checked.
func freeAddr(t *testing.T) string { return fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)) }
