package enrich

import (
	"math/rand/v2"
	"slices"
	"testing"

	"fluent-bit-fortiems/parser"
)

// TestPlansInTheMemoryOfOthers asks for the plans of many more sets than there is
// room for, so that most are made in the memory of another one.
func TestPlansInTheMemoryOfOthers(t *testing.T) {
	for _, schema := range []Schema{ECS, Flat} {
		rnd := rand.New(rand.NewPCG(1, uint64(schema)))
		var ps plans
		var sets [3000]parser.FieldSet
		for i := range sets {
			sets[i].Add(parser.EMSCategory)
			for range rnd.IntN(40) {
				sets[i].Add(parser.Field(rnd.IntN(int(parser.NumFields))))
			}
		}
		for range 3 * len(sets) {
			ev := parser.Event{Set: sets[rnd.IntN(len(sets))]}
			got := ps.of(&ev, schema)
			fresh := plan{set: ev.Set}
			fresh.make(schema, nil)
			if got.set != fresh.set || !slices.Equal(got.steps, fresh.steps) || got.top != fresh.top || got.vendor != fresh.vendor ||
				got.vendorHeader != fresh.vendorHeader && schema == ECS || got.vendorSize != fresh.vendorSize && schema == ECS {
				t.Fatalf("schema %v: the plan of set %x is that of another", schema, ev.Set)
			}
			if ps.of(&ev, schema) != got {
				t.Fatal("a plan is made twice in a row")
			}
		}
	}
}
