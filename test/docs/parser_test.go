package docs

import (
	"testing"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/rule"
)

// This file holds all that the tests of documents use of the parser.

// category describes a category.
type category struct {
	name, covers string
	actions      []string
}

func categories() (list []category) {
	for _, c := range rule.Builtin().Categories() {
		list = append(list, category{c.Category.String(), c.Covers, c.Actions})
	}
	return list
}

func fields() []ecs.FieldRow { return ecs.FieldRows() }

// rulesByEvidence counts the built-in rules by what they rest on.
func rulesByEvidence() map[string]int {
	counts := map[string]int{}
	for _, r := range rule.Builtin().All() {
		counts[r.Evidence]++
	}
	return counts
}

func loadRules(file string) error {
	_, err := rule.Load(file)
	return err
}

// categoryOf returns the category of a line with the rules of file, "" for the
// built-in ones.
func categoryOf(t *testing.T, file, line string) string {
	t.Helper()
	var options parser.Options
	if file != "" {
		rules, err := rule.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		options.Rules = rules
	}
	var ev parser.Event
	if !parser.New(options).Parse(&ev, []byte(line), ecs.Instant{Sec: 1727821050}) {
		t.Fatal("not a FortiEMS line")
	}
	return ev.Decision.Category.String()
}
