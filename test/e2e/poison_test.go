package e2e_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
)

// healthyLines take a real Fluent Bit some ten seconds.
const healthyLines = 2_000_000

// TestHealthyBesidePoisoned ships a stream at full speed with two workers, alone and beside
// ten chunks whose documents always get 503. It keeps at least half its rate.
func TestHealthyBesidePoisoned(t *testing.T) {
	binary := rig.FluentBit(t)
	rig.Build(t)
	if testing.Short() {
		t.Skip("not run: a measurement of half a minute")
	}
	alone := shipBeside(t, binary, 0)
	beside := shipBeside(t, binary, 10)
	t.Logf("%d documents: alone %.0f a second, beside ten poisoned chunks %.0f a second", healthyLines, alone, beside)
	if beside < alone/2 {
		t.Errorf("%.0f documents a second are less than half of %.0f", beside, alone)
	}
}

// shipBeside returns the rate of the healthy documents from the start of Fluent Bit to the
// last one that is stored.
func shipBeside(t *testing.T, binary string, poisoned int) float64 {
	t.Helper()
	var healthy, refused atomic.Int64
	var last atomic.Int64
	es := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = z
		}
		text, err := io.ReadAll(body)
		if err != nil {
			return
		}
		docs := bytes.Count(text, []byte("\n")) / 2
		item := `{"create":{"status":201}}`
		if bytes.Contains(text, []byte("poisoned")) {
			item = `{"create":{"status":503,"error":{"type":"unavailable_shards_exception","reason":"x"}}}`
			refused.Add(int64(docs))
		} else {
			healthy.Add(int64(docs))
			last.Store(time.Now().UnixNano())
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"items":[%s%s]}`, item, strings.Repeat(","+item, docs-1))
	}))
	defer es.Close()

	dir := t.TempDir()
	file := func(name, line string, n int) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(strings.Repeat(line+"\n", n)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var inputs strings.Builder
	for i := range poisoned {
		fmt.Fprintf(&inputs, "    - {name: tail, tag: p%d, path: %s, key: message, read_from_head: on}\n", i, file(fmt.Sprint("p", i), "poisoned", 100))
	}
	fmt.Fprintf(&inputs, "    - {name: tail, tag: healthy, path: %s, key: message, read_from_head: on, buffer_chunk_size: 512k, buffer_max_size: 1m}\n",
		file("healthy", numberedLine(1), healthyLines))
	conf := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(conf, []byte(fmt.Sprintf(`service: {flush: 1, grace: 1, log_level: error, coro_stack_size: 131072}
plugins: [ %s, %s ]
pipeline:
  inputs:
%s  outputs:
    - {name: fortiems_es, match: '*', hosts: '%s', bootstrap: off, product: elasticsearch, workers: 2, retry_limit: no_limits}
`, filterObject, outputObject, inputs.String(), es.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd, log := exec.Command(binary, "-c", conf), &rig.Output{}
	cmd.Stdout, cmd.Stderr = log, log
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	}()
	until(t, "the healthy documents are stored: "+log.String(), func() bool { return healthy.Load() >= healthyLines })
	if poisoned > 0 && refused.Load() < int64(poisoned)*100 {
		t.Errorf("only %d poisoned documents were sent", refused.Load())
	}
	if healthy.Load() != healthyLines {
		t.Errorf("%d healthy documents", healthy.Load())
	}
	return healthyLines / time.Duration(last.Load()-begun.UnixNano()).Seconds()
}
