package parser

import (
	"strings"
	"testing"

	"fluent-bit-fortiems/parser/rule"
)

// TestExamplesAreDecidedByTheirRules parses the example of every built-in rule.
func TestExamplesAreDecidedByTheirRules(t *testing.T) {
	p := New(Options{})
	for _, r := range rule.Builtin().All() {
		var ev Event
		if !p.Parse(&ev, []byte(r.Example), received) {
			t.Errorf("%s:%d: the example of %s is not FortiEMS: %s", r.File, r.Line, r.Name, r.Example)
			continue
		}
		got := ev.Decision.EffectRule
		if strings.HasSuffix(r.File, "detect.yaml") {
			got = ev.Decision.CategoryRule
		}
		switch {
		case got == nil:
			t.Errorf("%s:%d: no rule decides the example of %s: %s", r.File, r.Line, r.Name, r.Example)
		case got != r:
			t.Errorf("%s:%d: the example of %s is decided by %s (line %d): put the more special rule first: %s", r.File, r.Line, r.Name, got.Name, got.Line, r.Example)
		}
	}
}
