package arena

import (
	"fmt"
	"testing"
)

// TestValuesOutliveGrowth keeps many values of growing length and checks them at the end.
func TestValuesOutliveGrowth(t *testing.T) {
	var a Arena
	for range 2 {
		a.Reset()
		var kept [][]byte
		var want []string
		for i := range 300 {
			text := fmt.Sprintf("%*d", i*7%500+1, i)
			b := a.Start(len(text))
			if i%3 == 0 { // discarded
				_ = append(b, "scratch"[:min(7, len(text))]...)
				continue
			}
			kept, want = append(kept, a.Keep(append(b, text...))), append(want, text)
		}
		for i, v := range kept {
			if string(v) != want[i] {
				t.Fatalf("value %d is %q, not %q", i, v, want[i])
			}
		}
	}
}

func TestLower(t *testing.T) {
	var a Arena
	plain := []byte("plain é 0")
	if got := a.Lower(plain); &got[0] != &plain[0] {
		t.Error("a text without upper case is copied")
	}
	if got := a.Lower([]byte("aBC-É")); string(got) != "abc-É" {
		t.Errorf("%q", got)
	}
	text := []byte("UPPER")
	a.Lower(text)
	if string(text) != "UPPER" {
		t.Error("the text itself is changed")
	}
}
