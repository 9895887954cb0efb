package main

import "testing"

func TestTableNeverReusesAHandle(t *testing.T) {
	var tab table[int]
	if _, ok := tab.get(0); ok {
		t.Error("handle 0 finds something")
	}
	seen := map[uintptr]bool{}
	for i := range 100 {
		h := tab.put(i)
		if h == 0 || seen[h] {
			t.Fatalf("handle %d", h)
		}
		seen[h] = true
		if v, ok := tab.get(h); !ok || v != i {
			t.Errorf("got %d, %v", v, ok)
		}
		if v, ok := tab.take(h); !ok || v != i {
			t.Errorf("got %d, %v", v, ok)
		}
		if _, ok := tab.take(h); ok {
			t.Error("taken twice")
		}
	}
	if len(tab.rows) != 0 {
		t.Errorf("%d rows left", len(tab.rows))
	}
}
