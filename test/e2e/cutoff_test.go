package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
	"fluent-bit-fortiems/test/servers"
)

// TestNodeCutOff ships with a real Fluent Bit to three nodes while every packet from and
// to the node with the primary is dropped for 40 s: the others drop it out of the cluster
// and make a replica the primary. Then it comes back. Nothing is lost or there twice.
func TestNodeCutOff(t *testing.T) {
	binary := rig.FluentBit(t)
	if err := servers.CanCutOff(); err != nil {
		t.Skipf("not run: %v", err)
	}
	rig.Build(t)
	c := servers.ClusterForTest(t, servers.OpenSearch, 3, servers.Options{Apart: true})
	f := startFluentBit(t, binary, c.URLs(), t.TempDir(), "")
	const batch = 500
	sent := 0
	send := func() {
		f.send(t, sent, sent+batch)
		sent += batch
	}
	send()
	cut, left := withPrimary(t, c)
	until(t, "the first documents are stored", func() bool { return left.Count(t, stream, "") == sent })
	before := sent
	back, err := cut.CutOff()
	if err != nil {
		t.Fatal(err)
	}
	undone := false
	undo := func() {
		if !undone {
			undone = true
			if err := back(); err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(undo)
	// stored is how many documents the others have; 0 while they make a replica the primary.
	stored := func() (n int) {
		left.Do(t, "POST", "/"+stream+"/_refresh", "")
		var got struct{ Count int }
		if status, answer := left.Do(t, "POST", "/"+stream+"/_count", ""); status == http.StatusOK && json.Unmarshal(answer, &got) == nil {
			return got.Count
		}
		return 0
	}
	during := 0
	for begun := time.Now(); time.Since(begun) < 40*time.Second || during <= before; during = stored() {
		if time.Since(begun) > 2*patience {
			t.Fatalf("nothing gets through while a node is cut off: %d documents of %d:\n%s", during, sent, f.log)
		}
		send()
		time.Sleep(time.Second)
	}
	undo()
	for range 5 {
		send()
		time.Sleep(time.Second)
	}
	until(t, "the cluster is green", func() bool {
		status, _ := left.Do(t, "GET", "/_cluster/health?wait_for_nodes=3&wait_for_status=green&timeout=5s", "")
		return status == http.StatusOK
	})
	until(t, "everything is delivered", func() bool { return left.Count(t, stream, "") >= sent && f.idle() })
	exactlyOnce(t, cut, stream, sent)
	if d := left.Count(t, dead, ""); d != 0 {
		t.Errorf("%d dead letters", d)
	}
	t.Logf("%d documents, %d of them stored while the node was cut off", sent, during)
	for l := range strings.Lines(f.log.String()) {
		if strings.Contains(l, "fortiems_es") {
			t.Log(strings.TrimSpace(l))
		}
	}
}

// withPrimary returns the node with the primary of the data stream, and another one.
func withPrimary(t *testing.T, c *servers.Cluster) (with, another *servers.Server) {
	t.Helper()
	n := -1
	until(t, "the data stream has its shards", func() bool {
		var shards []struct{ Prirep, State, Node string }
		if status, _ := c.Nodes[0].Do(t, "GET", "/"+stream, ""); status != http.StatusOK {
			return false
		}
		if status, _ := c.Nodes[0].Do(t, "GET", "/_cluster/health?wait_for_status=green&timeout=10s", ""); status != http.StatusOK {
			return false
		}
		c.Nodes[0].Must(t, "GET", "/_cat/shards/"+stream+"?format=json", "", &shards)
		for _, s := range shards {
			if s.Prirep == "p" && s.State == "STARTED" {
				fmt.Sscanf(s.Node, "node%d", &n)
			}
		}
		return n >= 0
	})
	return c.Nodes[n], c.Nodes[(n+1)%len(c.Nodes)]
}
