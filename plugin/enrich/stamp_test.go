package enrich

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestStampIsThatOfTime compares stamps with those of package time: numbers of all
// lengths, and a prime apart so that every group of digits takes every value.
func TestStampIsThatOfTime(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var s stamp
	check := func(sec int64, nsec int32) {
		t.Helper()
		want := time.Unix(sec, int64(nsec)).UTC().Format("2006-01-02T15:04:05.000000000Z")
		if got := string(s.format(sec, nsec)); got != want {
			t.Fatalf("%d s %d ns: %s, not %s", sec, nsec, got, want)
		}
	}
	for n := int32(1); n <= 100_000_000; n *= 10 {
		for _, nsec := range []int32{n - 1, n, 9 * n, 10*n - 1} {
			check(0, nsec)
		}
	}
	for nsec := int32(0); nsec < 999_990_000; nsec += 9973 {
		check(receivedSec, nsec)
	}
	for range 1000 {
		check(rnd.Int64N(1<<31), rnd.Int32N(1e9))
	}
}
