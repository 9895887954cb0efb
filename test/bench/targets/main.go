// Command targets measures everything for which the project has a target and prints
// one table: target, measured, met or not. It runs the other measurements
// (pipeline, memory, ship) for their figures and takes the rest in its own process,
// which has to be built with the object's profile:
//
//	go run -pgo=plugin/default.pgo ./test/bench/targets [-lines N] [-memory-lines N] [-ship-lines N] [-runs 3]
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"text/tabwriter"

	"fluent-bit-fortiems/test/bench"
)

// row is one target.
type row struct {
	what, target, measured, met string
}

// atMost is a row whose figure may be limit or less.
func atMost(what, unit string, figure, limit float64) row {
	return row{what, "≤ " + number(limit) + unit, number(figure) + unit, verdict(figure <= limit)}
}

// atLeast is a row whose figure must be limit or more.
func atLeast(what, unit string, figure, limit float64) row {
	return row{what, "≥ " + number(limit) + unit, number(figure) + unit, verdict(figure >= limit)}
}

// notRun is a row without a figure.
func notRun(what, target, why string) row { return row{what, target, "not run: " + why, ""} }

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "NOT MET"
}

// number writes a figure with three digits.
func number(v float64) string {
	switch {
	case v >= 100 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1 || v == 0:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func main() {
	lines := flag.Int("lines", 1_000_000, "lines of a run inside Fluent Bit")
	memoryLines := flag.Int("memory-lines", 2_000_000, "lines of the run that measures memory")
	shipLines := flag.Int("ship-lines", 200_000, "lines of a run of an output")
	runs := flag.Int("runs", 3, "runs, of which the median counts")
	flag.Parse()
	if err := run(*lines, *memoryLines, *shipLines, *runs); err != nil {
		fmt.Fprintln(os.Stderr, "targets:", err)
		os.Exit(1)
	}
}

func run(lines, memoryLines, shipLines, runs int) error {
	rows, err := inProcess()
	if err != nil {
		return err
	}
	pipeline, err := measure("pipeline", "-lines", fmt.Sprint(lines), "-runs", fmt.Sprint(runs))
	if err != nil {
		return err
	}
	memory, err := measure("memory", "-lines", fmt.Sprint(memoryLines))
	if err != nil {
		return err
	}
	ship, err := measure("ship", "-lines", fmt.Sprint(shipLines), "-runs", fmt.Sprint(runs))
	if err != nil {
		return err
	}
	rows = append(rows, insideFluentBit(pipeline)...)
	rows = append(rows, resident(memory)...)
	rows = append(rows, output(ship, memory)...)
	return table(os.Stdout, rows)
}

// measure runs another measurement, whose own tables go to standard output, and
// returns its figures; none when Fluent Bit is missing.
func measure(name string, args ...string) (bench.Results, error) {
	dir, err := os.MkdirTemp("", "fortiems-bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, name)
	fmt.Printf("\n%s\n\n", name)
	cmd := exec.Command("go", append([]string{"run", "./test/bench/" + name, "-results", file}, args...)...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r, err := bench.ReadResults(file)
	if os.IsNotExist(err) {
		return nil, nil
	}
	return r, err
}

// insideFluentBit compares the cost with that of the built-in filters.
func insideFluentBit(r bench.Results) (rows []row) {
	for _, other := range []struct {
		id, name string
		limit    float64
	}{{"logfmt", "parser filter, logfmt", 0.5}, {"regex", "parser filter, regex", 0.25}, {"lua", "lua filter that categorises", 0.08}} {
		what := "inside Fluent Bit, of the cost of its " + other.name
		if r[other.id] == 0 {
			rows = append(rows, notRun(what, "≤ "+number(other.limit)+" ×", "no Fluent Bit"))
			continue
		}
		rows = append(rows, atMost(what, " ×", r["fortiems"]/r[other.id], other.limit))
	}
	return rows
}

// flat is the growth of resident memory up to which it counts as flat.
const flat = 2

func resident(r bench.Results) []row {
	where := "stand-in host"
	if bench.FluentBit() != "" {
		where = "Fluent Bit"
	}
	return []row{
		atMost("resident memory above the same pipeline ("+where+")", " MiB", r["above-mib"], 40),
		atMost(fmt.Sprintf("its growth over %.1f million lines", r["lines"]/1e6), " MiB", r["growth-mib"], flat),
		atMost("share of the garbage collector in CPU", " %", 100*r["gc-share"], 1),
	}
}

// output compares the output with that of Fluent Bit. Its workers are two, a request
// is at most bulk_max_bytes (5M) of text, and the README gives four times that: the
// request, its compressed form and the answer, and as much again before Go collects.
// What Go takes without the output is not counted.
func output(ship, memory bench.Results) []row {
	const cpu, rate, held = "output, CPU per document", "output, documents/s with 2 workers", "output, Go's memory, 2 workers × 4 × bulk_max_bytes"
	rows := []row{notRun(cpu, "≤ that of es", "no Fluent Bit"), notRun(rate, "≥ that of es", "no Fluent Bit")}
	if ship != nil {
		rows = []row{
			atMost(cpu, " µs", ship["fortiems_es µs"], ship["es µs"]),
			atMost(cpu+", gzip", " µs", ship["fortiems_es, gzip µs"], ship["es, gzip µs"]),
			atLeast(rate, "/s", ship["fortiems_es /s"], ship["es /s"]),
			atLeast(rate+", gzip", "/s", ship["fortiems_es, gzip /s"], ship["es, gzip /s"]),
		}
	}
	return append(rows, atMost(held, " MiB", memory["output-mib"], 2*4*5))
}

func table(out io.Writer, rows []row) error {
	fmt.Fprintf(out, "\ntargets\n\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "what\ttarget\tmeasured\t")
	met, judged := 0, 0
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.what, r.target, r.measured, r.met)
		if r.met != "" {
			judged++
		}
		if r.met == verdict(true) {
			met++
		}
	}
	fmt.Fprintf(w, "\n%d of %d targets met, %d not run\n", met, judged, len(rows)-judged)
	return w.Flush()
}
