package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/cmd/fortiems/input"
	"fluent-bit-fortiems/plugin/cmd/fortiems/term"
)

// explanation is what explain --json prints for a line.
type explanation struct {
	Line     string            `json:"line"`
	FortiEMS bool              `json:"fortiems"`
	Header   header            `json:"header"`
	Pairs    []pair            `json:"pairs"`
	Time     *timeUse          `json:"time,omitempty"`
	Writer   string            `json:"writer,omitempty"`
	Token    string            `json:"token,omitempty"`
	Category *decided          `json:"category,omitempty"`
	Action   *decided          `json:"action,omitempty"`
	Outcome  *outcome          `json:"outcome,omitempty"`
	Also     []ruleUse         `json:"also,omitempty"`
	Record   json.RawMessage   `json:"record,omitempty"`
	More     []json.RawMessage `json:"more_records,omitempty"` // of further messages in the line
}

type header struct {
	Priority *int   `json:"priority,omitempty"`
	Hostname string `json:"hostname,omitempty"`
	AppName  string `json:"appname,omitempty"`
	ProcID   string `json:"procid,omitempty"`
	MsgID    string `json:"msgid,omitempty"`
	Data     string `json:"structured_data,omitempty"`
	Text     string `json:"text,omitempty"` // between the header and the first pair
}

type pair struct {
	Key    string   `json:"key"`
	Value  string   `json:"value"`
	Field  string   `json:"field,omitempty"` // the first of Fields
	Fields []string `json:"fields,omitempty"`
	Why    string   `json:"why,omitempty"`
}

type timeUse struct {
	Value    string `json:"value"`
	From     string `json:"from"`
	Zone     string `json:"zone"`
	ZoneFrom string `json:"zone_from"`
}

type ruleUse struct {
	Rule     string   `json:"rule"`
	File     string   `json:"file"`
	Line     int      `json:"line"`
	Evidence string   `json:"evidence,omitempty"`
	Words    []string `json:"words,omitempty"`
	Fields   []string `json:"fields,omitempty"`
}

type decided struct {
	Value string `json:"value"`
	By    string `json:"by"`
	*ruleUse
}

type outcome struct {
	Value string             `json:"value"`
	By    string             `json:"by,omitempty"`
	Words []rule.OutcomeWord `json:"words,omitempty"`
}

func newExplain(a *app) *cobra.Command {
	var f filterFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "explain [FILE...]",
		Short: "Explain what the filter makes of each line",
		Long: `Explain shows for each line: the header, what became of each pair, the time and its zone,
the rule that decided the category with the words that matched, action, outcome, other
rules that hold, and the record. On a terminal without FILE, paste lines and end with
Ctrl-D (on Windows Ctrl-Z).

Exit code: 1 if a line is not of FortiEMS or its category is unknown.`,
		Example: `  fortiems explain ems.log
  echo 'emsserial=FCTEMS0000000001 msg="VPN tunnel connected"' | fortiems explain --json`,
		RunE: func(cmd *cobra.Command, files []string) error {
			filter, err := f.open()
			if err != nil {
				return err
			}
			if len(files) == 0 && term.Is(a.in) {
				fmt.Fprintln(a.errs, "Paste lines; Ctrl-D ends.")
			}
			out, findings := bufio.NewWriter(a.out), false
			err = a.input().Blocks(cmd.Context(), files, func(b input.Block) error {
				for n, text := range b.Lines() {
					if len(strings.TrimSpace(string(text))) == 0 {
						continue
					}
					x, err := filter.explain(text, a.received())
					if err != nil {
						return fmt.Errorf("%s:%d: %w", b.File, n, err)
					}
					findings = findings || !x.FortiEMS || x.Category.Value == dict.Unknown.String()
					if asJSON {
						err = encode(out, x)
					} else {
						x.print(out, a.palette(), fmt.Sprintf("%s:%d", b.File, n))
					}
					if err != nil {
						return err
					}
				}
				return out.Flush()
			})
			if err == nil && findings {
				return errFindings
			}
			return err
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per line")
	return cmd
}

// explain explains a line that is received at a time.
func (f *filter) explain(text []byte, received ecs.Instant) (*explanation, error) {
	var ev parser.Event
	e := f.parser.Explain(&ev, text, received)
	x := &explanation{Line: strings.ToValidUTF8(string(text), "\uFFFD"), FortiEMS: e.Matched, Header: headerOf(&ev.Line), Pairs: []pair{}}
	if !e.Matched {
		for i := range ev.Line.Pairs.List {
			p := &ev.Line.Pairs.List[i]
			x.Pairs = append(x.Pairs, pair{Key: string(p.Name()), Value: string(p.Value)})
		}
		return x, nil
	}
	for _, u := range e.Pairs {
		p := pair{Key: u.Key, Value: u.Value, Fields: u.Fields, Why: u.Why}
		if u.Kept {
			prefix := ""
			if ecs.NeedsPrefix(u.Key) {
				prefix = "raw_"
			}
			p.Fields = append(p.Fields, ecs.VendorPrefix+"."+prefix+u.Key)
		}
		if len(p.Fields) > 0 {
			p.Field = p.Fields[0]
		}
		x.Pairs = append(x.Pairs, p)
	}
	x.Time = &timeUse{time.Unix(ev.Time.Sec, int64(ev.Time.Nsec)).UTC().Format(time.RFC3339Nano), e.Time.From, e.Time.Zone, e.Time.ZoneFrom}
	x.Writer = ev.Source.By.String()
	d := &ev.Decision
	token, named := ev.Source.Token.Category()
	x.Category = &decided{Value: d.Category.String()}
	switch {
	case e.Rules.Category != nil:
		x.Category.By, x.Category.ruleUse = "rule", useOf(e.Rules.Category)
	case named:
		x.Token = token.String()
		x.Category.By = "token"
	default:
		x.Category.By = "no rule"
	}
	if d.Action != nil {
		x.Action = &decided{Value: d.Action.Texts[0], By: "the category"}
		for _, m := range []*rule.Match{e.Rules.Category, e.Rules.User, e.Rules.Effect} {
			if m != nil && m.Rule.Name == e.Rules.ActionBy {
				x.Action.By, x.Action.ruleUse = "rule", useOf(m)
			}
		}
	}
	if d.Outcome != nil || e.Rules.OutcomeBy != "" {
		x.Outcome = &outcome{Value: "none", By: e.Rules.OutcomeBy}
		if d.Outcome != nil {
			x.Outcome.Value = d.Outcome.Texts[0]
		}
		if x.Outcome.By == "words" {
			x.Outcome.Words = e.Rules.Outcome
		}
	}
	for i := range e.Rules.Also {
		x.Also = append(x.Also, *useOf(&e.Rules.Also[i]))
	}
	records, err := f.records(text, received)
	for i, r := range records {
		if i == 0 {
			x.Record = r
		} else {
			x.More = append(x.More, r)
		}
	}
	return x, err
}

func headerOf(l *line.Line) header {
	h := &l.Header
	x := header{Hostname: string(h.Hostname), AppName: string(h.AppName), ProcID: string(h.ProcID), MsgID: string(h.MsgID), Data: string(h.StructuredData), Text: string(l.Stray)}
	if h.Priority >= 0 {
		x.Priority = &h.Priority
	}
	return x
}

func useOf(m *rule.Match) *ruleUse {
	return &ruleUse{m.Rule.Name, m.Rule.File, m.Rule.Line, m.Rule.Evidence, m.Words, m.Fields}
}

// print writes the explanation for people.
func (x *explanation) print(w io.Writer, p term.Palette, where string) {
	row := func(name, text string) { fmt.Fprintf(w, "  %s %s\n", p.Bold(term.Pad(name, 9)), text) }
	fmt.Fprintf(w, "%s %s\n", p.Dim(where), term.Safe(term.Cut(x.Line, 2000)))
	h, _ := json.Marshal(x.Header)
	if string(h) != "{}" {
		row("header", term.Safe(string(h)))
	}
	name := "pairs"
	for _, u := range x.Pairs {
		text := term.Pad(term.Safe(u.Key), 14) + " " + term.Pad(term.Safe(term.Cut(u.Value, 40)), 40)
		if len(u.Fields) > 0 {
			text += " → " + p.Green(strings.Join(u.Fields, ", "))
		}
		if u.Why != "" {
			text += p.Dim("  " + u.Why)
		}
		row(name, text)
		name = ""
	}
	if !x.FortiEMS {
		row("result", p.Yellow("not FortiEMS")+": no key, id, token or serial number of FortiEMS")
		fmt.Fprintln(w)
		return
	}
	row("time", x.Time.Value+" from "+x.Time.From+", zone "+x.Time.Zone+p.Dim("  "+x.Time.ZoneFrom))
	row("writer", x.Writer)
	x.Category.row(row, "category", p, x.Token)
	if x.Action != nil {
		x.Action.row(row, "action", p, "")
	} else {
		row("action", p.Yellow("none")+": no rule knows the wording")
	}
	if x.Outcome != nil {
		text := x.Outcome.Value + " by " + x.Outcome.By
		for i, word := range x.Outcome.Words {
			text += map[bool]string{true: ": ", false: ", "}[i == 0] + fmt.Sprintf("%q says %s", word.Words, word.Says)
		}
		row("outcome", term.Safe(text))
	} else {
		row("outcome", "none: no field or word says one")
	}
	for i := range x.Also {
		row(map[bool]string{true: "also", false: ""}[i == 0], p.Dim(x.Also[i].String()))
	}
	row("record", term.Safe(string(x.Record)))
	for _, r := range x.More {
		row("", term.Safe(string(r)))
	}
	fmt.Fprintln(w)
}

func (d *decided) row(row func(string, string), name string, p term.Palette, token string) {
	text := p.Cyan(d.Value) + " by "
	switch {
	case d.ruleUse != nil:
		text += "rule " + d.ruleUse.String()
	case token != "":
		text += "the token " + token + " of the line"
	default:
		text += d.By
	}
	row(name, text)
}

// String returns a rule, where it is and what of the line it matched.
func (u *ruleUse) String() string {
	s := fmt.Sprintf("%s (%s:%d", u.Rule, u.File, u.Line)
	if u.Evidence != "" {
		s += ", " + u.Evidence
	}
	s += ")"
	if len(u.Words) > 0 {
		s += ": " + strings.Join(u.Words, " | ")
	}
	if len(u.Fields) > 0 {
		s += " [" + strings.Join(u.Fields, " ") + "]"
	}
	return term.Safe(s)
}
