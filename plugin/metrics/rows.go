package metrics

import (
	"fmt"
	"strings"

	"fluent-bit-fortiems/plugin/count"
)

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

func (r Row) labels() []string {
	if r.Label == "" {
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

// Markdown renders the metrics as a Markdown table.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, r := range Rows() {
		labels := strings.Join(r.labels(), ", ")
		if r == buildRow {
			labels = "version, goversion"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.Name, r.Type, labels, r.Help)
	}
	return b.String()
}
