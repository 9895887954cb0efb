package count

import (
	"testing"

	"fluent-bit-fortiems/parser/dict"
)

func TestEveryCounterHasARow(t *testing.T) {
	series := map[string]Counter{}
	help := map[string]string{}
	for i, r := range Rows {
		if r.Metric == "" || r.Help == "" || (r.Label == "") != (r.LabelValue == "") {
			t.Errorf("counter %d: %+v", i, r)
		}
		if other, ok := series[r.Metric+r.LabelValue]; ok {
			t.Errorf("counters %d and %d are the same series", other, i)
		}
		series[r.Metric+r.LabelValue] = Counter(i)
		if h, ok := help[r.Metric]; ok && h != r.Help+r.Label {
			t.Errorf("%s has two helps or labels", r.Metric)
		}
		help[r.Metric] = r.Help + r.Label
	}
	if r := Rows[Category(dict.VPN)]; r.LabelValue != "ems-vpn" {
		t.Errorf("%+v", r)
	}
}

func TestAdd(t *testing.T) {
	var a Atomic
	a.Add(&Counts{Records: 2, Panics: 1})
	more := Counts{Records: 3}
	more[Category(dict.Unknown)] = 4
	a.Add(&more)
	want := Counts{Records: 5, Panics: 1}
	want[Category(dict.Unknown)] = 4
	if got := a.Load(); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
