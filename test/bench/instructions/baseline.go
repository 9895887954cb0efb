package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// tolerance is how many times the baseline a case may take.
const tolerance = 1.05

// verdict is how a count compares with its baseline.
type verdict int

const (
	same verdict = iota
	below
	above
)

func (v verdict) String() string {
	return [...]string{"", "fewer: make instructions UPDATE=1", "ABOVE THE BASELINE"}[v]
}

func judge(old, now float64) verdict {
	switch {
	case now > old*tolerance:
		return above
	case now < old*0.99:
		return below
	}
	return same
}

// baseline is instructions per event by case, and what they were counted with:
// another compiler makes other instructions.
type baseline struct {
	platform string
	count    map[string]float64
}

// platform is the compiler that go build uses, and its target.
func platform() string {
	out, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		return runtime.Version() + " " + runtime.GOARCH
	}
	return string(bytes.TrimSpace(out)) + " " + runtime.GOARCH
}

func readBaseline(file string, names []string) (b baseline, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return b, fmt.Errorf("%w (start it at the top of the project; -update makes a baseline)", err)
	}
	return parseBaseline(string(text), names)
}

// parseBaseline reads a baseline that must hold every one of names.
func parseBaseline(text string, names []string) (b baseline, err error) {
	b.count = map[string]float64{}
	var errs []error
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if name == "platform" {
			b.platform = value
			continue
		}
		var n float64
		if _, err := fmt.Sscan(value, &n); err != nil || n <= 0 {
			errs = append(errs, fmt.Errorf("baseline: %q is no count", line))
		}
		b.count[name] = n
	}
	for _, n := range names {
		if b.count[n] == 0 {
			errs = append(errs, fmt.Errorf("baseline: nothing for the case %s", n))
		}
	}
	return b, errors.Join(errs...)
}

func (b *baseline) write(file string, names []string) error {
	text := "platform\t" + b.platform + "\n"
	for _, n := range names {
		text += fmt.Sprintf("%s\t%.1f\n", n, b.count[n])
		fmt.Printf("%s\t%.1f\n", n, b.count[n])
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
