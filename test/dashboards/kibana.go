package main

import (
	"encoding/json"
	"fmt"
)

// product is a front end that imports saved objects. OpenSearch Dashboards began as
// Kibana 7.10 and both read objects of that age, so only the filters differ.
type product int

const (
	kibana product = iota
	opensearchDashboards
)

type object = map[string]any

// reference is a reference of a saved object to another.
type reference struct {
	Name string `json:"name"`
	Type string `json:"type"`
	ID   string `json:"id"`
}

const indexRef = "kibanaSavedObjectMeta.searchSourceJSON.index"

// savedObjects returns the objects to import, referenced ones first.
func savedObjects(d *description, to product) (list []object) {
	for _, name := range []string{"events", "dead_letters"} {
		list = append(list, object{
			"type": "index-pattern", "id": viewID(name), "migrationVersion": object{"index-pattern": "7.6.0"},
			"attributes": object{"title": d.Views[name].Pattern, "timeFieldName": "@timestamp"}, "references": []reference{},
		})
	}
	if to == opensearchDashboards {
		list = append(list, filterBar(d))
	}
	for _, p := range d.Pages {
		for _, pan := range p.Panels {
			list = append(list, panelObject(p, pan))
		}
		list = append(list, dashboard(d, p, to))
	}
	return list
}

func viewID(name string) string        { return "fortiems-view-" + slug(name) }
func panelID(p page, pan panel) string { return "fortiems-" + p.ID + "-" + slug(pan.Title) }
func title(p page, pan panel) string   { return p.Title + ": " + pan.Title }
func compact(v any) string             { b, _ := json.Marshal(v); return string(b) } // maps of ours always encode
func panelType(pan panel) string {
	if pan.Kind == kindEvents {
		return "search"
	}
	return "visualization"
}

func searchSource(query string) object {
	return object{"searchSourceJSON": compact(object{
		"query": object{"query": query, "language": "lucene"}, "filter": []any{}, "indexRefName": indexRef})}
}

// panelObject is a saved search or an aggregation-based visualization.
func panelObject(p page, pan panel) object {
	refs := []reference{{indexRef, "index-pattern", viewID(pan.View)}}
	if pan.Kind == kindEvents {
		return object{
			"type": "search", "id": panelID(p, pan), "migrationVersion": object{"search": "7.9.3"}, "references": refs,
			"attributes": object{
				"title": title(p, pan), "description": "", "hits": 0, "version": 1, "columns": pan.Columns,
				"sort": [][]string{{"@timestamp", "desc"}}, "kibanaSavedObjectMeta": searchSource(pan.lucene()),
			},
		}
	}
	return object{
		"type": "visualization", "id": panelID(p, pan), "migrationVersion": object{"visualization": "7.10.0"}, "references": refs,
		"attributes": object{
			"title": title(p, pan), "description": "", "version": 1, "uiStateJSON": "{}",
			"visState": compact(visState(p, pan)), "kibanaSavedObjectMeta": searchSource(pan.lucene()),
		},
	}
}

// agg is one aggregation of a visualization.
type agg struct {
	ID      string `json:"id"`
	Enabled bool   `json:"enabled"`
	Type    string `json:"type"`
	Params  object `json:"params"`
	Schema  string `json:"schema"`
}

func visState(p page, pan panel) object {
	aggs := []agg{{"1", true, "count", object{"customLabel": "Records"}, "metric"}}
	bucket := func(kind, schema string, params object) {
		aggs = append(aggs, agg{fmt.Sprint(len(aggs) + 1), true, kind, params, schema})
	}
	if pan.Last {
		bucket("max", "metric", object{"field": "@timestamp", "customLabel": "Last"})
	}
	schema := "segment"
	if pan.Kind == kindTable {
		schema = "bucket"
	}
	if pan.Kind == kindTime {
		bucket("date_histogram", "segment", object{"field": "@timestamp", "useNormalizedEsInterval": true,
			"scaleMetricValues": false, "interval": "auto", "drop_partials": false, "min_doc_count": 1, "extended_bounds": object{}})
		schema = "group"
	}
	for i, field := range pan.By {
		if pan.Kind == kindBars && i > 0 {
			schema = "group" // an axis has one level; the next ones are stacked
		}
		bucket("terms", schema, object{"field": field, "orderBy": "1", "order": "desc", "size": pan.Top,
			"otherBucket": false, "otherBucketLabel": "Other", "missingBucket": false, "missingBucketLabel": "Missing"})
	}
	kind, params := visParams(pan)
	return object{"title": title(p, pan), "type": kind, "aggs": aggs, "params": params}
}

// visParams returns the type of a visualization and its display parameters.
func visParams(pan panel) (string, object) {
	switch pan.Kind {
	case kindNumber:
		return "metric", object{"type": "metric", "addTooltip": true, "addLegend": false, "metric": object{
			"percentageMode": false, "useRanges": false, "colorSchema": "Green to Red", "metricColorMode": "None",
			"colorsRange": []object{{"from": 0, "to": 10000}}, "labels": object{"show": true}, "invertColors": false,
			"style": object{"bgFill": "#000", "bgColor": false, "labelColor": false, "subText": "", "fontSize": 48}}}
	case kindDonut:
		return "pie", object{"type": "pie", "addTooltip": true, "addLegend": true, "legendPosition": "right", "isDonut": true,
			"labels": object{"show": false, "values": true, "last_level": true, "truncate": 100}}
	case kindTable:
		return "table", object{"perPage": 10, "showPartialRows": false, "showMetricsAtAllLevels": false,
			"showTotal": false, "totalFunc": "sum", "percentageCol": ""}
	case kindBars:
		return "horizontal_bar", axes("left", "bottom")
	}
	return "histogram", axes("bottom", "left")
}

// axes are the parameters of bars; category and value are the positions of the axes.
func axes(category, value string) object {
	return object{
		"type": "histogram", "grid": object{"categoryLines": false},
		"categoryAxes": []object{{"id": "CategoryAxis-1", "type": "category", "position": category, "show": true, "style": object{},
			"scale": object{"type": "linear"}, "labels": object{"show": true, "filter": true, "truncate": 100}, "title": object{}}},
		"valueAxes": []object{{"id": "ValueAxis-1", "name": "LeftAxis-1", "type": "value", "position": value, "show": true, "style": object{},
			"scale": object{"type": "linear", "mode": "normal"}, "labels": object{"show": true, "rotate": 0, "filter": true, "truncate": 100},
			"title": object{"text": "Records"}}},
		"seriesParams": []object{{"show": true, "type": "histogram", "mode": "stacked", "data": object{"label": "Records", "id": "1"},
			"valueAxis": "ValueAxis-1", "drawLinesBetweenPoints": true, "lineWidth": 2, "showCircles": true}},
		"addTooltip": true, "addLegend": true, "legendPosition": "right", "times": []any{}, "addTimeMarker": false,
		"labels":        object{"show": false},
		"thresholdLine": object{"show": false, "value": 10, "width": 1, "style": "full", "color": "#E7664C"},
	}
}

const filterBarID = "fortiems-filters"

// filterBarHeight is the height of the filters on top of each page, in grid rows.
const filterBarHeight = 5

// filterBar is the filters of OpenSearch Dashboards: a visualization.
func filterBar(d *description) object {
	controls, refs := []object{}, []reference{}
	for i, f := range d.Filters {
		ref := fmt.Sprintf("control_%d_index_pattern", i)
		controls = append(controls, object{"id": slug(f.Title), "fieldName": f.Field, "parent": "", "label": f.Title, "type": "list",
			"options":             object{"type": "terms", "multiselect": true, "dynamicOptions": true, "size": 5, "order": "desc"},
			"indexPatternRefName": ref})
		refs = append(refs, reference{ref, "index-pattern", viewID("events")})
	}
	state := object{"title": "FortiEMS filters", "type": "input_control_vis", "aggs": []any{}, "params": object{
		"controls": controls, "updateFiltersOnChange": true, "useTimeFilter": true, "pinFilters": false}}
	return object{
		"type": "visualization", "id": filterBarID, "migrationVersion": object{"visualization": "7.10.0"}, "references": refs,
		"attributes": object{"title": "FortiEMS filters", "description": "", "version": 1, "uiStateJSON": "{}", "visState": compact(state),
			"kibanaSavedObjectMeta": object{"searchSourceJSON": compact(object{"query": object{"query": "", "language": "lucene"}, "filter": []any{}})}},
	}
}

// dashboard is one page.
func dashboard(d *description, p page, to product) object {
	panels, refs, down := []object{}, []reference{}, 0
	add := func(kind, id string, x, y, w, h int) {
		n := fmt.Sprint(len(panels) + 1)
		ref := "panel_" + n
		panels = append(panels, object{"version": "7.10.0", "gridData": object{"x": x, "y": y, "w": w, "h": h, "i": n},
			"panelIndex": n, "type": kind, "embeddableConfig": object{}, "panelRefName": ref})
		refs = append(refs, reference{ref, kind, id})
	}
	if to == opensearchDashboards {
		add("visualization", filterBarID, 0, 0, gridWidth, filterBarHeight)
		down = filterBarHeight
	}
	at := place(p.Panels)
	for i, pan := range p.Panels {
		add(panelType(pan), panelID(p, pan), at[i][0], at[i][1]+down, pan.Size[0], pan.Size[1])
		panels[len(panels)-1]["title"] = pan.Title
	}
	attributes := object{
		"title": p.Title, "description": p.Text, "hits": 0, "version": 1, "panelsJSON": compact(panels),
		"optionsJSON": `{"useMargins":true,"hidePanelTitles":false}`,
		"timeRestore": true, "timeFrom": "now-24h", "timeTo": "now", "refreshInterval": object{"pause": true, "value": 0},
		"kibanaSavedObjectMeta": object{"searchSourceJSON": compact(object{"query": object{"query": "", "language": "kuery"}, "filter": []any{}})},
	}
	if to == kibana {
		group, groupRefs := controlGroup(d)
		attributes["controlGroupInput"] = group
		refs = append(refs, groupRefs...)
	}
	return object{"type": "dashboard", "id": "fortiems-" + p.ID, "migrationVersion": object{"dashboard": "7.9.3"},
		"attributes": attributes, "references": refs}
}

// controlGroup is the filters of Kibana since 8.3: a part of the dashboard.
func controlGroup(d *description) (object, []reference) {
	controls, refs := object{}, []reference{}
	for i, f := range d.Filters {
		id := slug(f.Title)
		controls[id] = object{"type": "optionsListControl", "order": i, "width": "medium", "grow": true, "explicitInput": object{
			"id": id, "fieldName": f.Field, "title": f.Title, "enhancements": object{}}}
		refs = append(refs, reference{"controlGroup_" + id + ":optionsListDataView", "index-pattern", viewID("events")})
	}
	return object{"chainingSystem": "HIERARCHICAL", "controlStyle": "oneLine", "panelsJSON": compact(controls),
		"ignoreParentSettingsJSON": `{"ignoreFilters":false,"ignoreQuery":false,"ignoreTimerange":false,"ignoreValidations":false}`}, refs
}
