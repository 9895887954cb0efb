package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"fluent-bit-fortiems/test/servers"
)

// deadLetters are as the output writes them (plugin/esbulk/deadletter.go).
var deadLetters = []object{
	{"@timestamp": "2024-12-05T10:00:00.000Z", "event": object{"kind": "pipeline_error", "module": "fortinet", "dataset": "fortinet.fortiems.dead_letter"},
		"error": object{"type": "document_parsing_exception", "message": "failed to parse field [labels.x]"}, "http": object{"response": object{"status_code": 400}},
		"dead_letter": object{"encoding": "json", "target": "logs-fortinet.fortiems-default", "id": "a", "tag": "fortiems", "document": "{}"}},
	{"@timestamp": "2024-12-06T10:00:00.000Z", "event": object{"kind": "pipeline_error", "module": "fortinet", "dataset": "fortinet.fortiems.dead_letter"},
		"error": object{"type": "not_convertible", "message": "cut short"}, "dead_letter": object{"encoding": "msgpack+base64", "target": "logs-fortinet.fortiems-default", "id": "b", "tag": "fortiems", "document": "gA=="}},
}

// flatten returns the values of every field by its dotted name.
func flatten(doc object) map[string][]string {
	out := map[string][]string{}
	var walk func(name string, v any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case object:
			for k, e := range v {
				if name != "" {
					k = name + "." + k
				}
				walk(k, e)
			}
		case []any:
			for _, e := range v {
				walk(name, e)
			}
		case nil:
		default:
			out[name] = append(out[name], fmt.Sprint(v))
		}
	}
	walk("", doc)
	return out
}

// document is a golden record: its indexed values by field.
type document map[string][]string

// corpusDocuments returns the golden records of the corpus in schema ecs.
func corpusDocuments(t *testing.T) (lines [][]byte, docs []document) {
	t.Helper()
	files, err := filepath.Glob("../corpus/*/expected.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	m := readMapping(t, "../../conf/opensearch/index-template.json")
	for _, f := range files {
		if strings.Contains(f, "options-flat") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(text) {
			var o object
			dec := json.NewDecoder(bytes.NewReader(line))
			dec.UseNumber()
			if err := dec.Decode(&o); err != nil {
				t.Fatal(f, err)
			}
			lines = append(lines, bytes.TrimSpace(line))
			docs = append(docs, indexed(flatten(o), m))
		}
	}
	return lines, docs
}

// indexed drops the values that the mapping does not index for their length.
func indexed(fields map[string][]string, m mapping) document {
	for name, vs := range fields {
		if limit := m[name].limit; limit > 0 {
			vs = slices.DeleteFunc(vs, func(v string) bool { return len(utf16.Encode([]rune(v))) > limit })
			fields[name] = vs
		}
		if len(vs) == 0 {
			delete(fields, name)
		}
	}
	return fields
}

// matches evaluates the condition of a panel directly from the description.
func (p *panel) matches(d document) bool {
	hasAny := func(field string, wanted values) bool {
		return slices.ContainsFunc(d[field], func(v string) bool { return slices.Contains(wanted, v) })
	}
	for f, v := range p.Where {
		if !hasAny(f, v) {
			return false
		}
	}
	for f, v := range p.Without {
		if hasAny(f, v) {
			return false
		}
	}
	for _, f := range p.Exists {
		if len(d[f]) == 0 {
			return false
		}
	}
	for _, f := range p.Missing {
		if len(d[f]) > 0 {
			return false
		}
	}
	return true
}

// level is one aggregation of a query: terms of a field, or days.
type level struct {
	field string
	top   int
	days  bool
}

// question is the query that a front end sends for a panel.
type question struct {
	index  string
	query  string
	levels []level
	last   bool   // also the newest time
	time   string // field with the time; "" is @timestamp
}

// body is the search request that the front ends send, apart from the time range.
func (q question) body(t *testing.T) string {
	t.Helper()
	at := cmp.Or(q.time, "@timestamp")
	var aggs object
	if q.last {
		aggs = object{"last": object{"max": object{"field": at}}}
	}
	for _, l := range slices.Backward(q.levels) {
		a := object{"terms": object{"field": l.field, "size": l.top, "order": object{"_count": "desc"}}}
		if l.days {
			a = object{"date_histogram": object{"field": at, "fixed_interval": "1d", "min_doc_count": 1}}
		}
		if aggs != nil {
			a["aggs"] = aggs
		}
		aggs = object{"by": a}
	}
	b := object{"size": 0, "track_total_hits": true}
	if aggs != nil {
		b["aggs"] = aggs
	}
	if q.query != "" {
		b["query"] = object{"query_string": object{"query": q.query, "analyze_wildcard": true}}
	}
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// fromSavedObject reads the query from an object of an import file.
func fromSavedObject(t *testing.T, objects map[string]savedObject, id string) (q question) {
	t.Helper()
	o := objects[id]
	q.index = objects[o.References[0].ID].Attributes.Title
	var source struct {
		Query struct{ Query, Language string }
	}
	if err := json.Unmarshal([]byte(o.Attributes.Meta.SearchSourceJSON), &source); err != nil || source.Query.Language != "lucene" {
		t.Fatal(id, source, err)
	}
	q.query = source.Query.Query
	if o.Type == "search" {
		return q
	}
	var vis struct {
		Aggs []struct {
			Type, Schema string
			Params       struct {
				Field string
				Size  int
			}
		}
	}
	if err := json.Unmarshal([]byte(o.Attributes.VisState), &vis); err != nil {
		t.Fatal(id, err)
	}
	for _, a := range vis.Aggs {
		switch a.Type {
		case "terms":
			q.levels = append(q.levels, level{field: a.Params.Field, top: a.Params.Size})
		case "date_histogram":
			q.levels = append(q.levels, level{days: true})
		case "max":
			q.last = true
		case "count":
		default:
			t.Errorf("%s: aggregation %s", id, a.Type)
		}
	}
	return q
}

// fromGrafana reads the query from a target.
func fromGrafana(t *testing.T, d *description, target grafanaTarget) (q question) {
	t.Helper()
	v, ok := d.Views[strings.Trim(target.Datasource.UID, "${}")]
	if !ok {
		t.Fatal("no view for", target.Datasource.UID)
	}
	q.index, q.query = v.Pattern, strings.ReplaceAll(target.Query, "$query", "*")
	for _, b := range target.BucketAggs {
		if b.Type == "date_histogram" {
			q.levels = append(q.levels, level{days: true})
			continue
		}
		top, err := strconv.Atoi(b.Settings.Size)
		if err != nil {
			t.Fatal(err)
		}
		q.levels = append(q.levels, level{field: b.Field, top: top})
	}
	for _, m := range target.Metrics {
		q.last = q.last || m.Type == "max"
	}
	return q
}

// bucket is one bucket of a response.
type bucket struct {
	Key         any
	KeyAsString string `json:"key_as_string"`
	Count       int    `json:"doc_count"`
	By          struct{ Buckets []bucket }
	Last        struct{ Value float64 }
}

// compare checks buckets against documents, level by level.
func compare(got []bucket, docs []document, q question) error {
	l := q.levels[0]
	groups := map[string][]document{}
	for _, d := range docs {
		keys := slices.Clone(d[l.field])
		if l.days {
			at, err := time.Parse(time.RFC3339Nano, d["@timestamp"][0])
			if err != nil {
				return err
			}
			keys = []string{fmt.Sprint(at.Truncate(24 * time.Hour).UnixMilli())}
		}
		slices.Sort(keys)
		for _, k := range slices.Compact(keys) {
			groups[k] = append(groups[k], d)
		}
	}
	want := len(groups)
	if !l.days {
		want = min(want, l.top)
	}
	if len(got) != want {
		return fmt.Errorf("%d buckets of %s, the corpus has %d", len(got), l.field, want)
	}
	least := 0
	for i, b := range got {
		key := fmt.Sprint(b.Key)
		if f, ok := b.Key.(float64); ok {
			key = strconv.FormatFloat(f, 'f', -1, 64)
		}
		if len(groups[key]) != b.Count {
			return fmt.Errorf("%s %q: %d documents, the corpus has %d", l.field, key, b.Count, len(groups[key]))
		}
		if len(q.levels) > 1 {
			rest := q
			rest.levels = q.levels[1:]
			if err := compare(b.By.Buckets, groups[key], rest); err != nil {
				return fmt.Errorf("%q: %w", key, err)
			}
		} else if q.last && int64(b.Last.Value) != newest(groups[key]) {
			return fmt.Errorf("%q: newest %f, the corpus has %d", key, b.Last.Value, newest(groups[key]))
		}
		if i == 0 || b.Count < least {
			least = b.Count
		}
		delete(groups, key)
	}
	for key, left := range groups {
		if len(left) > least {
			return fmt.Errorf("%s %q with %d documents is left out", l.field, key, len(left))
		}
	}
	return nil
}

// newest returns the latest time of documents in milliseconds.
func newest(docs []document) (last int64) {
	for _, d := range docs {
		at, err := time.Parse(time.RFC3339Nano, d["@timestamp"][0])
		if err == nil {
			last = max(last, at.UnixMilli())
		}
	}
	return last
}

// TestEveryPanelReturnsWhatTheCorpusHolds loads the golden records into a real
// OpenSearch, sends the query of each front end, and compares with the records.
func TestEveryPanelReturnsWhatTheCorpusHolds(t *testing.T) {
	s := servers.ForTest(t, servers.OpenSearch)
	d := mustRead(t)
	lines, docs := corpusDocuments(t)
	var letters []document
	var letterLines [][]byte
	for _, l := range deadLetters {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		letterLines = append(letterLines, text)
		letters = append(letters, flatten(l))
	}
	fill(t, s, "index-template", "logs-fortinet.fortiems-default", lines)
	fill(t, s, "dead-letter-template", "logs-fortinet.fortiems.dead_letter-default", letterLines)
	k, o := imported(t, "kibana.ndjson"), imported(t, "opensearch-dashboards.ndjson")
	for _, p := range d.Pages {
		g := grafana(t, p.ID)
		for i, pan := range p.Panels {
			of := map[string][]document{"events": docs, "dead_letters": letters}[pan.View]
			want := slices.DeleteFunc(slices.Clone(of), func(d document) bool { return !pan.matches(d) })
			if len(want) == 0 {
				t.Errorf("%s, %q: the corpus holds nothing for it", p.ID, pan.Title)
			}
			questions := map[string]question{
				"kibana": fromSavedObject(t, k, panelID(p, pan)), "opensearch": fromSavedObject(t, o, panelID(p, pan)),
				"grafana": fromGrafana(t, d, g.Panels[i].Targets[0]),
			}
			for _, name := range slices.Sorted(maps.Keys(questions)) {
				if err := ask(t, s, questions[name], want); err != nil {
					t.Errorf("%s, %s, %q: %v", name, p.ID, pan.Title, err)
				}
			}
		}
	}
}

func ask(t *testing.T, s *servers.Server, q question, want []document) error {
	t.Helper()
	var got struct {
		Hits         struct{ Total struct{ Value int } }
		Aggregations struct{ By struct{ Buckets []bucket } }
	}
	s.Must(t, "POST", "/"+q.index+"/_search", q.body(t), &got)
	if got.Hits.Total.Value != len(want) {
		return fmt.Errorf("%d documents for %s, the corpus has %d", got.Hits.Total.Value, q.query, len(want))
	}
	if len(q.levels) == 0 {
		return nil
	}
	return compare(got.Aggregations.By.Buckets, want, q)
}

// fill installs a template and stores documents in a data stream.
func fill(t *testing.T, s *servers.Server, template, stream string, lines [][]byte) {
	t.Helper()
	text, err := os.ReadFile("../../conf/opensearch/" + template + ".json")
	if err != nil {
		t.Fatal(err)
	}
	s.Must(t, "PUT", "/_index_template/"+stream, string(text), nil)
	var body bytes.Buffer
	for _, l := range lines {
		body.WriteString("{\"create\":{}}\n")
		body.Write(l)
		body.WriteByte('\n')
	}
	var got struct {
		Errors bool
		Items  []map[string]struct {
			Status int
			Error  json.RawMessage
		}
	}
	s.Must(t, "POST", "/"+stream+"/_bulk?refresh=true", body.String(), &got)
	for i, item := range got.Items {
		if item["create"].Status != 201 {
			t.Fatalf("%s: %d %s", lines[i], item["create"].Status, item["create"].Error)
		}
	}
}
