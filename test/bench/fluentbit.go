// Package bench holds what the measurements inside Fluent Bit share.
package bench

import (
	"slices"
	"time"

	"fluent-bit-fortiems/test/rig"
)

// FluentBit returns the real Fluent Bit that make run would use, "" without one.
func FluentBit() string {
	if list := rig.FindFluentBits(); len(list) > 0 {
		return list[0]
	}
	return ""
}

// Median returns the middle of list, which must not be empty, and sorts it.
func Median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}
