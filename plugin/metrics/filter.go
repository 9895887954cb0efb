package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-fortiems/parser"
)

// FilterCounts is what a filter instance counted since its start.
type FilterCounts struct {
	Records   uint64 // events read
	Matched   uint64 // FortiEMS lines
	Unmatched uint64 // other lines, whatever was done with them
	Marked    uint64 // unmatched lines that were marked
	Dropped   uint64 // unmatched lines that were dropped
	Passed    uint64 // events without a raw line
	Ahead     uint64 // event times more than ten minutes ahead of the receipt

	// Chunks that passed untouched because of an error.
	Corrupt, Memory, Panics uint64

	// Categories counts the FortiEMS lines by category.
	Categories [parser.NumCategories]uint64
}

func (c *FilterCounts) add(d FilterCounts) {
	c.Records += d.Records
	c.Matched += d.Matched
	c.Unmatched += d.Unmatched
	c.Marked += d.Marked
	c.Dropped += d.Dropped
	c.Passed += d.Passed
	c.Ahead += d.Ahead
	c.Corrupt += d.Corrupt
	c.Memory += d.Memory
	c.Panics += d.Panics
	for i, n := range d.Categories {
		c.Categories[i] += n
	}
}

// filterRow is a metric of the filter: its description and the value of each of
// its series.
type filterRow struct {
	Row
	values func(c *FilterCounts) []labelled
}

// labelled is a value and what the label besides "name" says, "" if there is none.
type labelled struct {
	label string
	value uint64
}

// single makes a metric without a further label.
func single(value func(c *FilterCounts) uint64) func(c *FilterCounts) []labelled {
	return func(c *FilterCounts) []labelled { return []labelled{{"", value(c)}} }
}

var filterRows = []filterRow{
	{Row{"fortiems_filter_records_total", counter, "", "Records that came in."},
		single(func(c *FilterCounts) uint64 { return c.Records })},
	{Row{"fortiems_filter_matched_records_total", counter, "", "Records with a FortiEMS line."},
		single(func(c *FilterCounts) uint64 { return c.Matched })},
	{Row{"fortiems_filter_unmatched_records_total", counter, "", "Records with a line that is not FortiEMS, whatever was done with them."},
		single(func(c *FilterCounts) uint64 { return c.Unmatched })},
	{Row{"fortiems_filter_marked_records_total", counter, "", "Unmatched records that were marked (unmatched mark)."},
		single(func(c *FilterCounts) uint64 { return c.Marked })},
	{Row{"fortiems_filter_dropped_records_total", counter, "", "Unmatched records that were dropped (unmatched drop)."},
		single(func(c *FilterCounts) uint64 { return c.Dropped })},
	{Row{"fortiems_filter_passed_records_total", counter, "", "Records without a raw line, passed as they are."},
		single(func(c *FilterCounts) uint64 { return c.Passed })},
	{Row{"fortiems_filter_ahead_records_total", counter, "", "Records whose event time is more than 10 minutes ahead of their receipt."},
		single(func(c *FilterCounts) uint64 { return c.Ahead })},
	{Row{"fortiems_filter_categorized_records_total", counter, "category", "Records with a FortiEMS line by category; unknown is what no rule knows."},
		func(c *FilterCounts) []labelled {
			list := make([]labelled, len(c.Categories))
			for i, n := range c.Categories {
				list[i] = labelled{parser.Category(i).String(), n}
			}
			return list
		}},
	{Row{"fortiems_filter_failed_chunks_total", counter, "reason", "Chunks that passed untouched because of an error: corrupt (unreadable), memory (none to be had), internal_error."},
		func(c *FilterCounts) []labelled {
			return []labelled{{"corrupt", c.Corrupt}, {"memory", c.Memory}, {"internal_error", c.Panics}}
		}},
}

// filterCollector reads the counters of the filter instances when they are
// scraped; the instances pay nothing for it.
type filterCollector struct {
	descs []*prometheus.Desc // in the order of filterRows

	mu    sync.Mutex
	names map[string]*filterSeries
}

// filterSeries is what instances of one name share.
type filterSeries struct {
	ended FilterCounts // of instances that are closed
	live  map[*func() FilterCounts]struct{}
}

func newFilterCollector() *filterCollector {
	c := &filterCollector{names: make(map[string]*filterSeries)}
	for _, r := range filterRows {
		c.descs = append(c.descs, prometheus.NewDesc(r.Name, r.Help, r.Labels(), nil))
	}
	return c
}

// add adds an instance; leave takes it out and keeps what it counted.
func (c *filterCollector) add(name string, count func() FilterCounts) (leave func()) {
	key := &count
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.names[name]
	if s == nil {
		s = &filterSeries{live: make(map[*func() FilterCounts]struct{})}
		c.names[name] = s
	}
	s.live[key] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(s.live, key)
		s.ended.add(count())
	}
}

// Describe implements prometheus.Collector.
func (c *filterCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *filterCollector) Collect(to chan<- prometheus.Metric) {
	for name, sum := range c.sums() {
		for i, r := range filterRows {
			for _, v := range r.values(&sum) {
				labels := []string{name}
				if r.Label != "" {
					labels = append(labels, v.label)
				}
				to <- prometheus.MustNewConstMetric(c.descs[i], prometheus.CounterValue, float64(v.value), labels...)
			}
		}
	}
}

// sums adds up the instances of each name.
func (c *filterCollector) sums() map[string]FilterCounts {
	c.mu.Lock()
	defer c.mu.Unlock()
	sums := make(map[string]FilterCounts, len(c.names))
	for name, s := range c.names {
		sum := s.ended
		for count := range s.live {
			sum.add((*count)())
		}
		sums[name] = sum
	}
	return sums
}
