package rule

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/parser/dict"
)

// ecsTypes holds the event types that ECS 9.4 expects in each event category.
var ecsTypes = map[string][]string{
	"api":                 {"access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info", "start", "user"},
	"authentication":      {"start", "end", "info"},
	"configuration":       {"access", "change", "creation", "deletion", "info"},
	"database":            {"access", "change", "info", "error"},
	"driver":              {"change", "end", "info", "start"},
	"email":               {"info"},
	"file":                {"access", "change", "creation", "deletion", "info"},
	"host":                {"access", "change", "end", "info", "start"},
	"iam":                 {"admin", "change", "creation", "deletion", "group", "info", "user"},
	"intrusion_detection": {"allowed", "denied", "info"},
	"library":             {"start"},
	"malware":             {"info"},
	"network":             {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"},
	"package":             {"access", "change", "deletion", "info", "installation", "start"},
	"process":             {"access", "change", "end", "info", "start"},
	"registry":            {"access", "change", "creation", "deletion"},
	"session":             {"start", "end", "info"},
	"threat":              {"indicator"},
	"vulnerability":       {"info"},
	"web":                 {"access", "error", "info"},
}

// checkECS reports a rule whose effects, filled up with the defaults of its action and of
// a category where it may hold, are no pair of ECS.
func (c *compiler) checkECS(n *yaml.Node, r *Rule, setsCategory bool) {
	for cat := range dict.NumCategories {
		switch {
		case (setsCategory || !c.user) && cat != r.Category,
			c.user && !setsCategory && r.when.categories != 0 && r.when.categories&(1<<cat) == 0:
			continue // it does not hold there
		case c.user && !setsCategory && r.when.categories == 0 && r.set.action != nil && r.set.action.byCategory[cat] == nil:
			continue // the action has no meaning there
		}
		e := r.set
		c.rs.fillDefaults(&e, cat)
		if reason := ecsPair(&e); reason != "" {
			c.fail(n, "rule %q in category %s: %s", r.Name, cat, reason)
			return
		}
	}
}

// ecsPair returns what is wrong with event.category and event.type.
func ecsPair(e *effects) string {
	if e.types == nil {
		return ""
	}
	if e.categories == nil {
		return "event_type without event_category"
	}
	for _, name := range e.categories.Texts {
		if _, ok := ecsTypes[name]; !ok {
			return fmt.Sprintf("event_category %q is none of ECS", name)
		}
	}
	for _, t := range e.types.Texts {
		if !slices.ContainsFunc(e.categories.Texts, func(name string) bool { return slices.Contains(ecsTypes[name], t) }) {
			return fmt.Sprintf("event_type %q is not expected in event_category %s", t, strings.Join(e.categories.Texts, ", "))
		}
	}
	return ""
}
