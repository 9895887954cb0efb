// Command memory measures what the filter adds to the resident memory of a pipeline,
// whether it grows over many lines, the share of CPU time of Go's garbage collector,
// and what the output adds. In Fluent Bit the input pauses while chunks wait
// (mem_buf_limit), so that both pipelines hold the same amount of records; without a
// real Fluent Bit it runs the stand-in host.
//
//	go run ./test/bench/memory [-lines 2000000] [-object PATH] [-results FILE]
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fluent-bit-fortiems/test/bench"
)

type measurement struct {
	dir, object, program, port string
	lines                      int
}

// parts of this project in a pipeline.
type parts int

const (
	nothing parts = iota
	filter
	filterAndOutput
)

func main() {
	m := measurement{program: bench.FluentBit()}
	flag.IntVar(&m.lines, "lines", 2_000_000, "lines to read")
	flag.StringVar(&m.object, "object", "build/out/flb-filter_fortiems.so", "the shared object")
	results := flag.String("results", "", "file for the figures")
	flag.Parse()
	if err := m.run(*results); err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

func (m *measurement) run(results string) (err error) {
	if m.object, err = filepath.Abs(m.object); err != nil {
		return err
	}
	if m.dir, err = os.MkdirTemp("", "fortiems-bench"); err != nil {
		return err
	}
	defer os.RemoveAll(m.dir)
	if err := bench.WriteInput(m.input(), m.inputLines()); err != nil {
		return err
	}
	sink, err := bench.NewSink()
	if err != nil {
		return err
	}
	m.port = sink.Port
	without, _, err := m.watch(nothing)
	if err != nil {
		return err
	}
	with, u, err := m.watch(filter)
	if err != nil {
		return err
	}
	_, shipping, err := m.watch(filterAndOutput)
	if err != nil {
		return err
	}
	if got := sink.Documents(); got != int64(m.lines) {
		return fmt.Errorf("%d documents arrived, want %d", got, m.lines)
	}
	gc, err := collector(u.Log)
	if err != nil {
		return err
	}
	ship, err := collector(shipping.Log)
	if err != nil {
		return err
	}
	if ship.cycles == 0 {
		return errors.New("no line of a garbage collection was seen")
	}
	r := bench.Results{
		"lines":      float64(m.lines),
		"above-mib":  mib(median(with) - median(without)),
		"growth-mib": mib(median(part(with, 4)) - median(part(with, 1))),
		"gc-share":   gc.cpu.Seconds() / u.CPU.Seconds(),
		"output-mib": ship.heap - gc.heap,
	}
	where := "stand-in host"
	if m.program != "" {
		where = "Fluent Bit"
	}
	fmt.Printf("%s, %d lines: %.1f MiB resident, %.1f without the object, most %.1f and %.1f; by fifths of the run", where, m.lines,
		mib(median(with)), mib(median(without)), mib(slices.Max(with)), mib(slices.Max(without)))
	for i := range 5 {
		fmt.Printf(" %.1f", mib(median(part(with, i))))
	}
	fmt.Printf("\n%d collections of garbage took %v of %v processor time\n", gc.cycles, gc.cpu, u.CPU.Round(time.Millisecond))
	fmt.Printf("with the output and 2 workers, Go's memory grew to %.0f MiB at most (%.0f without)\n", ship.heap, gc.heap)
	return r.Write(results)
}

func (m *measurement) input() string { return filepath.Join(m.dir, "input.log") }

// perFile is the number of lines in the input of the stand-in host, which reads it
// repeatedly.
const perFile = 100_000

func (m *measurement) inputLines() int {
	if m.program == "" && m.lines%perFile == 0 {
		return perFile
	}
	return m.lines
}

// watch runs the pipeline and returns its resident memory over time.
func (m *measurement) watch(p parts) (seen []int64, u bench.Usage, err error) {
	cmd, err := m.command(p)
	if err != nil {
		return nil, u, err
	}
	cmd.Env = append(os.Environ(), "GODEBUG=gctrace=1")
	u, err = bench.Finish(cmd, func(n int64) { seen = append(seen, n) })
	if err == nil && len(seen) < 10 {
		err = fmt.Errorf("only %d samples of the memory, more lines are needed", len(seen))
	}
	return seen, u, err
}

func (m *measurement) command(p parts) (*exec.Cmd, error) {
	output := filepath.Join(filepath.Dir(m.object), "out_fortiems_es.so")
	if m.program == "" {
		args := []string{"--input", m.input(), "--quiet", "--repeat", fmt.Sprint(m.lines / m.inputLines())}
		if p >= filter {
			args = append(args, "--filter", m.object)
		}
		if p == filterAndOutput {
			args = append(args, "--output", output, "--flush-threads", "2", "--output-prop", "hosts=http://127.0.0.1:"+m.port,
				"--output-prop", "bootstrap=off", "--output-prop", "product=elasticsearch")
		}
		return exec.Command(filepath.Join(filepath.Dir(m.object), "fortiems-host"), args...), nil
	}
	args, filters, outputs := []string{}, "", `{name: "null", match: '*'}`
	if p >= filter {
		args, filters = append(args, "-e", m.object), "  filters:\n    - {name: fortiems, match: '*'}\n"
	}
	if p == filterAndOutput {
		args = append(args, "-e", output)
		outputs = "{name: fortiems_es, match: '*', hosts: 'http://127.0.0.1:" + m.port + "', bootstrap: off, product: elasticsearch, workers: 2}"
	}
	conf := fmt.Sprintf(`service: {flush: 0.2, grace: 30, log_level: error, coro_stack_size: 131072}
pipeline:
  inputs:
    - {name: tail, path: %s, read_from_head: on, exit_on_eof: on, buffer_chunk_size: 512k, buffer_max_size: 1m, mem_buf_limit: 10M}
%s  outputs:
    - %s
`, m.input(), filters, outputs)
	file := filepath.Join(m.dir, "memory.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	return exec.Command(m.program, append(args, "-c", file)...), nil
}

// part returns a fifth of the samples.
func part(seen []int64, i int) []int64 {
	return seen[len(seen)*i/5 : len(seen)*(i+1)/5]
}

func median(list []int64) int64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// garbage has the statistics of Go's garbage collector.
type garbage struct {
	cycles int
	cpu    time.Duration
	heap   float64 // MiB that the heap may grow to before the next cycle, at most
}

// collector sums up the lines of GODEBUG=gctrace=1, in which the processor time of a
// cycle is written as "0.05+0.3/1.2/3.0+0.2 ms cpu".
func collector(log []byte) (g garbage, err error) {
	for line := range bytes.Lines(log) {
		if !bytes.HasPrefix(line, []byte("gc ")) {
			continue
		}
		for part := range strings.SplitSeq(string(line), ", ") {
			if goal, ok := strings.CutSuffix(part, " MB goal"); ok {
				var n float64
				if _, err := fmt.Sscan(goal, &n); err != nil {
					return g, fmt.Errorf("%q: %w", line, err)
				}
				g.heap = max(g.heap, n)
			}
			sum, ok := strings.CutSuffix(part, " ms cpu")
			if !ok {
				continue
			}
			g.cycles++
			for _, n := range strings.FieldsFunc(sum, func(r rune) bool { return r == '+' || r == '/' }) {
				var ms float64
				if _, err := fmt.Sscan(n, &ms); err != nil {
					return g, fmt.Errorf("%q: %w", line, err)
				}
				g.cpu += time.Duration(ms * float64(time.Millisecond))
			}
		}
	}
	return g, nil
}
