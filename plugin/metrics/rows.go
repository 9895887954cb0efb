package metrics

import "fluent-bit-fortiems/plugin/count"

// The types of metrics.
const (
	counter   = "counter"
	gauge     = "gauge"
	histogram = "histogram"
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
	case r == buildRow:
		return []string{"version", "goversion"}
	case r.Label == "":
		return []string{"name"}
	}
	return []string{"name", r.Label}
}

// buildRow has labels of its own.
var buildRow = Row{"fortiems_build_info", gauge, "", "1, with the version and the version of Go as labels."}

// Rows describes every metric of this package in the order of the documentation.
func Rows() []Row {
	var rows []Row
	for _, r := range count.Rows {
		row := filterRow(r)
		if len(rows) == 0 || rows[len(rows)-1] != row {
			rows = append(rows, row)
		}
	}
	rows = append(rows, outputRows()...)
	return append(rows, buildRow)
}
