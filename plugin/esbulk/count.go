package esbulk

import (
	"fmt"
	"strings"
	"sync/atomic"

	"fluent-bit-fortiems/plugin/metrics"
)

// outcome is what became of a document in the end.
type outcome int

const (
	stored outcome = iota
	duplicate
	deadLettered
	dropped
	outcomes
)

var outcomeNames = [outcomes]string{"stored", "had by the server already", "written to the dead letters or a failure store", "dropped"}

// results are the outcomes as the metrics have them.
var results = [outcomes]metrics.Result{metrics.Stored, metrics.Duplicate, metrics.DeadLettered, metrics.Dropped}

// counters of one instance since its start. Everything that is counted passes
// through the methods.
type counters struct {
	metrics *metrics.Output // nil: none; its methods take that

	documents        [outcomes]atomic.Uint64
	retried          atomic.Uint64
	requests         atomic.Uint64
	flushOK, flushes atomic.Uint64
	markers, skipped atomic.Uint64
	foreign          atomic.Uint64
}

func (c *counters) document(o outcome, n int) {
	c.documents[o].Add(uint64(n))
	c.metrics.Documents(results[o], n)
}

// again counts n documents that have to be sent again.
func (c *counters) again(n int) {
	c.retried.Add(uint64(n))
	c.metrics.Retried(n)
}

// foreignIDs counts n documents that are stored under another id than ours.
func (c *counters) foreignIDs(n int) {
	c.foreign.Add(uint64(n))
	c.metrics.ForeignIDs(n)
}

func (c *counters) requestBegin() {
	c.requests.Add(1)
	c.metrics.RequestBegin()
}

func (c *counters) flushBegin() {
	c.flushes.Add(1)
	c.metrics.FlushBegin()
}

func (c *counters) flushEnd(ok bool) {
	if ok {
		c.flushOK.Add(1)
	}
	c.metrics.FlushEnd(ok)
}

// summary is one line about the instance.
func (c *counters) summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "delivered %d of %d chunks in %d requests", c.flushOK.Load(), c.flushes.Load(), c.requests.Load())
	sep := "; documents: "
	for o, name := range outcomeNames {
		if n := c.documents[o].Load(); n > 0 || outcome(o) == stored {
			fmt.Fprintf(&b, "%s%d %s", sep, n, name)
			sep = ", "
		}
	}
	for _, row := range []struct {
		n    uint64
		name string
	}{
		{c.retried.Load(), "sent again"},
		{c.skipped.Load(), "done by an earlier try of their chunk"},
		{c.markers.Load(), "group markers left out"},
		{c.foreign.Load(), "stored under an id that a pipeline gave them"},
	} {
		if row.n > 0 {
			fmt.Fprintf(&b, ", %d %s", row.n, row.name)
		}
	}
	return b.String()
}
