package soak_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/servers"
)

const (
	// The request of a second does not fit, whichever nodes take the others: with room for
	// one, a cluster refuses nothing for minutes.
	tight    = "indexing_pressure.memory.limit=300kb"
	badKey   = "soak_rejected"
	settings = "/_cluster/settings"
)

// faults injects faults into the server. Each fault is observed, through counters of the
// server or the shipper, before it is removed.
type faults struct {
	t      *testing.T
	server *servers.Server
	ship   *shipper
	send   *sender
	length time.Duration // of the whole run
	rounds int
}

// lasting is the minimum duration of a fault; it is shorter in a short run.
func (w *faults) lasting() time.Duration { return max(2*time.Second, min(w.length/150, 8*time.Second)) }

// rejectSome maps a key as a boolean, so that other values are rejected permanently.
func rejectSome(t *testing.T, s *servers.Server) {
	t.Helper()
	s.Must(t, "PUT", "/"+stream+"/_mapping", `{"properties":{"fortinet":{"properties":{"ems":{"properties":{"`+badKey+`":{"type":"boolean"}}}}}}}`, nil)
}

// round injects each fault once, then leaves the server alone.
func (w *faults) round(begun time.Time) {
	w.t.Helper()
	w.rounds++
	w.t.Logf("%s: round %d, %d lines are sent", time.Since(begun).Round(time.Second), w.rounds, w.send.sent.Load())
	w.restart()
	w.writeBlock()
	w.fullDisk()
	until(w.t, "the shipper has caught up (if the machine is too busy for it, ask for a lower RATE)", func() bool {
		return w.ship.delivered(w.t) >= int(w.send.sent.Load())-5*w.send.load.rate
	})
	w.ship.watch.setCalm(true)
	w.hold(w.lasting() * 2)
	w.ship.watch.setCalm(false)
}

// hold waits under load, or until the shipper ends.
func (w *faults) hold(d time.Duration) {
	w.t.Helper()
	select {
	case <-w.ship.done:
		w.ship.alive(w.t)
	case <-time.After(d):
	}
}

// restart kills the server, starts it with so little memory for requests that it answers
// 429, stops it, and starts it with the normal settings.
func (w *faults) restart() {
	w.t.Helper()
	w.server.Kill()
	w.hold(w.lasting())
	w.server.Set(tight)
	w.start()
	refused := 0
	until(w.t, "the server is short of memory", func() bool {
		refused = w.refused()
		return refused > 0
	})
	w.hold(w.lasting())
	w.t.Logf("  killed; then throttled: %d requests got 429", w.refused())
	w.server.Set()
	if err := w.server.Stop(); err != nil {
		w.t.Logf("  the server stops with %v", err)
	}
	w.hold(w.lasting())
	w.start()
}

func (w *faults) start() {
	w.t.Helper()
	if err := w.server.Start(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// refused is the number of requests rejected for lack of memory since the server started.
func (w *faults) refused() int {
	var stats struct {
		Nodes map[string]struct {
			Pressure struct {
				Memory struct {
					Total struct {
						Coordinating int `json:"coordinating_rejections"`
						Primary      int `json:"primary_rejections"`
					} `json:"total"`
				} `json:"memory"`
			} `json:"indexing_pressure"`
		} `json:"nodes"`
	}
	w.server.Must(w.t, "GET", "/_nodes/stats/indexing_pressure", "", &stats)
	n := 0
	for _, node := range stats.Nodes {
		n += node.Pressure.Memory.Total.Coordinating + node.Pressure.Memory.Total.Primary
	}
	return n
}

// writeBlock sets a write block, as an operator does for maintenance.
func (w *faults) writeBlock() {
	w.t.Helper()
	before := w.retried()
	w.server.Must(w.t, "PUT", "/"+stream+"/_settings", `{"index.blocks.write":true}`, nil)
	until(w.t, "a write fails because of the block", func() bool { return w.retried() > before })
	w.hold(w.lasting())
	w.server.Must(w.t, "PUT", "/"+stream+"/_settings", `{"index.blocks.write":null}`, nil)
}

// fullDisk sets the disk watermarks so high that the server considers its disk full and
// makes all indices read-only. The server removes these blocks by itself.
func (w *faults) fullDisk() {
	w.t.Helper()
	const watermarks = `{"transient":{"cluster.info.update.interval":"10s","cluster.routing.allocation.disk.threshold_enabled":true,
		"cluster.routing.allocation.disk.watermark.low":"%[1]s","cluster.routing.allocation.disk.watermark.high":"%[1]s",
		"cluster.routing.allocation.disk.watermark.flood_stage":"%[1]s"}}`
	w.server.Must(w.t, "PUT", settings, fmt.Sprintf(watermarks, "9pb"), nil)
	until(w.t, "the server finds its disk full", w.readOnly)
	before := w.retried()
	until(w.t, "a write fails because of the full disk", func() bool { return w.retried() > before })
	w.hold(w.lasting())
	w.server.Must(w.t, "PUT", settings, fmt.Sprintf(watermarks, "1b"), nil)
	until(w.t, "the server finds room again", func() bool { return !w.readOnly() })
}

func (w *faults) readOnly() bool {
	_, text := w.server.Do(w.t, "GET", "/"+stream+"/_settings/index.blocks.read_only_allow_delete?flat_settings=true", "")
	return strings.Contains(string(text), `"index.blocks.read_only_allow_delete":"true"`)
}

// retried counts documents sent again and chunks handed back to Fluent Bit.
func (w *faults) retried() int {
	c := w.ship.counters(w.t)
	return counted(w.t, c, `fortiems_output_retried_documents_total{name="fortiems_es.0"}`) +
		counted(w.t, c, `fortiems_output_flushes_total{name="fortiems_es.0",result="retry"}`)
}
