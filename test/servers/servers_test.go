package servers

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

func TestServerKeepsItsDataOverStopAndKill(t *testing.T) {
	for _, kind := range []Kind{OpenSearch, Elasticsearch} { // test/e2e starts the others
		t.Run(kind.String(), func(t *testing.T) { keepsItsData(t, ForTest(t, kind)) })
	}
	t.Run("with security", func(t *testing.T) {
		s := ForTestWith(t, OpenSearch, Options{Security: true})
		if resp, err := http.Get(strings.Replace(s.URL(), "https", "http", 1)); err == nil {
			resp.Body.Close()
			t.Error("it answers without TLS")
		}
		resp, err := s.Access().client.Get(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("without a password it answers %d", resp.StatusCode)
		}
		keepsItsData(t, s)
	})
}

func keepsItsData(t *testing.T, s *Server) {
	t.Helper()
	s.Must(t, "PUT", "/kept/_doc/1?refresh=true", `{"a":1}`, nil)
	before := s.URL()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := http.Get(before); err == nil {
		t.Fatal("a stopped server answers")
	}
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if err := s.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s.URL() != before {
		t.Errorf("%s became %s", before, s.URL())
	}
	if n := s.Count(t, "kept", ""); n != 1 {
		t.Errorf("%d documents of 1 are left", n)
	}
}

func TestJavaOfTheServer(t *testing.T) {
	for text, want := range map[string]string{
		`openjdk version "17.0.15" 2025-04-15`: "17", `openjdk version "25" 2025-09-16`: "25", `java version "1.8.0_432"`: "8",
	} {
		if m := javaVersion.FindStringSubmatch(text); m == nil || m[1] != want {
			t.Errorf("%s: %v", text, m)
		}
	}
	if _, err := findJava(9999); err == nil || !strings.Contains(err.Error(), "needs a JDK") {
		t.Errorf("%v", err)
	}
}
