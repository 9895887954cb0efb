//go:build !race

package enrich

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// The race detector drops pooled memory at random and makes everything slower,
// so cost is measured without it.

func TestNoAllocationsPerEvent(t *testing.T) {
	for name, line := range map[string]string{"EMS": wazuh, "FortiClient traffic": sekoia} {
		chunk := bytes.Repeat(eventOf(pair{"log", bin(line)}), 1000)
		e := New(Options{EventTime: true})
		out, _, _ := e.Run(nil, chunk)
		n := testing.AllocsPerRun(20, func() { out, _, _ = e.Run(out[:0], chunk) })
		if n >= 10 { // the pool may lose its worker to the garbage collector
			t.Errorf("%s: %v allocations for 1000 events", name, n)
		}
	}
}

// hostile lines are repeated up to a size; the cost per byte must not grow.
var hostile = map[string]string{
	"quotes": `"`, "equals": "=", "blanks": " ", "keys": "key=", "open quotes": `a="`, "quote word": `" k`,
	"escapes": `\"`, "pairs": "a=b ", "brackets": "[", "sd": `[a b="`, "tags": "<a ", "close tags": "</a>", "colons": "a:",
}

func TestCostIsLinear(t *testing.T) {
	e := New(Options{})
	cost := func(unit, head string, size int) float64 {
		chunk := eventOf(pair{"log", bin(head + strings.Repeat(unit, size/len(unit)))})
		var out []byte
		best := time.Duration(1 << 62)
		for range 7 {
			start := time.Now()
			out, _, _ = e.Run(out[:0], chunk)
			best = min(best, time.Since(start))
		}
		return float64(best) / float64(size)
	}
	for name, unit := range hostile {
		for _, head := range []string{"emsserial=FCTEMS1 x=", `emsserial=FCTEMS1 x="`, "", "<13>1 - - - - - "} {
			growth := 0.0
			for range 5 { // a ratio within one run, tried again when the machine is busy
				if growth = cost(unit, head, 256<<10) / cost(unit, head, 16<<10); growth <= 3 {
					break
				}
			}
			if growth > 3 {
				t.Errorf("%s behind %q: the cost per byte grows %.1f times from 16 KiB to 256 KiB", name, head, growth)
			}
		}
	}
}
