package main

import (
	"testing"
	"time"
)

func TestCollector(t *testing.T) {
	log := "gc 1 @0.012s 2%: 0.018+1.3+0.076 ms clock, 0.5+0.25/1.25/3.0+1 ms cpu, 4->4->0 MB, 5 MB goal, 2 P\n" +
		"[warn] something else, 7 ms cpu\n" +
		"gc 2 @0.112s 1%: 0.018+1.3+0.076 ms clock, 1+0/0/0+1 ms cpu, 4->4->0 MB, 7 MB goal, 2 P (forced)\n"
	if g, err := collector([]byte(log)); g != (garbage{2, 8 * time.Millisecond, 7}) || err != nil {
		t.Error(g, err)
	}
	if g, err := collector(nil); g != (garbage{}) || err != nil {
		t.Error(g, err)
	}
	for _, bad := range []string{"gc 1 @0s 0%: 0 ms clock, 1+x ms cpu, 4 MB\n", "gc 1 @0s 0%: 0 ms clock, x MB goal, 2 P\n"} {
		if _, err := collector([]byte(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}
