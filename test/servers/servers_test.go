package servers

import (
	"context"
	"net/http"
	"testing"
)

func TestServerKeepsItsDataOverStopAndKill(t *testing.T) {
	for _, kind := range []Kind{OpenSearch, Elasticsearch} {
		t.Run(string(kind), func(t *testing.T) {
			s := ForTest(t, kind)
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
		})
	}
}
