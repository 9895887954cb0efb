// Command demo shows on one screen what the filter makes of the corpus: chosen lines and
// what became of them, then the records of each category.
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"fluent-bit-fortiems/plugin/cmd/fortiems/show"
	"fluent-bit-fortiems/plugin/cmd/fortiems/term"
	"fluent-bit-fortiems/test"
)

func main() {
	run := screen
	if len(os.Args) == 3 && os.Args[1] == "all" {
		os.Args, run = os.Args[1:], table
	}
	if err := run(os.Stdout, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// read returns the records of a file of JSON lines.
func read(file string) (records []show.Record, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if !bytes.HasPrefix(lines.Bytes(), []byte("{")) {
			continue
		}
		r, ok := show.Parse(lines.Bytes())
		if !ok {
			return nil, fmt.Errorf("record %d is no JSON object", len(records)+1)
		}
		records = append(records, r)
	}
	return records, lines.Err()
}

// kindOf returns category, type and subtype of a record.
func kindOf(r show.Record) [3]string {
	return [3]string{cmp.Or(r.Text("fortinet.ems.category"), "(not FortiEMS)"), r.Text("fortinet.ems.type"), r.Text("fortinet.ems.subtype")}
}

// table prints how many records have each category, type and subtype.
func table(out io.Writer, file string) error {
	records, err := read(file)
	if err != nil {
		return err
	}
	counts := map[[3]string]int{}
	for _, r := range records {
		counts[kindOf(r)]++
	}
	keys := make([][3]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [3]string) int { return slices.Compare(a[:], b[:]) })
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nCOUNT\tCATEGORY\tTYPE\tSUBTYPE")
	for _, k := range keys {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", counts[k], k[0], k[1], k[2])
	}
	fmt.Fprintf(w, "%d\tall\t\t\n", len(records))
	return w.Flush()
}

// chosen are the cases of which the screen shows a line, with the outcome that it has.
var chosen = [][2]string{
	{"real-wazuh-26094", "-"}, {"ems-adconnector", "failure"}, {"ems-addaemonworker", "success"}, {"ems-update", "success"}, {"ems-event", "success"},
	{"ems-vpn", "success"}, {"ems-authentication", "failure"}, {"ems-policy", "success"}, {"fct-security", "-"}, {"fgt-endpoint", "success"},
}

// screen prints the chosen lines with what became of them, and the counts.
func screen(out io.Writer, file string) error {
	return screenOf(out, file, term.Colors("auto", out, os.Getenv), term.Width(out, columns))
}

// columns is the width of the screen where there is no terminal.
const columns = 120

func screenOf(out io.Writer, file string, p term.Palette, width int) error {
	records, err := read(file)
	if err != nil {
		return err
	}
	cases, err := test.Corpus()
	if err != nil {
		return err
	}
	byLine := map[string]show.Record{}
	for _, r := range records {
		byLine[r.Text("event.original")] = r
	}
	for _, want := range chosen {
		c := slices.IndexFunc(cases, func(c test.Case) bool { return c.Name == want[0] })
		if c < 0 {
			return fmt.Errorf("the corpus has no case %s", want[0])
		}
		i := slices.IndexFunc(cases[c].Rows, func(r test.Row) bool { return r.Outcome == want[1] })
		if i < 0 {
			return fmt.Errorf("the case %s has no line with outcome %s", want[0], want[1])
		}
		line := cases[c].Rows[i].Line
		r, ok := byLine[line]
		if !ok {
			return fmt.Errorf("no record of %s", line)
		}
		fmt.Fprintln(out, p.Dim(term.Cut(term.Safe(line), width-1)))
		fmt.Fprintln(out, "  → "+summary(r, p))
	}
	return counts(out, records, p)
}

// summary returns what a record says, in a few words.
func summary(r show.Record, p term.Palette) string {
	words := []string{p.Cyan(r.Text("fortinet.ems.category")), r.Text("event.action")}
	switch o := r.Text("event.outcome"); o {
	case "failure":
		words = append(words, p.Red(o))
	case "success":
		words = append(words, p.Green(o))
	}
	if r.Text("event.kind") == "alert" {
		words = append(words, p.Red("alert"))
	}
	if who := show.Who(r); who != "" {
		words = append(words, "who "+term.Safe(who))
	}
	if where := show.Where(r); where != "" {
		words = append(words, "where "+term.Safe(where))
	}
	if message := r.Text("message"); message != r.Text("event.original") {
		words = append(words, `"`+term.Safe(term.Cut(message, 60))+`"`)
	}
	return strings.Join(slices.DeleteFunc(words, func(s string) bool { return s == "" }), ", ")
}

// counts prints a row for each category: its records, a bar, and its commonest types.
func counts(out io.Writer, records []show.Record, p term.Palette) error {
	categories, kinds := map[string]int{}, map[[3]string]int{}
	for _, r := range records {
		k := kindOf(r)
		categories[k[0]]++
		kinds[k]++
	}
	var rows []show.Count
	for name, n := range categories {
		rows = append(rows, show.Count{Name: name, N: n})
	}
	slices.SortFunc(rows, func(a, b show.Count) int { return cmp.Or(b.N-a.N, strings.Compare(a.Name, b.Name)) })
	fmt.Fprintf(out, "\n%s\n", p.Bold(fmt.Sprintf("%d lines by category, with the commonest type/subtype", len(records))))
	for i, bar := range show.Bars(rows, p, 30) {
		var of [][3]string
		for k := range kinds {
			if k[0] == rows[i].Name && k[1]+k[2] != "" {
				of = append(of, k)
			}
		}
		slices.SortFunc(of, func(a, b [3]string) int { return cmp.Or(kinds[b]-kinds[a], slices.Compare(a[:], b[:])) })
		var texts []string
		for _, k := range of[:min(len(of), 2)] {
			texts = append(texts, fmt.Sprintf("%s/%s %d", k[1], k[2], kinds[k]))
		}
		fmt.Fprintln(out, bar, p.Dim(strings.Join(texts, ", ")))
	}
	return nil
}
