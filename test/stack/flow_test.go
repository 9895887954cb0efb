package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
	"fluent-bit-fortiems/test/servers"
)

// TestFlowWithoutContainers runs the flow of the stack with local programs instead of
// containers: the collector's configuration in Fluent Bit, templates from setup, lines
// from the sender over TLS, a real OpenSearch, and the final count. Accounts and
// front ends are not covered.
func TestFlowWithoutContainers(t *testing.T) {
	bin := rig.FluentBit(t)
	rig.Build(t)
	s := servers.ForTest(t, servers.OpenSearch)
	ctx, dir := t.Context(), t.TempDir()
	if err := runEnv(ctx, []string{"-file", dir + "/.env", "-dir", dir + "/stack"}); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SEARCH_URL", s.URL())
	t.Setenv("SEARCH_USER", "admin")
	t.Setenv("SEARCH_PASSWORD", "unused")
	t.Setenv("FORTIEMS_PASSWORD", "unused")
	if err := runSetup(ctx, []string{"-product", "opensearch"}); err != nil {
		t.Fatal(err)
	}
	syslog, health := rig.FreePort(t), rig.FreePort(t)
	text, err := os.ReadFile("fluent-bit.yaml")
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("/tls/", dir+"/stack/tls/", "/buffer", dir+"/stack/buffer", "/conf/", rig.Root+"/conf/", "6514", fmt.Sprint(syslog),
		"2020", fmt.Sprint(health), "0.0.0.0", "127.0.0.1", "grace: 40", "grace: 5").Replace(string(text))
	if err := os.WriteFile(dir+"/fluent-bit.yaml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	startCollector(t, bin, "-e", rig.Object, "-e", rig.OutputLink, "-c", dir+"/fluent-bit.yaml")
	begin := time.Now()
	addr := fmt.Sprintf("127.0.0.1:%d", syslog)
	err = eventually(ctx, 30*time.Second, 200*time.Millisecond, func(ctx context.Context) error {
		return runProbe(ctx, []string{fmt.Sprintf("http://127.0.0.1:%d/", health)}) // up after the inputs
	})
	if err != nil {
		t.Fatal(err)
	}
	send(t, addr, dir+"/stack/tls/ca.crt")
	if err := runCount(ctx, []string{"-env", dir + "/.env", "-url", s.URL(), "-ca", dir + "/stack/tls/ca.crt", "-product", "opensearch", "-limit", "1m"}); err != nil {
		t.Fatal(err)
	}
	want, err := corpusCategories()
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, n := range want {
		lines += n
	}
	if n := s.Count(t, "logs-fortinet.fortiems-default", ""); n != lines {
		t.Errorf("%d documents of %d lines", n, lines)
	}
	// Dashboards show the last 24 hours, so every document must be recent.
	old := fmt.Sprintf(`{"bool":{"must_not":{"range":{"@timestamp":{"gte":%d,"lte":%d}}}}}`, begin.Add(-5*time.Second).UnixMilli(), time.Now().Add(5*time.Second).UnixMilli())
	if n := s.Count(t, "logs-fortinet.fortiems-default", old); n != 0 {
		t.Errorf("%d documents are not recent", n)
	}
	if err := runProbe(ctx, []string{fmt.Sprintf("http://127.0.0.1:%d/api/v1/health", health)}); err != nil {
		t.Error(err)
	}
}

// send replays the corpus once over TLS.
func send(t *testing.T, addr, ca string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), rig.Fortiems, "send", "--corpus", "--proto", "tls", "--addr", addr, "--ca", ca, "--rate", "1000")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// startCollector runs Fluent Bit until the end of the test.
func startCollector(t *testing.T, bin string, args ...string) {
	t.Helper()
	out := rig.Start(t, exec.Command(bin, args...))
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("Fluent Bit so far:\n%s", out)
		}
	})
}
