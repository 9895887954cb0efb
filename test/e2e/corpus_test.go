package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/conf"
	"fluent-bit-fortiems/test/rig"
	"fluent-bit-fortiems/test/servers"
)

// received is the time of receipt of every line in the golden records.
const received = "1733392800.123456789"

// ship sends a case of the corpus through filter and output.
func ship(t *testing.T, s *servers.Server, dir string, more ...string) {
	t.Helper()
	args := append([]string{"--input", filepath.Join(dir, "input.log"), "--tag", filepath.Base(dir), "--time", received}, more...)
	options := map[string]any{}
	if text, err := os.ReadFile(filepath.Join(dir, "options.yaml")); err == nil {
		if err := yaml.Unmarshal(text, &options); err != nil {
			t.Fatal(err)
		}
	}
	for k, v := range options {
		if b, ok := v.(bool); ok {
			v = map[bool]string{true: "on", false: "off"}[b]
		}
		if k == "rules_file" {
			v = filepath.Join(dir, fmt.Sprint(v))
		}
		args = append(args, "--filter-prop", fmt.Sprintf("%s=%v", k, v))
	}
	run(t, s.URL(), args...).wait(t)
}

// TestCorpusIsStoredAndFound stores the whole corpus with the bootstrap template.
// Nothing is rejected, the stored documents equal the golden records, every value of
// every mapped field is found by a query of its type, and resending the same chunks
// changes nothing.
func TestCorpusIsStoredAndFound(t *testing.T) { corpusIsStored(t, start(t)) }

func corpusIsStored(t *testing.T, s *servers.Server) {
	dirs, err := filepath.Glob("../corpus/*")
	if err != nil || len(dirs) < 30 {
		t.Fatalf("%d cases, %v", len(dirs), err)
	}
	var want []map[string]any
	for _, dir := range dirs {
		records, err := golden(dir)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, records...)
		ship(t, s, dir)
	}
	if n := s.Count(t, stream, ""); n != len(want) {
		t.Errorf("%d documents of %d are stored", n, len(want))
	}
	if n := s.Count(t, dead, ""); n != 0 {
		t.Errorf("%d documents are rejected", n)
	}
	var made struct {
		DataStreams []struct{ Template string } `json:"data_streams"`
	}
	s.Must(t, "GET", "/_data_stream/"+stream, "", &made)
	if len(made.DataStreams) != 1 || made.DataStreams[0].Template != "logs-fortinet.fortiems" {
		t.Errorf("created by %+v", made)
	}
	sameDocuments(t, s, want)
	t.Logf("%d documents", len(want))
	t.Run("every field is found", func(t *testing.T) { findAll(t, s, want) })
	for _, dir := range dirs[:5] {
		ship(t, s, dir)
	}
	if n := s.Count(t, stream, ""); n != len(want) {
		t.Errorf("%d documents after the chunks were resent, %d before", n, len(want))
	}
}

// TestCorpusInElasticsearch stores the corpus in the real core of Elasticsearch,
// in an index per year. The core has no data streams and none of the types of x-pack,
// so the other variant of the template is used.
func TestCorpusInElasticsearch(t *testing.T) {
	rig.Build(t)
	corpusInIndices(t, servers.ForTest(t, servers.Elasticsearch))
}

func corpusInIndices(t *testing.T, s *servers.Server) {
	dirs, err := filepath.Glob("../corpus/*")
	if err != nil || len(dirs) < 30 {
		t.Fatalf("%d cases, %v", len(dirs), err)
	}
	want := 0
	options := []string{
		"--output-prop", "index=fortiems-%Y", "--output-prop", "dead_letter=index:fortiems.dead",
		"--output-prop", "product=opensearch",
	}
	for range 2 {
		want = 0
		for _, dir := range dirs {
			records, err := golden(dir)
			if err != nil {
				t.Fatal(err)
			}
			want += len(records)
			ship(t, s, dir, options...)
		}
	}
	t.Logf("%d documents", want)
	if stored, rejected := s.Count(t, "fortiems-*", ""), s.Count(t, "fortiems.dead", ""); stored != want || rejected != 0 {
		t.Errorf("of %d documents, sent twice, %d are stored, %d rejected", want, stored, rejected)
	}
	if n := s.Count(t, "fortiems-*", `{"term":{"source.ip":"0.0.0.0/0"}}`); n == 0 {
		t.Error("no address is found: the template did not apply")
	}
}

// TestCorpusThroughFluentBit sends all lines of the corpus through a real Fluent Bit.
// test/abi checks that its records equal those of the stand-in host; this test checks
// that all of them are stored.
func TestCorpusThroughFluentBit(t *testing.T) {
	binary := rig.FluentBit(t)
	s := start(t)
	inputs, err := filepath.Glob("../corpus/*/input.log")
	if err != nil || len(inputs) < 30 {
		t.Fatalf("%d cases, %v", len(inputs), err)
	}
	lines, n := "", 0
	for _, in := range inputs {
		text, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.Lines(string(text)) {
			if l = strings.TrimRight(l, "\r\n"); l != "" { // the tail input skips empty lines
				lines += l + "\n"
				n++
			}
		}
	}
	a := startFluentBit(t, binary, s.URL(), t.TempDir(), write(t, lines))
	until(t, "the corpus is stored", func() bool { return s.Count(t, stream, "") >= n && a.idle() })
	if stored, rejected := s.Count(t, stream, ""), s.Count(t, dead, ""); stored != n || rejected != 0 {
		t.Errorf("of %d documents %d are stored, %d rejected", n, stored, rejected)
	}
	if got := s.Count(t, stream, `{"exists":{"field":"fortinet.ems.category"}}`); got < n/2 {
		t.Errorf("only %d documents went through the filter", got)
	}
}

// TestHostileLinesAreStored sends lines that could be rejected: values far longer than
// the longest term of an index, in every kind of field and with four-byte characters,
// and many unknown keys.
func TestHostileLinesAreStored(t *testing.T) {
	s := start(t)
	const head = `emsserial=FCTEMS0000000001 `
	var lines []string
	for _, text := range []string{strings.Repeat("x", 60000), strings.Repeat("\U0001F600", 15000), strings.Repeat("a b=", 15000)} {
		for _, key := range []string{"msg", "user", "hostname", "url", "file", "vpntunnel", "srcip", "srcport", "virus", "nobody_knows", "vulncvss", "type"} {
			lines = append(lines, fmt.Sprintf(`%s%s="%s"`, head, key, text))
		}
		lines = append(lines, `<14>1 2024-10-01T22:17:30Z h app - - [x@1 k="`+text+`"] `+head+`msg="structured"`)
	}
	for i := range 40 {
		line := head
		for k := range 500 {
			line += fmt.Sprintf("key_%d_%d=%d ", i, k, k)
		}
		lines = append(lines, line)
	}
	run(t, s.URL(), "--input", write(t, strings.Join(lines, "\n")+"\n")).wait(t)
	if stored, rejected := s.Count(t, stream, ""), s.Count(t, dead, ""); stored != len(lines) || rejected != 0 {
		t.Errorf("of %d documents %d are stored, %d rejected", len(lines), stored, rejected)
	}
	if _, mapping := s.Do(t, "GET", "/"+stream+"/_mapping", ""); strings.Contains(string(mapping), "key_1_1") {
		t.Error("a sender created a field in the mapping")
	}
}

// sameDocuments compares all stored documents with the records.
func sameDocuments(t *testing.T, s *servers.Server, want []map[string]any) {
	t.Helper()
	_, answer := s.Do(t, "POST", "/"+stream+"/_search?size=10000", `{"sort":["_doc"]}`)
	var got struct {
		Hits struct {
			Hits []struct {
				Source map[string]any `json:"_source"`
			} `json:"hits"`
		} `json:"hits"`
	}
	dec := json.NewDecoder(bytes.NewReader(answer))
	dec.UseNumber()
	if err := dec.Decode(&got); err != nil {
		t.Fatal(err)
	}
	lines := func(records []map[string]any) []string {
		var list []string
		for _, r := range records {
			b, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, string(b))
		}
		slices.Sort(list)
		return list
	}
	var stored []map[string]any
	for _, h := range got.Hits.Hits {
		stored = append(stored, h.Source)
	}
	a, b := lines(stored), lines(want)
	shown := 0
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] && shown < 3 {
			shown++
			t.Errorf("stored:\n%.1500s\nexpected:\n%.1500s", a[i], b[i])
		}
	}
}

// findAll searches for every value of every mapped field.
func findAll(t *testing.T, s *servers.Server, records []map[string]any) {
	types := mapped(t)
	counts := map[string]map[any]int{} // records by field and value
	for _, r := range records {
		values := map[string][]any{}
		leaves("", r, values)
		for field, list := range values {
			if types[field].kind == "" {
				continue
			}
			if counts[field] == nil {
				counts[field] = map[any]int{}
			}
			slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			for _, v := range slices.Compact(list) {
				counts[field][v]++
			}
		}
	}
	searches := 0
	for field, values := range counts {
		for value, n := range values {
			query, exact := queryFor(field, types[field], value)
			if query == nil {
				continue
			}
			searches++
			body, err := json.Marshal(query)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Count(t, stream, string(body)); got != n && (exact || got < n) {
				t.Errorf("%s: %d documents of %d are found by %s", field, got, n, body)
			}
		}
	}
	if len(counts) < 80 || searches < 500 {
		t.Errorf("only %d fields and %d values were searched for", len(counts), searches)
	}
	t.Logf("%d values of %d fields found", searches, len(counts))
}

// fieldType is a leaf of the template.
type fieldType struct {
	kind   string
	ignore int
	hidden bool
}

func mapped(t *testing.T) map[string]fieldType {
	t.Helper()
	text, err := conf.Files.ReadFile("opensearch/index-template.json")
	if err != nil {
		t.Fatal(err)
	}
	type node struct {
		Type        string          `json:"type"`
		IgnoreAbove int             `json:"ignore_above"`
		Index       *bool           `json:"index"`
		Properties  map[string]node `json:"properties"`
	}
	var doc struct {
		Template struct {
			Mappings node `json:"mappings"`
		} `json:"template"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	types := map[string]fieldType{}
	var walk func(prefix string, n node)
	walk = func(prefix string, n node) {
		for name, inner := range n.Properties {
			if inner.Properties != nil {
				walk(prefix+name+".", inner)
			} else if inner.Type != "object" && inner.Type != "geo_point" {
				types[prefix+name] = fieldType{inner.Type, inner.IgnoreAbove, inner.Index != nil && !*inner.Index}
			}
		}
	}
	walk("", doc.Template.Mappings)
	return types
}

// queryFor returns the query that a user would write for a value, and whether it matches
// only documents with exactly this value.
func queryFor(field string, f fieldType, value any) (query any, exact bool) {
	by := func(kind string, v any) any {
		return map[string]any{kind: map[string]any{field: v}}
	}
	between := by("range", map[string]any{"gte": value, "lte": value})
	text := fmt.Sprint(value)
	switch {
	case f.hidden:
		return nil, false
	case f.kind == "text":
		return by("match_phrase", text), false
	case f.kind == "keyword":
		if f.ignore > 0 && len([]rune(text)) > f.ignore {
			return nil, false
		}
		return by("term", text), true
	case f.kind == "ip", f.kind == "long":
		return between, true
	}
	return between, false // float and date are rounded
}
