package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"
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
	want, err := corpusCategories()
	if err != nil {
		t.Fatal(err)
	}
	if len(want) != 17 {
		t.Errorf("the corpus has %d categories of FortiEMS: %v", len(want), want)
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
	args := []string{"-env", dir + "/.env", "-url", srv.URL, "-ca", ""}
	if err := runCount(context.Background(), args); err != nil || asked != 2 {
		t.Error(asked, err)
	}
	if err := lacking(want, map[string]int{}); err == nil || !strings.Contains(err.Error(), "ems-vpn 0 of ") {
		t.Error(err)
	}
}
