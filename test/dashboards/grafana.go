package main

import "fmt"

// Grafana's grid has half the columns; a row of it is about 1.5 of Kibana's.
const (
	grafanaGrid = 24
	rowScale    = 2
)

// grafanaVar is the variable that holds the data source of a view.
func grafanaVar(view string) object {
	return object{"type": "elasticsearch", "uid": "${" + view + "}"}
}

// grafanaDashboard is one page for Grafana 10 and later with its own data source for
// Elasticsearch.
func grafanaDashboard(d *description, p page, f grafanaFlavour) object {
	panels, at := []object{}, place(p.Panels)
	for i, pan := range p.Panels {
		g := grafanaPanel(pan, f)
		g["id"] = i + 1
		g["gridPos"] = object{"x": at[i][0] * grafanaGrid / gridWidth, "w": pan.Size[0] * grafanaGrid / gridWidth,
			"y": at[i][1] / rowScale, "h": max(pan.Size[1]/rowScale, 3)}
		panels = append(panels, g)
	}
	return object{
		"uid": f.prefix + p.ID, "title": p.Title, "description": p.Text, "tags": []string{f.tag}, "schemaVersion": 39, "version": 1,
		"editable": true, "time": object{"from": "now-24h", "to": "now"}, "timezone": "browser", "refresh": "", "panels": panels,
		"annotations": object{"list": []any{}},
		"links": []object{{"type": "dashboards", "title": "FortiEMS", "icon": "external link", "tooltip": "", "url": "", "tags": []string{f.tag},
			"asDropdown": true, "targetBlank": false, "keepTime": true, "includeVars": true}},
		"templating": object{"list": grafanaVariables(d, f)},
	}
}

// grafanaVariables are the data sources, filters on any field, and a query.
func grafanaVariables(d *description, f grafanaFlavour) []object {
	source := func(view, text, regex string) object {
		return object{"type": "datasource", "name": view, "label": d.Views[view].Title, "query": "elasticsearch", "regex": regex,
			"current": object{"text": text, "value": view2uid[view]}, "hide": 0, "options": []any{}, "refresh": 1}
	}
	list := []object{source("events", "FortiEMS", "/^(?!.*dead).*$/i")}
	if f.deadLetters {
		list = append(list, source("dead_letters", "FortiEMS dead letters", "/dead/i"))
	}
	return append(list,
		object{"type": "adhoc", "name": "filters", "label": "Filters", "datasource": grafanaVar("events"), "filters": []any{}, "hide": 0},
		object{"type": "textbox", "name": "query", "label": "Lucene query", "query": "*", "hide": 0,
			"current": object{"text": "*", "value": "*"}, "options": []object{{"text": "*", "value": "*", "selected": true}}})
}

// view2uid are the data sources that the compose stack provisions.
var view2uid = map[string]string{"events": "fortiems", "dead_letters": "fortiems-dead-letters"}

func grafanaPanel(pan panel, f grafanaFlavour) object {
	query := "$query"
	if l := pan.lucene(); l != "" {
		query = l + " AND ($query)"
	}
	target := object{"refId": "A", "datasource": grafanaVar(pan.View), "query": query, "timeField": f.time, "alias": "",
		"metrics": []object{{"id": "1", "type": "count"}}, "bucketAggs": []object{}}
	g := object{"title": pan.Title, "type": grafanaType(pan), "datasource": grafanaVar(pan.View), "targets": []object{target},
		"fieldConfig": object{"defaults": object{}, "overrides": []any{}}, "options": grafanaOptions(pan)}
	if pan.Kind == kindEvents {
		target["metrics"] = []object{{"id": "1", "type": "raw_data", "settings": object{"size": "500"}}}
		g["transformations"] = []object{{"id": "filterFieldsByName", "options": object{"include": object{"names": append([]string{f.time}, pan.Columns...)}}}}
		return g
	}
	if pan.Last {
		target["metrics"] = append(target["metrics"].([]object), object{"id": "2", "type": "max", "field": f.time})
		g["fieldConfig"].(object)["overrides"] = []object{{
			"matcher":    object{"id": "byName", "options": "Max"},
			"properties": []object{{"id": "unit", "value": "dateTimeAsIso"}, {"id": "displayName", "value": "Last"}}}}
	}
	var buckets []object
	for i, field := range pan.By {
		buckets = append(buckets, object{"id": fmt.Sprint(i + 10), "type": "terms", "field": field,
			"settings": object{"size": fmt.Sprint(pan.Top), "order": "desc", "orderBy": "_count", "min_doc_count": "1"}})
	}
	if pan.Kind == kindTime || pan.Kind == kindNumber {
		buckets = append(buckets, object{"id": "20", "type": "date_histogram", "field": f.time,
			"settings": object{"interval": "auto", "min_doc_count": "0", "trimEdges": "0"}})
	}
	target["bucketAggs"] = buckets
	if pan.Kind == kindTime {
		g["fieldConfig"].(object)["defaults"] = object{"custom": object{"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0,
			"stacking": object{"mode": "normal", "group": "A"}}}
	}
	return g
}

// grafanaType is the visualization of a panel. Those for one label cannot show two,
// so nested buckets become a table.
func grafanaType(pan panel) string {
	switch {
	case pan.Kind == kindNumber:
		return "stat"
	case pan.Kind == kindTime:
		return "timeseries"
	case pan.Kind == kindDonut && len(pan.By) == 1:
		return "piechart"
	case pan.Kind == kindBars && len(pan.By) == 1:
		return "bargauge"
	}
	return "table"
}

func grafanaOptions(pan panel) object {
	rows := object{"values": true, "calcs": []string{}, "fields": ""}
	switch grafanaType(pan) {
	case "stat":
		return object{"reduceOptions": object{"values": false, "calcs": []string{"sum"}, "fields": ""}, "graphMode": "area", "textMode": "value"}
	case "piechart":
		return object{"reduceOptions": rows, "pieType": "donut", "legend": object{"displayMode": "table", "placement": "right", "values": []string{"value"}, "showLegend": true}}
	case "bargauge":
		return object{"reduceOptions": rows, "orientation": "horizontal", "displayMode": "basic", "showUnfilled": false}
	case "timeseries":
		return object{"legend": object{"displayMode": "list", "placement": "right", "showLegend": true}, "tooltip": object{"mode": "multi", "sort": "desc"}}
	}
	return object{"showHeader": true}
}
