// Package metrics serves the counters of the filter and of the output to
// Prometheus.
//
// Instances that name the same address share one server with its own registry. It starts
// with the first of them and ends with the last. The label "name" holds the name of the
// instance (the alias, else fortiems.0), as in Fluent Bit's own metrics; Prometheus itself
// sets the label "instance".
//
// Instances of one name, for example after a hot reload or with several threads, are one
// series with their sum. The counts of a closed instance stay in the sum as long as the
// server runs, so that a counter never decreases while it is scraped. When the last
// instance closes, all counters end, which Prometheus takes as a restart.
//
// Everything in the package is safe for concurrent use.
package metrics

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"fluent-bit-fortiems/plugin/hostlog"
)

const (
	// drainTimeout bounds how long the last Close waits for running scrapes.
	drainTimeout = time.Second
	// maxScrapes is how many scrapes may run at once; more are answered 503.
	maxScrapes = 8
)

// Server is the share of one instance in the server of an address.
type Server struct {
	shared *shared
	close  sync.Once
}

// shared is what all instances of an address have in common.
type shared struct {
	key      string // in servers
	holds    int    // instances that use it; guarded by servers.mu
	listener net.Listener
	http     *http.Server
	done     chan struct{} // closed when http has stopped accepting
	metrics  *set
}

// servers are the running servers of this process by address. A shared object is
// never unloaded, so they outlive a hot reload if an instance does.
var servers = struct {
	mu    sync.Mutex
	byKey map[string]*shared
}{byKey: make(map[string]*shared)}

// Listen returns the server at addr (host:port), which it starts for the first instance. A
// missing host means 127.0.0.1; 0.0.0.0 and [::] mean all interfaces. version is the
// version of the build. log, which may be nil, gets the errors of the server that it
// starts. The error names the option and the address. The caller must Close the result.
func Listen(addr, version string, log *hostlog.Logger) (*Server, error) {
	at, err := resolve(addr)
	if err != nil {
		return nil, fmt.Errorf("metrics_listen: %q cannot be used: %w", addr, err)
	}
	servers.mu.Lock()
	defer servers.mu.Unlock()
	s := servers.byKey[at]
	if s == nil {
		if s, err = start(at, version, log); err != nil {
			var op *net.OpError // names the address again
			if errors.As(err, &op) {
				err = op.Err
			}
			return nil, fmt.Errorf("metrics_listen: cannot listen on %q: %w", addr, err)
		}
		servers.byKey[s.key] = s
	}
	s.holds++
	return &Server{shared: s}, nil
}

// resolve returns addr in the one form in which servers are looked up: an IP
// address and a port, the address empty for all interfaces.
func resolve(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	at, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(cmp.Or(host, "127.0.0.1"), port))
	if err != nil {
		return "", err
	}
	if at.IP.IsUnspecified() {
		return net.JoinHostPort("", port), nil
	}
	return netip.AddrPortFrom(at.AddrPort().Addr().Unmap(), at.AddrPort().Port()).String(), nil
}

func start(at, version string, log *hostlog.Logger) (*shared, error) {
	listener, err := net.Listen("tcp", at)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	s := &shared{key: at, listener: listener, done: make(chan struct{}), metrics: newSet(registry, version)}
	if strings.HasSuffix(at, ":0") {
		s.key = listener.Addr().String() // no other instance can know the port yet
	}
	s.http = &http.Server{
		Handler:           handler(registry, log),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute, // scrapes are usually 15 s to 60 s apart
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          errorLog(log),
	}
	go func() {
		defer close(s.done)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Printf(hostlog.Error, "metrics_listen: the server on %s has ended: %v", s.listener.Addr(), err)
		}
	}()
	return s, nil
}

func handler(registry *prometheus.Registry, log *hostlog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog:            errorLog(log),
		ErrorHandling:       promhttp.ContinueOnError, // one broken collector hides only itself
		MaxRequestsInFlight: maxScrapes,
		CoalesceGather:      true,
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "fluent-bit-fortiems: the metrics are at /metrics")
	})
	return mux
}

// errorLog returns a logger for libraries that writes throttled lines to to.
func errorLog(to *hostlog.Logger) *log.Logger {
	return log.New(errorWriter{to}, "", 0)
}

type errorWriter struct{ log *hostlog.Logger }

func (w errorWriter) Write(text []byte) (int, error) {
	w.log.Limited(hostlog.Warn, "metrics", time.Now(), "metrics_listen: %s", strings.TrimSpace(string(text)))
	return len(text), nil
}

// URL returns the URL of the metrics, with the address that the server listens on.
func (s *Server) URL() string {
	return "http://" + s.shared.listener.Addr().String() + "/metrics"
}

// cleanName returns name as the value of a label, which must be UTF-8.
func cleanName(name string) string {
	return strings.ToValidUTF8(cmp.Or(name, "-"), "\uFFFD")
}

// Close ends the share of the instance, and the server with the last one: the port is free
// when Close returns, and a scrape that still runs is cut off after a second. Closing a nil
// Server or a closed one does nothing.
func (s *Server) Close() {
	if s != nil {
		s.close.Do(s.shared.release)
	}
}

// release ends the server if the instance was the last one. Until then no other can start.
func (s *shared) release() {
	servers.mu.Lock()
	defer servers.mu.Unlock()
	if s.holds--; s.holds > 0 {
		return
	}
	delete(servers.byKey, s.key)
	ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close() // its only error is that a connection is closed already
	}
	<-s.done
}
