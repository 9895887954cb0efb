package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/test"
)

// result is what a command line does.
type result struct {
	code      int
	out, errs string
}

// received is the time of receipt in the golden records.
var received = ecs.Instant{Sec: 1733392800, Nsec: 123456789}

// fortiems runs a command line with in as standard input.
func fortiems(t *testing.T, in string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(context.Background(), args, app{in: strings.NewReader(in), out: &out, errs: &errs, env: func(string) string { return "" }, received: func() ecs.Instant { return received }})
	return result{code, out.String(), errs.String()}
}

func writeFile(t *testing.T, name string, text []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// corpusLines are the lines of the cases for a filter with default options.
func corpusLines(t *testing.T) (lines []string) {
	t.Helper()
	cases, err := test.Corpus()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if !c.HasOptions {
			for _, row := range c.Rows {
				lines = append(lines, row.Line)
			}
		}
	}
	if len(lines) < 600 {
		t.Fatalf("%d lines", len(lines))
	}
	return lines
}

func TestUsage(t *testing.T) {
	folder := t.TempDir()
	for _, c := range []struct {
		args []string
		code int
		errs string
	}{
		{[]string{"--help"}, exitFine, ""},
		{[]string{"version"}, exitFine, ""},
		{[]string{"shwo"}, exitError, `unknown command "shwo" for "fortiems"`},
		{[]string{"show", "--bad"}, exitError, "fortiems show: unknown flag: --bad\nTry: fortiems show --help\n"},
		{[]string{"version", "x"}, exitError, "Try: fortiems version --help"},
		{[]string{"show", "--color", "blue"}, exitError, `--color "blue": use auto, always or never`},
		{[]string{"show", folder}, exitError, folder + " is a folder: name the files in it"},
		{[]string{"show", folder + "/none.log"}, exitError, "none.log: no such file or directory"},
		{[]string{"send", "--corpus", "x.log"}, exitError, "--corpus and files exclude each other"},
		{[]string{"send", "--time", "later"}, exitError, `--time "later": use own or now`},
		{[]string{"send", "--proto", "sctp"}, exitError, `protocol "sctp": use udp, tcp or tls`},
	} {
		got := fortiems(t, "", c.args...)
		if got.code != c.code || !strings.Contains(got.errs, c.errs) || got.code == exitFine && (got.out == "" || got.errs != "") {
			t.Errorf("%q: %+v", c.args, got)
		}
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if got := fortiems(t, "", "completion", shell); got.code != exitFine || !strings.Contains(got.out, "fortiems") {
			t.Errorf("%s: %d %s", shell, got.code, got.errs)
		}
	}
}

// TestInputs reads the same lines from every kind of input.
func TestInputs(t *testing.T) {
	const text = "hostname=secret-pc\r\n\nhostname=secret-pc"
	const want = "hostname=host1\r\n\nhostname=host1"
	plain, packed := writeFile(t, "a.log", []byte(text)), writeFile(t, "a.log.gz", gzipped(t, text))
	for name, got := range map[string]result{
		"file":           fortiems(t, "", "redact", plain),
		"gzip":           fortiems(t, "", "redact", packed),
		"standard input": fortiems(t, text, "redact"),
		"-":              fortiems(t, text, "redact", "-"),
		"gzip on -":      fortiems(t, string(gzipped(t, text)), "redact", "-"),
	} {
		if got.code != exitFine || got.out != want || !strings.Contains(got.errs, "Read the result") {
			t.Errorf("%s: %+v", name, got)
		}
	}
	damaged := gzipped(t, strings.Repeat(text, 100))
	if got := fortiems(t, "", "redact", writeFile(t, "b.gz", damaged[:len(damaged)-9])); got.code != exitError || !strings.Contains(got.errs, "damaged gzip file") {
		t.Errorf("%+v", got)
	}
}

func TestShow(t *testing.T) {
	records := `{"@timestamp":"2024-10-02T08:00:00.5Z","message":"Login failed\u001b[2J \u202e","event":{"action":"login","outcome":"failure","kind":"event"},"user":{"name":"alice","domain":"EXAMPLE"},"host":{"name":"PC-1","ip":["192.0.2.1"]},"fortinet":{"ems":{"category":"ems-authentication"}}}
not a record
{"date":1727856000.25,"message":"virus","event_kind":"alert","fortinet_ems_category":"fct-security"}
{"log":"sshd"}
`
	got := fortiems(t, records, "show", "--counts", "4", "--head", "3")
	want := `TIME (UTC)          CATEGORY           ACTION               OUTCOME WHO              WHERE                  MESSAGE
2024-10-02 08:00:00 ems-authentication login                failure EXAMPLE\alice    PC-1 192.0.2.1         Login failed\x1b[2J \u202e
2024-10-02 08:00:00 !fct-security      -                    -       -                -                      virus
                    (not FortiEMS)                                                                          sshd

(not FortiEMS)           1 ████
ems-authentication       1 ████
fct-security             1 ████
`
	if got.code != exitFine || got.out != want || got.errs != "not a record\n" {
		t.Errorf("%d\n%s\n%s", got.code, got.out, got.errs)
	}
	colored := fortiems(t, records, "show", "--color", "always")
	if !strings.Contains(colored.out, "\x1b[31mfailure\x1b[0m") || strings.Contains(colored.out, "\x1b[2J") {
		t.Errorf("%q", colored.out)
	}
}

// TestShowCorpus: every golden record is one line.
func TestShowCorpus(t *testing.T) {
	files, err := filepath.Glob("../../../test/corpus/*/expected.ndjson")
	if err != nil || len(files) < 30 {
		t.Fatal(len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got := fortiems(t, "", "show", f)
		want := 0
		for line := range strings.Lines(string(text)) {
			var r struct {
				Fortinet struct{ EMS struct{ Category string } }
			}
			if err := json.Unmarshal([]byte(line), &r); err != nil {
				t.Fatal(err)
			}
			want++
			if c := r.Fortinet.EMS.Category; !strings.Contains(got.out, c) {
				t.Errorf("%s: no %s", f, c)
			}
		}
		if n := strings.Count(got.out, "\n"); want > 0 && n != want+1 || got.errs != "" {
			t.Errorf("%s: %d lines for %d records, %s", f, n, want, got.errs)
		}
	}
}

// corpusCounts counts corpusLines by category as the corpus means them.
func corpusCounts(t *testing.T) map[string]int {
	t.Helper()
	cases, err := test.Corpus()
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, c := range cases {
		for _, row := range c.Rows {
			if !c.HasOptions {
				counts[row.Category]++
			}
		}
	}
	return counts
}

// TestExplainGivesTheGoldenRecords: explain gives the record of the filter for every line of
// the corpus.
func TestExplainGivesTheGoldenRecords(t *testing.T) {
	cases, err := test.Corpus()
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, c := range cases {
		if c.HasOptions {
			continue
		}
		var in strings.Builder
		for _, row := range c.Rows {
			in.WriteString(row.Line + "\n")
		}
		got := fortiems(t, in.String(), "explain", "--json")
		if got.code == exitError {
			t.Fatalf("%s: %s", c.Name, got.errs)
		}
		golden, err := os.ReadFile("../../../test/corpus/" + c.Name + "/expected.ndjson")
		if err != nil {
			t.Fatal(err)
		}
		var records []any
		d := json.NewDecoder(strings.NewReader(got.out))
		for d.More() {
			var x struct {
				Record map[string]any   `json:"record"`
				More   []map[string]any `json:"more_records"`
			}
			if err := d.Decode(&x); err != nil {
				t.Fatal(err)
			}
			if x.Record != nil {
				records = append(records, x.Record)
			}
			for _, r := range x.More {
				records = append(records, r)
			}
		}
		for line := range strings.Lines(string(golden)) {
			var want struct {
				Fortinet any
			}
			var all map[string]any
			if json.Unmarshal([]byte(line), &want) != nil || json.Unmarshal([]byte(line), &all) != nil {
				t.Fatal(line)
			}
			if want.Fortinet == nil {
				continue // passed
			}
			if len(records) == 0 || !reflect.DeepEqual(records[0], any(all)) {
				t.Fatalf("%s: want %s", c.Name, line)
			}
			records = records[1:]
			compared++
		}
		if len(records) > 0 {
			t.Errorf("%s: %d records too many", c.Name, len(records))
		}
	}
	if compared < 600 {
		t.Errorf("only %d records", compared)
	}
}

func TestExplainForPeople(t *testing.T) {
	got := fortiems(t, "emsserial=FCTEMS0000000001 subtype=ems-adconnector msg=\"quux failed\x1b[2J\"\nsshd\n", "explain")
	for _, want := range []string{
		"-:1 emsserial=", "→ observer.serial_number", "category  ems-adconnector by the token ems-adconnector of the line",
		"outcome   failure by words: \"failed", "says failure", "time of receipt", "not FortiEMS", `"@timestamp":"2024-12-05T10:00:00.123456789Z"`,
	} {
		if !strings.Contains(got.out, want) {
			t.Errorf("%q is not in\n%s", want, got.out)
		}
	}
	if got.code != exitFindings || strings.Contains(got.out, "\x1b") {
		t.Errorf("%d %q", got.code, got.out)
	}
	if got := fortiems(t, `emsserial=FCTEMS0000000001 msg="VPN tunnel connected"`, "explain"); got.code != exitFine || !strings.Contains(got.out, "category  ems-vpn by rule ") {
		t.Errorf("%+v", got)
	}
}

func TestDiscover(t *testing.T) {
	var in strings.Builder
	for i := range 300 {
		fmt.Fprintf(&in, "dtime=\"2024-10-02 08:%02d:00\" emsserial=FCTEMS8824001234 type=event subtype=system msg=\"Frobnicator %d of host PC-%d at 10.2.3.%d quuxed\"\n", i%60, i, i, i%250)
	}
	in.WriteString("emsserial=FCTEMS8824001234 subtype=ems-adconnector msg=\"quux\"\nsshd: x\nemsserial=FCTEMS1 msg=\"VPN tunnel connected\"\n")
	got := fortiems(t, in.String(), "discover", "--json")
	var wordings []discovered
	for d := json.NewDecoder(strings.NewReader(got.out)); d.More(); {
		var w discovered
		if err := d.Decode(&w); err != nil {
			t.Fatal(err)
		}
		wordings = append(wordings, w)
	}
	if got.code != exitFindings || len(wordings) != 2 {
		t.Fatalf("%+v", got)
	}
	w := wordings[0]
	if w.Count != 300 || w.Reason != "unknown" || w.First != "2024-10-02 08:00:00" || w.Last != "2024-10-02 08:59:00" || w.Line != 1 || !strings.HasPrefix(w.Wording, "Frobnicator <*> of host") {
		t.Errorf("%+v", w)
	}
	if wordings[1].Reason != "default" || wordings[1].Category != "ems-adconnector" || wordings[1].Count != 1 {
		t.Errorf("%+v", wordings[1])
	}
	if strings.Contains(got.out, "FCTEMS8824001234") || strings.Contains(got.out, "10.2.3.") {
		t.Error("the example is not redacted")
	}
	if again := fortiems(t, in.String(), "discover", "--json"); again != got {
		t.Error("a second run gives other wordings")
	}
	// The rules to fill in load and have no effect yet.
	rules := fortiems(t, in.String(), "discover", "--rules")
	file := writeFile(t, "rules.yaml", []byte(rules.out))
	if checked := fortiems(t, "", "check", "-f", file); checked.code != exitFine {
		t.Errorf("%+v\n%s", checked, rules.out)
	}
	issue := fortiems(t, in.String(), "discover", "--report")
	if !strings.Contains(issue.out, "| 300 | 2024-10-02 08:00:00 to") || strings.Contains(issue.out, "FCTEMS8824001234") {
		t.Error(issue.out)
	}
	if known := fortiems(t, "emsserial=FCTEMS1 msg=\"VPN tunnel connected\"\n", "discover"); known.code != exitFine {
		t.Errorf("%+v", known)
	}
	if both := fortiems(t, "", "discover", "--json", "--rules"); both.code != exitError {
		t.Errorf("%+v", both)
	}
}

func TestCheck(t *testing.T) {
	if got := fortiems(t, "", "check", "-f", "../../../conf/rules-example.yaml"); got.code != exitFine {
		t.Errorf("%+v", got)
	}
	if got := fortiems(t, "", "check", "-f", "/nonexistent.yaml"); got.code != exitError || !strings.Contains(got.errs, "no such file") {
		t.Errorf("%+v", got)
	}
	if got := fortiems(t, "", "check"); got.code != exitError || !strings.Contains(got.errs, "--rules-file is missing") {
		t.Errorf("%+v", got)
	}
	bad := writeFile(t, "bad.yaml", []byte("version: 1\nrules:\n  - name: a\n    set: {category: nonsense}\n  - name: b\n    when: {colour: red}\n    set: {severity: 9}\n"))
	got := fortiems(t, "", "check", "-f", bad)
	for _, want := range []string{bad + ":4: unknown category", bad + ":6: ", bad + ":7: ", "problems"} {
		if got.code != exitFindings || !strings.Contains(got.out, want) {
			t.Errorf("%q is not in %+v", want, got)
		}
	}
	odd := writeFile(t, "odd.yaml", []byte(`version: 1
rules:
  - name: wide
    when: {words: ["frob*"]}
    set: {category: ems-event}
  - name: shadowed
    when: {words: [frobnicate, frobbed]}
    set: {category: ems-update}
  - name: impossible
    when: {words: [quux], not_words: ["quu*"]}
    set: {category: ems-update}
  - name: fine
    when: {words: [quux]}
    set: {category: ems-update}
  - name: by-regex
    when: {fields: {message: {regex: "fro+b"}}}
    set: {severity: 1}
  - name: steals
    when: {subtype: ems-vpn, words: [tunnel]}
    set: {category: ems-network}
`))
	log := writeFile(t, "ems.log", []byte("emsserial=FCTEMS1 msg=\"frobbed\"\n"))
	got = fortiems(t, "", "check", "-f", odd, log)
	for _, want := range []string{
		odd + ":6: rule shadowed: it never decides: wide holds for its lines and comes first",
		odd + ":9: rule impossible: it can never match",
		"rule steals: category ems-vpn → ems-network",
		"change  " + log + ":1: rule wide: category unknown → ems-event",
	} {
		if got.code != exitFindings || !strings.Contains(got.out, want) {
			t.Errorf("%q is not in %s", want, got.out)
		}
	}
	for _, never := range []string{"rule fine: it", "rule wide: it", "rule by-regex: it", "rule steals: it"} {
		if strings.Contains(got.out, never) {
			t.Errorf("%q is in %s", never, got.out)
		}
	}
	if quiet := fortiems(t, "", "check", "-f", odd, "-q", "--json", log); !json.Valid([]byte(strings.Split(quiet.out, "\n")[0])) {
		t.Errorf("%+v", quiet)
	}
}

// TestLargeReport: the page stays small, says that it has a sample, and does not depend on
// which worker read which line.
func TestLargeReport(t *testing.T) {
	lines := corpusLines(t)
	var log strings.Builder
	const n = 60_000
	for i := range n {
		line := lines[i%len(lines)]
		if len(line) > 5000 {
			line = "sshd"
		}
		log.WriteString(strings.ReplaceAll(line, "PC-0001", fmt.Sprintf("PC-%05d", i%20_000)) + "\n")
	}
	file := writeFile(t, "ems.log.gz", gzipped(t, log.String()))
	data := func() map[string]any {
		page := fortiems(t, "", "report", "--sample", "500", "-o", "-", file)
		if page.code != exitFine || len(page.out) > 5<<20 {
			t.Fatalf("%d, %d bytes, %s", page.code, len(page.out), page.errs)
		}
		_, text, _ := strings.Cut(page.out, `id="data">`)
		text, _, _ = strings.Cut(text, "</script>")
		var d map[string]any
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		delete(d, "made")
		return d
	}
	d := data()
	events, _ := d["events"].([]any)
	categories := map[any]bool{}
	for _, e := range events {
		categories[e.(map[string]any)["c"]] = true
	}
	if d["lines"] != float64(n) || len(events) < 400 || len(events) > 500 || d["sampled"] != true || len(categories) != 18 {
		t.Errorf("%v lines, %d events of %d categories, sampled %v", d["lines"], len(events), len(categories), d["sampled"])
	}
	total := 0.0
	for _, c := range d["categories"].([]any) {
		total += c.(map[string]any)["n"].(float64)
	}
	if total != d["matched"] {
		t.Errorf("the categories add up to %v of %v", total, d["matched"])
	}
	if again := data(); !reflect.DeepEqual(again, d) {
		t.Error("a second report has other data")
	}
}
