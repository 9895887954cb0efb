package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"
)

// ForTest starts a server for one test and closes it at its end. The test is
// skipped when the tools are missing.
func ForTest(t testing.TB, kind Kind, settings ...string) *Server {
	t.Helper()
	return ForTestWith(t, kind, Options{Settings: settings})
}

// ForTestWith is ForTest with all options.
func ForTestWith(t testing.TB, kind Kind, o Options) *Server {
	t.Helper()
	if testing.Short() {
		t.Skip("not run: starts a server (-short)")
	}
	s, err := Start(context.Background(), kind, o)
	if errors.Is(err, ErrNoTool) {
		t.Skipf("not run: %s %v", kind, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s printed:\n%s", kind, s.tail)
		}
	})
	return s
}

// ClusterForTest is ForTest for n nodes.
func ClusterForTest(t testing.TB, kind Kind, n int, o Options) *Cluster {
	t.Helper()
	if testing.Short() {
		t.Skip("not run: starts servers (-short)")
	}
	c, err := StartCluster(context.Background(), kind, n, o)
	if errors.Is(err, ErrNoTool) {
		t.Skipf("not run: %s %v", kind, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Do sends body, if any, as JSON or NDJSON and returns status and response body.
func (s *Server) Do(t testing.TB, method, path, body string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, s.URL()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.access.Send(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

// Must is like Do but fails the test on an error status. It decodes the response into
// into, unless that is nil.
func (s *Server) Must(t testing.TB, method, path, body string, into any) {
	t.Helper()
	status, answer := s.Do(t, method, path, body)
	if status/100 != 2 {
		t.Fatalf("%s %s: %d %s", method, path, status, answer)
	}
	if into != nil {
		if err := json.Unmarshal(answer, into); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, answer)
		}
	}
}

// Count returns the number of documents of target that match query (nil: all),
// after a refresh. A target that does not exist holds none.
func (s *Server) Count(t testing.TB, target, query string) int {
	t.Helper()
	if status, _ := s.Do(t, "POST", "/"+target+"/_refresh", ""); status == http.StatusNotFound {
		return 0
	}
	if query != "" {
		query = `{"query":` + query + `}`
	}
	var got struct{ Count int }
	s.Must(t, "POST", "/"+target+"/_count", query, &got)
	return got.Count
}
