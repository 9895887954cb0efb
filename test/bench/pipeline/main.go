// Command pipeline measures what filters cost inside Fluent Bit: tail of many equal
// lines, one filter, null. The figure is the CPU time of the whole process (user and
// system) less that of the same pipeline without a filter, per event, median of the
// runs. Without a real Fluent Bit it runs the stand-in host, which has no built-in
// filters to compare with.
//
//	go run ./test/bench/pipeline [-lines 1000000] [-runs 3] [-object PATH] [-results FILE]
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"fluent-bit-fortiems/test/bench"
)

// variant is one filter to measure.
type variant struct {
	id, name string
	filter   string // YAML under "filters:"; "" for none
	inHost   []string
}

// variants; the first one is the pipeline without a filter. COPY and OBJECT are
// replaced by shared objects; the stand-in host runs those that have options for it.
var variants = []variant{
	{id: "none", name: "none", inHost: []string{}},
	{"copy", "copies the buffer (C)", "    - {name: copy, match: '*'}\n", []string{"--filter", "COPY"}},
	{"fortiems", "fortiems", "    - {name: fortiems, match: '*'}\n", []string{"--filter", "OBJECT"}},
	{"no-key", "fortiems, no raw key", "    - {name: fortiems, match: '*', key_name: other}\n", []string{"--filter", "OBJECT", "--filter-prop", "key_name=other"}},
	{"logfmt", "parser, logfmt", "    - {name: parser, match: '*', key_name: log, parser: bench_logfmt}\n", nil},
	{"regex", "parser, regex", "    - {name: parser, match: '*', key_name: log, parser: bench_regex}\n", nil},
	{"lua-split", "lua, splits only", "    - {name: lua, match: '*', script: split.lua, call: split}\n", nil},
	{"lua", "lua, categorises", "    - {name: lua, match: '*', script: categorise.lua, call: categorise}\n", nil},
}

// targets are the maximum costs of fortiems as multiples of the cost of other filters.
var targets = map[string]float64{"logfmt": 0.5, "regex": 0.25, "lua": 0.08}

// regex is a regular expression as a user would write it for the benchmark line.
const regex = `^(?<header>.*?)dtime="(?<dtime>[^"]*)" type=(?<type>\S*) subtype=(?<subtype>\S*) devid=(?<devid>\S*) uid=(?<uid>\S*) ` +
	`hostname="(?<hostname>[^"]*)" user="(?<user>[^"]*)" deviceip=(?<deviceip>\S*) devicemac=(?<devicemac>\S*) emsserial=(?<emsserial>\S*) ` +
	`os="(?<os>[^"]*)" msg="(?<msg>[^"]*)" usingpolicy="(?<usingpolicy>[^"]*)" emshostname="(?<emshostname>[^"]*)" vd="(?<vd>[^"]*)"`

type pipeline struct {
	dir, object, copyObject string
	program                 string // "" for the stand-in host
	lines, runs             int
}

func main() {
	b := pipeline{}
	flag.IntVar(&b.lines, "lines", 1_000_000, "lines of one run")
	flag.IntVar(&b.runs, "runs", 3, "runs of each filter")
	flag.StringVar(&b.object, "object", "build/out/flb-filter_fortiems.so", "the shared object")
	results := flag.String("results", "", "file for the figures, in µs per event")
	flag.Parse()
	if err := b.run(*results); err != nil {
		fmt.Fprintln(os.Stderr, "pipeline:", err)
		os.Exit(1)
	}
}

func (b *pipeline) run(results string) (err error) {
	if b.object, err = filepath.Abs(b.object); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "fortiems-bench"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.program = bench.FluentBit()
	if err := b.prepare(); err != nil {
		return err
	}
	list := variants
	if b.program == "" {
		fmt.Println("not run: the comparison inside Fluent Bit (set $FLUENT_BIT); measured in the stand-in host instead, which has no built-in filters")
		list = slices.DeleteFunc(slices.Clone(list), func(v variant) bool { return v.inHost == nil })
	} else {
		version, err := exec.Command(b.program, "--version").Output()
		if err != nil {
			return err
		}
		first, _, _ := strings.Cut(string(version), "\n")
		fmt.Println(first)
	}
	costs, err := b.measureAll(list)
	if err != nil {
		return err
	}
	r := bench.Results{}
	for i, v := range list {
		net := bench.MedianCPU(costs[i])
		if i > 0 {
			net -= bench.MedianCPU(costs[0])
		}
		r[v.id] = float64(net.Nanoseconds()) / 1e3 / float64(b.lines)
	}
	if err := b.table(list, costs, r); err != nil {
		return err
	}
	return r.Write(results)
}

// prepare writes the input, builds the copying filter and writes what the
// configurations name.
func (b *pipeline) prepare() error {
	if err := bench.WriteInput(filepath.Join(b.dir, "input.log"), b.lines); err != nil {
		return err
	}
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

// measureAll returns the runs of each variant. Runs of one round are next to each
// other in time, so that a slow phase of the machine affects all filters alike.
func (b *pipeline) measureAll(list []variant) ([][]bench.Usage, error) {
	costs := make([][]bench.Usage, len(list))
	for range b.runs {
		for i, v := range list {
			cmd, err := b.command(v)
			if err != nil {
				return nil, err
			}
			u, err := bench.Finish(cmd, nil)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.name, err)
			}
			costs[i] = append(costs[i], u)
		}
	}
	return costs, nil
}

// command is one pipeline that ends after its input.
func (b *pipeline) command(v variant) (*exec.Cmd, error) {
	if b.program == "" {
		args := []string{"--input", filepath.Join(b.dir, "input.log"), "--quiet"}
		objects := strings.NewReplacer("COPY", b.copyObject, "OBJECT", b.object)
		for _, a := range v.inHost {
			args = append(args, objects.Replace(a))
		}
		return exec.Command(filepath.Join(filepath.Dir(b.object), "fortiems-host"), args...), nil
	}
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
		return nil, err
	}
	cmd := exec.Command(b.program, "-e", b.object, "-e", b.copyObject, "-c", file)
	cmd.Dir = b.dir
	return cmd, nil
}

// table prints the figures, and the cost of fortiems relative to each other filter.
func (b *pipeline) table(list []variant, costs [][]bench.Usage, r bench.Results) error {
	info, err := os.Stat(filepath.Join(b.dir, "input.log"))
	if err != nil {
		return err
	}
	fmt.Printf("%d lines of %d bytes, median of %d runs\n\n", b.lines, info.Size()/int64(b.lines)-1, b.runs)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "filter\tµs/event\tfortiems takes of it\ttarget\tMiB resident\t\n")
	for i, v := range list {
		most := slices.MaxFunc(costs[i], func(x, y bench.Usage) int { return int(x.Resident - y.Resident) }).Resident >> 20
		if i == 0 {
			fmt.Fprintf(w, "%s\t(%.2f)\t\t\t%d\t\n", v.name, r[v.id], most)
			continue
		}
		target := ""
		if t := targets[v.id]; t > 0 {
			target = fmt.Sprintf("≤ %.2f", t)
		}
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%s\t%d\t\n", v.name, r[v.id], r["fortiems"]/r[v.id], target, most)
	}
	return w.Flush()
}
