package docs

import (
	"fmt"
	"strings"
	"testing"

	"fluent-bit-fortiems/plugin/metrics"
	"fluent-bit-fortiems/plugin/option"
)

func categoryTable(t *testing.T) string {
	t.Helper()
	var rows [][]string
	for _, c := range categories() {
		if c.covers == "" {
			t.Errorf("no text for the category %s", c.name)
		}
		rows = append(rows, []string{"`" + c.name + "`", c.covers, strings.Join(c.actions, ", ")})
	}
	return table([]string{"category", "covers", "event.action"}, rows)
}

func fieldTable() string {
	var rows [][]string
	for _, r := range fields() {
		rows = append(rows, []string{"`" + r.Key + "`", r.WrittenBy, "`" + r.Field + "`", r.Note})
	}
	return table([]string{"key", "written by", "field", ""}, rows)
}

// evidenceTable counts the built-in rules by what they rest on.
func evidenceTable(counts map[string]int) string {
	var rows [][]string
	for _, e := range [][2]string{
		{"sample", "a real line"},
		{"doc", "Fortinet's log reference or the published lists of fields"},
		{"article", "the published description of the FortiEMS log types"},
		{"inferred", "our reading of that description"},
	} {
		rows = append(rows, []string{"`" + e[0] + "`", e[1], fmt.Sprint(counts[e[0]])})
	}
	return table([]string{"source", "meaning", "rules"}, rows)
}

func optionTable(options []option.Option) string {
	var rows [][]string
	for _, o := range options {
		value := ""
		if o.Default != "" {
			value = "`" + o.Default + "`"
		}
		rows = append(rows, []string{"`" + o.Key + "`", value, o.Text})
	}
	return table([]string{"key", "default", "meaning"}, rows)
}

func metricTable() string {
	var rows [][]string
	for _, r := range metrics.Rows() {
		rows = append(rows, []string{"`" + r.Name + "`", r.Type, strings.Join(r.Labels(), ", "), r.Help})
	}
	return table([]string{"metric", "type", "labels", "meaning"}, rows)
}

// table renders a Markdown table. A bar in a cell is escaped.
func table(header []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			fmt.Fprintf(&b, "| %s ", strings.ReplaceAll(c, "|", `\|`))
		}
		b.WriteString("|\n")
	}
	line(header)
	b.WriteString(strings.Repeat("|---", len(header)) + "|\n")
	for _, r := range rows {
		line(r)
	}
	return strings.ReplaceAll(b.String(), "|  |", "| |")
}
