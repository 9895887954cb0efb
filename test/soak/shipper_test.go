package soak_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
)

// shipper is the program under test: a host with filter and output.
type shipper struct {
	what            string
	cmd             *exec.Cmd
	log             *rig.Output
	syslog, metrics string
	storage         string // where Fluent Bit keeps its chunks; "" with the stand-in host
	done            chan struct{}
	err             error
	watch           *watch
}

// startShipper starts Fluent Bit, or the stand-in host if binary is empty.
func startShipper(t *testing.T, binary, url, storage string) *shipper {
	t.Helper()
	s := &shipper{
		log: &rig.Output{}, done: make(chan struct{}),
		syslog: fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)), metrics: fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)),
	}
	if binary == "" {
		s.what = "the stand-in host (no Fluent Bit: set FLUENT_BIT to the binary, or install it)"
		s.cmd = exec.Command(host, "--quiet", "--filter", filterObject, "--output", outputObject, "--key", "message",
			"--syslog-tcp", s.syslog, "--flush-threads", "3", "--filter-prop", "metrics_listen="+s.metrics,
			"--output-prop", "metrics_listen="+s.metrics, "--output-prop", "hosts="+url,
			"--output-prop", "flush_timeout=10s", "--output-prop", "bulk_max_bytes=1M")
	} else {
		version, err := exec.Command(binary, "--version").Output()
		if err != nil {
			t.Fatalf("%s: %v", binary, err)
		}
		s.what, _, _ = strings.Cut(string(version), "\n")
		s.storage = storage
		s.cmd = exec.Command(binary, "-c", s.configure(t, url))
	}
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.err = s.cmd.Wait(); close(s.done) }()
	t.Cleanup(func() {
		s.cmd.Process.Signal(syscall.SIGKILL)
		<-s.done
		if t.Failed() {
			t.Logf("shipper: %s", s.log)
		}
	})
	until(t, "the shipper is up", func() bool {
		s.alive(t)
		_, err := s.scrape()
		return err == nil
	})
	s.watch = startWatch(s.cmd.Process.Pid)
	t.Cleanup(func() { s.watch.stop() })
	return s
}

// configure writes the configuration of conf/fluent-bit-opensearch.yaml with shorter pauses.
func (s *shipper) configure(t *testing.T, url string) string {
	t.Helper()
	parsers, err := filepath.Abs("../../conf/parsers_fortiems.conf")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(s.syslog, ":")
	config := fmt.Sprintf(`
service:
  flush: 1
  grace: 40
  log_level: info
  coro_stack_size: 131072
  parsers_file: %s
  storage.path: %s
  storage.sync: normal
  storage.backlog.mem_limit: 64M
  scheduler.base: 1
  scheduler.cap: 5
plugins:
  - %s
  - %s
pipeline:
  inputs:
    - { name: syslog, tag: fortiems, mode: tcp, listen: 127.0.0.1, port: %s, parser: fortiems_raw, buffer_chunk_size: 256k, buffer_max_size: 1m, storage.type: filesystem }
  filters:
    - { name: fortiems, match: fortiems, metrics_listen: "%s" }
  outputs:
    - { name: fortiems_es, match: fortiems, hosts: "%s", flush_timeout: 10s, bulk_max_bytes: 1M, workers: 3, retry_limit: no_limits, metrics_listen: "%s" }
`, parsers, s.storage, filterObject, outputObject, port, s.metrics, url, s.metrics)
	file := filepath.Join(t.TempDir(), "fluent-bit.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (s *shipper) alive(t *testing.T) {
	t.Helper()
	select {
	case <-s.done:
		t.Fatalf("the shipper has ended: %v", s.err)
	default:
	}
}

// end stops the shipper as an operator would.
func (s *shipper) end(t *testing.T) {
	t.Helper()
	s.alive(t)
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.done:
		if s.err != nil {
			t.Errorf("the shipper ends with %v", s.err)
		}
	case <-time.After(patience):
		t.Error("the shipper does not end")
	}
}

// idle reports whether no chunk is left in files.
func (s *shipper) idle() bool {
	chunks, err := filepath.Glob(filepath.Join(s.storage, "*", "*.flb"))
	return s.storage == "" || err == nil && len(chunks) == 0
}

// scrape reads the counters, summed over the instances of a plugin.
func (s *shipper) scrape() (map[string]int, error) {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get("http://" + s.metrics + "/metrics")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	counts := map[string]int{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), " ")
		if !ok || !strings.HasPrefix(name, "fortiems_") {
			continue
		}
		if n, err := strconv.ParseFloat(value, 64); err == nil {
			counts[name] += int(n)
		}
	}
	if lines.Err() == nil && len(counts) == 0 {
		return nil, errors.New("no counters")
	}
	return counts, lines.Err()
}

// counters returns the counters, once the shipper answers.
func (s *shipper) counters(t *testing.T) (counts map[string]int) {
	t.Helper()
	until(t, "the shipper answers with its counters", func() bool {
		s.alive(t)
		var err error
		counts, err = s.scrape()
		return err == nil
	})
	return counts
}

// counted returns one counter. A missing one fails the test.
func counted(t *testing.T, counts map[string]int, name string) int {
	t.Helper()
	n, ok := counts[name]
	if !ok {
		t.Fatal("no counter " + name)
	}
	return n
}

func filtered(t *testing.T, counts map[string]int, what string) int {
	t.Helper()
	return counted(t, counts, "fortiems_filter_"+what+`_records_total{name="fortiems.0"}`)
}

func outcome(t *testing.T, counts map[string]int, result string) int {
	t.Helper()
	return counted(t, counts, `fortiems_output_documents_total{name="fortiems_es.0",result="`+result+`"}`)
}

// delivered is the number of documents that the output has finished with.
func (s *shipper) delivered(t *testing.T) int {
	t.Helper()
	c := s.counters(t)
	return outcome(t, c, "stored") + outcome(t, c, "duplicate") + outcome(t, c, "dead_lettered")
}
