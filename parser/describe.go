package parser

import "slices"

// CategoryRow is a category with its actions.
type CategoryRow struct {
	Name    string
	Actions []string // in alphabetical order
}

// CategoryRows returns every category, [Unknown] last, with the actions that have
// defaults in it (event.category, event.type, kind) in the built-in rules.
func CategoryRows() []CategoryRow {
	rs := BuiltinRules()
	rows := make([]CategoryRow, 0, NumCategories)
	for c := ADConnector; c < NumCategories; c++ {
		rows = append(rows, describe(rs, c))
	}
	return append(rows, describe(rs, Unknown))
}

func describe(rs *Rules, c Category) CategoryRow {
	row := CategoryRow{Name: c.String()}
	for name, a := range rs.actions {
		if a.byCategory[c] != nil {
			row.Actions = append(row.Actions, name)
		}
	}
	slices.Sort(row.Actions)
	return row
}
