// Package golden runs the corpus through the filter and checks the records:
// against the golden files, against what each line means, against ECS, and that
// no pair of a line is lost.
package golden

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"
	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/ecs"
)

var update = flag.Bool("update", false, "write the golden files anew")

// Every line is received at 2024-12-05T10:00:00.123456789Z.
const receivedSec, receivedNsec = 1733392800, 123456789

// corpusCase is a folder of the corpus.
type corpusCase struct {
	name, dir string
	rows      []row
	flat      bool
	enricher  *enrich.Enricher
}

// row is a row of lines.tsv: a line, and what it means.
type row struct {
	meaning []string // category, action, outcome, kind; "-" for none
	line    string
}

func corpus(t *testing.T) []corpusCase {
	t.Helper()
	dirs, err := filepath.Glob("../corpus/*")
	if err != nil || len(dirs) < 30 {
		t.Fatalf("%d cases, %v", len(dirs), err)
	}
	var cases []corpusCase
	for _, dir := range dirs {
		c := corpusCase{name: filepath.Base(dir), dir: dir, rows: readRows(t, dir+"/lines.tsv")}
		c.enricher, c.flat = newEnricher(t, dir)
		cases = append(cases, c)
	}
	return cases
}

func readRows(t *testing.T, file string) (rows []row) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		columns := strings.SplitN(line, "\t", 5)
		if len(columns) != 5 {
			t.Fatalf("%s:%d: category, action, outcome, kind and the line are expected, separated by tabs", file, i+1)
		}
		rows = append(rows, row{columns[:4], columns[4]})
	}
	return rows
}

// newEnricher builds the enricher with the options of a case.
func newEnricher(t *testing.T, dir string) (e *enrich.Enricher, flat bool) {
	t.Helper()
	options := map[string]any{}
	if text, err := os.ReadFile(dir + "/options.yaml"); err == nil {
		if err := yaml.Unmarshal(text, &options); err != nil {
			t.Fatal(dir, err)
		}
	}
	cfg, err := option.ParseFilter(func(key string) string {
		if v, ok := options[key]; ok {
			return fmt.Sprint(v)
		}
		return ""
	})
	if err != nil {
		t.Fatal(dir, err)
	}
	o := enrich.Options{
		KeyNames: cfg.KeyNames, Schema: cfg.Schema, Location: cfg.Location, EventTime: cfg.EventTime,
		PreserveOriginal: cfg.PreserveOriginal, Unmatched: cfg.Unmatched,
	}
	if cfg.RulesFile != "" {
		if o.Rules, err = rule.Load(filepath.Join(dir, cfg.RulesFile)); err != nil {
			t.Fatal(err)
		}
	}
	return enrich.New(o), cfg.Schema == option.Flat
}

// record is what became of a line; nil when it was dropped.
type record map[string]any

// run sends one line through the filter.
func (c *corpusCase) run(t *testing.T, line string) record {
	t.Helper()
	chunk := event.AppendTime([]byte{0x92, 0x92}, receivedSec, receivedNsec)
	chunk = append(chunk, 0xdf, 0, 0, 0, 0, 0x81)
	chunk = msgp.AppendString(chunk, "message")
	chunk = msgp.AppendString(chunk, line)
	out, st, err := c.enricher.Run(nil, chunk)
	if err != nil {
		t.Fatal(err)
	}
	if !st.Changed {
		out = chunk
	}
	if len(out) == 0 {
		return nil
	}
	ev, rest, err := event.Next(out)
	if err != nil || len(rest) > 0 {
		t.Fatalf("%v, %d bytes behind the event", err, len(rest))
	}
	var js bytes.Buffer
	if _, err := msgp.UnmarshalAsJSON(&js, ev.Record); err != nil {
		t.Fatal(err)
	}
	r := record{}
	dec := json.NewDecoder(&js)
	dec.UseNumber()
	if err := dec.Decode(&r); err != nil {
		t.Fatal(err)
	}
	r["@timestamp"] = time.Unix(ev.Sec, int64(ev.Nsec)).UTC().Format("2006-01-02T15:04:05.000000000Z")
	return r
}

// get returns the value of a dotted name.
func (r record) get(name string) any {
	var v any = map[string]any(r)
	for _, part := range strings.Split(name, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

// TestCorpusGivesTheGoldenRecords compares input.log and expected.ndjson with what the
// lines of lines.tsv give. -update writes both.
func TestCorpusGivesTheGoldenRecords(t *testing.T) {
	for _, c := range corpus(t) {
		t.Run(c.name, func(t *testing.T) {
			var input, got bytes.Buffer
			for _, row := range c.rows {
				input.WriteString(row.line + "\n")
				if r := c.run(t, row.line); r != nil {
					b, err := json.Marshal(r) // keys in alphabetical order
					if err != nil {
						t.Fatal(err)
					}
					got.Write(append(b, '\n'))
				}
			}
			checkFile(t, c.dir+"/input.log", input.Bytes())
			checkFile(t, c.dir+"/expected.ndjson", got.Bytes())
		})
	}
}

func checkFile(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	if len(g) != len(w) {
		t.Errorf("%s has %d lines, want %d (make golden)", file, len(w)-1, len(g)-1)
	}
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			t.Errorf("%s:%d (make golden)\n got %s\nwant %s", file, i+1, g[i], w[i])
		}
	}
}

// TestLinesMeanWhatTheyMean compares with the meanings in lines.tsv, which people wrote
// from the text of the lines.
func TestLinesMeanWhatTheyMean(t *testing.T) {
	for _, c := range corpus(t) {
		if c.flat {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			for i, row := range c.rows {
				if got := meaning(c.run(t, row.line)); !slices.Equal(got, row.meaning) {
					t.Errorf("lines.tsv:%d means %v, want %v\n%s", i+1, got, row.meaning, row.line)
				}
			}
		})
	}
}

func meaning(r record) []string {
	if r.get("fortinet.ems.category") == nil {
		return []string{"unmatched", "-", "-", "-"}
	}
	var m []string
	for _, name := range []string{"fortinet.ems.category", "event.action", "event.outcome", "event.kind"} {
		v, ok := r.get(name).(string)
		if !ok {
			v = "-"
		}
		m = append(m, v)
	}
	return m
}

// TestRecordsAreECS checks every field, its type and every pair of category and
// type over the corpus.
func TestRecordsAreECS(t *testing.T) {
	fields, err := ecs.Fields()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, c := range corpus(t) {
		if c.flat {
			continue
		}
		for i, row := range c.rows {
			line := row.line
			r := c.run(t, line)
			if r.get("fortinet.ems.category") == nil && r.get("event.kind") == nil {
				continue
			}
			checked++
			where := fmt.Sprintf("%s line %d", c.name, i+1)
			checkObject(t, where, "", r, fields)
			checkPair(t, where, r, fields["event.category"])
		}
	}
	if checked < 400 {
		t.Errorf("only %d records were checked", checked)
	}
}

func checkObject(t *testing.T, where, prefix string, object map[string]any, fields map[string]ecs.Field) {
	t.Helper()
	for name, v := range object {
		path := strings.TrimPrefix(prefix+"."+name, ".")
		f, ok := fields[path]
		nested, isObject := v.(map[string]any)
		switch {
		case path == "fortinet" || path == "labels":
		case ok && (f.Type == "flattened" || f.Type == "object"):
			if !isObject {
				t.Errorf("%s: %s is no object", where, path)
			}
		case isObject:
			checkObject(t, where, path, nested, fields)
		case !ok:
			t.Errorf("%s: %s is no field of ECS", where, path)
		default:
			checkValue(t, where, path, v, f)
		}
	}
}

func checkValue(t *testing.T, where, path string, v any, f ecs.Field) {
	t.Helper()
	values := []any{v}
	if list, ok := v.([]any); ok != f.Array {
		t.Errorf("%s: %s is a list: %v, in ECS: %v", where, path, ok, f.Array)
	} else if ok {
		values = list
	}
	for _, v := range values {
		number, isNumber := v.(json.Number)
		text, isText := v.(string)
		good := isText
		switch f.Type {
		case "long":
			_, err := number.Int64()
			good = isNumber && err == nil
		case "float":
			good = isNumber
		case "ip":
			_, err := netip.ParseAddr(text)
			good = isText && err == nil
		case "date":
			_, err := time.Parse(time.RFC3339Nano, text)
			good = isText && err == nil
		}
		if !good {
			t.Errorf("%s: %s = %v is no %s", where, path, v, f.Type)
		}
		if len(f.Allowed) > 0 && !slices.Contains(f.Allowed, text) {
			t.Errorf("%s: %s = %q is not allowed", where, path, text)
		}
	}
}

func checkPair(t *testing.T, where string, r record, f ecs.Field) {
	t.Helper()
	categories, _ := r.get("event.category").([]any)
	types, _ := r.get("event.type").([]any)
	for _, typ := range types {
		if !slices.ContainsFunc(categories, func(c any) bool { return slices.Contains(f.Expected[c.(string)], typ.(string)) }) {
			t.Errorf("%s: event.type %v is not expected in event.category %v", where, typ, categories)
		}
	}
}

// plainPair is a pair of the simple kinds: bare without a blank, or quoted
// without a quote or backslash inside. Lines of other quoting are checked by the
// golden files.
var plainPair = regexp.MustCompile(`(?:^|[ >])([a-z_]+)=(?:"([^"\\]*)"|([^" ]+))(?: +[a-z_]+=|$)`)

// TestNoPairIsLost finds the value of every plain pair of every line again in
// the record, but null markers and times that the record time represents.
func TestNoPairIsLost(t *testing.T) {
	times := []string{"date", "time", "dtime", "eventtime", "timestamp", "itime", "itime_t", "tz", "timezone"}
	checked := 0
	for _, c := range corpus(t) {
		if c.flat || strings.HasPrefix(c.name, "quirk-formats") || strings.HasPrefix(c.name, "quirk-quotes") ||
			strings.HasPrefix(c.name, "relay-") || strings.HasPrefix(c.name, "json-wrapped") || strings.HasPrefix(c.name, "notation-") {
			continue // other notations than plainPair knows
		}
		for i, row := range c.rows {
			line := row.line
			r := c.run(t, line)
			if r.get("fortinet.ems.category") == nil {
				continue
			}
			have := map[string]bool{}
			collect(r, have)
			for s := line; ; {
				m := plainPair.FindStringSubmatchIndex(s)
				if m == nil {
					break
				}
				key, value, end := s[m[2]:m[3]], "", 0
				if m[4] >= 0 {
					value, end = s[m[4]:m[5]], m[5]+1
				} else {
					value, end = s[m[6]:m[7]], m[7]
				}
				s = s[end:]
				checked++
				if isNull(key, value) || slices.Contains(times, key) && r.get("event.timezone") != nil || isRecordTime(key, value, r) {
					continue
				}
				if !found(have, value) {
					t.Errorf("%s/lines.tsv:%d: %s=%q is lost: a conversion must return false if the fields do not hold the whole value; "+
						"if it splits values at another character, add that to found", c.name, i+1, key, value)
				}
			}
		}
	}
	if checked < 4000 {
		t.Errorf("only %d pairs were checked", checked)
	}
}

func collect(v any, have map[string]bool) {
	switch v := v.(type) {
	case record:
		collect(map[string]any(v), have)
	case map[string]any:
		for _, x := range v {
			collect(x, have)
		}
	case []any:
		for _, x := range v {
			collect(x, have)
		}
	case string:
		have[strings.ToLower(v)] = true
	case json.Number:
		have[v.String()] = true
	}
}

func isNull(key, value string) bool {
	return value == "" || value == "N/A" || value == "(null)" || value == "-" || value == "0" && strings.HasSuffix(key, "port")
}

// isRecordTime reports whether a clock since 1970 says the time of the record.
func isRecordTime(key, value string, r record) bool {
	if key != "eventtime" && key != "dtime" && key != "timestamp" && key != "itime" && key != "itime_t" {
		return false
	}
	at, err := time.Parse(time.RFC3339Nano, r.get("@timestamp").(string))
	digits := strings.Trim(fmt.Sprint(at.UnixNano()), " ")
	value, _, _ = strings.Cut(strings.ToLower(value), "e") // 1.72782105e9
	value = strings.NewReplacer(".", "", ",", "").Replace(value)
	return err == nil && strings.TrimRight(digits, "0") == strings.TrimRight(value, "0")
}

// found reports whether a value, or all the parts into which the contract splits
// it, stand in the record.
func found(have map[string]bool, value string) bool {
	value = strings.ToLower(value)
	if have[value] || have[strings.ReplaceAll(value, ":", "-")] {
		return true
	}
	for v := range have { // a MAC address in another notation
		if len(v) == 17 && strings.ReplaceAll(v, "-", "") == strings.NewReplacer(":", "", ".", "", "-", "").Replace(value) {
			return true
		}
	}
	for _, sep := range []string{`\`, "@", ",", ";"} {
		if parts := strings.Split(value, sep); len(parts) > 1 {
			if !slices.ContainsFunc(parts, func(p string) bool {
				p = strings.TrimSpace(p)
				return p != "" && !have[p] && !have[strings.ReplaceAll(p, ":", "-")]
			}) {
				return true
			}
		}
	}
	return false
}
