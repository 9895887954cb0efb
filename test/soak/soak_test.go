// Package soak_test sends a steady stream of lines, garbage among them, through the
// shipper into a real OpenSearch with injected faults, and counts documents at the end. The
// shipper is a real Fluent Bit if one is found, otherwise the stand-in host. These tests
// take minutes, so each runs only when its variable sets a duration: make soak.
package soak_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"fluent-bit-fortiems/test/bench"
	"fluent-bit-fortiems/test/servers"
)

const (
	stream   = "logs-fortinet.fortiems-default"
	dead     = "logs-fortinet.fortiems.dead_letter-default"
	patience = 10 * time.Minute // bounds every wait; a busy machine catches up slowly
)

var (
	filterObject, outputObject, host string
	buildErr                         error
)

func TestMain(m *testing.M) {
	for _, name := range []string{"FORTIEMS_SOAK", "FORTIEMS_RESTARTS"} {
		if os.Getenv(name) != "" && buildErr == nil {
			buildErr = build()
		}
	}
	os.Exit(m.Run())
}

func build() error {
	out, err := filepath.Abs("../../build/out")
	if err != nil {
		return err
	}
	filterObject = filepath.Join(out, "flb-filter_fortiems.so")
	outputObject = filepath.Join(out, "out_fortiems_es.so")
	host = filepath.Join(out, "fortiems-host")
	if text, err := exec.Command("make", "-s", "-C", "../..", "build").CombinedOutput(); err != nil {
		return fmt.Errorf("make build: %w\n%s", err, text)
	}
	return nil
}

// duration returns how long a test runs. Without its variable the test is skipped; with
// it a missing tool is a failure, because the test was requested.
func duration(t *testing.T, variable, usual string) time.Duration {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		t.Skipf("not run: takes minutes (%s=%s, see test/README.md)", variable, usual)
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		t.Fatalf("%s=%q is no duration such as %s", variable, text, usual)
	}
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return d
}

// openSearch starts one server.
func openSearch(t *testing.T) *servers.Server {
	t.Helper()
	s, err := servers.Start(context.Background(), servers.OpenSearch, servers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// cluster starts three nodes, and returns the one that faults are injected into and the
// hosts for the shipper: the nodes, and a fourth host that is always ill.
func cluster(t *testing.T) (node *servers.Server, hosts string) {
	t.Helper()
	c, err := servers.StartCluster(context.Background(), servers.OpenSearch, 3, servers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	ill := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<html>no server behind this proxy</html>")
	}))
	t.Cleanup(ill.Close)
	return c.Nodes[0], ill.URL + "," + c.URLs()
}

// until polls until fact returns true.
func until(t *testing.T, what string, fact func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !fact() {
		pause(ctx, 100*time.Millisecond)
		if ctx.Err() != nil {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// pause spaces out the load; it does not wait for a condition.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// judgedFrom is the least duration of a run whose memory is judged: it goes on, at most as
// long again, until there are enough rounds.
const judgedFrom = 5 * time.Minute

// TestSoak sends lines for at least FORTIEMS_SOAK. Faults are injected in rounds; the last
// round is completed even if the time is up.
func TestSoak(t *testing.T) {
	length := duration(t, "FORTIEMS_SOAK", "10m")
	server, hosts := cluster(t)
	load := newLoad(t)
	ship := startShipper(t, bench.FluentBit(), hosts, t.TempDir())
	t.Logf("shipper: %s; servers: three nodes of OpenSearch, and a host that is always ill; %d lines/s, of which 1 %% garbage", ship.what, load.rate)

	send := startSender(t, load, ship.syslog)
	until(t, "the first documents are stored", func() bool { return ship.delivered(t) > 0 })
	rejectSome(t, server)
	send.rejectable.Store(true)

	w := faults{t: t, server: server, ship: ship, send: send, length: length}
	begun := time.Now()
	for w.rounds == 0 || time.Since(begun) < length || w.rounds < minRounds && length >= judgedFrom && time.Since(begun) < 2*length {
		w.round(begun)
	}
	sent := send.stop(t)
	took := time.Since(begun)
	until(t, "everything is delivered", func() bool { return ship.delivered(t) >= sent && ship.idle() })

	reconcile(t, server, ship, send, sent)
	judgeMemory(t, ship.watch.stop())
	checkTroubleLog(t, ship.log.String(), time.Since(begun), "the next host is asked", "is read-only", "went to the dead letters")
	ship.end(t)
	t.Logf("%d lines in %s, %.0f a second; largest lag %s", sent, took.Round(time.Second), float64(sent)/took.Seconds(), send.lag().Round(time.Second))
	if real := float64(sent) / took.Seconds(); real < float64(load.rate)*0.98 {
		t.Errorf("only %.0f lines a second: is the machine too busy? RATE=%d asks for less", real, load.rate/2)
	}
}
