package enrich

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"fluent-bit-fortiems/parser"
)

// TestTemplatesAfterEviction asks for the templates of many more sets of fields than the
// cache holds, so that most are built in the memory of another one.
func TestTemplatesAfterEviction(t *testing.T) {
	for _, flat := range []bool{false, true} {
		rnd := rand.New(rand.NewPCG(1, 1))
		var cache templateCache
		var events [3]parser.Event // by source
		for i, line := range []string{wazuh, sekoia, "devid=FG100E0000000000 fctuid=1"} {
			parser.New(parser.Options{}).Parse(&events[i], []byte(line), receivedSec, receivedNsec)
			if int(events[i].Writer()) != i {
				t.Fatalf("%s: source %d", line, events[i].Writer())
			}
			setFixedValues(&events[i])
		}
		var sets [4 * maxTemplates]parser.FieldSet
		for i := range sets {
			if i%4 > 0 { // the others are like those of marked records
				sets[i].Add(parser.EMSCategory)
			}
			for range rnd.IntN(40) {
				f := parser.Field(rnd.IntN(int(parser.NumFields)))
				if i%4 > 0 || f < parser.EMSCategory {
					sets[i].Add(f)
				}
			}
		}
		for range 9 * len(sets) {
			ev := &events[rnd.IntN(len(events))]
			ev.Set = sets[rnd.IntN(len(sets))]
			got := cache.get(ev, flat)
			var want recordTemplate
			want.make(ev, flat)
			if got.set != want.set || len(got.segments) != len(want.segments) || got.top != want.top || got.vendor != want.vendor {
				t.Fatalf("flat %v: the template of set %x is that of another", flat, ev.Set)
			}
			// The template may hold the constants of another event.
			fromCache, fromNew := encoder{flat: flat}, encoder{flat: flat}
			fromCache.fields(ev, got)
			fromNew.fields(ev, &want)
			if !bytes.Equal(fromCache.b, fromNew.b) || fromCache.vendor != fromNew.vendor {
				t.Fatalf("flat %v: set %x is written as % x, want % x", flat, ev.Set, fromCache.b, fromNew.b)
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
