package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
)

func TestEnvIsMadeOnceAndKept(t *testing.T) {
	dir := t.TempDir()
	args := []string{"-file", dir + "/.env", "-dir", dir + "/stack"}
	var before [3]string
	for round := range 2 {
		if err := runEnv(context.Background(), args); err != nil {
			t.Fatal(err)
		}
		for i, f := range []string{"/.env", "/stack/tls/node.crt", "/stack/opensearch/internal_users.yml"} {
			text, err := os.ReadFile(dir + f)
			if err != nil {
				t.Fatal(err)
			}
			if round > 0 && string(text) != before[i] {
				t.Errorf("%s changed", f)
			}
			before[i] = string(text)
		}
	}
	for path, mode := range map[string]os.FileMode{"/.env": 0o600, "/stack": 0o700} {
		info, err := os.Stat(dir + path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	values, seen := parseEnv(before[0]), map[string]bool{}
	for _, s := range secrets {
		if len(values[s]) < 32 || seen[values[s]] {
			t.Errorf("%s is short or not unique", s)
		}
		seen[values[s]] = true
	}
	var users map[string]struct{ Hash string }
	if err := yaml.Unmarshal([]byte(before[2]), &users); err != nil {
		t.Fatal(err)
	}
	for user, secret := range map[string]string{"admin": "OPENSEARCH_ADMIN_PASSWORD", "kibanaserver": "OPENSEARCH_DASHBOARDS_PASSWORD", "fortiems": "FORTIEMS_PASSWORD"} {
		if err := bcrypt.CompareHashAndPassword([]byte(users[user].Hash), []byte(values[secret])); err != nil {
			t.Errorf("%s: %v", user, err)
		}
	}
	if len(users) != 4 { // with _meta
		t.Errorf("%d users", len(users)-1)
	}
}

// TestCertificatesRenew checks that certificates are renewed shortly before they expire.
func TestCertificatesRenew(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	if err := ensureCertificates(dir, now); err != nil {
		t.Fatal(err)
	}
	first, _ := os.ReadFile(dir + "/node.crt")
	if err := ensureCertificates(dir, now.Add(certLife-certRenew+time.Minute)); err != nil {
		t.Fatal(err)
	}
	if second, _ := os.ReadFile(dir + "/node.crt"); string(first) == string(second) {
		t.Error("kept although it expires soon")
	}
	if _, err := os.Stat(dir + "/ca.key"); err == nil {
		t.Error("the key of the authority is kept")
	}
}

func TestRestampedLinesAreOfNow(t *testing.T) {
	files, err := filepath.Glob("../corpus/*/input.log")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	now := time.Date(2026, 11, 25, 23, 59, 58, 987654321, time.UTC)
	p, checked := parser.New(parser.Options{}), 0
	for _, f := range files {
		if !replayed(filepath.Base(filepath.Dir(f))) {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			var old, ev parser.Event
			known := p.Parse(&old, []byte(line), ecs.Instant{Sec: now.Unix()})
			if got := p.Parse(&ev, []byte(restamp(line, now)), ecs.Instant{Sec: now.Unix()}); got != known || ev.Decision.Category != old.Decision.Category {
				t.Errorf("%s\nbecomes %s", line, restamp(line, now))
			}
			if d := time.Unix(ev.Time.Sec, int64(ev.Time.Nsec)).Sub(now).Abs(); d > time.Second {
				t.Errorf("%s off\n%s", d, restamp(line, now))
			}
			checked++
		}
	}
	if checked < 300 {
		t.Errorf("only %d lines", checked)
	}
}

func TestRestampKeepsZoneAndPrecision(t *testing.T) {
	now := time.Date(2026, 11, 25, 23, 30, 1, 5, time.UTC)
	for _, c := range [][2]string{
		{`<190>date=2024-10-02 time=10:47:07 eventtime=1727856000123456789 tz="+0200" x=1`, `<190>date=2026-11-26 time=01:30:01 eventtime=1795649401000000005 tz="+0200" x=1`},
		{`<190>timestamp=1727856000 itime=1727856000 date="2024-10-02" time="10:28:00"`, `<190>timestamp=1795649401 itime=1795649401 date="2026-11-25" time="23:30:01"`},
		{`2024-10-01T22:17:30.112143+00:00 Oct  1 22:17:30s dtime="2024-10-02 22:17:30"`, `2026-11-25T23:30:01.000Z Oct  1 22:17:30s dtime="2026-11-25 23:30:01"`},
		{`<134>1 2024-10-02T08:01:51Z h app`, `<134>1 2026-11-25T23:30:01.000Z h app`},
		{`<190>Oct  2 09:11:14 h ems-vpn: tz=-03:30 dtime="2024-10-02 22:17:30"`, `<190>Nov 25 23:30:01 h ems-vpn: tz=-03:30 dtime="2026-11-25 20:00:01"`},
		{`msg="scantime=10:00:00 uptime=5"`, `msg="scantime=10:00:00 uptime=5"`},
	} {
		if got := restamp(c[0], now); got != c[1] {
			t.Errorf("%s\nbecomes %s\nwants   %s", c[0], got, c[1])
		}
	}
}

func TestSendOverTLS(t *testing.T) {
	dir := t.TempDir()
	if err := ensureCertificates(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	cert, err := tls.LoadX509KeyPair(dir+"/node.crt", dir+"/node.key")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	received := make(chan []string, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			received <- nil
			return
		}
		defer conn.Close()
		var lines []string
		for s := bufio.NewScanner(conn); s.Scan(); {
			if len(lines) == 0 {
				// A slow reader: the sender finishes long before and must not close the connection early.
				time.Sleep(300 * time.Millisecond)
			}
			lines = append(lines, s.Text())
		}
		received <- lines
	}()
	args := []string{"-addr", l.Addr().String(), "-ca", dir + "/ca.crt", "-corpus", "../corpus", "-rate", "100000"}
	if err := runSend(context.Background(), args); err != nil {
		t.Fatal(err)
	}
	want, err := corpusLines("../corpus")
	if err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-received:
		if len(got) != len(want) {
			t.Errorf("%d lines of %d arrived", len(got), len(want))
		}
		for i := range min(len(got), len(want)) {
			if len(got[i]) == 0 && len(want[i]) > 0 {
				t.Errorf("line %d is empty", i)
			}
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the connection did not end")
	}
	// A collector with a certificate of another authority receives nothing.
	other := t.TempDir()
	if err := ensureCertificates(other, time.Now()); err != nil {
		t.Fatal(err)
	}
	go func() {
		if conn, err := l.Accept(); err == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	}()
	args[3] = other + "/ca.crt"
	var unknown x509.UnknownAuthorityError
	if err := runSend(context.Background(), args); err == nil || !strings.Contains(err.Error(), unknown.Error()[:20]) {
		t.Errorf("sent to an unknown collector: %v", err)
	}
}

func TestSenderHealth(t *testing.T) {
	now := time.Unix(1000, 0)
	s := &sender{now: func() time.Time { return now }}
	for _, c := range []struct{ last, want int64 }{{0, 503}, {1000 - int64(stale/time.Second), 200}, {999, 200}} {
		s.last.Store(c.last)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, nil)
		if int64(w.Code) != c.want {
			t.Errorf("last line at %d: %d", c.last, w.Code)
		}
	}
}

func TestProbe(t *testing.T) {
	status := http.StatusOK
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, p, _ := r.BasicAuth(); p != "secret" || r.URL.RequestURI() != "/a/b?c=d" {
			t.Errorf("asked for %s", r.URL)
		}
		w.WriteHeader(status)
	}))
	defer srv.Close()
	t.Setenv("PROBE_PASSWORD", "secret")
	for _, status = range []int{200, 503} {
		err := runProbe(context.Background(), []string{"-user", "u", srv.URL + "/a/b?c=d"})
		if (err == nil) != (status == 200) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

func TestAccountsHaveOnlyWhatTheyNeed(t *testing.T) {
	var calls []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		calls = append(calls, r.Method+" "+r.URL.Path+" "+string(body))
		_, _ = w.Write([]byte("{}"))
	}))
	defer srv.Close()
	t.Setenv("KIBANA_SYSTEM_PASSWORD", "kk")
	t.Setenv("FORTIEMS_PASSWORD", "ff")
	c, err := newClient(srv.URL, "elastic", "p", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := accounts(context.Background(), c); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`POST /_security/user/kibana_system/_password {"password":"kk"}`,
		`PUT /_security/role/fortiems_writer {"cluster":["monitor","manage_index_templates","manage_ilm"],"indices":[{"names":["logs-fortinet.fortiems-*","logs-fortinet.fortiems.dead_letter-*"],"privileges":["auto_configure","create_doc","monitor","view_index_metadata"]}]}`,
		`PUT /_security/user/fortiems {"password":"ff","roles":["fortiems_writer"]}`,
	}
	if !slices.Equal(calls, want) {
		t.Errorf("%q", calls)
	}
}

func TestImport(t *testing.T) {
	tries := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries++
		if tries == 1 { // not up yet
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		f, h, err := r.FormFile("file")
		if err != nil || h.Filename != "a.ndjson" || r.Header.Get("kbn-xsrf") == "" || r.Header.Get("osd-xsrf") == "" || r.Header.Get("securitytenant") != "global" || r.URL.RequestURI() != "/api/saved_objects/_import?overwrite=true" {
			t.Errorf("%v %v %v", err, r.URL, r.Header)
			return
		}
		text, _ := io.ReadAll(f)
		_ = json.NewEncoder(w).Encode(map[string]any{"success": true, "successCount": strings.Count(string(text), "\n")})
	}))
	defer srv.Close()
	file := t.TempDir() + "/a.ndjson"
	if err := os.WriteFile(file, []byte("{}\n{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("FRONT_URL", srv.URL)
	t.Setenv("SEARCH_USER", "u")
	t.Setenv("SEARCH_PASSWORD", "p")
	if err := runImport(context.Background(), []string{"-file", file}); err != nil || tries != 2 {
		t.Error(tries, err)
	}
	bad := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"success":false,"successCount":1,"errors":[{"id":"x","type":"dashboard"}]}`))
	}))
	defer bad.Close()
	c, _ := newClient(bad.URL, "", "", "")
	if err := importObjects(context.Background(), c, "a", []byte("{}\n{}\n")); err == nil || !strings.Contains(err.Error(), "1 of 2") {
		t.Error(err)
	}
}

func TestCountWaitsForEveryCategory(t *testing.T) {
	want, err := corpusCategories("../corpus")
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != 17 {
		t.Errorf("the corpus has %d categories: %v", len(want), want)
	}
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, p, _ := r.BasicAuth(); p != "pp" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		asked++
		var buckets []map[string]any
		for name, n := range want {
			if asked == 1 && name == "ems-vpn" {
				n--
			}
			buckets = append(buckets, map[string]any{"key": name, "doc_count": n})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"aggregations": map[string]any{"categories": map[string]any{"buckets": buckets}}})
	}))
	defer srv.Close()
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/.env", []byte("ELASTIC_PASSWORD=pp\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-env", dir + "/.env", "-url", srv.URL, "-ca", "", "-corpus", "../corpus"}
	if err := runCount(context.Background(), args); err != nil || asked != 2 {
		t.Error(asked, err)
	}
	if err := lacking(want, map[string]int{}); err == nil || !strings.Contains(err.Error(), "ems-vpn 0 of ") {
		t.Error(err)
	}
}

// Without a listener the sender fails at once.
func TestSendWithoutCollector(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	if err := runSend(context.Background(), []string{"-plain", "-addr", addr, "-corpus", "../corpus"}); err == nil {
		t.Error("no error")
	}
}
