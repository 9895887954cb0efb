package esbulk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/eshttp"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/fakees"
)

const (
	stream = "logs-fortinet.fortiems-default"
	grave  = "logs-fortinet.fortiems.dead_letter-default"
)

// logLines collects warnings and errors.
type logLines struct {
	mu   sync.Mutex
	text []string
}

func (l *logLines) write(level hostlog.Level, line string) {
	if level == hostlog.Info {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, line)
}

func (l *logLines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.text...)
}

func (l *logLines) count(part string) (n int) {
	for _, t := range l.all() {
		if strings.Contains(t, part) {
			n++
		}
	}
	return n
}

// quick makes the pauses short: the tests are not about how long they are.
func quick(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	return pause(ctx, d/100)
}

// shipper returns a Shipper for the options, by key, and its log.
func shipper(t testing.TB, set map[string]string) (*Shipper, *logLines) {
	t.Helper()
	c, err := option.ParseOutput(func(key string) string { return set[key] })
	if err != nil {
		t.Fatal(err)
	}
	lines := &logLines{}
	s, err := instance(Options{Config: c, Log: hostlog.New("output", "fortiems_es", "fortiems_es.0", hostlog.Debug, time.Hour, lines.write)})
	if err != nil {
		t.Fatal(err)
	}
	s.pause = quick
	t.Cleanup(s.Close)
	return s, lines
}

// instance makes a Shipper with its client.
func instance(o Options) (s *Shipper, err error) {
	var errClient error
	o.Client, errClient = eshttp.New(&o.Config, "test")
	s, err = New(o)
	return s, errors.Join(errClient, err)
}

// fake returns a server whose faults fail the test.
func fake(t testing.TB) *fakees.Server {
	t.Helper()
	es := fakees.New()
	t.Cleanup(func() {
		es.Close()
		for _, f := range es.Faults() {
			t.Error("fault:", f)
		}
	})
	return es
}

// chunkOf makes a chunk of n records in the form of Fluent Bit 2.1 and later.
func chunkOf(n int) []byte {
	var c []byte
	for i := range n {
		c = appendEvent(c, 1727821050, int32(i), pairs{"message", fmt.Sprintf("line %d", i), "n", i})
	}
	return c
}

func appendEvent(dst []byte, sec int64, nsec int32, record any) []byte {
	dst = event.AppendTime(append(dst, 0x92, 0x92), sec, nsec)
	dst = append(dst, 0xdf, 0, 0, 0, 0)
	return appendValue(dst, record)
}

// pairs is a map with its pairs in order, key, value, key, value.
type pairs []any

func appendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case pairs:
		dst = msgp.AppendMapHeader(dst, uint32(len(v)/2))
		for _, part := range v {
			dst = appendValue(dst, part)
		}
		return dst
	case []any:
		dst = msgp.AppendArrayHeader(dst, uint32(len(v)))
		for _, part := range v {
			dst = appendValue(dst, part)
		}
		return dst
	case msgp.Raw:
		return append(dst, v...)
	}
	dst, err := msgp.AppendIntf(dst, v)
	if err != nil {
		panic(err)
	}
	return dst
}

func TestChunkIsStored(t *testing.T) {
	for _, compress := range []string{"gzip", "off"} {
		t.Run(compress, func(t *testing.T) {
			es := fake(t)
			s, _ := shipper(t, map[string]string{"hosts": es.URL, "compress": compress, "bulk_max_docs": "7"})
			if s.Flush(context.Background(), "tag", chunkOf(20)) != OK {
				t.Fatal("no OK")
			}
			docs := es.Stored(stream)
			if len(docs) != 20 || len(es.Requests()) != 3 {
				t.Fatalf("%d documents in %d requests", len(docs), len(es.Requests()))
			}
			for i, d := range docs {
				var got map[string]any
				if err := json.Unmarshal(d.Source, &got); err != nil {
					t.Fatal(err)
				}
				if got["message"] != fmt.Sprintf("line %d", i) || got["@timestamp"] != fmt.Sprintf("2024-10-01T22:17:30.%09dZ", i) {
					t.Errorf("document %d: %s", i, d.Source)
				}
			}
			// The same chunk comes again after a restart.
			again, _ := shipper(t, map[string]string{"hosts": es.URL})
			if again.Flush(context.Background(), "tag", chunkOf(20)) != OK || len(es.Stored(stream)) != 20 {
				t.Errorf("%d documents after a replay", len(es.Stored(stream)))
			}
			if again.Flush(context.Background(), "other", chunkOf(20)) != OK || len(es.Stored(stream)) != 40 {
				t.Errorf("%d documents after a chunk with another tag", len(es.Stored(stream)))
			}
		})
	}
}

// newHTTP serves h and returns its URL.
func newHTTP(t testing.TB, h http.Handler) string {
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

// nullLog swallows what a server says of broken connections.
var nullLog = log.New(io.Discard, "", 0)
