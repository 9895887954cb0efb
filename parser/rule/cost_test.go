//go:build !race

package rule

import "testing"

// The race detector drops pooled memory at random, that of regular expressions too.
func TestDecideDoesNotAllocate(t *testing.T) {
	rs := Builtin()
	var s Scratch
	for _, r := range rs.All() {
		f := factsOf(r.Example)
		rs.Decide(&f, &s)
		if n := testing.AllocsPerRun(10, func() { rs.Decide(&f, &s) }); n != 0 {
			t.Errorf("%s: %v allocations", r.Name, n)
		}
	}
}
