package bootstrap

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/test/servers"
)

const defaultStream = dataName + "-default"

// ours are the mappings of our template with other types of some fields.
func ours(t *testing.T, product string, other map[string]string) map[string]any {
	t.Helper()
	doc, _, err := load(product, "index-template.json")
	if err != nil {
		t.Fatal(err)
	}
	mappings, _ := at(doc, "template", "mappings")
	for name, kind := range other {
		path := strings.Split("properties."+strings.ReplaceAll(name, ".", ".properties."), ".")
		parent, ok := at(mappings, path[:len(path)-1]...)
		if !ok {
			t.Fatal(name)
		}
		parent[path[len(path)-1]] = map[string]any{"type": kind}
	}
	return mappings
}

func TestOtherTypes(t *testing.T) {
	wanted := fieldTypes{"a": "keyword", "b.ip": "ip", "c": "long", "d": "keyword", "e": "date"}
	for name, c := range map[string]struct {
		found fieldTypes
		want  string
	}{
		"the same":                    {wanted, ""},
		"none yet but addresses":      {fieldTypes{"b.ip": "ip"}, ""},
		"an address without a type":   {fieldTypes{}, "b.ip is without a type instead of ip"},
		"what is guessed first":       {fieldTypes{"a": "text"}, "a is text instead of keyword, b.ip is without a type instead of ip"},
		"a field of others":           {fieldTypes{"b.ip": "ip", "x": "text"}, ""},
		"addresses and numbers first": {fieldTypes{"a": "text", "b.ip": "text", "c": "text", "d": "text", "e": "text"}, "b.ip is text instead of ip, e is text instead of date, c is text instead of long, and 2 more"},
	} {
		if got := otherTypes(c.found, wanted); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	got := typesOf(map[string]any{"properties": map[string]any{
		"a": map[string]any{"type": "text", "fields": map[string]any{"keyword": map[string]any{"type": "keyword"}}},
		"b": map[string]any{"properties": map[string]any{"ip": map[string]any{"type": "ip"}}},
		"c": map[string]any{"type": "alias", "path": "a"}, "d": "text", "e": map[string]any{"type": "object"},
	}})
	if want := (fieldTypes{"a": "text", "b.ip": "ip", "e": "object"}); !sameJSON(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestTypesOfTheTarget: what has, or would get, other types than ours is named; one that
// exists is used all the same, one that would be made is refused.
func TestTypesOfTheTarget(t *testing.T) {
	const differ = "source.ip is text instead of ip, source.port is keyword instead of long"
	guessed := map[string]string{"source.ip": "text", "source.port": "keyword"}
	foreign := func(mappings map[string]any) map[string]any {
		return map[string]any{"index_patterns": []any{"logs-fortinet*"}, "priority": 500.0, "data_stream": map[string]any{}, "template": map[string]any{"mappings": mappings}}
	}
	denied := scripted{status: 403, body: forbidden}
	const simulate = "POST /_index_template/_simulate_index/" + defaultStream
	for _, product := range []string{elasticsearch, opensearch} {
		for name, c := range map[string]struct {
			prepare     func(*fake)
			fails, warn string
		}{
			"the stream has ours": {func(f *fake) { f.streams = []string{defaultStream} }, "", ""},
			"the stream has others": {func(f *fake) {
				f.streams, f.mappings = []string{defaultStream}, map[string]map[string]any{defaultStream: ours(t, product, guessed)}
			}, "", "data stream " + defaultStream + " has other field types than our template: " + differ + "; give it the types with POST /" + defaultStream + "/_rollover"},
			"and a foreign template would make them again": {func(f *fake) {
				f.streams, f.mappings = []string{defaultStream}, map[string]map[string]any{defaultStream: ours(t, product, guessed)}
				f.templates["ops"] = foreign(nil)
			}, "", "; lower the priority (500) of index template ops below 250, then give it"},
			"the stream cannot be read": {func(f *fake) {
				f.streams = []string{defaultStream}
				f.answers["GET /"+defaultStream+"/_mapping"] = denied
			}, "", ""},
			"reading it fails": {func(f *fake) {
				f.streams = []string{defaultStream}
				f.answers["GET /"+defaultStream+"/_mapping"] = scripted{status: 500, body: `{"error":{"type":"null_pointer_exception"}}`}
			}, "", ""},
			"no mapping comes": {func(f *fake) {
				f.streams = []string{defaultStream}
				f.answers["GET /"+defaultStream+"/_mapping"] = scripted{status: 200, body: `[]`}
			}, "", ""},
			"a foreign template with the same types": {func(f *fake) { f.templates["ops"] = foreign(ours(t, product, nil)) }, "", ""},
			"a foreign template with others": {func(f *fake) { f.templates["ops"] = foreign(ours(t, product, guessed)) },
				"index template ops (priority 500) wins over " + dataName + ", so the field types of " + defaultStream + " would be guessed (" + differ + "): remove it", ""},
			"the list of templates is hidden": {func(f *fake) { f.answers["GET /_index_template"] = denied }, "", ""},
			"it is, and a foreign one has others": {func(f *fake) {
				f.templates["ops"] = foreign(ours(t, product, guessed))
				f.answers["GET /_index_template"] = denied
			}, "an index template that the user may not see wins over " + dataName + ", so the field types of " + defaultStream + " would be guessed (" + differ + ")", ""},
			"it is, and a foreign one has the same": {func(f *fake) {
				f.templates["ops"] = foreign(ours(t, product, nil))
				f.answers["GET /_index_template"] = denied
			}, "", ""},
			"neither can be asked": {func(f *fake) {
				f.templates["ops"] = foreign(nil)
				f.answers["GET /_index_template"], f.answers[simulate] = denied, denied
			}, "", ""},
			"the server does not simulate": {func(f *fake) {
				f.templates["ops"] = foreign(ours(t, product, nil))
				f.answers[simulate] = scripted{status: 405, body: `{"error":"Incorrect HTTP method"}`}
			}, "index template ops (priority 500) wins over " + dataName + ", so the field types of " + defaultStream + " would be guessed: remove it", ""},
			"it fails to simulate": {func(f *fake) {
				f.answers[simulate] = scripted{status: 500, body: `{"error":{"type":"illegal_state_exception","reason":"x"}}`}
			}, "", ""},
			"its answer is another": {func(f *fake) { f.answers[simulate] = scripted{status: 200, body: `[1]`} }, "", ""},
		} {
			f := newFake(t, product)
			f.attached = true
			c.prepare(f)
			b, l := instance(t, f, nil)
			_ = checkReady(t, product+", "+name, b, l, c.fails, c.warn)
		}
	}
}

// TestSimulationWins: the server itself says which template loses; a list that we read in
// another way does not count.
func TestSimulationWins(t *testing.T) {
	f := newFake(t, opensearch)
	f.templates["ops"] = map[string]any{"index_patterns": []any{"logs-fortinet*"}, "priority": 500.0}
	f.answers["POST /_index_template/_simulate_index/"+defaultStream] = scripted{status: 200, body: `{"template":{"mappings":{}},"overlapping":[{"name":"ops","index_patterns":["logs-fortinet*"]}]}`}
	b, l := instance(t, f, nil)
	if err := b.Ready(t.Context()); err != nil || len(l.warnings()) > 0 {
		t.Errorf("%v %q", err, l.warnings())
	}
}

// TestTypesOfAnIndex: option index names what is wanted, so nothing is refused.
func TestTypesOfAnIndex(t *testing.T) {
	const name = "fortiems-2024.10.01"
	guessed := map[string]string{"host.ip": "text"}
	for want, prepare := range map[string]func(*fake){
		"": func(f *fake) { f.mappings = map[string]map[string]any{name: ours(t, opensearch, nil)} },
		"index " + name + " has other field types than our template: host.ip is text instead of ip; they change only with a new index": func(f *fake) {
			f.mappings = map[string]map[string]any{name: ours(t, opensearch, guessed)}
		},
		"index template ops (priority 300) wins over fluent-bit-fortiems.fortiems-_._._, so the types of " + name + " would be guessed: destination.ip is without a type": func(f *fake) {
			f.templates["ops"] = map[string]any{"index_patterns": []any{"fortiems-2*"}, "priority": 300.0}
		},
	} {
		f := newFake(t, opensearch)
		prepare(f)
		b, l := instance(t, f, map[string]string{"index": "fortiems-%Y.%m.%d", "dead_letter": "off"})
		b.now = func() time.Time { return time.Date(2024, 10, 1, 12, 0, 0, 0, time.UTC) }
		b.indexAt = func(at time.Time) string { return "fortiems-" + at.Format("2006.01.02") }
		if err := b.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		if w := l.warnings(); len(w) > 1 || (len(w) == 1) != (want != "") || len(w) == 1 && !strings.Contains(w[0], want) {
			t.Errorf("%q, want %q", w, want)
		}
	}
}

// TestTypesWithBootstrapOff: they can be meant to be so; a line of level info says it.
func TestTypesWithBootstrapOff(t *testing.T) {
	for name, prepare := range map[string]func(*fake){
		"data stream " + defaultStream + " has other field types than our template: host.ip is text instead of ip; with our template in place, give it the types with POST /": func(f *fake) {
			f.streams, f.mappings = []string{defaultStream}, map[string]map[string]any{defaultStream: ours(t, opensearch, map[string]string{"host.ip": "text"})}
		},
		"index template ops makes " + defaultStream + " with other field types than ours: ": func(f *fake) {
			f.templates["ops"] = map[string]any{"index_patterns": []any{"logs-*"}, "priority": 300.0, "data_stream": map[string]any{}}
		},
	} {
		f := newFake(t, opensearch)
		prepare(f)
		b, l := instance(t, f, map[string]string{"bootstrap": "off"})
		b.log = hostlog.New("output", "fortiems_es", "t", hostlog.Info, time.Hour, l.write)
		if err := b.Ready(t.Context()); err != nil || len(f.writes()) > 0 {
			t.Error(err, f.writes())
		}
		if w := l.warnings(); len(w) != 1 || !strings.Contains(w[0], name) {
			t.Errorf("%q, want %q", w, name)
		}
	}
}

// TestRealTypes: the same on OpenSearch itself.
func TestRealTypes(t *testing.T) {
	s := servers.ForTest(t, servers.OpenSearch)
	ready := func(options map[string]string) (string, error) {
		b, l := instanceAt(t, s.URL(), options)
		b.indexAt = func(time.Time) string { return options["index"] }
		err := b.Ready(t.Context())
		lines := slices.DeleteFunc(l.warnings(), func(line string) bool { return strings.Contains(line, "no Index State Management") })
		return strings.Join(lines, "\n"), err
	}
	doc, _, err := load(opensearch, "index-template.json")
	if err != nil {
		t.Fatal(err)
	}
	same, err := json.Marshal(doc["template"])
	if err != nil {
		t.Fatal(err)
	}

	// A foreign template without types is refused, one with the same ones is not.
	put := func(priority int, template string) {
		s.Must(t, "PUT", "/_index_template/ops", fmt.Sprintf(`{"index_patterns":["logs-fortinet*"],"priority":%d,"data_stream":{},"template":%s}`, priority, template), nil)
	}
	put(500, `{"mappings":{"properties":{"source":{"properties":{"ip":{"type":"keyword"}}}}}}`)
	if _, err := ready(nil); err == nil || !strings.Contains(err.Error(), "index template ops (priority 500) wins over "+dataName) || !strings.Contains(err.Error(), "source.ip is keyword instead of ip") {
		t.Error(err)
	}
	put(500, string(same))
	if lines, err := ready(nil); err != nil || lines != "" {
		t.Errorf("%v %q", err, lines)
	}

	// A data stream that guessed its types is named, used, and mended by the command.
	put(500, `{}`)
	s.Must(t, "PUT", "/"+defaultStream+"/_create/1?refresh=true", `{"@timestamp":"2024-10-01T22:17:30Z","source":{"ip":"10.1.2.3","port":"443"},"host":{"name":"a"}}`, nil)
	lines, err := ready(nil)
	if err != nil || !strings.Contains(lines, "lower the priority (500) of index template ops below 250, then") || !strings.Contains(lines, "source.ip is text instead of ip") || !strings.Contains(lines, "and 3 more") || !strings.Contains(lines, "POST /"+defaultStream+"/_rollover") {
		t.Fatalf("%v %q", err, lines)
	}
	put(200, `{}`)
	s.Must(t, "POST", "/"+defaultStream+"/_rollover", "", nil)
	if lines, err := ready(nil); err != nil || lines != "" {
		t.Errorf("after the rollover: %v %q", err, lines)
	}

	// An index of that name.
	s.Must(t, "PUT", "/siem/_create/1", `{"host":{"ip":"10.1.2.3"}}`, nil)
	if lines, err := ready(map[string]string{"index": "siem", "dead_letter": "off"}); err != nil || !strings.Contains(lines, "index siem has other field types than our template: ") {
		t.Errorf("%v %q", err, lines)
	}

	// In compatibility mode it says 7.10.2 and no distribution.
	s.Must(t, "PUT", "/_cluster/settings", `{"persistent":{"compatibility.override_main_response_version":true}}`, nil)
	b, l := instanceAt(t, s.URL(), nil)
	b.log = hostlog.New("output", "fortiems_es", "t", hostlog.Info, time.Hour, l.write)
	b.Connect(t.Context())
	if w := l.warnings(); len(w) != 1 || !strings.Contains(w[0], "connected to OpenSearch 7.10.2 at "+s.URL()) {
		t.Errorf("%q", w)
	}
	if _, err := ready(nil); err != nil {
		t.Error(err)
	}
}

// checkReady makes the target ready, which fails with a text or, for "", not at all, and logs
// one warning with a text or, for "", none. It returns the failure.
func checkReady(t *testing.T, name string, b *Bootstrap, l *logs, fails, warn string) error {
	t.Helper()
	err := b.Ready(t.Context())
	if (err == nil) != (fails == "") || err != nil && !strings.Contains(err.Error(), fails) {
		t.Errorf("%s: %v, want %q", name, err, fails)
	}
	w := l.warnings()
	if len(w) > 1 || (len(w) == 1) != (warn != "") || len(w) == 1 && !strings.Contains(w[0], warn) {
		t.Errorf("%s: %q, want %q", name, w, warn)
	}
	return err
}
