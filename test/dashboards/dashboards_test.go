package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const dir = "../../conf/dashboards"

func mustRead(t *testing.T) *description {
	t.Helper()
	d, err := read(dir + "/dashboards.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestGeneratedFilesAreUpToDate(t *testing.T) {
	files, err := generate(mustRead(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is out of date (%v): run make generate", name, err)
		}
	}
	there, err := filepath.Glob(dir + "/grafana*/*")
	if err != nil || len(there) != len(files)-3 { // without those of the other front ends
		t.Errorf("%d files for Grafana, %d generated", len(there), len(files)-3)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for want, panels := range map[string]string{
		"two panels":   "[{title: a, kind: number, size: [1, 1]}, {title: A, kind: number, size: [1, 1]}]",
		"no kind":      "[{title: a, kind: pie, size: [1, 1]}]",
		"no view":      "[{title: a, kind: number, size: [1, 1], view: x}]",
		"does not fit": "[{title: a, kind: number, size: [49, 1]}]",
		"needs by":     "[{title: a, kind: donut, size: [1, 1]}]",
		"needs colum":  "[{title: a, kind: events, size: [1, 1]}]",
		"not found":    "[{title: a, kind: number, size: [1, 1], colour: red}]",
	} {
		file := filepath.Join(t.TempDir(), "d.yaml")
		text := "views: {events: {pattern: x, title: y}}\npages: [{id: p, title: P, text: t, panels: " + panels + "}]\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := read(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", panels, err)
		}
	}
}

// mapping is the type and the longest value of every field of an index template.
type mapping map[string]struct {
	kind  string
	limit int
}

func readMapping(t *testing.T, file string) mapping {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	type properties map[string]struct {
		Properties  json.RawMessage
		Type        string
		IgnoreAbove int `json:"ignore_above"`
	}
	var doc struct {
		Template struct {
			Mappings struct{ Properties json.RawMessage }
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	m := mapping{}
	var walk func(prefix string, raw json.RawMessage)
	walk = func(prefix string, raw json.RawMessage) {
		var p properties
		if err := json.Unmarshal(raw, &p); err != nil {
			t.Fatal(err)
		}
		for name, f := range p {
			if f.Properties != nil {
				walk(prefix+name+".", f.Properties)
				continue
			}
			m[prefix+name] = struct {
				kind  string
				limit int
			}{f.Type, f.IgnoreAbove}
		}
	}
	walk("", doc.Template.Mappings.Properties)
	return m
}

// TestFieldsExist checks the fields of every panel and filter against the index
// templates, and that fields used for buckets can be aggregated.
func TestFieldsExist(t *testing.T) {
	d := mustRead(t)
	for _, product := range []string{"elasticsearch", "opensearch"} {
		of := map[string]mapping{
			"events":       readMapping(t, "../../conf/"+product+"/index-template.json"),
			"dead_letters": readMapping(t, "../../conf/"+product+"/dead-letter-template.json"),
		}
		inLetters := map[string]bool{}
		for _, l := range deadLetters {
			for name := range flatten(l) {
				inLetters[name] = true
			}
		}
		for _, p := range d.Pages {
			for _, pan := range p.Panels {
				for _, f := range pan.fields() {
					if _, ok := of[pan.View][f]; !ok && !(pan.View == "dead_letters" && inLetters[f]) {
						t.Errorf("%s, %s, %q: no field %s", product, p.ID, pan.Title, f)
					}
				}
				for _, f := range pan.By {
					if kind := of["events"][f].kind; pan.View == "events" && kind != "keyword" && kind != "ip" {
						t.Errorf("%s, %s, %q: buckets of %s, which is %s", product, p.ID, pan.Title, f, kind)
					}
				}
			}
		}
		for _, f := range d.Filters {
			if of["events"][f.Field].kind != "keyword" {
				t.Errorf("%s: filter on %s", product, f.Field)
			}
		}
	}
}

// TestPatternsMatchTheDataStreams checks that each view matches only its own data
// streams.
func TestPatternsMatchTheDataStreams(t *testing.T) {
	streams := map[string]string{"events": "logs-fortinet.fortiems-default", "dead_letters": "logs-fortinet.fortiems.dead_letter-default"}
	for name, v := range mustRead(t).Views {
		for other, stream := range streams {
			if ok, err := filepath.Match(v.Pattern, stream); err != nil || ok != (name == other) {
				t.Errorf("%s matches %s: %v, %v", v.Pattern, stream, ok, err)
			}
		}
	}
}

// TestPanelsDoNotOverlap checks the generated grids.
func TestPanelsDoNotOverlap(t *testing.T) {
	type box struct{ X, Y, W, H int }
	check := func(name string, boxes []box, width int) {
		for i, a := range boxes {
			if a.W < 1 || a.H < 1 || a.X < 0 || a.X+a.W > width {
				t.Errorf("%s: panel %d is at %v", name, i, a)
			}
			for j, b := range boxes[:i] {
				if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
					t.Errorf("%s: panels %d %v and %d %v overlap", name, j, b, i, a)
				}
			}
		}
	}
	for _, file := range []string{"kibana.ndjson", "opensearch-dashboards.ndjson"} {
		for id, o := range imported(t, file) {
			if o.Type != "dashboard" {
				continue
			}
			var panels []struct{ GridData box }
			if err := json.Unmarshal([]byte(o.Attributes.PanelsJSON), &panels); err != nil {
				t.Fatal(id, err)
			}
			var boxes []box
			for _, p := range panels {
				boxes = append(boxes, p.GridData)
			}
			check(file+" "+id, boxes, gridWidth)
		}
	}
	for _, p := range mustRead(t).Pages {
		var boxes []box
		for _, pan := range grafana(t, p.ID).Panels {
			boxes = append(boxes, pan.GridPos)
		}
		check("grafana "+p.ID, boxes, grafanaGrid)
	}
}

// TestReferencesResolve checks that every name that an object uses is among its
// references, and that every reference is an object of the same file.
func TestReferencesResolve(t *testing.T) {
	for _, file := range []string{"kibana.ndjson", "opensearch-dashboards.ndjson"} {
		objects := imported(t, file)
		for id, o := range objects {
			have := map[string]bool{}
			for _, r := range o.References {
				have[r.Name] = true
				if target, ok := objects[r.ID]; !ok || target.Type != r.Type {
					t.Errorf("%s: %s refers to %s %s, which is not there", file, id, r.Type, r.ID)
				}
			}
			used := map[string]bool{}
			for _, text := range []string{o.Attributes.PanelsJSON, o.Attributes.VisState, o.Attributes.Meta.SearchSourceJSON} {
				for _, key := range []string{`"panelRefName":"`, `"indexPatternRefName":"`, `"indexRefName":"`} {
					for _, part := range strings.Split(text, key)[1:] {
						name, _, _ := strings.Cut(part, `"`)
						used[name] = true
					}
				}
			}
			for name := range have {
				if strings.HasPrefix(name, "controlGroup_") {
					delete(have, name) // named by convention, checked by the count of filters
				}
			}
			if !maps.Equal(have, used) {
				t.Errorf("%s: %s has references %v, uses %v", file, id, slices.Sorted(maps.Keys(have)), slices.Sorted(maps.Keys(used)))
			}
		}
	}
}

// savedObject has the parts of an object that the tests read.
type savedObject struct {
	Type, ID   string
	References []reference
	Attributes struct {
		Title, VisState, PanelsJSON, TimeFieldName string
		Meta                                       struct{ SearchSourceJSON string } `json:"kibanaSavedObjectMeta"`
		Columns                                    []string
		ControlGroupInput                          *struct{ PanelsJSON string }
	}
}

func imported(t *testing.T, file string) map[string]savedObject {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]savedObject{}
	for line := range bytes.Lines(text) {
		var o savedObject
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatal(file, err)
		}
		if _, twice := objects[o.ID]; twice || o.ID == "" {
			t.Errorf("%s: two objects %q", file, o.ID)
		}
		objects[o.ID] = o
	}
	return objects
}

// grafanaFile has the parts of a Grafana dashboard that the tests read.
type grafanaFile struct {
	UID        string
	Templating struct{ List []struct{ Name string } }
	Panels     []struct {
		Title   string
		Type    string
		GridPos struct{ X, Y, W, H int }
		Targets []grafanaTarget
	}
}

type grafanaTarget struct {
	Query      string
	Datasource struct{ UID string }
	Metrics    []struct{ Type, Field string }
	BucketAggs []struct {
		Type, Field string
		Settings    struct {
			Size string
		}
	}
}

func grafana(t *testing.T, id string) grafanaFile { return grafanaIn(t, "grafana/"+id) }

func grafanaIn(t *testing.T, id string) grafanaFile {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, id+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var g grafanaFile
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(id, err)
	}
	return g
}

// TestEveryFrontEndHasEveryFilterAndPanel compares the three with the description.
func TestEveryFrontEndHasEveryFilterAndPanel(t *testing.T) {
	d := mustRead(t)
	k, o := imported(t, "kibana.ndjson"), imported(t, "opensearch-dashboards.ndjson")
	for _, p := range d.Pages {
		g := grafana(t, p.ID)
		if len(g.Panels) != len(p.Panels) || len(g.Templating.List) != 4 {
			t.Errorf("grafana %s: %d panels of %d, %d variables", p.ID, len(g.Panels), len(p.Panels), len(g.Templating.List))
		}
		group := k["fortiems-"+p.ID].Attributes.ControlGroupInput
		for _, f := range d.Filters {
			if group == nil || !strings.Contains(group.PanelsJSON, `"fieldName":"`+f.Field+`"`) {
				t.Errorf("kibana %s has no filter on %s", p.ID, f.Field)
			}
			if !strings.Contains(o[filterBarID].Attributes.VisState, `"fieldName":"`+f.Field+`"`) {
				t.Errorf("OpenSearch Dashboards has no filter on %s", f.Field)
			}
		}
		for _, pan := range p.Panels {
			for name, objects := range map[string]map[string]savedObject{"kibana": k, "opensearch": o} {
				if objects[panelID(p, pan)].Type != panelType(pan) {
					t.Errorf("%s: no %s", name, panelID(p, pan))
				}
			}
		}
	}
}

// TestGrafanaDataSourcesAgree compares the data sources that the compose stack
// provisions with the views.
func TestGrafanaDataSourcesAgree(t *testing.T) {
	text, err := os.ReadFile("../stack/grafana-datasource.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type source struct {
		Name, UID, Type string
		JSONData        struct{ Index string } `yaml:"jsonData"`
	}
	var f struct{ Datasources []source }
	if err := yaml.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	views := mustRead(t).Views
	if len(f.Datasources) != len(views) {
		t.Errorf("%d data sources, %d views", len(f.Datasources), len(views))
	}
	for name, uid := range view2uid {
		i := slices.IndexFunc(f.Datasources, func(s source) bool { return s.UID == uid })
		if i < 0 || f.Datasources[i].JSONData.Index != views[name].Pattern || f.Datasources[i].Name != views[name].Title || f.Datasources[i].Type != "elasticsearch" {
			t.Errorf("no data source for %s", name)
		}
	}
}
