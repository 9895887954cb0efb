package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Result is the final state of a document. Every document that needs no further delivery
// is counted in one of them, once.
type Result int

// The results.
const (
	Stored       Result = iota // the server stored it now
	Duplicate                  // the server had it already: 409 on create
	DeadLettered               // rejected for good and written to the dead letters or a failure store
	Dropped                    // rejected for good, and dead_letter is off

	NumResults
)

var resultRows = [NumResults]struct{ label, summary string }{
	Stored:       {"stored", "stored"},
	Duplicate:    {"duplicate", "had by the server already"},
	DeadLettered: {"dead_lettered", "written to the dead letters or a failure store"},
	Dropped:      {"dropped", "dropped"},
}

// Summary returns the words after the number of such documents in the summary of an instance.
func (r Result) Summary() string { return resultRows[r].summary }

// classes are the classes of the status of a bulk request. A status below 200 is not the
// final one, so it counts as none.
var classes = [...]string{"none", "2xx", "3xx", "4xx", "5xx"}

// Output counts what one output instance does. Instances of one name on one server share
// their counters. A nil *Output counts nothing, so callers need not check whether there is
// a server. All methods are safe for concurrent use. They cost some atomic operations: call
// them per request, not per document.
type Output struct {
	results     [NumResults]prometheus.Counter
	retried     prometheus.Counter
	foreignIDs  prometheus.Counter
	classes     [len(classes)]prometheus.Counter
	duration    prometheus.Observer
	bytes, sent prometheus.Counter
	ok, retry   prometheus.Counter
	flushesNow  prometheus.Gauge
	requestsNow prometheus.Gauge
}

// Documents counts n documents whose result is final.
func (o *Output) Documents(r Result, n int) {
	if o != nil && n > 0 && r >= 0 && r < NumResults {
		o.results[r].Add(float64(n))
	}
}

// Retried counts n documents that have to be sent again, within the flush or
// because the chunk is handed back.
func (o *Output) Retried(n int) {
	if o != nil && n > 0 {
		o.retried.Add(float64(n))
	}
}

// ForeignIDs counts n documents that the server stored under another id than ours.
func (o *Output) ForeignIDs(n int) {
	if o != nil && n > 0 {
		o.foreignIDs.Add(float64(n))
	}
}

// RequestBegin counts a bulk request that is sent; RequestEnd must follow.
func (o *Output) RequestBegin() {
	if o != nil {
		o.requestsNow.Inc()
	}
}

// RequestEnd counts a bulk request that was answered or failed. status is the HTTP status,
// 0 without a usable answer; plain and sent are the bytes of the body before and after
// compression.
func (o *Output) RequestEnd(status int, took time.Duration, plain, sent int) {
	if o == nil {
		return
	}
	o.requestsNow.Dec()
	class := status/100 - 1
	if class < 0 || class >= len(classes) {
		class = 0
	}
	o.classes[class].Inc()
	o.duration.Observe(took.Seconds())
	o.bytes.Add(float64(max(plain, 0)))
	o.sent.Add(float64(max(sent, 0)))
}

// FlushBegin counts a chunk whose flush begins; FlushEnd must follow.
func (o *Output) FlushBegin() {
	if o != nil {
		o.flushesNow.Inc()
	}
}

// FlushEnd counts the answer to a chunk: ok, or handed back for another try.
func (o *Output) FlushEnd(ok bool) {
	if o == nil {
		return
	}
	o.flushesNow.Dec()
	if ok {
		o.ok.Inc()
	} else {
		o.retry.Inc()
	}
}

// Output returns the counters of the output instance called name. All series exist from the
// start, at 0: Prometheus sees no increase in a series that begins above 0. The counters may
// be used after Close, without effect on any server.
func (s *Server) Output(name string) *Output {
	m := s.shared.metrics
	count := func(metric string, labels ...string) prometheus.Counter {
		return m.counters[metric].WithLabelValues(append([]string{cleanName(name)}, labels...)...)
	}
	o := &Output{
		retried:     count(retried),
		foreignIDs:  count(foreignIDs),
		duration:    m.histograms[duration].WithLabelValues(cleanName(name)),
		bytes:       count(uncompressed),
		sent:        count(sent),
		ok:          count(flushes, "ok"),
		retry:       count(flushes, "retry"),
		flushesNow:  m.gauges[flushesNow].WithLabelValues(cleanName(name)),
		requestsNow: m.gauges[requestsNow].WithLabelValues(cleanName(name)),
	}
	for i := range o.results {
		o.results[i] = count(documents, resultRows[i].label)
	}
	for i := range o.classes {
		o.classes[i] = count(requests, classes[i])
	}
	return o
}
