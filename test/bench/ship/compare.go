package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"fluent-bit-fortiems/test/bench"
)

// compare measures the output of two versions with the same documents, those of the golden
// records, in turns: tail reads them as JSON, no filter runs. The cost is that of the
// process less that with the output null.
func compare(before string, lines, runs int) error {
	program := bench.FluentBit()
	if program == "" {
		return errors.New("needs Fluent Bit: set $FLUENT_BIT")
	}
	dir, err := os.MkdirTemp("", "fortiems-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeRecords(filepath.Join(dir, "input.log"), lines); err != nil {
		return err
	}
	s, err := bench.NewSink()
	if err != nil {
		return err
	}
	const output = "{name: fortiems_es, match: '*', hosts: 'http://127.0.0.1:PORT', bootstrap: off, product: elasticsearch, compress: %s, workers: 2}"
	programs := []struct{ name, folder, output string }{
		{"null", "build/out", `{name: "null", match: '*'}`},
		{"plain, before", before, fmt.Sprintf(output, "off")},
		{"plain, now", "build/out", fmt.Sprintf(output, "off")},
		{"gzip, before", before, fmt.Sprintf(output, "gzip")},
		{"gzip, now", "build/out", fmt.Sprintf(output, "gzip")},
	}
	costs := make([][]time.Duration, len(programs))
	for range runs {
		for i, p := range programs {
			s.Reset()
			u, err := measureOutput(program, dir, p.folder, strings.ReplaceAll(p.output, "PORT", s.Port))
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			if got := s.Documents(); i > 0 && got != int64(lines) {
				return fmt.Errorf("%s: %d documents arrived, want %d", p.name, got, lines)
			}
			costs[i] = append(costs[i], u.CPU)
		}
	}
	fmt.Printf("\n%d documents, %d runs in turns\n\n", lines, runs)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "output\tµs/document, median\tleast\tof before in the same round, median\t\n")
	net := func(cpu, null time.Duration) float64 {
		return float64((cpu - null).Nanoseconds()) / 1e3 / float64(lines)
	}
	for i := 1; i < len(programs); i++ {
		ratio := ""
		if i%2 == 0 {
			ratio = fmt.Sprintf("%.2f", ratioOfRounds(costs[i], costs[i-1], costs[0]))
		}
		cost, null := slices.Clone(costs[i]), slices.Clone(costs[0]) // Median sorts
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%s\t\n", programs[i].name, net(bench.Median(cost), bench.Median(null)), net(cost[0], null[0]), ratio)
	}
	return w.Flush()
}

// ratioOfRounds is the median of the ratios of two programs, less null, round by round.
func ratioOfRounds(now, before, null []time.Duration) float64 {
	ratios := make([]float64, len(now))
	for i := range now {
		ratios[i] = float64(now[i]-null[i]) / float64(before[i]-null[i])
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// writeRecords repeats the golden records of the corpus.
func writeRecords(path string, lines int) error {
	return writeCorpus(path, "expected.ndjson", lines, func(line []byte) bool {
		return len(line) < 8192 && !bytes.Contains(line, []byte(`\u0000`))
	})
}

// measureOutput runs one pipeline with the output of a folder to its end.
func measureOutput(program, dir, folder, output string) (u bench.Usage, err error) {
	object, err := filepath.Abs(filepath.Join(folder, "out_fortiems_es.so"))
	if err != nil {
		return u, err
	}
	conf := fmt.Sprintf(`service: {flush: 1, grace: 30, log_level: error, coro_stack_size: 131072}
parsers:
  - {name: json, format: json}
pipeline:
  inputs:
    - {name: tail, path: %s/input.log, parser: json, read_from_head: on, exit_on_eof: on, buffer_chunk_size: 512k, buffer_max_size: 1m}
  outputs:
    - %s
`, dir, output)
	file := filepath.Join(dir, "compare.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return u, err
	}
	return bench.Finish(exec.Command(program, "-e", object, "-c", file), nil)
}
