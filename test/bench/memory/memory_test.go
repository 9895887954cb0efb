package main

import (
	"testing"
	"time"
)

func TestCollector(t *testing.T) {
	log := "gc 1 @0.012s 2%: 0.018+1.3+0.076 ms clock, 0.5+0.25/1.25/3.0+1 ms cpu, 4->4->0 MB, 5 MB goal, 2 P\n" +
		"[warn] something else, 7 ms cpu\n" +
		"gc 2 @0.112s 1%: 0.018+1.3+0.076 ms clock, 1+0/0/0+1 ms cpu, 4->4->0 MB, 5 MB goal, 2 P (forced)\n"
	if n, cpu, err := collector([]byte(log)); n != 2 || cpu != 8*time.Millisecond || err != nil {
		t.Error(n, cpu, err)
	}
	if n, cpu, err := collector(nil); n != 0 || cpu != 0 || err != nil {
		t.Error(n, cpu, err)
	}
	if _, _, err := collector([]byte("gc 1 @0s 0%: 0 ms clock, 1+x ms cpu, 4 MB\n")); err == nil {
		t.Error("x is read as a number")
	}
}
