package bench

import (
	"fmt"
	"os"
	"strings"
)

// Results are figures by name, which one program writes for another.
type Results map[string]float64

// Write writes the results to file; "" writes none.
func (r Results) Write(file string) error {
	if file == "" {
		return nil
	}
	var b strings.Builder
	for name, v := range r {
		fmt.Fprintf(&b, "%s\t%g\n", name, v)
	}
	return os.WriteFile(file, []byte(b.String()), 0o600)
}

// ReadResults reads what Write wrote.
func ReadResults(file string) (Results, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := Results{}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "\t")
		var v float64
		if _, err := fmt.Sscan(value, &v); err != nil {
			return nil, fmt.Errorf("results: %q: %w", line, err)
		}
		r[name] = v
	}
	return r, nil
}
