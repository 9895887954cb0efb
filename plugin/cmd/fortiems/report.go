package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/cmd/fortiems/report"
	"fluent-bit-fortiems/plugin/cmd/fortiems/scan"
	"fluent-bit-fortiems/plugin/cmd/fortiems/show"
	"fluent-bit-fortiems/plugin/cmd/fortiems/term"
)

// reportFlags are those of the command report.
type reportFlags struct {
	filterFlags
	out    string
	sample int
}

func newReport(a *app) *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report FILE...",
		Short: "Write one HTML page about log files",
		Long: `Report writes one HTML page with charts, tables and events. The page works offline: it
loads nothing and sends nothing. Charts and tables count every line; the table of
events has a sample of --sample lines, from every category.

The page holds raw lines: share it as you would share the log.`,
		Example: "  fortiems report ems.log ems.log.1.gz -o report.html",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, files []string) error { return f.run(cmd, a, files) },
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&f.out, "output", "o", "report.html", "the page; - for standard output")
	cmd.Flags().IntVar(&f.sample, "sample", 2000, "how many lines the table of events has at most")
	return cmd
}

func (f *reportFlags) run(cmd *cobra.Command, a *app, files []string) error {
	if f.sample < 1 || f.sample > 100_000 {
		return usageError{fmt.Errorf("--sample %d: 1 to 100000", f.sample)}
	}
	filter, err := f.open()
	if err != nil {
		return err
	}
	begin, received := time.Now(), a.received()
	collectors, visitors := []*report.Collector{}, []func(*scan.Line){}
	for range runtime.GOMAXPROCS(0) {
		c := report.NewCollector(received, f.sample)
		collectors, visitors = append(collectors, c), append(visitors, c.Add)
	}
	if err := a.scan(cmd.Context(), files, filter, received, visitors); err != nil {
		return err
	}
	data, err := report.NewData(collectors, files, version, time.Now(), func(text []byte) (report.Event, error) { return filter.event(text, received) })
	if err != nil {
		return err
	}
	if f.out == "-" {
		return data.Write(a.out)
	}
	// Not in place: a page that cannot be written whole must not replace one that was.
	page, err := os.CreateTemp(filepath.Dir(f.out), ".fortiems-report-*")
	if err != nil {
		return err
	}
	defer os.Remove(page.Name())
	err = data.Write(page)
	if cerr := page.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(page.Name(), f.out)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.out, err)
	}
	fmt.Fprintf(a.errs, "%d lines, %d of FortiEMS, in %.1f s: open %s in a browser\n", data.Lines, data.Matched, time.Since(begin).Seconds(), f.out)
	return nil
}

// scan gives the lines of files to visitors, one for each worker, and shows how far it is.
func (a *app) scan(ctx context.Context, files []string, f *filter, received ecs.Instant, visitors []func(*scan.Line)) error {
	begin, r := time.Now(), a.input()
	stop := term.Progress(a.errs, func() string { return progress("reading", r.Read.Load(), r.Total.Load(), begin) })
	defer stop()
	return scan.Run(ctx, r, files, f.parser, received, visitors)
}

// progress says how far a long reading is.
func progress(what string, read, total int64, since time.Time) string {
	s := fmt.Sprintf("%s: %d MB, %.0f s", what, read>>20, time.Since(since).Seconds())
	if total > 0 && read > 0 {
		left := time.Duration(float64(time.Since(since)) * float64(total-read) / float64(read))
		s = fmt.Sprintf("%s: %d of %d MB, %d %%, %.0f s left", what, read>>20, total>>20, 100*read/total, left.Seconds())
	}
	return s
}

// event returns the event of a line for the page.
func (f *filter) event(text []byte, received ecs.Instant) (e report.Event, err error) {
	e.Raw = report.Cut(string(text), report.MaxRawText)
	var ev parser.Event
	if !f.parser.Parse(&ev, text, received) {
		e.Message = report.Cut(string(ev.Line.Clean), 500)
		e.Why = []string{"The line has no sign of FortiEMS."}
		return e, nil
	}
	records, err := f.records(text, received)
	if err != nil || len(records) == 0 {
		return e, err
	}
	r, _ := show.Parse(records[0])
	if ev.Time != received {
		e.Time = time.Unix(ev.Time.Sec, 0).UTC().Format(time.DateTime)
	}
	e.Category, e.Action, e.Outcome, e.Kind = r.Text("fortinet.ems.category"), r.Text("event.action"), r.Text("event.outcome"), r.Text("event.kind")
	e.Severity, e.Who, e.Where, e.Message = r.Text("event.severity"), show.Who(r), show.Where(r), report.Cut(r.Text("message"), 500)
	e.Why = f.why(&ev, text, received)
	report.CutTexts(map[string]any(r))
	e.Record, err = json.Marshal(r)
	return e, err
}

// why says in short sentences who decided what.
func (f *filter) why(ev *parser.Event, text []byte, received ecs.Instant) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	at, trace := f.parser.Reasons(ev, text, received)
	d := &ev.Decision
	say("Written by %s. Time from %s, zone %s: %s.", ev.Source.By, at.From, at.Zone, at.ZoneFrom)
	token, named := ev.Source.Token.Category()
	switch {
	case trace.Category != nil:
		say("Category by rule %s.", useOf(trace.Category))
	case named:
		say("Category by the token %s of the line.", token)
	default:
		say("No rule knows the category.")
	}
	for _, m := range []*rule.Match{trace.User, trace.Effect} {
		if m != nil {
			say("Action and the rest by rule %s.", useOf(m))
		}
	}
	if d.Action == nil {
		say("No rule knows the action.")
	}
	if d.Outcome != nil {
		words := ""
		if trace.OutcomeBy == "words" {
			for _, w := range trace.Outcome {
				words += fmt.Sprintf(", %q says %s", w.Words, w.Says)
			}
		}
		say("Outcome %s by %s%s.", d.Outcome.Texts[0], trace.OutcomeBy, words)
	}
	return lines
}
