package bench

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Sink answers bulk requests with _id and 201 for every document, which is what the output
// asks of a server, and keeps nothing.
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
	n, action := 0, false
	items := []byte(`{"errors":false,"items":[`)
	for line := range bytes.Lines(text) {
		if action = !action; !action {
			continue
		}
		if n++; n > 1 {
			items = append(items, ',')
		}
		items = append(items, `{"create":{`...)
		if _, id, ok := bytes.Cut(line, []byte(`"_id":"`)); ok {
			id, _, _ = bytes.Cut(id, []byte(`"`))
			items = append(append(append(items, `"_id":"`...), id...), `",`...)
		}
		items = append(items, `"status":201}}`...)
	}
	s.documents.Add(int64(n))
	s.last.Store(time.Now().UnixNano())
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(items, `]}`...)) // the run fails if this does
}
