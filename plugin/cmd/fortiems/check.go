package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/cmd/fortiems/term"
	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test"
)

// finding is one thing that check found.
type finding struct {
	Problem bool   `json:"problem"` // makes the exit code 1
	Where   string `json:"where"`   // file:line
	Rule    string `json:"rule,omitempty"`
	Text    string `json:"text"`
	Line    string `json:"line,omitempty"` // the log line that changes
}

func newCheck(a *app) *cobra.Command {
	var f filterFlags
	var asJSON, quiet bool
	cmd := &cobra.Command{
		Use:   "check --rules-file FILE [LOG...]",
		Short: "Check a rules file before it is deployed",
		Long: `Check reports, for the rules_file of the filter:

  * every mistake for which the filter would not start
  * rules that can never match, and rules that others come before on all their lines
  * what changes for the lines of the bundled corpus and of the LOG files

Exit code: 1 after a mistake, a rule without effect, or a line whose known category
changes. A line that was unknown, and other changes, are listed only.`,
		Example: "  fortiems check --rules-file my-rules.yaml ems.log",
		RunE: func(cmd *cobra.Command, files []string) error {
			if f.rulesFile == "" {
				return usageError{errors.New("--rules-file is missing")}
			}
			found, err := f.check(cmd, a, files)
			if err != nil {
				return err
			}
			problems, p := 0, a.palette()
			for _, x := range found {
				if x.Problem {
					problems++
				}
				if asJSON {
					if err := encode(a.out, x); err != nil {
						return err
					}
				} else if x.Problem || !quiet {
					x.print(a, p)
				}
			}
			if !asJSON {
				fmt.Fprintf(a.out, "%s: %d problems, %d other changes\n", f.rulesFile, problems, len(found)-problems)
			}
			if problems > 0 {
				return errFindings
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per finding")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print problems only")
	return cmd
}

func (x *finding) print(a *app, p term.Palette) {
	mark := p.Dim("change ")
	if x.Problem {
		mark = p.Red("problem")
	}
	name := ""
	if x.Rule != "" {
		name = "rule " + x.Rule + ": "
	}
	fmt.Fprintf(a.out, "%s %s: %s%s\n", mark, x.Where, name, term.Safe(x.Text))
	if x.Line != "" {
		fmt.Fprintf(a.out, "        %s\n", p.Dim(term.Safe(term.Cut(x.Line, 300))))
	}
}

func (f *filterFlags) check(cmd *cobra.Command, a *app, files []string) (found []finding, err error) {
	mine, err := f.open()
	if err != nil {
		var notFound *fs.PathError
		var usage usageError
		if errors.As(err, &notFound) || errors.As(err, &usage) {
			return nil, err
		}
		for _, e := range option.Errors(err) {
			found = append(found, finding{Problem: true, Where: f.rulesFile, Text: e.Error()})
			var in *rule.Error
			if errors.As(e, &in) && in.Line > 0 {
				found[len(found)-1].Where, found[len(found)-1].Text = fmt.Sprintf("%s:%d", in.File, in.Line), in.Reason
			}
		}
		return found, nil
	}
	for _, p := range mine.rules.Check() {
		found = append(found, finding{Problem: true, Where: fmt.Sprintf("%s:%d", p.Rule.File, p.Rule.Line), Rule: p.Rule.Name, Text: p.Text})
	}
	plain, err := (&filterFlags{timezone: f.timezone}).open()
	if err != nil {
		return nil, err
	}
	var before, after parser.Event
	received := a.received()
	compare := func(where, line string) {
		if plain.parser.Parse(&before, []byte(line), received) && mine.parser.Parse(&after, []byte(line), received) {
			found = append(found, changes(where, line, &before, &after)...)
		}
	}
	cases, err := test.Corpus()
	if err != nil {
		return nil, err
	}
	for _, c := range cases {
		if c.HasOptions {
			continue
		}
		for i, row := range c.Rows {
			compare(fmt.Sprintf("corpus %s:%d", c.Name, i+1), row.Line)
		}
	}
	for _, r := range rule.Builtin().All() {
		compare(fmt.Sprintf("example %s:%d", r.File, r.Line), r.Example)
	}
	if len(files) > 0 {
		err = a.input().Lines(cmd.Context(), files, func(file string, n int, line []byte) error {
			compare(fmt.Sprintf("%s:%d", file, n), string(line))
			return nil
		})
	}
	return found, err
}

// changes lists what the user's rules change for a line.
func changes(where, line string, before, after *parser.Event) (found []finding) {
	b, c := &before.Decision, &after.Decision
	by := ""
	if r := after.Decision.CategoryRule; r != nil {
		by = r.Name
	}
	if r := after.Decision.UserRule; r != nil && b.Category == c.Category {
		by = r.Name
	}
	add := func(problem bool, what, from, to string) {
		if from != to {
			found = append(found, finding{Problem: problem, Where: where, Rule: by, Text: what + " " + from + " → " + to, Line: line})
		}
	}
	add(b.Category != dict.Unknown, "category", b.Category.String(), c.Category.String())
	add(false, "action", name(b.Action), name(c.Action))
	add(false, "outcome", name(b.Outcome), name(c.Outcome))
	add(false, "kind", name(b.Kind), name(c.Kind))
	add(false, "severity", before.Record.ValueText(ecs.EventSeverity), after.Record.ValueText(ecs.EventSeverity))
	return found
}

func name(c *ecs.Constant) string {
	if c == nil {
		return "none"
	}
	return c.Texts[0]
}
