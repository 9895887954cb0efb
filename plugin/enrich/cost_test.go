//go:build !race

package enrich

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/bench"
)

// The race detector drops pooled memory at random and makes everything slower,
// so cost is measured without it.

func TestNoAllocationsPerEvent(t *testing.T) {
	const events = 240 // a multiple of the lines of every case
	lines := map[string][]byte{
		"more keys of ours": bytes.Repeat(eventOf(pair{"host", str("relay")}, pair{"source", str("tcp://127.0.0.1:57068")}, pair{"log", bin(wazuh)}), events),
		"the old form":      bytes.Repeat(slices.Concat([]byte{0x92}, event.AppendTime(nil, receivedSec, receivedNsec), recordOf(pair{"log", bin(wazuh)})), events),
	}
	for _, c := range bench.Cases {
		chunk, err := c.Chunk("../..", events)
		if err != nil {
			t.Fatal(err)
		}
		lines[c.About] = chunk
	}
	paris, err := time.LoadLocation("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	options := map[string]Options{
		"defaults":          {EventTime: true},
		"receipt time":      {},
		"flat":              {EventTime: true, Schema: option.Flat},
		"preserve_original": {EventTime: true, PreserveOriginal: true},
		"mark":              {EventTime: true, Unmatched: option.Mark},
		"mark, flat":        {EventTime: true, Unmatched: option.Mark, Schema: option.Flat},
		"drop":              {EventTime: true, Unmatched: option.Drop},
		"timezone":          {EventTime: true, Location: paris},
		"rules of a user":   {EventTime: true, Rules: userRules(t, 100)},
	}
	for name, o := range options {
		for line, chunk := range lines {
			e := New(o)
			out, _, _ := e.Run(nil, chunk)
			n := testing.AllocsPerRun(20, func() { out, _, _ = e.Run(out[:0], chunk) })
			if n >= 10 { // one line of twelve would make twenty, but the pool may lose its worker to the garbage collector
				t.Errorf("%s, %s: %v allocations for %d events", name, line, n, events)
			}
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
