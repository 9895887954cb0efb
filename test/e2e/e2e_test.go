// Package e2e_test ships through the built shared object to a real OpenSearch: the
// whole corpus, through faults of the server and kills of the host. It compares the
// stored documents with what was sent.
package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
	"fluent-bit-fortiems/test/servers"
)

const (
	patience = 90 * time.Second // bounds every wait
	stream   = "logs-fortinet.fortiems-default"
	dead     = "logs-fortinet.fortiems.dead_letter-default"
)

var filterObject, outputObject, host = rig.Object, rig.OutputLink, rig.Host

// start starts an OpenSearch for one test.
func start(t *testing.T, settings ...string) *servers.Server {
	t.Helper()
	rig.Build(t)
	return servers.ForTest(t, servers.OpenSearch, settings...)
}

// process is a running host.
type process struct {
	cmd  *exec.Cmd
	log  *rig.Output
	done chan struct{}
	err  error
}

// run starts the stand-in host with the filter and an output that sends to url.
func run(t *testing.T, url string, args ...string) *process {
	t.Helper()
	all := append([]string{
		"--quiet", "--stats", "--filter", filterObject, "--output", outputObject, "--key", "message",
		"--output-prop", "hosts=" + url, "--output-prop", "flush_timeout=10s",
	}, args...)
	p := &process{cmd: exec.Command(host, all...), log: &rig.Output{}, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.cmd.Process.Signal(syscall.SIGKILL)
		<-p.done
		if t.Failed() {
			t.Logf("host: %s", p.log)
		}
	})
	return p
}

// wait waits for the host to end and fails the test unless it delivered everything.
func (p *process) wait(t *testing.T) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("the host does not end:\n%s", p.log)
	}
	if p.err != nil {
		t.Fatalf("host: %v\n%s", p.err, p.log)
	}
}

// until polls until a condition holds.
func until(t *testing.T, what string, fact func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !fact() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %s", patience, what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// numbered writes n lines of FortiEMS, each with its own number in policyname.
func numbered(t *testing.T, n int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "numbered.log")
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintln(&b, numberedLine(i))
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func numberedLine(i int) string {
	return fmt.Sprintf(`emsserial=FCTEMS0000000001 type=event subtype=admin devid=FCT%013d hostname="host-%d" deviceip=10.%d.%d.%d msg="offline" policyname="n%06d"`,
		i%100, i%100, i>>16&255, i>>8&255, i&255, i)
}

// numbers counts the documents of a target by line number.
func numbers(t *testing.T, s *servers.Server, target string) map[string]int {
	t.Helper()
	s.Must(t, "POST", "/"+target+"/_refresh", "", nil)
	seen := map[string]int{}
	var page struct {
		Scroll string `json:"_scroll_id"`
		Hits   struct {
			Hits []struct {
				Source struct {
					Fortinet struct {
						EMS struct {
							Number string `json:"policyname"`
						} `json:"ems"`
					} `json:"fortinet"`
				} `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	s.Must(t, "POST", "/"+target+"/_search?scroll=1m&size=5000", `{"_source":["fortinet.ems.policyname"],"sort":["_doc"]}`, &page)
	for len(page.Hits.Hits) > 0 {
		for _, h := range page.Hits.Hits {
			seen[h.Source.Fortinet.EMS.Number]++
		}
		next := fmt.Sprintf(`{"scroll":"1m","scroll_id":%q}`, page.Scroll)
		page.Hits.Hits = nil
		s.Must(t, "POST", "/_search/scroll", next, &page)
	}
	return seen
}

// exactlyOnce checks that n numbered lines are stored, each once.
func exactlyOnce(t *testing.T, s *servers.Server, target string, n int) {
	t.Helper()
	seen := numbers(t, s, target)
	lost, twice := 0, 0
	for i := range n {
		switch c := seen[fmt.Sprintf("n%06d", i)]; {
		case c == 0:
			lost++
		case c > 1:
			twice++
		}
	}
	if lost > 0 || twice > 0 || len(seen) != n {
		t.Errorf("of %d lines %d are lost, %d are stored more than once; %d different ones", n, lost, twice, len(seen))
	}
}

// golden reads the expected records of a corpus case.
func golden(dir string) ([]map[string]any, error) {
	text, err := os.ReadFile(filepath.Join(dir, "expected.ndjson"))
	if err != nil {
		return nil, err
	}
	var records []map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	for dec.More() {
		var r map[string]any
		if err := dec.Decode(&r); err != nil {
			return nil, errors.Join(errors.New(dir), err)
		}
		if r != nil {
			records = append(records, r)
		}
	}
	return records, nil
}

// leaves collects the values of a record by dotted name.
func leaves(prefix string, v any, into map[string][]any) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			leaves(strings.TrimPrefix(prefix+"."+k, "."), inner, into)
		}
	case []any:
		for _, inner := range v {
			leaves(prefix, inner, into)
		}
	default:
		into[prefix] = append(into[prefix], v)
	}
}

func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "input.log")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
