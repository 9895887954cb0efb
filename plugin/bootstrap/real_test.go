package bootstrap

import (
	"encoding/json"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/servers"
)

// TestRealOpenSearch installs, installs again, upgrades and leaves newer ones alone,
// as OpenSearch itself keeps and returns them.
func TestRealOpenSearch(t *testing.T) {
	for _, kind := range []servers.Kind{servers.OpenSearch, servers.OpenSearch3} {
		t.Run(kind.String(), func(t *testing.T) { realOpenSearch(t, servers.ForTest(t, kind)) })
	}
}

func realOpenSearch(t *testing.T, s *servers.Server) {
	type stored struct {
		Templates []struct {
			Template struct {
				Meta       meta           `json:"_meta"`
				DataStream map[string]any `json:"data_stream"`
				Patterns   []string       `json:"index_patterns"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	template := func(name string) stored {
		var got stored
		s.Must(t, "GET", "/_index_template/"+name, "", &got)
		return got
	}
	ready := func(options map[string]string) ([]string, error) {
		b, l := instanceAt(t, s.URL(), options)
		err := b.Ready(t.Context())
		return l.warnings(), err
	}

	// No ISM in this server: one line, and everything else is there.
	warnings, err := ready(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "no Index State Management") {
		t.Errorf("%q", warnings)
	}
	for _, name := range []string{dataName, deadName} {
		got := template(name)
		if len(got.Templates) != 1 || !got.Templates[0].Template.Meta.found().ours || got.Templates[0].Template.DataStream == nil {
			t.Fatalf("%s: %+v", name, got)
		}
	}

	// A document makes a data stream with our types, dead letters one of theirs.
	s.Must(t, "PUT", "/logs-fortinet.fortiems-default/_create/1?refresh=true", `{"@timestamp":"2024-10-01T22:17:30.123456789Z","source":{"ip":"10.1.2.3","port":"not a number"},"fortinet":{"ems":{"hostile_key":{"a":1},"vpntunnel":"t1"}},"other":{"n":1}}`, nil)
	s.Must(t, "PUT", "/logs-fortinet.fortiems-default/_create/2?refresh=true", `{"@timestamp":"2024-10-01T22:17:30Z","fortinet":{"ems":{"hostile_key":"text"}},"other":{"n":"text"}}`, nil)
	s.Must(t, "PUT", "/logs-fortinet.fortiems.dead_letter-default/_create/1?refresh=true", `{"@timestamp":"2024-10-01T22:17:30Z","message":"x"}`, nil)
	var streams struct {
		DataStreams []struct{ Name, Template string } `json:"data_streams"`
	}
	s.Must(t, "GET", "/_data_stream", "", &streams)
	made := map[string]string{}
	for _, d := range streams.DataStreams {
		made[d.Name] = d.Template
	}
	if made["logs-fortinet.fortiems-default"] != dataName || made["logs-fortinet.fortiems.dead_letter-default"] != deadName {
		t.Errorf("data streams by template: %v", made)
	}
	if n := s.Count(t, "logs-fortinet.fortiems-default", `{"term":{"source.ip":"10.1.0.0/16"}}`); n != 1 {
		t.Errorf("%d documents in the address range", n)
	}
	_, mapping := s.Do(t, "GET", "/logs-fortinet.fortiems-default/_mapping", "")
	if strings.Contains(string(mapping), "hostile_key") {
		t.Error("a key of a sender became a field")
	}

	// Again: the same, nothing changes.
	before, _ := json.Marshal(template(dataName))
	if _, err := ready(nil); err != nil {
		t.Fatal(err)
	}
	if after, _ := json.Marshal(template(dataName)); string(after) != string(before) {
		t.Error("installing twice changed the template")
	}

	setVersion := func(version, managed string) {
		s.Must(t, "PUT", "/_index_template/"+dataName, `{"index_patterns":["logs-fortinet.fortiems-*"],"priority":250,"data_stream":{},"_meta":{"managed_by":"`+managed+`","version":`+version+`}}`, nil)
	}
	for _, c := range []struct {
		version, managed string
		want             float64
		warn             string
	}{
		{"0", managedBy, 1, ""},
		{"99", managedBy, 99, ""},
		{"0", "somebody", 0, "is not ours"},
	} {
		setVersion(c.version, c.managed)
		warnings, err := ready(nil)
		if err != nil {
			t.Error(err)
		}
		m := template(dataName).Templates[0].Template.Meta
		if m["version"] != c.want {
			t.Errorf("%v became version %v", c, m["version"])
		}
		if text := strings.Join(warnings, "\n"); !strings.Contains(text, c.warn) {
			t.Errorf("%v: %q", c, text)
		}
	}

	// A dated index has a template without a data stream.
	if _, err := ready(map[string]string{"index": "fortiems-%Y.%m.%d", "dead_letter": "off"}); err != nil {
		t.Fatal(err)
	}
	s.Must(t, "PUT", "/fortiems-2024.10.01/_doc/1?refresh=true", `{"@timestamp":"2024-10-01T22:17:30Z","source":{"ip":"10.1.2.3"}}`, nil)
	if n := s.Count(t, "fortiems-2024.10.01", `{"term":{"source.ip":"10.1.0.0/16"}}`); n != 1 {
		t.Errorf("%d documents in the address range", n)
	}
	// A custom data stream gets a template of its own.
	if _, err := ready(map[string]string{"data_stream": "siem-events", "dead_letter": "off"}); err != nil {
		t.Fatal(err)
	}
	s.Must(t, "PUT", "/siem-events/_create/1", `{"@timestamp":"2024-10-01T22:17:30Z"}`, nil)
	s.Must(t, "GET", "/_data_stream/siem-events", "", nil)
}

// TestRealElasticsearchCore is the real core of 7.17, which has neither ILM nor data
// streams nor the types of x-pack: what it refuses is said in a line, and a dated
// index goes on.
func TestRealElasticsearchCore(t *testing.T) {
	s := servers.ForTest(t, servers.Elasticsearch)
	b, l := instanceAt(t, s.URL(), nil)
	err := b.Ready(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no index template would make one") {
		t.Errorf("a bulk would create a plain index: %v", err)
	}
	if text := strings.Join(l.warnings(), "\n"); !strings.Contains(text, "lifecycle policy logs-fortinet.fortiems cannot be installed") || !strings.Contains(text, "index template logs-fortinet.fortiems cannot be installed") || strings.Contains(text, "lifecycle.name") {
		t.Errorf("%q", text)
	}
	b, l = instanceAt(t, s.URL(), map[string]string{"index": "fortiems-%Y.%m.%d", "dead_letter": "off"})
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if w := l.warnings(); len(w) != 1 || !strings.Contains(w[0], "answered 400") {
		t.Errorf("%q", w)
	}
	// The types of the other variant are all in the core.
	b, l = instanceAt(t, s.URL(), map[string]string{"index": "fortiems-%Y.%m.%d", "dead_letter": "off", "product": "opensearch"})
	if err := b.Ready(t.Context()); err != nil || len(l.warnings()) > 0 {
		t.Errorf("%v %q", err, l.warnings())
	}
}
