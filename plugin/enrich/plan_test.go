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
		var events [3]parser.Event // by writer
		for i, line := range []string{wazuh, sekoia, "devid=FG100E0000000000 fctuid=1"} {
			parser.New(parser.Options{}).Parse(&events[i], []byte(line), receivedSec, receivedNsec)
			if int(events[i].Writer()) != i {
				t.Fatalf("%s: writer %d", line, events[i].Writer())
			}
		}
		var sets [1000]parser.FieldSet
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
			got := ps.of(ev, schema)
			fresh := plan{set: ev.Set, writer: ev.Writer()}
			fresh.make(schema, nil)
			if got.set != fresh.set || got.writer != fresh.writer || !slices.Equal(got.steps, fresh.steps) || got.top != fresh.top || got.vendor != fresh.vendor {
				t.Fatalf("schema %v: the plan of set %x is that of another", schema, ev.Set)
			}
			if ps.of(ev, schema) != got {
				t.Fatal("a plan is made twice in a row")
			}
		}
	}
}

// TestPlansOfARowStay takes as many sets of one row as it has room for, beside sets of
// other rows: none of them is made twice.
func TestPlansOfARowStay(t *testing.T) {
	var ps plans
	var rows [2][]parser.FieldSet
	first := ps.of(&parser.Event{}, ECS)
	for i := uint64(1); len(rows[0]) < planWays-1 || len(rows[1]) < planWays; i++ {
		ev := parser.Event{Set: parser.FieldSet{i}}
		var fresh plans
		p := fresh.of(&ev, ECS)
		for at := range rows {
			if len(rows[at]) < planWays && p == &fresh.rows[at].plans[0] {
				rows[at] = append(rows[at], ev.Set)
			}
		}
	}
	made := map[*plan]parser.FieldSet{first: {}}
	for range 3 {
		for i := range planWays - 1 {
			for _, row := range rows {
				ev := parser.Event{Set: row[i]}
				p := ps.of(&ev, ECS)
				if have, ok := made[p]; ok && have != ev.Set {
					t.Fatalf("the plan of %x was made in the place of %x", ev.Set, have)
				}
				made[p] = ev.Set
			}
		}
	}
}
