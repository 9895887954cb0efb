package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/servers"
)

// graylogIndex is an index as Graylog creates it, with the field type that
// conf/dashboards/README.md has the reader choose. Texts are keywords, apart from the
// message. (Graylog also puts the source into lower case, with a filter that the core of
// OpenSearch in these tests lacks.) Without that choice the first record makes
// fortinet_ems_date a date, and records whose sender wrote 2024-02-30 are refused.
// Source: Graylog2/graylog2-server, IndexMapping.java.
const graylogIndex = `{"mappings": {
	"dynamic_templates": [
		{"internal_fields": {"match": "gl2_*", "match_mapping_type": "string", "mapping": {"type": "keyword"}}},
		{"store_generic": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}],
	"properties": {
		"fortinet_ems_date": {"type": "keyword"},
		"message": {"type": "text", "analyzer": "standard"},
		"full_message": {"type": "text", "analyzer": "standard"},
		"source": {"type": "text", "analyzer": "keyword", "fielddata": true},
		"timestamp": {"type": "date", "format": "uuuu-MM-dd HH:mm:ss.SSS"},
		"streams": {"type": "keyword"}}}}`

// flatDocument is what Graylog stores of a record after the pipeline of the pack, with the time of the record beside it.
func flatDocument(t *testing.T, d document) (stored object, doc document) {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, d["@timestamp"][0])
	if err != nil {
		t.Fatal(err)
	}
	stored, doc = object{}, document{"@timestamp": d["@timestamp"]}
	for field, values := range maps.All(d) {
		if field != "@timestamp" {
			doc[flatName(field)] = []string{strings.Join(values, ",")}
			stored[flatName(field)] = doc[flatName(field)][0]
			if len(values) > 1 && slices.Contains(flatLists, field) { // what the pipeline does
				doc[flatName(field)], stored[flatName(field)] = values, values
			}
		}
	}
	stored["timestamp"] = at.UTC().Format("2006-01-02 15:04:05.000")
	return stored, doc
}

// fromGraylog reads the query of a search of a content pack.
func fromGraylog(s graylogSearch) question {
	q := question{index: "graylog_0", query: s.Query.String, time: "timestamp"}
	for _, g := range slices.Concat(s.RowGroups, s.ColumnGroups) {
		q.levels = append(q.levels, level{field: g.Fields[0], top: g.Limit, days: g.Type == "time"})
	}
	for _, m := range s.Series {
		q.last = q.last || m.Type == "latest"
	}
	return q
}

type graylogSearch struct {
	ID, Type string
	Streams  []string
	Query    struct {
		String string `json:"query_string"`
	}
	RowGroups    []graylogGroup `json:"row_groups"`
	ColumnGroups []graylogGroup `json:"column_groups"`
	Series       []struct{ Type string }
}

type graylogGroup struct {
	Type   string
	Fields []string
	Limit  int
}

type graylogEntityFile struct {
	ID   string
	Type struct{ Name, Version string }
	Data struct {
		Title  map[string]any
		Search struct {
			Queries []struct {
				ID          string
				SearchTypes []graylogSearch `json:"search_types"`
			}
		}
		State map[string]struct {
			Widgets []struct {
				ID, Type string
				Config   struct {
					Fields []string
				}
			}
			Mapping   map[string][]string `json:"widget_mapping"`
			Positions map[string]struct{ Col, Row, Width, Height int }
			Titles    struct{ Widget map[string]string }
		}
	}
}

func graylogEntities(t *testing.T) []graylogEntityFile {
	t.Helper()
	text, err := os.ReadFile(dir + "/graylog-content-pack.json")
	if err != nil {
		t.Fatal(err)
	}
	var pack struct {
		V        int
		ID       string
		Entities []graylogEntityFile
	}
	if err := json.Unmarshal(text, &pack); err != nil || pack.V != 1 || pack.ID == "" {
		t.Fatal(pack.V, err)
	}
	return pack.Entities
}

// TestContentPackHangsTogether checks what Graylog checks when it imports: ids, references
// between widgets and searches, and streams that are in the pack; and the grid.
func TestContentPackHangsTogether(t *testing.T) {
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	ids, stream, dashboards := map[string]bool{}, "", 0
	unique := func(id string) {
		if ids[id] || !uuid.MatchString(id) {
			t.Errorf("id %q is not unique or no UUID", id)
		}
		ids[id] = true
	}
	for _, e := range graylogEntities(t) {
		unique(e.ID)
		switch e.Type.Name + " " + e.Type.Version {
		case "input 1", "pipeline 1", "pipeline_rule 1":
			continue
		case "stream 1":
			stream = e.ID
			continue
		case "dashboard 2":
			dashboards++
		default:
			t.Fatalf("entity %+v", e.Type)
		}
		q := e.Data.Search.Queries[0]
		unique(q.ID)
		state := e.Data.State[q.ID]
		searches := map[string]graylogSearch{}
		for _, s := range q.SearchTypes {
			unique(s.ID)
			searches[s.ID] = s
			if !slices.Equal(s.Streams, []string{stream}) {
				t.Errorf("%v: streams %q", e.Data.Title, s.Streams)
			}
		}
		if len(state.Widgets) == 0 || len(state.Widgets) != len(searches) {
			t.Errorf("%v: %d widgets, %d searches", e.Data.Title, len(state.Widgets), len(searches))
		}
		for _, w := range state.Widgets {
			unique(w.ID)
			at, ok := state.Positions[w.ID]
			if m := state.Mapping[w.ID]; len(m) != 1 || searches[m[0]].ID == "" || !ok || state.Titles.Widget[w.ID] == "" {
				t.Errorf("%v: widget %s: searches %q, position %v", e.Data.Title, w.ID, m, at)
			}
			if at.Col < 1 || at.Row < 1 || at.Col+at.Width-1 > graylogGrid {
				t.Errorf("%v, %s: outside of the grid: %+v", e.Data.Title, state.Titles.Widget[w.ID], at)
			}
			for other, o := range state.Positions {
				if other != w.ID && at.Col < o.Col+o.Width && o.Col < at.Col+at.Width && at.Row < o.Row+o.Height && o.Row < at.Row+at.Height {
					t.Errorf("%v: %s and %s overlap", e.Data.Title, state.Titles.Widget[w.ID], state.Titles.Widget[other])
				}
			}
		}
	}
	if stream == "" || dashboards != len(mustRead(t).Pages) {
		t.Errorf("stream %q, %d dashboards", stream, dashboards)
	}
}

// TestEveryFlatPanelReturnsWhatTheCorpusHolds stores the records as Graylog does and sends
// the queries of the content pack and of Grafana.
func TestEveryFlatPanelReturnsWhatTheCorpusHolds(t *testing.T) {
	s := servers.ForTest(t, servers.OpenSearch)
	_, records := corpusDocuments(t)
	var docs []document
	var body bytes.Buffer
	for _, r := range records {
		stored, doc := flatDocument(t, r)
		docs = append(docs, doc)
		text, err := json.Marshal(stored)
		if err != nil {
			t.Fatal(err)
		}
		body.WriteString("{\"index\":{}}\n" + string(text) + "\n")
	}
	s.Must(t, "PUT", "/graylog_0", graylogIndex, nil)
	var stored struct {
		Items []map[string]struct{ Error json.RawMessage }
	}
	s.Must(t, "POST", "/graylog_0/_bulk?refresh=true", body.String(), &stored)
	for i, item := range stored.Items {
		if reason := item["index"].Error; reason != nil {
			t.Errorf("%v: %s", docs[i]["message"], reason)
		}
	}
	entities := map[string]graylogEntityFile{}
	for _, e := range graylogEntities(t) {
		entities[e.ID] = e
	}
	d := mustRead(t).flat()
	d.Views["events"] = view{Pattern: "graylog_0"}
	for _, p := range d.Pages {
		if len(p.Panels) == 0 {
			continue
		}
		g := grafanaIn(t, "grafana-flat/"+p.ID)
		searches := entities[graylogID("dashboard", p.ID)].Data.Search.Queries[0].SearchTypes
		for i, pan := range p.Panels {
			want := slices.DeleteFunc(slices.Clone(docs), func(d document) bool { return !pan.matches(d) })
			if len(want) == 0 {
				t.Errorf("%s, %q: the corpus holds nothing for it", p.ID, pan.Title)
			}
			fromG := fromGrafana(t, d, g.Panels[i].Targets[0])
			fromG.time = "timestamp"
			for name, q := range map[string]question{"graylog": fromGraylog(searches[i]), "grafana": fromG} {
				if err := ask(t, s, q, want); err != nil {
					t.Errorf("%s, %s, %q: %v", name, p.ID, pan.Title, err)
				}
			}
		}
	}
}
