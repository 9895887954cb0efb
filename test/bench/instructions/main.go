// Command instructions counts the instructions of the filter per event under
// valgrind's callgrind, and compares them with those of baseline.tsv. The count does
// not depend on the load of the machine, so it shows changes of a few per cent that
// a clock does not.
//
//	go run ./test/bench/instructions [-update] [-functions CASE [-inclusive]]
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

	"fluent-bit-fortiems/test/bench"
)

// function is the counted function; the count includes its callees.
const function = "fluent-bit-fortiems/plugin/enrich.(*Enricher).Run"

// Two runs of each case; only their difference counts. The first chunks allocate the
// memory that later ones reuse.
const fewTimes, manyTimes = 5, 15

const baselineFile = "test/bench/instructions/baseline.tsv"

var errAbove = errors.New("more instructions than the baseline allows")

func main() {
	update := flag.Bool("update", false, "update the baseline")
	functions := flag.String("functions", "", "print the instructions of this case by function, without a comparison")
	inclusive := flag.Bool("inclusive", false, "include callees")
	flag.Parse()
	if err := run(*update, *functions, *inclusive); err != nil {
		fmt.Fprintln(os.Stderr, "instructions:", err)
		os.Exit(1)
	}
}

func run(update bool, functions string, inclusive bool) error {
	if _, err := exec.LookPath("valgrind"); err != nil {
		fmt.Println("not run: instructions per event (package valgrind)")
		return nil
	}
	dir, err := os.MkdirTemp("", "fortiems-instructions")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	c := counter{dir, filepath.Join(dir, "events")}
	if err := c.build(); err != nil {
		return err
	}
	if functions != "" {
		return c.functions(functions, inclusive)
	}
	var names []string
	for _, k := range bench.Cases {
		names = append(names, k.Name)
	}
	old, err := readBaseline(baselineFile, names)
	if err != nil && !update {
		return err
	}
	now := baseline{platform: platform(), count: map[string]float64{}}
	for _, name := range names {
		if now.count[name], err = c.perEvent(name); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if update {
		return now.write(baselineFile, names)
	}
	return report(old, now)
}

// report prints the counts beside those of the baseline.
func report(old, now baseline) error {
	if old.platform != now.platform {
		fmt.Printf("not compared: the baseline is of %s, this is %s (make instructions UPDATE=1)\n", old.platform, now.platform)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "case\tevents\tinstructions/event\tbaseline\tratio\t\n")
	worst := same
	for _, k := range bench.Cases {
		v := judge(old.count[k.Name], now.count[k.Name])
		worst = max(worst, v)
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.3f\t%s\n", k.Name, k.About, now.count[k.Name], old.count[k.Name], now.count[k.Name]/old.count[k.Name], v)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if worst == above && old.platform == now.platform {
		return fmt.Errorf("%w: at most %.0f %% more", errAbove, (tolerance-1)*100)
	}
	return nil
}

// counter counts the instructions of the program events.
type counter struct{ dir, program string }

// build makes the program with the profile that the object is built with, so that
// the same functions are inlined.
func (c *counter) build() error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-pgo=plugin/default.pgo", "-o", c.program, "./test/bench/instructions/events")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building: %w\n%s", err, out)
	}
	return nil
}

// run runs a case under callgrind and returns the numbers of events and instructions.
func (c *counter) run(name string, times int, file string) (events, instructions int64, err error) {
	cmd := exec.Command("valgrind", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect="+function,
		"--callgrind-out-file="+file, c.program, name, fmt.Sprint(times))
	// One uninterrupted thread: the counted function starts and ends in it.
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1", "GOMAXPROCS=1")
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, fmt.Errorf("%w\n%s", err, log.String())
	}
	if _, err := fmt.Sscan(string(out), &events); err != nil {
		return 0, 0, fmt.Errorf("the program printed %q: %w", out, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	instructions, err = total(text)
	return events, instructions, err
}

// total returns the sum that a callgrind file gives.
func total(text []byte) (n int64, err error) {
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte("totals: ")); ok {
			_, err = fmt.Sscan(string(rest), &n)
			return n, err
		}
	}
	return 0, errors.New("a callgrind file without totals")
}

func (c *counter) perEvent(name string) (float64, error) {
	file := filepath.Join(c.dir, "callgrind.out")
	events, sum, err := c.run(name, fewTimes, file)
	if err != nil {
		return 0, err
	}
	moreEvents, moreSum, err := c.run(name, manyTimes, file)
	if err != nil {
		return 0, err
	}
	if moreEvents <= events || moreSum <= sum {
		return 0, fmt.Errorf("%d instructions of %d events, %d of %d: nothing was counted", sum, events, moreSum, moreEvents)
	}
	return float64(moreSum-sum) / float64(moreEvents-events), nil
}

// functions prints the functions that a case spends its instructions in.
func (c *counter) functions(name string, inclusive bool) error {
	file := filepath.Join(c.dir, "callgrind.out")
	events, _, err := c.run(name, 100, file)
	if err != nil {
		return err
	}
	args := []string{"--threshold=95", "--auto=no"}
	if inclusive {
		args = append(args, "--inclusive=yes", "--threshold=100")
	}
	out, err := exec.Command("callgrind_annotate", append(args, file)...).Output()
	if err != nil {
		return fmt.Errorf("callgrind_annotate: %w", err)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "instructions/event\tshare\tfunction\tcode of")
	for _, r := range shares(string(out)) {
		fmt.Fprintf(w, "%.0f\t%.1f %%\t%s\t%s\n", float64(r.count)/float64(events), r.share, r.function, r.file)
	}
	return w.Flush()
}

// share is one row of callgrind_annotate.
type share struct {
	count          int64
	share          float64
	file, function string
}

// shares reads the table of callgrind_annotate. Inlined code is listed with its source
// file.
func shares(text string) (rows []share) {
	for line := range strings.Lines(text) {
		var r share
		head, place, ok := strings.Cut(line, "%)  ")
		number, percent, ok2 := strings.Cut(head, " (")
		file, name, ok3 := strings.Cut(strings.TrimSpace(place), ":")
		if !ok || !ok2 || !ok3 {
			continue
		}
		if _, err := fmt.Sscan(strings.ReplaceAll(number, ",", ""), &r.count); err != nil {
			continue
		}
		if _, err := fmt.Sscan(percent, &r.share); err != nil {
			continue
		}
		name, _, _ = strings.Cut(name, " [")
		r.function, r.file = strings.TrimPrefix(name, "fluent-bit-fortiems/"), filepath.Base(file)
		rows = append(rows, r)
	}
	return rows
}
