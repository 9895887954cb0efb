package main

import (
	"bufio"
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"fluent-bit-fortiems/plugin/cmd/fortiems/input"
	"fluent-bit-fortiems/plugin/cmd/fortiems/show"
	"fluent-bit-fortiems/plugin/cmd/fortiems/term"
)

// showFlags are those of the command show.
type showFlags struct {
	head, counts int
	wide         bool
}

func newShow(a *app) *cobra.Command {
	var f showFlags
	cmd := &cobra.Command{
		Use:   "show [FILE...]",
		Short: "Print records of the filter as aligned lines",
		Long: `Show reads the records that the filter writes, one JSON object a line, and prints each as
one line: time, category, action, outcome, who, where, message. "!" marks alerts.
Lines that are no JSON objects are printed as they are, on standard error.`,
		Example: "  fluent-bit -c fluent-bit.yaml | fortiems show",
		RunE: func(cmd *cobra.Command, files []string) error {
			return f.run(cmd, a, files)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&f.wide, "wide", "w", false, "print whole messages on a terminal, too")
	flags.IntVarP(&f.head, "head", "n", -1, "print at most this many records, but count all")
	flags.IntVar(&f.counts, "counts", 0, "at the end print the records per category with a bar of this width")
	return cmd
}

func (f *showFlags) run(cmd *cobra.Command, a *app, files []string) error {
	p, width := a.palette(), 0
	if term.Is(a.out) && !f.wide {
		width = term.Width(a.out, 120)
	}
	out := bufio.NewWriter(a.out)
	counts, shown := map[string]int{}, 0
	err := a.input().Blocks(cmd.Context(), files, func(b input.Block) error {
		for _, line := range b.Lines() {
			r, ok := show.Parse(line)
			if !ok {
				if len(line) > 0 {
					fmt.Fprintln(a.errs, term.Safe(string(line)))
				}
				continue
			}
			category := r.Text("fortinet.ems.category")
			counts[cmp.Or(category, "(not FortiEMS)")]++
			if f.head >= 0 && shown >= f.head {
				continue
			}
			if shown++; shown == 1 {
				fmt.Fprintln(out, show.Header(p))
			}
			fmt.Fprintln(out, show.Line(r, p, width))
		}
		return out.Flush() // what has arrived is seen at once
	})
	if err != nil || f.counts <= 0 {
		return err
	}
	var rows []show.Count
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		rows = append(rows, show.Count{Name: name, N: counts[name]})
	}
	slices.SortStableFunc(rows, func(a, b show.Count) int { return b.N - a.N })
	fmt.Fprintln(out)
	for _, line := range show.Bars(rows, p, f.counts) {
		fmt.Fprintln(out, line)
	}
	return out.Flush()
}
