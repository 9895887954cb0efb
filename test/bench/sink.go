package bench

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Sink answers bulk requests with 201 for every document and keeps nothing.
type Sink struct {
	Port      string
	documents atomic.Int64
	last      atomic.Int64 // when documents came last, in Unix nanoseconds
}

// NewSink starts one that runs until the process ends.
func NewSink() (*Sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	s := &Sink{Port: port}
	go func() { _ = http.Serve(l, s) }()
	return s, nil
}

// Reset forgets what has come.
func (s *Sink) Reset() { s.documents.Store(0) }

// Documents returns how many have come.
func (s *Sink) Documents() int64 { return s.documents.Load() }

// Last returns when documents came last.
func (s *Sink) Last() time.Time { return time.Unix(0, s.last.Load()) }

func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n := bytes.Count(text, []byte("\n")) / 2
	s.documents.Add(int64(n))
	s.last.Store(time.Now().UnixNano())
	items := strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, n), ",")
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"took":1,"errors":false,"items":[%s]}`, items)
}
