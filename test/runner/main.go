// Command runner runs every Go test of the project. It says first about how long that
// takes, shows packages as they end, then lists the tests that could not run by the reason.
// The last line is "N passed, N failed". Arguments are passed to go test.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"fluent-bit-fortiems/test/rig"
)

const module = "fluent-bit-fortiems/"

func main() {
	packages, err := testPackages()
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(1)
	}
	fluentBits := len(rig.FindFluentBits())
	fmt.Println(announce(len(packages), fluentBits, runtime.NumCPU(), lastRun(fluentBits)))
	start := time.Now()
	cmd := exec.Command("go", append([]string{"test", "-json", "-timeout", "40m", "./..."}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner:", err)
		os.Exit(1)
	}
	r := newResults(len(packages))
	r.read(out, os.Stdout)
	if err := cmd.Wait(); err != nil && r.failed == 0 {
		fmt.Println(err)
		r.failed++
	}
	r.writeNotRun(os.Stdout)
	took := time.Since(start)
	fmt.Printf("\ntook %s\n%d passed, %d failed\n", minutes(took), r.passed, r.failed)
	if r.failed > 0 {
		os.Exit(1)
	}
	if len(os.Args) == 1 {
		remember(fluentBits, took)
	}
}

// testPackages returns the packages that have tests.
func testPackages() ([]string, error) {
	cmd := exec.Command("go", "list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	return strings.Fields(string(out)), nil
}

// Measured on a machine with two cores: the processor time of everything, compilation
// included, and what a real Fluent Bit adds, most of it waiting.
const (
	measured      = 610 * time.Second
	eachFluentBit = 2 * time.Minute
)

// estimate returns about how long a first run takes if nothing else runs: cores are busy
// for three quarters of the time, and the longest package bounds what more cores gain.
func estimate(fluentBits, cpus int) time.Duration {
	return measured*4/3/time.Duration(min(max(cpus, 1), 4)) + time.Duration(fluentBits)*eachFluentBit
}

// announce says how many packages there are and about how long they take: as long as the
// last complete run, or else what was measured.
func announce(packages, fluentBits, cpus int, last time.Duration) string {
	with := "no real Fluent Bit (FLUENT_BIT names one)"
	if fluentBits > 0 {
		with = fmt.Sprintf("%d real Fluent Bit", fluentBits)
	}
	takes := fmt.Sprintf("the last run here took %s", minutes(last))
	if last == 0 {
		takes = fmt.Sprintf("about %s on %d cores that nothing else uses", minutes(estimate(fluentBits, cpus)), cpus)
	}
	return fmt.Sprintf("Every test of %d packages, with %s: %s. make check takes under two minutes.", packages, with, takes)
}

// minutes returns d as a person says it.
func minutes(d time.Duration) string {
	if d < 90*time.Second {
		return fmt.Sprintf("%.0f seconds", d.Seconds())
	}
	return fmt.Sprintf("%.0f minutes", d.Minutes())
}

// timesFile holds how long the last complete run took, by the number of Fluent Bits.
var timesFile = filepath.Join(rig.Root, "build/out/test-times.json")

func readTimes() map[int]time.Duration {
	times := map[int]time.Duration{}
	if text, err := os.ReadFile(timesFile); err == nil {
		_ = json.Unmarshal(text, &times) // a broken file is none
	}
	return times
}

func lastRun(fluentBits int) time.Duration { return readTimes()[fluentBits] }

func remember(fluentBits int, took time.Duration) {
	times := readTimes()
	times[fluentBits] = took
	text, err := json.Marshal(times)
	if err == nil {
		err = os.WriteFile(timesFile, text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "runner: the time of this run is not kept:", err)
	}
}

// event is a line of go test -json.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

// results is what go test reports.
type results struct {
	packages, ended int
	passed, failed  int
	failedIn        map[string]bool     // packages with a test that failed
	notRun          map[string][]string // tests by the reason
	text            map[string]*strings.Builder
}

func newResults(packages int) *results {
	return &results{packages: packages, failedIn: map[string]bool{}, notRun: map[string][]string{}, text: map[string]*strings.Builder{}}
}

// read reads the events of in, and writes packages as they end, and failures, to out.
func (r *results) read(in io.Reader, out io.Writer) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(out, lines.Text())
			continue
		}
		r.add(e, out)
	}
}

func (r *results) add(e event, out io.Writer) {
	pkg := strings.TrimPrefix(e.Package, module)
	name := strings.TrimSpace(pkg + " " + e.Test)
	switch e.Action {
	case "output", "build-output":
		if r.text[name] == nil {
			r.text[name] = &strings.Builder{}
		}
		r.text[name].WriteString(e.Output)
	case "pass":
		if e.Test != "" {
			r.passed++
			break
		}
		r.ended++
		fmt.Fprintf(out, "ok    %-32s %5.0f s   %d of %d\n", pkg, e.Elapsed, r.ended, r.packages)
	case "skip":
		if e.Test != "" {
			if why := reason(r.text[name]); why != "" {
				r.notRun[why] = append(r.notRun[why], name)
			}
		}
	case "fail", "build-fail":
		if e.Test == "" {
			r.ended++
		}
		// A package fails because of its tests, or else by itself: it does not build, or panics.
		if e.Test != "" || !r.failedIn[pkg] {
			r.failed++
		}
		r.failedIn[pkg] = true
		var text string
		if r.text[name] != nil {
			text = r.text[name].String()
		}
		if e.Test == "" && e.Action == "fail" {
			fmt.Fprintf(out, "FAIL  %-32s %5.0f s   %d of %d\n", pkg, e.Elapsed, r.ended, r.packages)
			// Without its closing lines, which say the same: a panic, a timeout.
			text = regexp.MustCompile(`(?m)^FAIL(\t.*)?\n`).ReplaceAllString(text, "")
		} else {
			fmt.Fprintln(out, "FAIL ", name)
		}
		fmt.Fprint(out, text)
	}
	if e.Action == "pass" || e.Action == "skip" {
		delete(r.text, name)
	}
}

// reason returns why a test was skipped, "" if it does not say "not run": an input of a
// fuzz target that does not fit it is not a test that a machine lacks something for.
func reason(b *strings.Builder) string {
	if b == nil {
		return ""
	}
	for l := range strings.Lines(b.String()) {
		if _, r, ok := strings.Cut(l, "not run: "); ok {
			return strings.TrimSpace(r)
		}
	}
	return ""
}

// writeNotRun lists the tests that could not run: the reason, and below it the tests of
// each package.
func (r *results) writeNotRun(out io.Writer) {
	if len(r.notRun) == 0 {
		return
	}
	n := 0
	for _, names := range r.notRun {
		n += len(names)
	}
	fmt.Fprintf(out, "\nnot run: %d tests, by what they need\n", n)
	for _, why := range slices.Sorted(maps.Keys(r.notRun)) {
		fmt.Fprintf(out, "  %s\n", why)
		tests := map[string][]string{}
		for _, name := range r.notRun[why] {
			pkg, test, _ := strings.Cut(name, " ")
			tests[pkg] = append(tests[pkg], test)
		}
		for _, pkg := range slices.Sorted(maps.Keys(tests)) {
			fmt.Fprintf(out, "    %s: %s\n", pkg, strings.Join(tests[pkg], ", "))
		}
	}
}
