package parser

import (
	"slices"
	"strings"
	"testing"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/test"
)

// TestExplainIsParse compares Explain with Parse over the corpus: the same decision, a reason
// for it, and every pair accounted for.
func TestExplainIsParse(t *testing.T) {
	cases, err := test.Corpus()
	if err != nil {
		t.Fatal(err)
	}
	p, checked := New(Options{}), 0
	var parsed, explained Event
	for _, c := range cases {
		for _, row := range c.Rows {
			if len(row.Line) > 20_000 {
				continue // takes the square of its pairs
			}
			matched := p.Parse(&parsed, []byte(row.Line), received)
			x := p.Explain(&explained, []byte(row.Line), received)
			if x.Matched != matched {
				t.Fatalf("%s\nmatched: %v", row.Line, x.Matched)
			}
			if !matched {
				continue
			}
			checked++
			d := &parsed.Decision
			if explained.Decision != *d || explained.Time != parsed.Time || explained.Record.Set != parsed.Record.Set {
				t.Errorf("%s\nis explained as %+v", row.Line, explained.Decision)
			}
			if (x.Rules.Category == nil) != (d.CategoryRule == nil) || (x.Rules.User == nil) != (d.UserRule == nil) || (x.Rules.Effect == nil) != (d.EffectRule == nil) {
				t.Errorf("%s\nthe rules that hold are not those that decided: %+v", row.Line, x.Rules)
			}
			if (x.Rules.OutcomeBy == "") != (d.Outcome == nil) && !strings.HasPrefix(x.Rules.OutcomeBy, "rule ") {
				t.Errorf("%s\noutcome %v by %q", row.Line, d.Outcome, x.Rules.OutcomeBy)
			}
			if x.Time.From == "" || x.Time.ZoneFrom == "" || (x.Time.From == "the time of receipt") != (parsed.Time == received) {
				t.Errorf("%s\ntime %+v", row.Line, x.Time)
			}
			for i, u := range x.Pairs {
				if i < maxExplained && len(u.Fields) == 0 && u.Why == "" {
					t.Errorf("%s\npair %+v is not explained", row.Line, u)
				}
			}
		}
	}
	if checked < 600 {
		t.Errorf("only %d lines", checked)
	}
}

func TestExplanation(t *testing.T) {
	var ev Event
	x := New(Options{}).Explain(&ev, []byte(exampleLine+` note=x note=y gone="" ip=nonsense`), received)
	use := map[string]PairUse{}
	for _, u := range x.Pairs {
		use[u.Key] = u
	}
	for key, want := range map[string]string{
		"hostname": "host.name host.hostname related.hosts", "date": "@timestamp", "tz": "@timestamp event.timezone",
		"user": "user.name user.domain related.user", "deviceip": "host.ip related.ip", "usingpolicy": "",
	} {
		if got := strings.Join(use[key].Fields, " "); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
	for key, want := range map[string]string{
		"usingpolicy": "no ECS field", "note": "the key repeats", "gone": "null marker", "ip": "does not fit host.ip",
	} {
		if !strings.Contains(use[key].Why, want) {
			t.Errorf("%s: %q", key, use[key].Why)
		}
	}
	if x.Time != (ecs.TimeUse{From: "date and time", Zone: "+02:00", ZoneFrom: "tz=+0200"}) {
		t.Errorf("%+v", x.Time)
	}
	if e := x.Rules.Effect; e == nil || e.Rule.Name != "endpoint-offline" || !slices.Contains(e.Words, "disconnected") && len(e.Words) == 0 {
		t.Errorf("%+v", x.Rules.Effect)
	}
	x = New(Options{}).Explain(&ev, []byte(`emsserial=FCTEMS0000000001 subtype=ems-adconnector msg="quux failed"`), received)
	if ev.Decision.Category != dict.ADConnector || x.Rules.OutcomeBy != "words" || x.Rules.Outcome[0].Says != "failure" || x.Rules.Outcome[0].Words != "failed" {
		t.Errorf("%+v", x.Rules)
	}
	x = New(Options{}).Explain(&ev, []byte(`emsserial=FCTEMS0000000001 subtype=ems-adconnector status=success msg="failed to connect to AD server"`), received)
	if x.Rules.OutcomeBy != "field status=success" {
		t.Errorf("%+v", x.Rules)
	}
}
