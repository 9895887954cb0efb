// Package bench holds what the measurements inside Fluent Bit share.
package bench

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// FluentBit returns the real Fluent Bit that make run would use, "" without one.
func FluentBit() string {
	if list := os.Getenv("FLUENT_BIT"); list != "" {
		first, _, _ := strings.Cut(list, ":")
		return first
	}
	for _, name := range []string{"fluent-bit", "/opt/fluent-bit/bin/fluent-bit"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Median returns the middle of list, which must not be empty, and sorts it.
func Median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}
