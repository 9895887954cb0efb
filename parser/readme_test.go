package parser

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
)

var update = flag.Bool("update", false, "write the worked example of README.md")

// exampleLine is the synthetic line of README.md, in the form of the real ones.
const exampleLine = `<134>Oct  1 22:17:31 ems01 ems-client[811]: date=2024-10-01 time=22:17:30 tz="+0200" level=notice ` +
	`devid=FCT8000000000001 hostname="PC-0001" user="EXAMPLE\alice" deviceip=192.0.2.21 emsserial=FCTEMS0000000001 ` +
	`usingpolicy="Default" msg="Endpoint disconnected"`

// way returns what each step makes of the example, as README.md has it.
func way(ev *Event) string {
	var b strings.Builder
	row := func(step, format string, args ...any) {
		fmt.Fprintf(&b, "%-8s"+format+"\n", append([]any{step}, args...)...)
	}
	h := &ev.Line.Header
	row("header", "priority %d, host name %s, app name %s, process id %s, body from %.15q on", h.Priority, h.Hostname, h.AppName, h.ProcID, ev.Line.Body)
	for i, p := range ev.Line.Pairs.List {
		to := "a field"
		if p.Unmapped() {
			to = ecs.VendorPrefix + "." + string(p.Name())
		}
		row(strings.Repeat("pairs", 1-min(i, 1)), "%-12s %-24s → %s", p.Name(), p.Value, to)
	}
	token, _ := ev.Source.Token.Category()
	row("source", "%s, token %s", ev.Source.By, token)
	step := "fields"
	for f := range ecs.NumFields {
		if !ev.Record.Set.Has(f) {
			continue
		}
		v := &ev.Record.Values[f]
		text := string(v.Text)
		switch v.Kind {
		case ecs.Int:
			text = fmt.Sprint(v.Num)
		case ecs.Const:
			text = strings.Join(v.Const.Texts, ", ")
		case ecs.List:
			text = fmt.Sprintf("%s", ev.Record.Lists[v.Num])
		}
		row(step, "%-26s %s", ecs.Fields[f], text)
		step = ""
	}
	row("time", "%s", time.Unix(ev.Time.Sec, int64(ev.Time.Nsec)).UTC().Format(time.RFC3339Nano))
	row("class", "%s: by the token; the rest by rule %s", ev.Decision.Category, ev.Decision.EffectRule.Name)
	return b.String()
}

// TestReadmeExample compares the worked example of README.md with the parser. -update
// writes it.
func TestReadmeExample(t *testing.T) {
	var ev Event
	if !New(Options{}).Parse(&ev, []byte(exampleLine), received) || ev.Decision.Category != dict.Client {
		t.Fatalf("the example is %s", ev.Decision.Category)
	}
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- worked example: make golden -->\n```text\n", "```\n"
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, "\n"+end)
	if !ok || !ok2 {
		t.Fatalf("README.md has no block after %q", begin)
	}
	want := before + begin + strings.ReplaceAll(exampleLine, " devid", "\n  devid") + "\n\n" + way(&ev) + end + after
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatal("the worked example is out of date: make golden writes it")
	}
	if err := os.WriteFile("README.md", []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
