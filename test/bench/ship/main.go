// Command ship measures what outputs cost inside Fluent Bit: tail of the corpus, the
// filter, one output, to a server that answers at once and keeps nothing. The figure is
// the CPU time of the Fluent Bit process (user and system) less that of the same
// pipeline with the output null, per document, median of the runs; the documents per
// second are those from the start of the process to the last document.
//
// After that it measures what Fluent Bit holds: memory, and disk when the server is away.
//
// With -before it compares the output alone with that of another version instead.
//
//	go run ./test/bench/ship [-lines 200000] [-runs 3] [-results FILE]
//	go run ./test/bench/ship -before DIR/build/out [-lines 200000] [-runs 3]
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"fluent-bit-fortiems/test/bench"
)

// variants are the outputs, the first one being the pipeline without any. PORT
// is replaced by the port of the server.
var variants = []struct{ name, output string }{
	{"null", `{name: "null", match: '*'}`},
	{"es", "{name: es, match: '*', host: 127.0.0.1, port: PORT, index: bench, suppress_type_name: on, generate_id: on, workers: 2}"},
	{"fortiems_es", "{name: fortiems_es, match: '*', hosts: 'http://127.0.0.1:PORT', bootstrap: off, product: elasticsearch, compress: off, workers: 2}"},
	{"es, gzip", "{name: es, match: '*', host: 127.0.0.1, port: PORT, index: bench, suppress_type_name: on, generate_id: on, compress: gzip, workers: 2}"},
	{"fortiems_es, gzip", "{name: fortiems_es, match: '*', hosts: 'http://127.0.0.1:PORT', bootstrap: off, product: elasticsearch, compress: gzip, workers: 2}"},
}

func main() {
	lines := flag.Int("lines", 200_000, "lines of one run")
	runs := flag.Int("runs", 3, "runs of each output")
	results := flag.String("results", "", "file for the figures")
	before := flag.String("before", "", "folder with out_fortiems_es.so of another version")
	flag.Parse()
	if *before != "" {
		if err := compare(*before, *lines, *runs); err != nil {
			fmt.Fprintln(os.Stderr, "ship:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*lines, *runs, *results); err != nil {
		fmt.Fprintln(os.Stderr, "ship:", err)
		os.Exit(1)
	}
}

func run(lines, runs int, results string) error {
	program := bench.FluentBit()
	if program == "" {
		fmt.Println("not run: outputs side by side inside Fluent Bit (set $FLUENT_BIT)")
		return nil
	}
	dir, err := os.MkdirTemp("", "fortiems-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeInput(filepath.Join(dir, "input.log"), lines); err != nil {
		return err
	}
	s, err := bench.NewSink()
	if err != nil {
		return err
	}
	costs, took := make([][]bench.Usage, len(variants)), make([][]time.Duration, len(variants))
	// Runs of one round are next to each other in time, so that a slow phase of the
	// machine affects all alike.
	for range runs {
		for i, v := range variants {
			s.Reset()
			start := time.Now()
			u, err := measure(program, dir, strings.ReplaceAll(v.output, "PORT", s.Port))
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			if got := s.Documents(); i > 0 && got != int64(lines) {
				return fmt.Errorf("%s: %d documents arrived, want %d", v.name, got, lines)
			}
			costs[i] = append(costs[i], u)
			took[i] = append(took[i], s.Last().Sub(start))
		}
	}
	fmt.Printf("\n%d lines of the corpus, median of %d runs\n\n", lines, runs)
	r := bench.Results{}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "output\tµs/document\tdocuments/s\t\n")
	for i, v := range variants[1:] {
		net := bench.MedianCPU(costs[i+1]) - bench.MedianCPU(costs[0])
		cpu, rate := float64(net.Nanoseconds())/1e3/float64(lines), float64(lines)/bench.Median(took[i+1]).Seconds()
		r[v.name+" µs"], r[v.name+" /s"] = cpu, rate
		fmt.Fprintf(w, "%s\t%.2f\t%.0f\t\n", v.name, cpu, rate)
	}
	if err := errors.Join(w.Flush(), r.Write(results)); err != nil {
		return err
	}
	return hold(program, dir, s.Port, lines)
}

// writeInput repeats the lines of the corpus that are ordinary text.
func writeInput(path string, lines int) error {
	return writeCorpus(path, "input.log", lines, func(line []byte) bool {
		return len(line) > 20 && len(line) < 4096 && !bytes.ContainsAny(line, "\x00\r")
	})
}

// writeCorpus repeats the usable lines of the files of the corpus with a name.
func writeCorpus(path, name string, lines int, usable func(line []byte) bool) error {
	files, err := filepath.Glob("test/corpus/*/" + name)
	if err != nil || len(files) == 0 {
		return errors.Join(err, errors.New("no corpus: start it at the top of the project"))
	}
	var all [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for line := range bytes.Lines(text) {
			if line[len(line)-1] == '\n' && usable(line) {
				all = append(all, line)
			}
		}
	}
	var b bytes.Buffer
	for i := range lines {
		b.Write(all[i%len(all)])
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// measure runs one pipeline to its end.
func measure(program, dir, output string) (u bench.Usage, err error) {
	object, err := filepath.Abs("build/out/flb-filter_fortiems.so")
	if err != nil {
		return u, err
	}
	conf := fmt.Sprintf(`service: {flush: 1, grace: 30, log_level: error, coro_stack_size: 131072}
pipeline:
  inputs:
    - {name: tail, path: %s/input.log, key: message, read_from_head: on, exit_on_eof: on, buffer_chunk_size: 512k, buffer_max_size: 1m}
  filters:
    - {name: fortiems, match: '*'}
  outputs:
    - %s
`, dir, output)
	file := filepath.Join(dir, "bench.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return u, err
	}
	cmd := exec.Command(program, "-e", object, "-e", filepath.Join(filepath.Dir(object), "out_fortiems_es.so"), "-c", file)
	return bench.Finish(cmd, nil)
}
