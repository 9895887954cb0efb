package hostile

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
)

// FuzzChunks builds chunks and filters them. Intact chunks give the events that were
// built, broken ones are returned unchanged, and events without a FortiEMS line stay
// unchanged.
func FuzzChunks(f *testing.F) {
	Seed(f.Add)
	now := func() time.Time { return time.Unix(1, 1) }
	es := []*enrich.Enricher{
		enrich.New(enrich.Options{Now: now, EventTime: true, PreserveOriginal: true}), // unmatched pass
		enrich.New(enrich.Options{Now: now, Schema: option.Flat, Unmatched: option.Mark}),
		enrich.New(enrich.Options{Now: now, EventTime: true, Unmatched: option.Drop}),
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		c := Build(program)
		given := slices.Clone(c.Bytes)
		events, err := countEvents(t, c.Bytes)
		if c.Intact && (err != nil || events != c.Events) {
			t.Fatalf("%d of %d events, %v: % x", events, c.Events, err, c.Bytes)
		}
		for i, e := range es {
			out, stats, runErr := e.Run(nil, c.Bytes)
			if !bytes.Equal(c.Bytes, given) {
				t.Fatal("the chunk was changed")
			}
			if runErr != nil {
				if err == nil || len(out) > 0 {
					t.Fatalf("%v with %d bytes of output", runErr, len(out))
				}
				continue
			}
			if err != nil {
				t.Fatalf("accepted: % x", c.Bytes)
			}
			if !stats.Changed {
				continue
			}
			left, err := countEvents(t, out)
			// Each message is an event or dropped. Only an event without a FortiEMS message that
			// passes stays one event with all its messages.
			kept, records := uint64(left)+stats.Counts[count.Dropped], stats.Counts[count.Records]
			if err != nil || kept > records || kept < records && i > 0 || int(records) < events {
				t.Fatalf("%d events became %d, %v, %+v", events, left, err, stats)
			}
			if again, _, _ := e.Run(nil, c.Bytes); !bytes.Equal(again, out) {
				t.Fatal("the second run gives another output")
			}
		}
	})
}

// countEvents counts the events of a chunk.
func countEvents(t *testing.T, chunk []byte) (n int, err error) {
	t.Helper()
	for rest := chunk; len(rest) > 0; n++ {
		_, behind, err := event.Next(rest)
		if err != nil {
			if !errors.Is(err, event.ErrCorrupt) || len(behind) != len(rest) {
				t.Fatalf("%v, %d of %d bytes left", err, len(behind), len(rest))
			}
			return n, err
		}
		if len(behind) >= len(rest) {
			t.Fatal("no progress")
		}
		rest = behind
	}
	return n, nil
}

// TestBuiltChunks checks that the builder makes intact, broken, deep and large chunks.
func TestBuiltChunks(t *testing.T) {
	intact, broken, deep, large := 0, 0, 0, 0
	for i := range 5000 {
		program := make([]byte, 200)
		x := uint32(i)*2654435761 + 1
		for k := range program {
			x ^= x << 13
			x ^= x >> 17
			x ^= x << 5
			program[k] = byte(x >> 8)
		}
		c := Build(program)
		if c.Intact {
			intact++
			if n, err := countEvents(t, c.Bytes); err != nil || n != c.Events {
				t.Fatalf("%d of %d events, %v: program % x", n, c.Events, err, program)
			}
		} else {
			broken++
		}
		if bytes.Contains(c.Bytes, bytes.Repeat([]byte{0x91}, 1000)) {
			deep++
		}
		if len(c.Bytes) > 5000 {
			large++
		}
	}
	if min(intact, broken, deep, large) < 50 {
		t.Errorf("%d whole, %d broken, %d deep, %d large", intact, broken, deep, large)
	}
}
