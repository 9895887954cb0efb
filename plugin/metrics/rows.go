package metrics

import (
	"runtime"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"fluent-bit-fortiems/plugin/count"
)

// The types of metrics.
const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
)

// The names of the metrics that the filter does not count.
const (
	documents    = "fortiems_output_documents_total"
	retried      = "fortiems_output_retried_documents_total"
	foreignIDs   = "fortiems_output_foreign_id_documents_total"
	requests     = "fortiems_output_bulk_requests_total"
	duration     = "fortiems_output_bulk_duration_seconds"
	uncompressed = "fortiems_output_uncompressed_bytes_total"
	sent         = "fortiems_output_sent_bytes_total"
	flushes      = "fortiems_output_flushes_total"
	flushesNow   = "fortiems_output_flushes_in_flight"
	requestsNow  = "fortiems_output_bulk_requests_in_flight"
	build        = "fortiems_build_info"
)

// Row describes a metric.
type Row struct {
	Name  string
	Type  string // counter, gauge or histogram
	Label string // the label besides "name", "" if there is none
	Help  string
}

// Labels returns the names of the metric's labels.
func (r Row) Labels() []string {
	switch {
	case r.Name == build:
		return []string{"version", "goversion"}
	case r.Label == "":
		return []string{"name"}
	}
	return []string{"name", r.Label}
}

// Rows describes every metric of this package in the order of the documentation.
func Rows() []Row {
	var rows []Row
	for _, r := range count.Rows {
		row := Row{r.Metric, counter, r.Label, r.Help}
		if len(rows) == 0 || rows[len(rows)-1] != row {
			rows = append(rows, row)
		}
	}
	return append(rows,
		Row{documents, counter, "result", "Documents that are done with: stored, duplicate (the server had it: 409), dead_lettered (failure store included), dropped (dead_letter off)."},
		Row{retried, counter, "", "Documents that had to be sent again, once for every time."},
		Row{foreignIDs, counter, "", "Documents stored under another id than ours, because a pipeline sets or removes _id; they are among the stored ones."},
		Row{requests, counter, "status", "Bulk requests by class of their status: 2xx, 3xx, 4xx, 5xx; none without a usable answer."},
		Row{duration, histogram, "", "Time from sending a bulk request to the end of its answer, or of the wait for one."},
		Row{uncompressed, counter, "", "Bytes of bulk requests before compression."},
		Row{sent, counter, "", "Bytes of bulk requests as they were sent."},
		Row{flushes, counter, "result", "Chunks that came from Fluent Bit and were answered: ok, or retry (Fluent Bit brings the chunk again)."},
		Row{flushesNow, gauge, "", "Chunks that are being delivered now."},
		Row{requestsNow, gauge, "", "Bulk requests that wait for their answer now."},
		Row{build, gauge, "", "1, with the version and the version of Go as labels."},
	)
}

// latencies are the upper bounds of the histogram in seconds. flush_timeout, 30 s
// by default, ends every request.
var latencies = []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}

// set holds the metrics of a server by name.
type set struct {
	counters   map[string]*prometheus.CounterVec
	gauges     map[string]*prometheus.GaugeVec
	histograms map[string]*prometheus.HistogramVec
}

// newSet enters all metrics into registry, those of Go and of the process too.
func newSet(registry *prometheus.Registry, version string) *set {
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s := &set{map[string]*prometheus.CounterVec{}, map[string]*prometheus.GaugeVec{}, map[string]*prometheus.HistogramVec{}}
	auto := promauto.With(registry)
	for _, r := range Rows() {
		switch r.Type {
		case counter:
			s.counters[r.Name] = auto.NewCounterVec(prometheus.CounterOpts{Name: r.Name, Help: r.Help}, r.Labels())
		case gauge:
			s.gauges[r.Name] = auto.NewGaugeVec(prometheus.GaugeOpts{Name: r.Name, Help: r.Help}, r.Labels())
		case histogram:
			s.histograms[r.Name] = auto.NewHistogramVec(prometheus.HistogramOpts{Name: r.Name, Help: r.Help, Buckets: latencies}, r.Labels())
		}
	}
	s.gauges[build].WithLabelValues(strings.ToValidUTF8(version, "?"), runtime.Version()).Set(1)
	return s
}

// Filter counts what one filter instance does. Instances of one name on one server share
// their counters. A nil *Filter counts nothing.
type Filter [count.NumCounters]prometheus.Counter

// Filter returns the counters of the filter instance called name, all of which exist from
// the start, at 0. They may be used after Close, without effect on any server.
func (s *Server) Filter(name string) *Filter {
	f := &Filter{}
	for i, r := range count.Rows {
		labels := []string{cleanName(name)}
		if r.Label != "" {
			labels = append(labels, r.LabelValue)
		}
		f[i] = s.shared.metrics.counters[r.Metric].WithLabelValues(labels...)
	}
	return f
}

// Add adds what a chunk counted.
func (f *Filter) Add(d *count.Counts) {
	if f == nil {
		return
	}
	for i, n := range d {
		if n > 0 {
			f[i].Add(float64(n))
		}
	}
}
