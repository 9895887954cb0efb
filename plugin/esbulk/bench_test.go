package esbulk

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esutil"
	"github.com/tinylib/msgp/msgp"
	"github.com/ugorji/go/codec"

	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/event"
)

// corpusChunk is a chunk of n records as the filter makes them of the corpus.
func corpusChunk(b testing.TB, n int) []byte {
	b.Helper()
	files, err := filepath.Glob("../../test/corpus/*/input.log")
	if err != nil || len(files) == 0 {
		b.Fatal("no corpus", err)
	}
	var lines [][]byte
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			if len(line) < 4096 {
				lines = append(lines, bytes.TrimRight(line, "\n"))
			}
		}
	}
	var chunk []byte
	for i := range n {
		chunk = event.AppendTime(append(chunk, 0x92, 0x92), 1727821050, int32(i))
		chunk = append(chunk, 0xdf, 0, 0, 0, 0, 0x81)
		chunk = msgp.AppendString(chunk, "message")
		chunk = msgp.AppendStringFromBytes(chunk, lines[i%len(lines)])
	}
	out, _, err := enrich.New(enrich.Options{KeyNames: []string{"message"}, EventTime: true}).Run(nil, chunk)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

const benchDocs = 1000

// BenchmarkBody makes the body of a request, without sending it.
func BenchmarkBody(b *testing.B) {
	chunk := corpusChunk(b, benchDocs)
	id := identify("tag", chunk)
	r := &reader{enc: newEncoder(), target: fixedTarget(stream), id: &id, ids: true}
	var out batch
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		r.rest, r.position = chunk, 0
		if bad := r.fill(&out, 100<<20, benchDocs); len(bad) > 0 || len(out.docs) != benchDocs {
			b.Fatal(len(bad), len(out.docs))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchDocs, "ns/doc")
	b.ReportMetric(float64(len(out.buf))/benchDocs, "B/doc")
}

// TestBodyAllocatesNothing: no allocation per document.
func TestBodyAllocatesNothing(t *testing.T) {
	chunk := corpusChunk(t, benchDocs)
	id := identify("tag", chunk)
	r := &reader{enc: newEncoder(), target: fixedTarget(stream), id: &id, ids: true}
	var out batch
	n := testing.AllocsPerRun(10, func() {
		r.rest, r.position = chunk, 0
		r.fill(&out, 100<<20, benchDocs)
	})
	if n > 2 {
		t.Errorf("%v allocations for %d documents", n, benchDocs)
	}
}

// sink answers bulk requests with as little work as possible: it counts lines by
// the header that the client sends along and does not look into them.
type sink struct {
	mu    sync.Mutex
	reply []byte
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reply == nil {
		var b bytes.Buffer
		b.WriteString(`{"took":1,"errors":false,"items":[`)
		for i := range benchDocs {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(`{"create":{"status":201}}`)
		}
		b.WriteString(`]}`)
		s.reply = b.Bytes()
	}
	_, _ = w.Write(s.reply)
}

// cpu is the processor time of the process so far.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkShip delivers chunks of 1 000 records of the corpus, uncompressed, to a
// server in the same process, with this package and with what a Go output usually
// does: fluent-bit-go's decoder, maps, encoding/json and esutil.BulkIndexer. The
// processor time of the server, which is the same for both, is in both numbers.
func BenchmarkShip(b *testing.B) {
	chunk := corpusChunk(b, benchDocs)
	run := func(name string, flush func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			start := cpu()
			for b.Loop() {
				flush(b)
			}
			b.ReportMetric(float64((cpu()-start).Nanoseconds())/float64(b.N)/benchDocs, "cpu-ns/doc")
		})
	}
	for _, compress := range []string{"off", "gzip"} {
		srv := newHTTP(b, &sink{})
		s, _ := shipper(b, map[string]string{"hosts": srv, "compress": compress, "bulk_max_bytes": "100M"})
		run("esbulk/compress="+compress, func(b *testing.B) {
			if s.Flush(context.Background(), "tag", chunk) != OK {
				b.Fatal("not delivered")
			}
		})
		client, err := elasticsearch.NewClient(elasticsearch.Config{Addresses: []string{srv}, CompressRequestBody: compress == "gzip", PoolCompressor: true})
		if err != nil {
			b.Fatal(err)
		}
		run("BulkIndexer/compress="+compress, func(b *testing.B) { indexWithMaps(b, client, chunk) })
	}
}

// indexWithMaps decodes a chunk into maps and sends it with a BulkIndexer.
func indexWithMaps(b testing.TB, client *elasticsearch.Client, chunk []byte) {
	indexer, err := esutil.NewBulkIndexer(esutil.BulkIndexerConfig{Client: client, Index: stream, NumWorkers: 1, FlushBytes: 5 << 20})
	if err != nil {
		b.Fatal(err)
	}
	var h codec.MsgpackHandle
	h.RawToString = true
	h.WriteExt = true
	d := codec.NewDecoderBytes(chunk, &h)
	for i := range benchDocs {
		var ev []any
		if err := d.Decode(&ev); err != nil {
			b.Fatal(err)
		}
		record := plainMap(ev[1].(map[any]any))
		at := ev[0].([]any)[0].(codec.RawExt).Data
		record["@timestamp"] = time.Unix(int64(binary.BigEndian.Uint32(at)), int64(binary.BigEndian.Uint32(at[4:]))).UTC().Format(time.RFC3339Nano)
		text, err := json.Marshal(record)
		if err != nil {
			b.Fatal(err)
		}
		if err := indexer.Add(context.Background(), esutil.BulkIndexerItem{Action: "create", DocumentID: strconv.Itoa(i), Body: bytes.NewReader(text)}); err != nil {
			b.Fatal(err)
		}
	}
	if err := indexer.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	if st := indexer.Stats(); st.NumFlushed != benchDocs {
		b.Fatalf("%+v", st)
	}
}

// plainMap makes a map that encoding/json takes.
func plainMap(m map[any]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		if inner, ok := v.(map[any]any); ok {
			v = plainMap(inner)
		}
		out[k.(string)] = v
	}
	return out
}
