package enrich

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/event"
)

// TestClocksJumpOverDaylightSaving sends every minute around both changes of the
// clock in Berlin, back and forth: no record is lost or moved, each has the right
// time, and the clock that names no zone is kept as it was sent.
func TestClocksJumpOverDaylightSaving(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const minutes = 6 * 60 // from midnight
	for name, c := range map[string]struct {
		day time.Time // midnight by the clock on the wall, as if it were UTC
		// hours is how far ahead of UTC the wall clock is at a minute of the day.
		hours func(minute int) []int
	}{
		"forward in March": {time.Date(2024, 3, 31, 0, 0, 0, 0, time.UTC), func(m int) []int {
			switch {
			case m < 2*60:
				return []int{1}
			case m < 3*60:
				return []int{1, 2} // no clock shows this hour
			}
			return []int{2}
		}},
		"back in October": {time.Date(2024, 10, 27, 0, 0, 0, 0, time.UTC), func(m int) []int {
			if m < 2*60 {
				return []int{2}
			}
			return []int{1} // from 02:00 to 03:00 the second of the two hours that look the same
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var chunk []byte
			at := func(i int) int { return i * 211 % minutes } // visits each minute once
			for i := range minutes {
				wall := c.day.Add(time.Duration(at(i)) * time.Minute)
				line := fmt.Sprintf(`<14>date=%s time=%s type=event subtype=ems-event emsserial=FCTEMS0000000000 msg="minute %d"`,
					wall.Format("2006-01-02"), wall.Format("15:04:05"), at(i))
				chunk = append(chunk, eventOf(pair{"log", bin(line)})...)
			}
			out, st := run(t, Options{KeyNames: []string{"log"}, Location: berlin, EventTime: true}, chunk)
			if st.Counts[count.Records] != minutes || st.Counts[count.Matched] != minutes {
				t.Errorf("%d records, %d matched, not %d", st.Counts[count.Records], st.Counts[count.Matched], minutes)
			}
			n := 0
			for ; len(out) > 0; n++ {
				ev, rest, err := event.Next(out)
				if err != nil {
					t.Fatal(err)
				}
				out = rest
				m := at(n)
				wall := c.day.Add(time.Duration(m) * time.Minute)
				fits := false
				for _, h := range c.hours(m) {
					fits = fits || ev.Sec == wall.Add(-time.Duration(h)*time.Hour).Unix()
				}
				if !fits {
					t.Errorf("%s became %s", wall.Format("15:04"), time.Unix(ev.Sec, 0).UTC())
				}
				var text strings.Builder
				if _, err := msgp.UnmarshalAsJSON(&text, ev.Record); err != nil {
					t.Fatal(err)
				}
				for _, want := range []string{fmt.Sprintf(`"message":"minute %d"`, m), wall.Format(`"date":"2006-01-02"`), wall.Format(`"time":"15:04:05"`)} {
					if !strings.Contains(text.String(), want) {
						t.Fatalf("record %d has no %s: %s", n, want, text.String())
					}
				}
			}
			if n != minutes {
				t.Errorf("%d records came out, not %d", n, minutes)
			}
		})
	}
}
