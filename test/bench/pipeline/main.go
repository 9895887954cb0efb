// Command pipeline measures what filters cost inside Fluent Bit: tail of many equal
// lines, one filter, null. The figure is the CPU time of the whole process (user and
// system) less that of the same pipeline without a filter, per event, median of the
// runs. Without a real Fluent Bit it runs the stand-in host, which has no other
// filters to compare with.
//
//	go run ./test/bench/pipeline [-lines 1000000] [-runs 3] [-object PATH]
package main

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"fluent-bit-fortiems/test/bench"
)

// anchor is the filter that ratios are given against.
const anchor = "parser, logfmt"

// variant is one filter to measure.
type variant struct {
	name   string
	filter string  // YAML under "filters:"; "" for none
	target float64 // most of the anchor's cost that it may take, 0 for none
}

var variants = []variant{
	{name: "none"},
	{name: "copies the buffer (C)", filter: "    - {name: copy, match: '*'}\n"},
	{name: "fortiems", filter: "    - {name: fortiems, match: '*'}\n", target: 0.5},
	{name: "fortiems, no raw key", filter: "    - {name: fortiems, match: '*', key_name: other}\n"},
	{name: anchor, filter: "    - {name: parser, match: '*', key_name: log, parser: bench_logfmt}\n"},
	{name: "parser, regex", filter: "    - {name: parser, match: '*', key_name: log, parser: bench_regex}\n"},
	{name: "lua, splits only", filter: "    - {name: lua, match: '*', script: split.lua, call: split}\n"},
	{name: "lua, categorises", filter: "    - {name: lua, match: '*', script: categorise.lua, call: categorise}\n"},
}

// regex is what a user would write for the line of the benchmark.
const regex = `^(?<header>.*?)dtime="(?<dtime>[^"]*)" type=(?<type>\S*) subtype=(?<subtype>\S*) devid=(?<devid>\S*) uid=(?<uid>\S*) ` +
	`hostname="(?<hostname>[^"]*)" user="(?<user>[^"]*)" deviceip=(?<deviceip>\S*) devicemac=(?<devicemac>\S*) emsserial=(?<emsserial>\S*) ` +
	`os="(?<os>[^"]*)" msg="(?<msg>[^"]*)" usingpolicy="(?<usingpolicy>[^"]*)" emshostname="(?<emshostname>[^"]*)" vd="(?<vd>[^"]*)"`

type pipeline struct {
	dir, object, copyObject, program string
	lines, runs                      int
}

func main() {
	b := pipeline{}
	flag.IntVar(&b.lines, "lines", 1_000_000, "lines of one run")
	flag.IntVar(&b.runs, "runs", 3, "runs of each filter")
	flag.StringVar(&b.object, "object", "build/out/flb-filter_fortiems.so", "the shared object")
	flag.Parse()
	if err := b.run(); err != nil {
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(1)
	}
}

func (b *pipeline) run() (err error) {
	if b.object, err = filepath.Abs(b.object); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "fortiems-bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.writeInput(); err != nil {
		return err
	}
	b.program = bench.FluentBit()
	if b.program == "" {
		fmt.Println("not run: the comparison inside Fluent Bit (set $FLUENT_BIT); the stand-in host instead")
		return b.standIn()
	}
	if err := b.prepare(); err != nil {
		return err
	}
	return b.table()
}

// writeInput writes the real EMS line of the corpus, b.lines times.
func (b *pipeline) writeInput() error {
	text, err := os.ReadFile("test/corpus/real-wazuh-26094/input.log")
	if err != nil {
		return err
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	f, err := os.Create(filepath.Join(b.dir, "input.log"))
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for range b.lines {
		w.Write(line)
		w.WriteByte('\n')
	}
	return errors.Join(w.Flush(), f.Close())
}

// prepare builds the copying filter and writes what the configurations name.
func (b *pipeline) prepare() error {
	b.copyObject = filepath.Join(b.dir, "flb-filter_copy.so")
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "cc"
	}
	if out, err := exec.Command(cc, "-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-o", b.copyObject, "test/bench/pipeline/filters/copy.c").CombinedOutput(); err != nil {
		return fmt.Errorf("building the copying filter: %w\n%s", err, out)
	}
	parsers := "parsers:\n  - {name: bench_logfmt, format: logfmt}\n  - name: bench_regex\n    format: regex\n    regex: '" + regex + "'\n"
	if err := os.WriteFile(filepath.Join(b.dir, "parsers.yaml"), []byte(parsers), 0o600); err != nil {
		return err
	}
	for _, script := range []string{"split.lua", "categorise.lua"} {
		text, err := os.ReadFile(filepath.Join("test/bench/pipeline/filters", script))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(b.dir, script), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// cost is what one run took.
type cost struct {
	cpu      time.Duration // user and system
	resident int64         // most resident memory, KiB
}

func (b *pipeline) table() error {
	version, err := exec.Command(b.program, "--version").Output()
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(version), "\n")
	fmt.Printf("%s, %d lines of %d bytes, median of %d runs\n\n", first, b.lines, b.lineLength(), b.runs)
	costs := make([][]cost, len(variants))
	// Runs of one round are next to each other in time, so that a slow minute of the
	// machine falls on all filters alike.
	for range b.runs {
		for i, v := range variants {
			c, err := b.measure(v)
			if err != nil {
				return fmt.Errorf("%s: %w", v.name, err)
			}
			costs[i] = append(costs[i], c)
		}
	}
	per := func(i int) float64 { // µs per event, net of the pipeline
		return float64((median(costs[i]) - median(costs[0])).Nanoseconds()) / 1e3 / float64(b.lines)
	}
	at := slices.IndexFunc(variants, func(v variant) bool { return v.name == anchor })
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "filter\tµs/event\tof %s\ttarget\tMiB resident\t\n", anchor)
	for i, v := range variants {
		target := ""
		if v.target > 0 {
			target = fmt.Sprintf("≤ %.2f", v.target)
		}
		resident := slices.MaxFunc(costs[i], func(x, y cost) int { return int(x.resident - y.resident) }).resident
		if i == 0 {
			fmt.Fprintf(w, "%s\t(%.2f)\t\t\t%d\t\n", v.name, float64(median(costs[0]).Nanoseconds())/1e3/float64(b.lines), resident>>10)
			continue
		}
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%s\t%d\t\n", v.name, per(i), per(i)/per(at), target, resident>>10)
	}
	return w.Flush()
}

func (b *pipeline) lineLength() int64 {
	info, err := os.Stat(filepath.Join(b.dir, "input.log"))
	if err != nil || b.lines == 0 {
		return 0
	}
	return info.Size()/int64(b.lines) - 1
}

func median(costs []cost) time.Duration {
	all := make([]time.Duration, len(costs))
	for i, c := range costs {
		all[i] = c.cpu
	}
	return bench.Median(all)
}

// measure runs one pipeline to its end.
func (b *pipeline) measure(v variant) (cost, error) {
	filters := ""
	if v.filter != "" {
		filters = "  filters:\n" + v.filter
	}
	conf := fmt.Sprintf(`service:
  flush: 1
  grace: 30
  log_level: error
  coro_stack_size: 131072
  parsers_file: parsers.yaml
pipeline:
  inputs:
    - {name: tail, path: %s/input.log, read_from_head: on, exit_on_eof: on, buffer_chunk_size: 512k, buffer_max_size: 1m}
%s  outputs:
    - {name: "null", match: '*'}
`, b.dir, filters)
	file := filepath.Join(b.dir, "pipeline.yaml")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		return cost{}, err
	}
	cmd := exec.Command(b.program, "-e", b.object, "-e", b.copyObject, "-c", file)
	cmd.Dir = b.dir
	return finish(cmd)
}

// finish runs cmd and returns what it took.
func finish(cmd *exec.Cmd) (cost, error) {
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Run(); err != nil {
		return cost{}, fmt.Errorf("%w\n%s", err, log.String())
	}
	if bytes.Contains(log.Bytes(), []byte("[error]")) {
		return cost{}, errors.New(log.String())
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}, errors.New("the system tells no resource usage")
	}
	return cost{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), usage.Maxrss}, nil
}

// standIn measures the filter in the stand-in host.
func (b *pipeline) standIn() error {
	host := filepath.Join(filepath.Dir(b.object), "fortiems-host")
	var with, without []cost
	for range b.runs {
		for _, filter := range []bool{false, true} {
			args := []string{"--input", filepath.Join(b.dir, "input.log"), "--quiet"}
			if filter {
				args = append(args, "--filter", b.object)
			}
			c, err := finish(exec.Command(host, args...))
			if err != nil {
				return err
			}
			if filter {
				with = append(with, c)
			} else {
				without = append(without, c)
			}
		}
	}
	net := median(with) - median(without)
	fmt.Printf("fortiems in the stand-in host: %.2f µs/event net of the host without a filter\n", float64(net.Nanoseconds())/1e3/float64(b.lines))
	return nil
}
