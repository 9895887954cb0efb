package enrich

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
)

// TestTemplatesAfterEviction asks for the templates of many more sets of fields than the
// cache holds, so that most are built in the memory of another one.
func TestTemplatesAfterEviction(t *testing.T) {
	for _, flat := range []bool{false, true} {
		rnd := rand.New(rand.NewPCG(1, 1))
		var cache templateCache
		var events [3]parser.Event // by source
		for i, line := range []string{wazuh, sekoia, "devid=FG100E0000000000 fctuid=1"} {
			parser.New(parser.Options{}).Parse(&events[i], []byte(line), ecs.Instant{Sec: receivedSec, Nsec: receivedNsec})
			if events[i].Source.By != dict.Source(i) {
				t.Fatalf("%s: source %s", line, events[i].Source.By)
			}
		}
		var sets [4 * maxTemplates]ecs.FieldSet
		for i := range sets {
			if i%4 > 0 { // the others are like those of marked records
				sets[i].Add(ecs.EMSCategory)
			}
			for range rnd.IntN(40) {
				f := ecs.Field(rnd.IntN(int(ecs.NumFields)))
				if i%4 > 0 || f < ecs.EMSCategory {
					sets[i].Add(f)
				}
			}
		}
		for range 9 * len(sets) {
			ev := &events[rnd.IntN(len(events))]
			ev.Record.Set = sets[rnd.IntN(len(sets))]
			got := cache.get(ev, flat)
			var want recordTemplate
			want.make(ev, flat)
			if got.set != want.set || got.top != want.top || got.vendor != want.vendor {
				t.Fatalf("flat %v: the template of set %x is that of another", flat, ev.Record.Set)
			}
			// The template may hold the constants of another event.
			fromCache, fromNew := encoder{flat: flat}, encoder{flat: flat}
			fromCache.fields(ev, got)
			fromNew.fields(ev, &want)
			if !bytes.Equal(fromCache.b, fromNew.b) || fromCache.vendor != fromNew.vendor {
				t.Fatalf("flat %v: set %x is written as % x, want % x", flat, ev.Record.Set, fromCache.b, fromNew.b)
			}
			if cache.get(ev, flat) != got {
				t.Fatal("a template is built twice in a row")
			}
		}
		if len(cache.index) > maxTemplates {
			t.Errorf("%d templates", len(cache.index))
		}
	}
}
