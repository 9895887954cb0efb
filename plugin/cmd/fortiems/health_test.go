package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	status := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
	defer srv.Close()
	for s, want := range map[int]int{200: exitFine, 500: exitError} {
		status = s
		var errs strings.Builder
		if code := run(t.Context(), []string{"health", srv.URL}, app{errs: &errs}); code != want {
			t.Errorf("%d: exit code %d, %s", s, code, errs.String())
		}
	}
	srv.Close()
	if code := run(t.Context(), []string{"health", srv.URL}, app{errs: &strings.Builder{}}); code != exitError {
		t.Errorf("without a server: exit code %d", code)
	}
}
