package reference

import (
	"math/rand/v2"
	"regexp"
	"testing"

	"fluent-bit-fortiems/parser/timestamp"
)

var inQuotes = regexp.MustCompile(`(?s)="(.*)"$`)

// TestSameTexts compares texts that are times, or nearly: stamp, zone, and whether they say
// more than that. Text i of a seed is always the same.
func TestSameTexts(t *testing.T) {
	read := 0
	for i := range uint64(50_000) {
		g := &generator{Rand: rand.New(rand.NewPCG(defaultSeed, i))}
		pair := g.time()
		m := inQuotes.FindStringSubmatch(pair)
		if m == nil {
			continue
		}
		for _, s := range []string{m[1], g.timeMutation(m[1])} {
			var got timestamp.Text
			ok := got.Read([]byte(s))
			want, wantOK := readText(s)
			if ok != wantOK {
				t.Fatalf("%q: parser %v, reference %v", s, ok, wantOK)
			}
			if d := got.Local; ok {
				read++
				have := stamp{
					int(d.Year), int(d.Month), int(d.Day), int(d.Hour), int(d.Min), int(d.Sec), int(d.Nsec),
					got.NoYear, got.HasZone, got.Leap, int(got.Offset), nil,
				}
				want.stamp.name = nil
				if have != want.stamp || got.Unix != want.unix || got.Partly != want.partly || (got.Zone == nil) != (want.zone == nil) || got.Zone != nil && got.Zone.String() != want.zone.String() {
					t.Fatalf("%q: parser %v %v %+v, reference %v %v %+v", s, have, got.Zone, got, want.stamp, want.zone, want)
				}
			}
			offset, has, loc, named := timestamp.ParseZoneText([]byte(s))
			z, zoneOK := readZoneText(s)
			if has != (zoneOK && (z.hasOffset || z.hasShort)) || named != z.named || has && z.hasOffset && int(offset) != z.offset || !has && (loc == nil) != (z.location == nil) {
				t.Fatalf("zone %q: parser %d %v %v %v, reference %+v", s, offset, has, loc, named, z)
			}
		}
	}
	if read < 5_000 {
		t.Errorf("only %d texts are times", read)
	}
}
