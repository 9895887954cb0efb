// Package count lists what the filter counts: one row for each counter, with its metric and
// its words in the summary of an instance. A new counter is a constant, a row, and the line
// that counts it.
package count

import (
	"sync/atomic"

	"fluent-bit-fortiems/parser/dict"
)

// Counter numbers a counter of the filter.
type Counter int

// The counters, in the order of the documentation. Those from Corrupt on count chunks, the
// others records.
const (
	Records Counter = iota
	Matched
	Unmatched
	Marked
	Dropped
	Passed
	Already
	Ahead
	firstCategory
	lastCategory = firstCategory + Counter(dict.NumCategories) - 1
)

// The counters after the categories.
const (
	Corrupt Counter = lastCategory + 1 + iota
	Memory
	Panics

	NumCounters
)

// Category returns the counter of the FortiEMS lines of a category.
func Category(c dict.Category) Counter { return firstCategory + Counter(c) }

// Row describes a counter. Counters of one metric differ in the value of its label.
type Row struct {
	Metric     string // name in Prometheus
	Label      string // label of the metric besides "name", "" if there is none
	LabelValue string
	Help       string // help of the metric
	Summary    string // words after the number in the summary, "" for counters that it names itself
}

// Rows describes every counter.
var Rows = func() (rows [NumCounters]Row) {
	rows = [NumCounters]Row{
		Records:   {Metric: "fortiems_filter_records_total", Help: "Records that came in; of a record that holds several messages, each message."},
		Matched:   {Metric: "fortiems_filter_matched_records_total", Help: "Records with a FortiEMS line."},
		Unmatched: {Metric: "fortiems_filter_unmatched_records_total", Help: "Records with a line that is not FortiEMS, whatever was done with them."},
		Marked:    {Metric: "fortiems_filter_marked_records_total", Help: "Unmatched records that were marked (unmatched mark).", Summary: "marked"},
		Dropped:   {Metric: "fortiems_filter_dropped_records_total", Help: "Unmatched records that were dropped (unmatched drop).", Summary: "dropped"},
		Passed:    {Metric: "fortiems_filter_passed_records_total", Help: "Records without a raw line, passed as they are.", Summary: "without a raw line"},
		Already:   {Metric: "fortiems_filter_already_records_total", Help: "Records that a filter of this kind has written before, passed as they are.", Summary: "already filtered"},
		Ahead:     {Metric: "fortiems_filter_ahead_records_total", Help: "Records whose event time is more than 10 minutes ahead of their receipt.", Summary: "ahead of time"},
		Corrupt:   failed("corrupt", "corrupt chunks"),
		Memory:    failed("memory", "chunks without memory"),
		Panics:    failed("internal_error", "internal errors"),
	}
	for c := range dict.NumCategories {
		rows[Category(c)] = Row{
			Metric: "fortiems_filter_categorized_records_total", Label: "category", LabelValue: c.String(),
			Help: "Records with a FortiEMS line by category; unknown is what no rule knows.",
		}
	}
	return rows
}()

// failed is the row of chunks that passed untouched for a reason.
func failed(reason, summary string) Row {
	return Row{
		Metric: "fortiems_filter_failed_chunks_total", Label: "reason", LabelValue: reason, Summary: summary,
		Help: "Chunks that passed untouched because of an error: corrupt (unreadable), memory (none to be had), internal_error.",
	}
}

// Counts holds the value of every counter.
type Counts [NumCounters]uint64

// Atomic holds counts that several goroutines add to. The zero value is ready.
type Atomic [NumCounters]atomic.Uint64

// Add adds d to a.
func (a *Atomic) Add(d *Counts) {
	for i, n := range d {
		if n > 0 {
			a[i].Add(n)
		}
	}
}

// Load returns the counts as they are now.
func (a *Atomic) Load() (c Counts) {
	for i := range a {
		c[i] = a[i].Load()
	}
	return c
}
