package bootstrap

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/plugin/eshttp"
	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/option"
)

// TestIllHostsOfSeveral: whatever one of three hosts does, the others are prepared at the
// first try. The run of calls stays with one host while that is well, because the next call
// builds on what the last one has done.
func TestIllHostsOfSeveral(t *testing.T) {
	for name, ill := range map[string]http.HandlerFunc{
		"none": nil,
		"503": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
		},
		"a login page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(401)
		},
		"a web page": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
		},
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://login.example/", http.StatusFound)
		},
		"hangs up": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, opensearch)
			asked := map[string]int{}
			count := func(host string, h http.Handler) string {
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					asked[host]++ // one call at a time
					h.ServeHTTP(w, r)
				}))
				t.Cleanup(srv.Close)
				return srv.URL
			}
			first := http.Handler(f)
			if ill != nil {
				first = ill
			}
			hosts := []string{count("first", first), count("second", f), count("third", f)}
			c, err := option.ParseOutput(func(key string) string { return map[string]string{"hosts": strings.Join(hosts, ",")}[key] })
			if err != nil {
				t.Fatal(err)
			}
			client, err := eshttp.New(&c, "test")
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			l := &logs{}
			b := New(Options{Transport: client.Pinned(), Config: c, Log: hostlog.New("output", "fortiems_es", "t", hostlog.Warn, time.Hour, l.write)})
			if err := b.Ready(t.Context()); err != nil || len(l.warnings()) > 0 {
				t.Fatalf("%v %q", err, l.warnings())
			}
			all := len(f.seen)
			if ill == nil && asked["first"] != all || ill != nil && (asked["first"] != 1 || asked["second"] != all) || asked["third"] != 0 {
				t.Errorf("asked %v, %d answers", asked, all)
			}
		})
	}
}

// TestProgressIsKept: what is installed is not installed again when a later call fails.
func TestProgressIsKept(t *testing.T) {
	f := newFake(t, elasticsearch)
	f.answers["PUT /_index_template/"+deadName] = scripted{status: 503, once: true}
	b, _ := instance(t, f, nil)
	if b.Ready(t.Context()) == nil {
		t.Fatal("503 is taken for a success")
	}
	before := len(f.writes())
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := f.writes()[before:]; len(again) != 1 || !strings.Contains(again[0], deadName) {
		t.Errorf("the second try writes %q", again)
	}
}
