package metrics

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"fluent-bit-fortiems/plugin/count"
)

// filterRow returns the metric of a counter.
func filterRow(r count.Row) Row { return Row{r.Metric, counter, r.Label, r.Help} }

// filterCollector reads the counters of the filter instances at each scrape, at no cost
// between scrapes.
type filterCollector struct {
	descs [count.NumCounters]*prometheus.Desc

	mu    sync.Mutex
	names map[string]*filterSeries
}

// filterSeries is what instances of one name share.
type filterSeries struct {
	ended count.Counts // of instances that are closed
	live  map[*func() count.Counts]struct{}
}

func newFilterCollector() *filterCollector {
	c := &filterCollector{names: make(map[string]*filterSeries)}
	for i, r := range count.Rows {
		c.descs[i] = prometheus.NewDesc(r.Metric, r.Help, filterRow(r).Labels(), nil)
	}
	return c
}

// add adds an instance; leave removes it and keeps what it counted.
func (c *filterCollector) add(name string, read func() count.Counts) (leave func()) {
	key := &read
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.names[name]
	if s == nil {
		s = &filterSeries{live: make(map[*func() count.Counts]struct{})}
		c.names[name] = s
	}
	s.live[key] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(s.live, key)
		last := read()
		s.ended.Add(&last)
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
		for i, n := range sum {
			labels := []string{name}
			if value := count.Rows[i].LabelValue; value != "" {
				labels = append(labels, value)
			}
			to <- prometheus.MustNewConstMetric(c.descs[i], prometheus.CounterValue, float64(n), labels...)
		}
	}
}

// sums adds up the instances of each name.
func (c *filterCollector) sums() map[string]count.Counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	sums := make(map[string]count.Counts, len(c.names))
	for name, s := range c.names {
		sum := s.ended
		for read := range s.live {
			now := (*read)()
			sum.Add(&now)
		}
		sums[name] = sum
	}
	return sums
}
