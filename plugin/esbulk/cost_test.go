//go:build !race

package esbulk

import (
	"context"
	"testing"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
)

// TestCostsAtMostHalf: at most half the processor time of decoded maps and a
// BulkIndexer, measured in turns in one run. Under the race detector
// neither cost says anything, and the BulkIndexer has a race of its own: it uses the
// memory of a body again while the connection may still read it.
func TestCostsAtMostHalf(t *testing.T) {
	if testing.Short() {
		t.Skip("not run: a measurement of some seconds")
	}
	chunk := corpusChunk(t, benchDocs)
	srv := newHTTP(t, &sink{})
	s, _ := shipper(t, map[string]string{"hosts": srv, "compress": "off"})
	client, err := elasticsearch.NewClient(elasticsearch.Config{Addresses: []string{srv}})
	if err != nil {
		t.Fatal(err)
	}
	var ours, theirs time.Duration
	for range 5 {
		start := cpu()
		if s.Flush(context.Background(), "tag", chunk) != OK {
			t.Fatal("not delivered")
		}
		between := cpu()
		indexWithMaps(t, client, chunk)
		ours, theirs = ours+between-start, theirs+cpu()-between
	}
	if ours*2 > theirs {
		t.Errorf("%v, the BulkIndexer takes %v", ours, theirs)
	}
}
