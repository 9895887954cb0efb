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

var (
	documentsRow   = Row{"fortiems_output_documents_total", counter, "result", "Documents that are done with: stored, duplicate (the server had it: 409), dead_lettered (failure store included), dropped (dead_letter off)."}
	retriedRow     = Row{"fortiems_output_retried_documents_total", counter, "", "Documents that had to be sent again, once for every time."}
	requestsRow    = Row{"fortiems_output_bulk_requests_total", counter, "status", "Bulk requests by class of their status: 2xx, 3xx, 4xx, 5xx; none without a usable answer."}
	durationRow    = Row{"fortiems_output_bulk_duration_seconds", histogram, "", "Time from sending a bulk request to the end of its answer, or of the wait for one."}
	bytesRow       = Row{"fortiems_output_uncompressed_bytes_total", counter, "", "Bytes of bulk requests before compression."}
	sentRow        = Row{"fortiems_output_sent_bytes_total", counter, "", "Bytes of bulk requests as they were sent."}
	flushesRow     = Row{"fortiems_output_flushes_total", counter, "result", "Chunks that came from Fluent Bit and were answered: ok, or retry (Fluent Bit brings the chunk again)."}
	flushesNowRow  = Row{"fortiems_output_flushes_in_flight", gauge, "", "Chunks that are being delivered now."}
	requestsNowRow = Row{"fortiems_output_bulk_requests_in_flight", gauge, "", "Bulk requests that wait for their answer now."}
)

func outputRows() []Row {
	return []Row{documentsRow, retriedRow, requestsRow, durationRow, bytesRow, sentRow, flushesRow, flushesNowRow, requestsNowRow}
}

// latencies are the upper bounds of the histogram in seconds. flush_timeout, 30 s
// by default, ends every request.
var latencies = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// Output counts what one output instance does. Instances of one name on one server share
// their counters. A nil *Output counts nothing, so callers need not check whether there is
// a server. All methods are safe for concurrent use. They cost some atomic operations: call
// them per request, not per document.
type Output struct {
	results     [NumResults]prometheus.Counter
	retried     prometheus.Counter
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

// outputMetrics are the metrics of all output instances of a server.
type outputMetrics struct {
	documents, retried, requests, bytes, sent, flushes *prometheus.CounterVec
	duration                                           *prometheus.HistogramVec
	flushesNow, requestsNow                            *prometheus.GaugeVec
	all                                                []prometheus.Collector
}

func newOutputMetrics() *outputMetrics {
	m := &outputMetrics{}
	counter := func(r Row) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: r.Name, Help: r.Help}, r.Labels())
		m.all = append(m.all, v)
		return v
	}
	gauge := func(r Row) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: r.Name, Help: r.Help}, r.Labels())
		m.all = append(m.all, v)
		return v
	}
	m.documents, m.retried, m.requests = counter(documentsRow), counter(retriedRow), counter(requestsRow)
	m.bytes, m.sent, m.flushes = counter(bytesRow), counter(sentRow), counter(flushesRow)
	m.flushesNow, m.requestsNow = gauge(flushesNowRow), gauge(requestsNowRow)
	m.duration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: durationRow.Name, Help: durationRow.Help, Buckets: latencies,
	}, durationRow.Labels())
	m.all = append(m.all, m.duration)
	return m
}

// Describe implements prometheus.Collector.
func (m *outputMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, c := range m.all {
		c.Describe(to)
	}
}

// Collect implements prometheus.Collector.
func (m *outputMetrics) Collect(to chan<- prometheus.Metric) {
	for _, c := range m.all {
		c.Collect(to)
	}
}

// instance returns the counters of name. All series exist from the start, at 0: Prometheus
// sees no increase in a series that begins above 0.
func (m *outputMetrics) instance(name string) *Output {
	o := &Output{
		retried:     m.retried.WithLabelValues(name),
		duration:    m.duration.WithLabelValues(name),
		bytes:       m.bytes.WithLabelValues(name),
		sent:        m.sent.WithLabelValues(name),
		ok:          m.flushes.WithLabelValues(name, "ok"),
		retry:       m.flushes.WithLabelValues(name, "retry"),
		flushesNow:  m.flushesNow.WithLabelValues(name),
		requestsNow: m.requestsNow.WithLabelValues(name),
	}
	for i := range o.results {
		o.results[i] = m.documents.WithLabelValues(name, resultRows[i].label)
	}
	for i := range o.classes {
		o.classes[i] = m.requests.WithLabelValues(name, classes[i])
	}
	return o
}
