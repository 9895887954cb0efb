package enrich

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
)

// TestLinesTogetherAreAsLinesAlone runs chunks of many events, of all sorts in a
// random order, and each of their events alone.
func TestLinesTogetherAreAsLinesAlone(t *testing.T) {
	marker := append([]byte{0x92, 0x92, 0xd7, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x80}, recordOf()...)
	events := [][]byte{
		eventOf(pair{"log", bin(wazuh)}),
		eventOf(pair{"log", bin(sekoia)}, pair{"source_host", str("192.0.2.1")}),
		eventOf(pair{"event", str("x")}, pair{"message", str(wazuh[:len(wazuh)-9] + "\xff")}),
		eventOf(pair{"log", bin(sshd)}),
		eventOf(pair{"log", bin("")}),
		eventOf(pair{"other", bin(wazuh)}),
		eventOf(pair{"log", bin(`<13>` + sshd + ` emsserial=FCTEMS1 user=a user=b x=1`)}),
		marker,
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, o := range []Options{{EventTime: true}, {Unmatched: option.Mark, PreserveOriginal: true}, {Unmatched: option.Drop, Schema: option.Flat}} {
		together, alone := New(o), New(o)
		for range 300 {
			var chunk, want []byte
			var sum Stats
			for range random.IntN(4 * batch) {
				one := events[random.IntN(len(events))]
				chunk = append(chunk, one...)
				out, st, err := alone.Run(nil, one)
				if err != nil {
					t.Fatal(err)
				}
				if !st.Changed {
					out = one
				}
				want = append(want, out...)
				for i, n := range st.Counts {
					sum.Counts[i] += n
				}
				sum.Changed = sum.Changed || st.Changed
			}
			got, st, err := together.Run(nil, chunk)
			if err != nil {
				t.Fatal(err)
			}
			if !st.Changed {
				got = chunk
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("together\n%s\nalone\n%s", jsonOf(t, got), jsonOf(t, want))
			}
			if st != sum {
				t.Fatalf("together %+v, alone %+v", st, sum)
			}
			// A chunk that breaks off within its last event is not changed at all.
			if len(chunk) > 0 {
				cut := chunk[:len(chunk)-1-random.IntN(len(marker)-1)] // no event is shorter
				out, st, err := together.Run([]byte("before"), cut)
				if err != event.ErrCorrupt || string(out) != "before" || st != (Stats{}) {
					t.Fatalf("%v, %d bytes, %+v", err, len(out), st)
				}
			}
		}
	}
}
