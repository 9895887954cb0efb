// Package cases runs lines as other projects' users report them, each with the fields that
// its record must have, through the stand-in host and every real Fluent Bit.
//
// lines.jsonl has one case a line: input is the text of the raw key, or a whole
// configuration in YAML; expect maps dotted names to values, null for a field that must not
// be there, "2:name" for the second record, "#records" for their number; source is the
// report that it comes from. A time is compared as far as the case gives it.
package cases

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"
	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/test/rig"
)

// testCase is a line of lines.jsonl.
type testCase struct {
	Name, Input, Kind, Source string
	Expect                    map[string]any
}

// pipeline reports whether the input is a configuration.
func (c *testCase) pipeline() bool { return strings.HasPrefix(c.Input, "pipeline:") }

// received is the time of receipt, a day after the event: some headers name no year.
func (c *testCase) received(t *testing.T) time.Time {
	at := "2024-10-01T22:17:30"
	if want, ok := c.Expect["@timestamp"].(string); ok {
		at = want
	}
	when, err := time.Parse("2006-01-02T15:04:05", at[:len("2006-01-02T15:04:05")])
	if err != nil {
		t.Fatalf("%s: %v", c.Name, err)
	}
	return when.Add(24 * time.Hour)
}

func readCases(t *testing.T) (list []testCase) {
	t.Helper()
	text, err := os.ReadFile("lines.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for l := range bytes.Lines(text) {
		var c testCase
		if err := json.Unmarshal(l, &c); err != nil {
			t.Fatalf("line %d: %v", len(list)+1, err)
		}
		if c.Name == "" || c.Source == "" || len(c.Expect) == 0 || names[c.Name] {
			t.Fatalf("line %d: a case needs a name of its own, a source and fields to expect", len(list)+1)
		}
		names[c.Name] = true
		list = append(list, c)
	}
	return list
}

// record is a record as the hosts print it.
type record = map[string]any

// readRecords reads JSON lines among others.
func readRecords(t *testing.T, out string) (list []record) {
	t.Helper()
	for l := range strings.Lines(out) {
		if !strings.HasPrefix(l, "{") || !strings.HasSuffix(l, "\n") {
			continue
		}
		var r record
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			t.Fatalf("%v in %s", err, l)
		}
		list = append(list, r)
	}
	return list
}

// byCase groups records by the key case, which the inputs carry.
func byCase(records []record) map[string][]record {
	groups := map[string][]record{}
	for _, r := range records {
		name, _ := r["case"].(string)
		groups[name] = append(groups[name], r)
	}
	return groups
}

// field returns the value at a dotted name.
func field(r record, name string) any {
	if v, ok := r[name]; ok {
		return v
	}
	var v any = r
	for part := range strings.SplitSeq(name, ".") {
		m, _ := v.(record)
		if v = m[part]; v == nil {
			return nil
		}
	}
	return v
}

// check compares records with what the case expects.
func (c *testCase) check(t *testing.T, records []record) {
	t.Helper()
	if len(records) == 0 {
		t.Fatalf("no record of %q", c.Input)
	}
	for name, want := range c.Expect {
		if name == "#records" {
			if float64(len(records)) != want {
				t.Errorf("%d records, want %v", len(records), want)
			}
			continue
		}
		r := records[0]
		if number, rest, ok := strings.Cut(name, ":"); ok {
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 {
				t.Fatalf("%s: expects %q", c.Name, name)
			}
			if n > len(records) {
				t.Errorf("%s: there is no record %d", rest, n)
				continue
			}
			r, name = records[n-1], rest
		}
		if got := field(r, name); !sameValue(name, got, want) {
			t.Errorf("%s is %v, want %v", name, asJSON(got), asJSON(want))
		}
	}
	if t.Failed() {
		for _, r := range records {
			t.Logf("input %q\nrecord %s", c.Input, asJSON(r))
		}
	}
}

func sameValue(name string, got, want any) bool {
	if name != "@timestamp" {
		return reflect.DeepEqual(got, want)
	}
	a, ok := got.(string)
	b, ok2 := want.(string)
	// A real Fluent Bit prints microseconds, and a case may give only seconds.
	n := min(len("2006-01-02T15:04:05.000000"), len(b))
	return ok && ok2 && len(a) > n && a[:n] == b[:n]
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// appendEvent appends an event as the syslog input makes it.
func appendEvent(chunk []byte, at time.Time, pairs map[string]any) []byte {
	chunk = append(chunk, 0x92, 0x92)
	chunk = event.AppendTime(chunk, at.Unix(), int32(at.Nanosecond()))
	chunk = append(chunk, 0xdf, 0, 0, 0, 0)
	chunk, err := msgp.AppendMapStrIntf(chunk, pairs)
	if err != nil {
		panic(err) // the pairs are texts
	}
	return chunk
}

// standIn runs the stand-in host over a chunk.
func standIn(t *testing.T, chunk []byte, args ...string) []record {
	t.Helper()
	file := filepath.Join(t.TempDir(), "chunk")
	if err := os.WriteFile(file, chunk, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(rig.Host, append([]string{"--filter", rig.Object, "--raw-chunk", file}, args...)...)
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, log.Bytes())
	}
	return readRecords(t, string(out))
}

// config is what the cases with a whole configuration have in it.
type config struct {
	Pipeline struct {
		Inputs  []struct{ Dummy string }
		Filters []map[string]string
	}
}

func TestStandIn(t *testing.T) {
	rig.Build(t)
	cases := readCases(t)
	var chunk []byte
	for _, c := range cases {
		if !c.pipeline() {
			chunk = appendEvent(chunk, c.received(t), map[string]any{"log": c.Input, "case": c.Name})
		}
	}
	got := byCase(standIn(t, chunk))
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if !c.pipeline() {
				c.check(t, got[c.Name])
				return
			}
			// A second pass, as rewrite_tag makes it.
			var y config
			if err := yaml.Unmarshal([]byte(c.Input), &y); err != nil {
				t.Fatal(err)
			}
			var in map[string]any
			if err := json.Unmarshal([]byte(y.Pipeline.Inputs[0].Dummy), &in); err != nil {
				t.Fatal(err)
			}
			args := []string{"--chain", "--instances", "2"}
			for k, v := range y.Pipeline.Filters[0] {
				if k != "name" && k != "match" {
					args = append(args, "--filter-prop", k+"="+v)
				}
			}
			c.check(t, standIn(t, appendEvent(nil, c.received(t), in), args...))
		})
	}
}

// patience is how long a real Fluent Bit may take for its records.
const patience = 30 * time.Second

// realRecords runs a real Fluent Bit until enough holds for its records.
func realRecords(t *testing.T, bin, config string, enough func([]record) bool) []record {
	t.Helper()
	file := filepath.Join(t.TempDir(), "fluent-bit.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, log rig.Output
	cmd := exec.Command(bin, "-e", rig.Object, "-c", file)
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !enough(readRecords(t, out.String())) && time.Now().Before(end); {
		<-tick.C
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	return readRecords(t, out.String())
}

const service = "service: {flush: 0.2, grace: 1, log_level: warn}\n"

func TestReal(t *testing.T) {
	rig.Build(t)
	for i, bin := range rig.FluentBits(t) {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) { testReal(t, bin) })
	}
}

func testReal(t *testing.T, bin string) {
	cases := readCases(t)
	var inputs []map[string]any
	want := 0
	for _, c := range cases {
		if c.pipeline() {
			continue
		}
		in, err := json.Marshal(record{"log": c.Input, "case": c.Name})
		if err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, map[string]any{
			"name": "dummy", "tag": "a", "dummy": string(in), "samples": 1,
			"fixed_timestamp": "on", "start_time_sec": c.received(t).Unix(),
		})
		want++
	}
	text, err := yaml.Marshal(map[string]any{"pipeline": map[string]any{
		"inputs":  inputs,
		"filters": []record{{"name": "fortiems", "match": "*"}},
		"outputs": []record{{"name": "stdout", "match": "*", "format": "json_lines", "json_date_key": "@timestamp", "json_date_format": "iso8601"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := byCase(realRecords(t, bin, service+string(text), func(r []record) bool { return len(byCase(r)) >= want }))
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			records := got[c.Name]
			if c.pipeline() {
				records = realRecords(t, bin, service+c.Input, func(r []record) bool { return len(r) > 0 })
			}
			c.check(t, records)
		})
	}
}
