package esbulk

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fluent-bit-fortiems/test/servers"
)

// TestClusterUnderLoad ships to three nodes of a real OpenSearch with a replica of each
// shard while the node with the primary is killed, each node restarts in turn, and one is
// cut off: its connections stay open and nothing answers. Nothing is lost, nothing is there twice.
func TestClusterUnderLoad(t *testing.T) {
	c := servers.ClusterForTest(t, servers.OpenSearch, 3, servers.Options{})
	one := c.Nodes[0]
	one.Must(t, "PUT", "/_index_template/t", `{"index_patterns":["logs-fortinet.fortiems*"],"priority":250,"data_stream":{},
		"template":{"settings":{"number_of_shards":1,"number_of_replicas":1,"index.unassigned.node_left.delayed_timeout":"0"}}}`, nil)
	one.Must(t, "PUT", "/_data_stream/"+stream, "", nil)
	s, log := shipper(t, map[string]string{"hosts": c.URLs(), "flush_timeout": "10s"})
	s.pause = pause

	const perChunk = 200
	var chunks, back atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for w := range 2 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				for s.Flush(context.Background(), fmt.Sprintf("w%d-%d", w, i), chunkOf(perChunk)) != OK {
					if back.Add(1) > 10000 {
						t.Error("not delivered")
						return
					}
					time.Sleep(200 * time.Millisecond)
				}
				chunks.Add(1)
				time.Sleep(20 * time.Millisecond)
			}
		})
	}
	through := func(what string) {
		t.Helper()
		before := chunks.Load()
		for end := time.Now().Add(4 * time.Minute); chunks.Load() < before+10; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: nothing gets through: %q", what, log.all())
			}
		}
	}
	green := func(n *servers.Server) {
		t.Helper()
		for end := time.Now().Add(4 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
			status, answer := n.Do(t, "GET", "/_cluster/health?wait_for_nodes=3&wait_for_status=green&wait_for_no_initializing_shards=true&timeout=30s", "")
			if status == http.StatusOK {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("the cluster is not green: %s", answer)
			}
		}
	}
	through("at the start")

	// The node with the primary dies.
	var shards []struct{ Prirep, Node string }
	one.Must(t, "GET", "/_cat/shards/"+stream+"?format=json", "", &shards)
	victim := -1
	for _, sh := range shards {
		if sh.Prirep == "p" {
			fmt.Sscanf(sh.Node, "node%d", &victim)
		}
	}
	if victim < 0 {
		t.Fatalf("no primary in %v", shards)
	}
	c.Nodes[victim].Kill()
	through("after the kill of the node with the primary")
	if err := c.Nodes[victim].Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	green(c.Nodes[victim])

	// A rolling restart.
	for i, n := range c.Nodes {
		if err := n.Stop(); err != nil && !strings.Contains(err.Error(), "exit status") {
			t.Fatal(err)
		}
		through(fmt.Sprint("without node ", i))
		if err := n.Start(context.Background()); err != nil {
			t.Fatal(err)
		}
		green(n)
	}
	// A node that is cut off, and comes back.
	if err := c.Nodes[1].Pause(); err != nil {
		t.Fatal(err)
	}
	through("with a node that is cut off")
	if err := c.Nodes[1].Resume(); err != nil {
		t.Fatal(err)
	}
	green(c.Nodes[1])
	through("at the end")
	close(stop)
	wg.Wait()
	want := int(chunks.Load()) * perChunk
	if n := one.Count(t, stream, ""); n != want {
		t.Errorf("%d documents are stored, want %d", n, want)
	}
	t.Logf("%d documents, %d hand-backs, %s", want, back.Load(), s.Summary())
	for _, l := range log.all() {
		t.Log(l)
	}
}

// TestManyNewFields sends documents to a real OpenSearch that maps 3 000 new fields, with a
// flush_timeout that is too short for all of them at once: the requests get smaller, and
// everything is stored once.
func TestManyNewFields(t *testing.T) {
	es := servers.ForTest(t, servers.OpenSearch)
	es.Must(t, "PUT", "/_index_template/t", `{"index_patterns":["logs-fortinet.fortiems*"],"priority":250,"data_stream":{},
		"template":{"settings":{"number_of_replicas":0,"index.mapping.total_fields.limit":10000}}}`, nil)
	s, log := shipper(t, map[string]string{"hosts": es.URL(), "flush_timeout": "5s"})
	s.pause = pause
	const docs, fields = 30, 100
	var chunk []byte
	for i := range docs {
		record := pairs{"message", fmt.Sprintf("line %d", i)}
		for f := range fields {
			record = append(record, fmt.Sprintf("field_%d_%d", i, f), fmt.Sprint("value ", f))
		}
		chunk = appendEvent(chunk, 1727821050, int32(i), record)
	}
	begun, tries := time.Now(), 0
	for ; s.Flush(context.Background(), "tag", chunk) != OK; tries++ {
		if tries > 60 {
			t.Fatalf("not delivered: %q", log.all())
		}
	}
	if n := es.Count(t, stream, ""); n != docs {
		t.Errorf("%d documents are stored, not %d", n, docs)
	}
	if n := es.Count(t, grave, ""); n != 0 {
		t.Errorf("%d dead letters", n)
	}
	t.Logf("%v, handed back %d times, %s", time.Since(begun).Round(time.Millisecond), tries, s.Summary())
	for _, l := range log.all() {
		t.Log(l)
	}
}

// TestRollover measures the limit that the documentation names: ids are unique within one
// backing index, so a chunk that comes again after a restart is stored once more if its
// data stream rolled over in between, and only then.
func TestRollover(t *testing.T) {
	es := servers.ForTest(t, servers.OpenSearch)
	es.Must(t, "PUT", "/_index_template/t", `{"index_patterns":["logs-fortinet.fortiems*"],"priority":250,"data_stream":{},"template":{"settings":{"number_of_replicas":0}}}`, nil)
	const n = 100
	for i, c := range []struct {
		rollover bool
		want     int
	}{{false, n}, {false, n}, {true, 2 * n}} {
		if c.rollover {
			es.Must(t, "POST", "/"+stream+"/_rollover", "", nil)
		}
		s, log := shipper(t, map[string]string{"hosts": es.URL()}) // as after a restart of Fluent Bit
		if s.Flush(context.Background(), "tag", chunkOf(n)) != OK {
			t.Fatalf("%q", log.all())
		}
		if got := es.Count(t, stream, ""); got != c.want {
			t.Errorf("time %d, rolled over %v: %d documents, want %d", i, c.rollover, got, c.want)
		}
	}
}
