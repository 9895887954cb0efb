package esbulk

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/servers"
)

// TestRealIndexTrouble provokes on OpenSearch what is about the target, not about a
// document: the chunk is handed back with one line that says what to do, and stored once
// after that was done. Nothing becomes a dead letter.
func TestRealIndexTrouble(t *testing.T) {
	es := servers.ForTest(t, servers.OpenSearch)
	setting := func(key, value string) [3]string {
		return [3]string{"PUT", "/_cluster/settings", fmt.Sprintf(`{"persistent":{%q:%s}}`, key, value)}
	}
	index := func(key, value string) [3]string {
		return [3]string{"PUT", "/NAME/_settings", fmt.Sprintf(`{%q:%s}`, key, value)}
	}
	type requests = [][3]string
	made := [3]string{"PUT", "/NAME", ""}
	for i, c := range []struct {
		name        string
		spoil, mend requests
		want        string
	}{
		{"shard limit", requests{setting("cluster.max_shards_per_node", "1")}, requests{setting("cluster.max_shards_per_node", "null")}, "HOST answered 400 validation_exception: the cluster has as many shards as it may"},
		{"closed index", requests{made, {"POST", "/NAME/_close", ""}}, requests{{"POST", "/NAME/_open", ""}}, "HOST answered 400 index_closed_exception: open the index"},
		{"alias without write index", requests{
			{"PUT", "/NAME-1", `{"aliases":{"NAME":{}}}`}, {"PUT", "/NAME-2", `{"aliases":{"NAME":{}}}`},
		}, requests{{"PUT", "/NAME-1/_alias/NAME", `{"is_write_index":true}`}}, "HOST answered 400 illegal_argument_exception: give the alias a write index"},
		{"missing pipeline", requests{made, index("index.default_pipeline", `"nope"`)}, requests{index("index.default_pipeline", "null")}, "HOST answered 400 illegal_argument_exception: create the ingest pipeline"},
		{"missing final pipeline", requests{made, index("index.final_pipeline", `"nope"`)}, requests{index("index.final_pipeline", "null")}, "HOST answered 400 illegal_argument_exception: create the ingest pipeline"},
		{"write block", requests{made, index("index.blocks.write", "true")}, requests{index("index.blocks.write", "null")}, "HOST answered 403 cluster_block_exception: the index is read-only"},
		{"read-only", requests{made, index("index.blocks.read_only", "true")}, requests{index("index.blocks.read_only", "null")}, "HOST answered 403 cluster_block_exception: the index is read-only"},
		{"flood stage", requests{made, index("index.blocks.read_only_allow_delete", "true")}, requests{index("index.blocks.read_only_allow_delete", "null")}, "HOST answered 429 cluster_block_exception: the disk of a node is full"},
		{"cluster read-only", requests{made, setting("cluster.blocks.read_only", "true")}, requests{setting("cluster.blocks.read_only", "null")}, "HOST answered 403 cluster_block_exception: writing is blocked"},
		{"cluster read-only, allow delete", requests{made, setting("cluster.blocks.read_only_allow_delete", "true")}, requests{setting("cluster.blocks.read_only_allow_delete", "null")}, "HOST answered 403 cluster_block_exception: writing is blocked"},
		{"index may not be created", requests{setting("action.auto_create_index", `"false"`)}, requests{setting("action.auto_create_index", "null")}, "HOST answered 404 index_not_found_exception: the index may not be created"},
		{"nor by its name", requests{setting("action.auto_create_index", `"-trouble-*,+*"`)}, requests{setting("action.auto_create_index", "null")}, "HOST answered 404 index_not_found_exception: the index may not be created"},
	} {
		target := fmt.Sprintf("trouble-%d", i)
		do := func(list requests) {
			for _, r := range list {
				es.Must(t, r[0], strings.ReplaceAll(r[1], "NAME", target), strings.ReplaceAll(r[2], "NAME", target), nil)
			}
		}
		do(c.spoil)
		s, log := shipper(t, map[string]string{"hosts": es.URL(), "index": target, "dead_letter": "index:graves"})
		for range 2 {
			if s.Flush(context.Background(), "tag", chunkOf(5)) != Retry {
				t.Errorf("%s: OK", c.name)
			}
		}
		want := strings.ReplaceAll(c.want, "HOST", es.URL())
		if log.count(want) != 1 || len(log.all()) != 1 {
			t.Errorf("%s: %q, want one line with %q", c.name, log.all(), want)
		}
		do(c.mend)
		if s.Flush(context.Background(), "tag", chunkOf(5)) != OK {
			t.Errorf("%s: still handed back: %q", c.name, log.all())
		}
		if n := es.Count(t, target, ""); n != 5 {
			t.Errorf("%s: %d documents", c.name, n)
		}
	}
	if n := es.Count(t, "graves", ""); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}
