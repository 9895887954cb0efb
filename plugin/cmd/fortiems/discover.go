package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fluent-bit-fortiems/plugin/cmd/fortiems/discover"
	"fluent-bit-fortiems/plugin/cmd/fortiems/redact"
	"fluent-bit-fortiems/plugin/cmd/fortiems/scan"
	"fluent-bit-fortiems/plugin/cmd/fortiems/term"
)

// discovered is what discover --json prints for a wording.
type discovered struct {
	Reason   discover.Reason `json:"reason"`
	Category string          `json:"category"`
	Writer   string          `json:"writer"`
	Type     string          `json:"type,omitempty"`
	Subtype  string          `json:"subtype,omitempty"`
	Wording  string          `json:"wording"` // redacted
	Count    int             `json:"count"`
	First    string          `json:"first,omitempty"`
	Last     string          `json:"last,omitempty"`
	File     string          `json:"file"`
	Line     int             `json:"line"`
	Example  string          `json:"example"` // redacted

	words string // of the wording as it is
}

func newDiscover(a *app) *cobra.Command {
	var f filterFlags
	var asJSON, asRules, asReport bool
	cmd := &cobra.Command{
		Use:   "discover [FILE...]",
		Short: "Find wordings that no rule knows",
		Long: `Discover groups the lines that no rule knows into wordings: "unknown" ones have no
category, "default" ones have one, by a token for example, but no rule for what they
say. Examples are redacted: read them before you share them.

  --rules   writes a rules_file to fill in
  --report  writes what the issue "A line that is classified unknown or wrongly" asks for

Exit code: 1 if there are such wordings.`,
		Example: `  fortiems discover ems.log*
  fortiems discover --rules ems.log > my-rules.yaml`,
		RunE: func(cmd *cobra.Command, files []string) error {
			filter, err := f.open()
			if err != nil {
				return err
			}
			received := a.received()
			collectors, visitors := []*discover.Collector{}, []func(*scan.Line){}
			for range runtime.GOMAXPROCS(0) {
				c := &discover.Collector{}
				collectors = append(collectors, c)
				visitors = append(visitors, func(l *scan.Line) { c.Add(l, received) })
			}
			if err := a.scan(cmd.Context(), files, filter, received, visitors); err != nil {
				return err
			}
			var found []discovered
			redactor := redact.New()
			for _, w := range discover.Wordings(collectors...) {
				found = append(found, discovered{
					w.Reason, w.Category.String(), w.Writer.String(), w.Type, w.Subtype, redactor.Line(w.Template), w.Count, day(w.First), day(w.Last), w.File, w.Line, redactor.Line(w.Example), staticWords(w.Template),
				})
			}
			out := bufio.NewWriter(a.out)
			switch {
			case asJSON:
				for _, w := range found {
					if err := encode(out, w); err != nil {
						return err
					}
				}
			case asRules:
				writeRules(out, found)
			case asReport:
				writeIssue(out, found)
			default:
				writeWordings(out, found, a.palette())
			}
			if err := out.Flush(); err != nil {
				return err
			}
			for _, c := range collectors {
				if c.Other > 0 {
					fmt.Fprintf(a.errs, "%d lines are of too many different wordings and not listed\n", c.Other)
				}
			}
			if len(found) > 0 {
				return errFindings
			}
			return nil
		},
	}
	f.add(cmd)
	flags := cmd.Flags()
	flags.BoolVar(&asJSON, "json", false, "print one JSON object per wording")
	flags.BoolVar(&asRules, "rules", false, "write a rules_file to fill in")
	flags.BoolVar(&asReport, "report", false, "write the text of an issue")
	cmd.MarkFlagsMutuallyExclusive("json", "rules", "report")
	return cmd
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateTime)
}

func (w *discovered) span() string {
	if w.First == "" {
		return "no time"
	}
	return w.First + " to " + w.Last + " UTC"
}

func writeWordings(out io.Writer, found []discovered, p term.Palette) {
	if len(found) == 0 {
		fmt.Fprintln(out, "Rules know the wording of every FortiEMS line.")
	}
	for _, w := range found {
		fmt.Fprintf(out, "%7d  %s %s  %s\n", w.Count, p.Yellow(term.Pad(string(w.Reason), 7)), p.Cyan(w.Category), term.Safe(w.Wording))
		fmt.Fprintf(out, "         %s\n", p.Dim(fmt.Sprintf("%s, first at %s:%d", w.span(), w.File, w.Line)))
		fmt.Fprintf(out, "         %s\n", p.Dim(term.Safe(term.Cut(w.Example, 400))))
	}
}

// plain matches a type or subtype that needs no escape in a rules file.
var plain = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// writeRules writes a rules_file to fill in: it loads, and leaves the category of its lines.
func writeRules(out io.Writer, found []discovered) {
	fmt.Fprint(out, "# Rules for the option rules_file, to fill in: set the category and the action of each, narrow\n"+
		"# or widen its words, which are not redacted, then run fortiems check --rules-file on this file. parser/README.md describes the format.\nversion: 1\nrules:\n")
	n := 0
	for _, w := range found {
		if w.words == "" {
			fmt.Fprintf(out, "  # Without a fixed word, seen %d times: %s\n", w.Count, comment(w.Example))
			continue
		}
		n++
		kinds := ""
		for _, kind := range [][2]string{{"type", w.Type}, {"subtype", w.Subtype}} {
			if plain.MatchString(kind[1]) {
				kinds += fmt.Sprintf(", %s: %q", kind[0], kind[1])
			}
		}
		fmt.Fprintf(out, "  # Seen %d times, %s; category now: %s (%s)\n  # %s\n", w.Count, w.span(), w.Category, w.Reason, comment(w.Example))
		fmt.Fprintf(out, "  - name: site-%d\n    when: {writer: %s%s, words: [%q]}\n    set: {category: %s} # action: ...\n", n, w.Writer, kinds, w.words, w.Category)
	}
	if n == 0 {
		fmt.Fprintln(out, "  []")
	}
}

// comment returns a text as one line of a YAML comment.
func comment(s string) string { return term.Safe(term.Cut(s, 600)) }

// staticWords returns the longest part of a wording without a variable, as words: letters
// and digits with single blanks.
func staticWords(wording string) (longest string) {
	for part := range strings.SplitSeq(wording, discover.Variable) {
		words := strings.Join(strings.FieldsFunc(part, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r >= 0x80 && r != '\uFFFD')
		}), " ")
		if len(words) > len(longest) {
			longest = words
		}
	}
	return strings.ToLower(longest)
}

// maxIssue is how many wordings the text of an issue has.
const maxIssue = 50

func writeIssue(out io.Writer, found []discovered) {
	fmt.Fprintf(out, "### Version\n\nfortiems %s\n\n### Lines\n\n```text\n", version)
	for _, w := range found[:min(len(found), maxIssue)] {
		fmt.Fprintln(out, strings.ReplaceAll(term.Safe(w.Example), "```", "'''"))
	}
	fmt.Fprint(out, "```\n\n### What became of them\n\n| seen | span | category now | wording |\n|---|---|---|---|\n")
	for _, w := range found[:min(len(found), maxIssue)] {
		wording := strings.NewReplacer("|", "\\|", "<", "&lt;", "`", "'").Replace(term.Safe(w.Wording))
		fmt.Fprintf(out, "| %d | %s | %s (%s) | %s |\n", w.Count, w.span(), w.Category, w.Reason, wording)
	}
	fmt.Fprint(out, "\n### What they mean\n\n(the category and action that you expect, and what happened when the lines were written)\n")
}
