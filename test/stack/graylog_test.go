package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
	"fluent-bit-fortiems/test/stack/fakegraylog"
)

const contentPack = "../../conf/dashboards/graylog-content-pack.json"

func startFakeGraylog(t *testing.T, version string) (*fakegraylog.Server, string) {
	t.Helper()
	s := &fakegraylog.Server{Version: version, PasswordHash: fmt.Sprintf("%x", sha256.Sum256([]byte("gg")))}
	srv := httptest.NewServer(s.Handler())
	t.Cleanup(srv.Close)
	t.Setenv("FRONT_URL", srv.URL)
	t.Setenv("GRAYLOG_PASSWORD", "gg")
	return s, srv.URL
}

// TestGraylogIsPrepared runs the one-shot service against fakes of both forms of the API, twice,
// because make stack may run again.
func TestGraylogIsPrepared(t *testing.T) {
	for _, version := range []string{"6.3.7", "7.1.7"} {
		s, _ := startFakeGraylog(t, version)
		if s.Ready() {
			t.Fatal("ready before anything was done")
		}
		for range 2 {
			if err := runGraylog(t.Context(), []string{"-file", contentPack}); err != nil || !s.Ready() {
				t.Errorf("%s: ready %v, %v", version, s.Ready(), err)
			}
		}
	}
}

func TestGraylogRefusesAWrongPassword(t *testing.T) {
	_, url := startFakeGraylog(t, "6.3.7")
	c, err := newClient(url, "admin", "wrong", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (graylog{c}).indexSet(t.Context()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Error(err)
	}
}

// TestGELFReachesGraylog runs the collector of the profile in Fluent Bit, with a fake of
// Graylog behind it, and counts a pass of the corpus as make stack-test does.
func TestGELFReachesGraylog(t *testing.T) {
	bin := rig.FluentBit(t)
	rig.Build(t)
	s, url := startFakeGraylog(t, "6.3.7")
	dir := t.TempDir()
	if err := runEnv(t.Context(), []string{"-file", dir + "/.env", "-dir", dir + "/stack"}); err != nil {
		t.Fatal(err)
	}
	if err := runGraylog(t.Context(), []string{"-file", contentPack}); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { _ = s.ServeGELF(l) }()
	text, err := os.ReadFile("fluent-bit-graylog.yaml")
	if err != nil {
		t.Fatal(err)
	}
	syslog, health := rig.FreePort(t), rig.FreePort(t)
	config := strings.NewReplacer("/tls/", dir+"/stack/tls/", "/buffer", dir+"/stack/buffer", "/conf/", rig.Root+"/conf/", "6514", fmt.Sprint(syslog),
		"2020", fmt.Sprint(health), "0.0.0.0", "127.0.0.1", "grace: 40", "grace: 5", "${GRAYLOG_HOST}", "127.0.0.1",
		"12201", fmt.Sprint(l.Addr().(*net.TCPAddr).Port)).Replace(string(text))
	if err := os.WriteFile(dir+"/fluent-bit.yaml", []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	startCollector(t, bin, "-e", rig.Object, "-c", dir+"/fluent-bit.yaml")
	err = eventually(t.Context(), 30*time.Second, 200*time.Millisecond, func(ctx context.Context) error {
		return runProbe(ctx, []string{fmt.Sprintf("http://127.0.0.1:%d/", health)})
	})
	if err != nil {
		t.Fatal(err)
	}
	send(t, fmt.Sprintf("127.0.0.1:%d", syslog), dir+"/stack/tls/ca.crt")
	if err := os.WriteFile(dir+"/.env", []byte("GRAYLOG_PASSWORD=gg\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := runCount(t.Context(), []string{"-env", dir + "/.env", "-url", url, "-ca", "", "-product", "graylog", "-limit", "1m"}); err != nil {
		t.Fatal(err)
	}
	for _, m := range s.Messages() {
		if m["version"] != "1.1" || m["_fortinet_ems_category"] == nil {
			t.Errorf("message %v", m)
		}
		if at, _ := m["timestamp"].(float64); time.Since(time.UnixMilli(int64(at*1000))).Abs() > 10*time.Minute {
			t.Errorf("time %v of %v", m["timestamp"], m["short_message"])
		}
	}
}
