package timestamp

import (
	"math/rand/v2"
	"regexp"
	"strconv"
	"testing"
	"time"

	"fluent-bit-fortiems/parser/ascii"
)

// TestNumbers compares fractions and offsets with strconv and a regular expression, and
// dates with package time.
func TestNumbers(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	text := func(alphabet string, most int) []byte {
		b := make([]byte, rnd.IntN(most))
		for i := range b {
			b[i] = alphabet[rnd.IntN(len(alphabet))]
		}
		return b
	}
	digits := regexp.MustCompile(`^[0-9]*`)
	for range 100_000 {
		s := text("0123456789", 14)
		if rnd.IntN(2) == 0 && len(s) > 0 {
			s[rnd.IntN(len(s))] = byte(rnd.IntN(256))
		}
		d := digits.Find(s)
		want, _ := strconv.Atoi((string(d) + "000000000")[:9])
		if got, n := parseFraction(s); int(got) != want || n != len(d) {
			t.Fatalf("parseFraction(%q) = %d, %d", s, got, n)
		}
	}
	offset := regexp.MustCompile(`^([+-])(?:([0-9]{1,2}):([0-9]{2})|([0-9]{2})([0-9]{2})|([0-9]{1,2}))`)
	for range 100_000 {
		s := append(text("+-", 3), text("0012345:: ", 8)...)
		seconds, length := 0, 0
		if m := offset.FindSubmatch(s); m != nil && !(len(m[0]) < len(s) && ascii.IsDigit(s[len(m[0])])) {
			hours, _ := strconv.Atoi(string(m[2]) + string(m[4]) + string(m[6]))
			minutes, _ := strconv.Atoi("0" + string(m[3]) + string(m[5]))
			if hours <= 14 && minutes <= 59 {
				length = len(m[0])
				seconds = hours*3600 + minutes*60
				if s[0] == '-' {
					seconds = -seconds
				}
			}
		}
		if n, got := ParseOffset(s); n != length || int(got) != seconds {
			t.Fatalf("ParseOffset(%q) = %d, %d, not %d, %d", s, n, got, length, seconds)
		}
	}
	for day := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC); day.Year() < 10_000; day = day.Add(25*time.Hour + 61*time.Second) {
		c := DateTime{int32(day.Year()), int32(day.Month()), int32(day.Day()), int32(day.Hour()), int32(day.Minute()), int32(day.Second()), 0}
		if got := c.UTC(); got != day.Unix() || !c.Valid() {
			t.Fatalf("%v: %d, %v", day, got, c.Valid())
		}
	}
}
