package main

import (
	"crypto/sha1"
	"fmt"
	"strings"
)

// graylogVersion is the first version of Graylog that has the form of these dashboards.
const graylogVersion = ">=6.1.0"

// Graylog's grid has 12 columns; a row of it is about four of Kibana's.
const (
	graylogGrid = 12
	graylogRow  = 4
)

// graylogID is an id that stays the same, so that a new revision of the pack replaces the
// old one.
func graylogID(parts ...string) string {
	h := sha1.Sum([]byte("fluent-bit-fortiems/" + strings.Join(parts, "/")))
	h[6], h[8] = h[6]&0x0f|0x50, h[8]&0x3f|0x80 // version 5, as in RFC 9562
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

// typed is a value in the notation of content packs.
func typed(v any) object {
	kind := map[string]string{"string": "string", "int": "integer", "bool": "boolean"}[fmt.Sprintf("%T", v)]
	return object{"@type": kind, "@value": v}
}

func graylogEntity(name, version, id string, data object) object {
	return object{"v": "1", "type": object{"name": name, "version": version}, "id": id, "data": data,
		"constraints": []object{{"type": "server-version", "version": graylogVersion}}}
}

// graylogPack is a content pack: an input for GELF, a stream for what it receives of us, a
// pipeline for the stream, and a dashboard for each page.
func graylogPack(d *description) object {
	stream := graylogID("stream")
	entities := append([]object{graylogInput(), graylogStream(stream)}, graylogPipeline(stream)...)
	for _, p := range d.Pages {
		if len(p.Panels) > 0 {
			entities = append(entities, graylogDashboard(p, stream))
		}
	}
	return object{"v": 1, "id": graylogID("pack"), "rev": 1, "name": "FortiEMS",
		"summary":     "FortiClient EMS logs of fluent-bit-fortiems: input, stream, pipeline, dashboards",
		"description": "For records of the Fluent Bit filter fortiems with schema flat, sent as GELF.",
		"vendor":      "fluent-bit-fortiems", "url": "", "parameters": []any{}, "entities": entities}
}

func graylogInput() object {
	return graylogEntity("input", "1", graylogID("input"), object{
		"title": typed("FortiEMS GELF TCP"), "type": typed("org.graylog2.inputs.gelf.tcp.GELFTCPInput"), "global": typed(true),
		"static_fields": object{}, "extractors": []any{},
		"configuration": object{"bind_address": typed("0.0.0.0"), "port": typed(12201), "recv_buffer_size": typed(1 << 20),
			"number_worker_threads": typed(2), "max_message_size": typed(2 << 20), "use_null_delimiter": typed(true),
			"decompress_size_limit": typed(8 << 20), "charset_name": typed("UTF-8"), "tcp_keepalive": typed(false), "tls_enable": typed(false)},
	})
}

// graylogStream takes what has the filter's mark. Which index set it writes to is chosen in
// Graylog: content packs of the free edition cannot create one.
func graylogStream(id string) object {
	return graylogEntity("stream", "1", id, object{
		"title": typed("FortiEMS"), "description": typed("Records of fluent-bit-fortiems"), "disabled": typed(false),
		"matching_type": typed("AND"), "remove_matches": typed(false), "default_stream": typed(false),
		"alarm_callbacks": []any{}, "alert_conditions": []any{}, "outputs": []any{},
		"stream_rules": []object{{"type": typed("EXACT"), "field": typed("event_module"), "value": typed("fortinet"), "inverted": typed(false), "description": typed("")}},
	})
}

// flatLists are the fields that are lists in the schema ecs and whose values have no commas.
// In the schema flat they are one text with commas.
var flatLists = []string{"event.category", "event.type", "host.ip", "host.mac", "related.hash", "related.hosts", "related.ip"}

// graylogPipeline makes lists of the texts of flatLists, so that Graylog counts and finds each
// value. A rule looks at one field, because a stage runs all rules that hold.
func graylogPipeline(stream string) []object {
	source := "pipeline \"FortiEMS\"\nstage 0 match either\n"
	var entities []object
	for _, field := range flatLists {
		field = flatName(field)
		title := "FortiEMS list " + field
		source += fmt.Sprintf("rule %q\n", title)
		entities = append(entities, graylogEntity("pipeline_rule", "1", graylogID("rule", field), object{
			"title": typed(title), "description": typed("A list of the values of " + field),
			"source": typed(fmt.Sprintf("rule %q\nwhen\n  has_field(%q) && contains(to_string($message.%s), \",\")\nthen\n  set_field(%q, split(\",\", to_string($message.%s)));\nend",
				title, field, field, field, field)),
		}))
	}
	return append(entities, graylogEntity("pipeline", "1", graylogID("pipeline"), object{
		"title": typed("FortiEMS"), "description": typed("Lists in records of fluent-bit-fortiems"),
		"source": typed(source + "end"), "connected_streams": []object{typed(stream)},
	}))
}

func graylogDashboard(p page, stream string) object {
	query := graylogID("query", p.ID)
	widgets, searches, mapping, positions, titles := []object{}, []object{}, object{}, object{}, object{}
	at := graylogPlace(p.Panels)
	for i, pan := range p.Panels {
		id, search := graylogID("widget", p.ID, pan.Title), graylogID("search", p.ID, pan.Title)
		// What widget and search have in common. 24 hours.
		common := func() object {
			return object{"timerange": object{"type": "relative", "from": 86400}, "streams": []string{stream}, "filter": nil, "filters": []any{},
				"query": object{"type": "elasticsearch", "query_string": pan.lucene()}}
		}
		w, s := common(), common()
		w["id"], s["id"] = id, search
		if pan.Kind == kindEvents {
			fields := append([]string{"timestamp"}, pan.Columns...)
			w["type"], s["type"] = "messages", "messages"
			w["config"] = object{"fields": fields, "show_message_row": true, "show_summary": false, "decorators": []any{},
				"sort": []object{{"type": "pivot", "field": "timestamp", "direction": "Descending"}}}
			s["name"], s["limit"], s["offset"], s["decorators"] = nil, 150, 0, []any{}
			s["sort"] = []object{{"field": "timestamp", "order": "DESC"}}
		} else {
			w["type"], s["type"] = "aggregation", "pivot"
			graylogPivot(pan, w, s)
		}
		widgets, searches = append(widgets, w), append(searches, s)
		mapping[id], titles[id] = []string{search}, pan.Title
		positions[id] = at[i]
	}
	const created = "2025-01-01T00:00:00.000Z"
	return graylogEntity("dashboard", "2", graylogID("dashboard", p.ID), object{
		"type": "DASHBOARD", "title": typed(p.Title), "summary": typed(p.Text), "description": typed(p.Text),
		"owner": "admin", "created_at": created, "requires": object{}, "properties": []any{},
		"search": object{"owner": "admin", "created_at": created, "requires": object{}, "parameters": []any{}, "queries": []object{{
			"id": query, "filters": []any{}, "timerange": object{"type": "relative", "from": 86400},
			"query": object{"type": "elasticsearch", "query_string": ""}, "search_types": searches}}},
		"state": object{query: object{"selected_fields": nil, "static_message_list_id": nil, "formatting": nil,
			"titles": object{"widget": titles}, "widgets": widgets, "widget_mapping": mapping, "positions": positions,
			"display_mode_settings": object{"positions": object{}}}},
	})
}

// graylogPlace is place on Graylog's grid.
func graylogPlace(panels []panel) (at []object) {
	col, row, height := 1, 1, 0
	for _, pan := range panels {
		w, h := max(pan.Size[0]*graylogGrid/gridWidth, 1), max(pan.Size[1]/graylogRow, 2)
		if col+w-1 > graylogGrid {
			col, row, height = 1, row+height, 0
		}
		at = append(at, object{"col": col, "row": row, "width": w, "height": h})
		col, height = col+w, max(height, h)
	}
	return at
}

// graylogPivot fills in the buckets of a panel, which widgets and searches write differently.
func graylogPivot(pan panel, w, s object) {
	pivots, groups, columns, columnGroups := []object{}, []object{}, []object{}, []object{}
	for _, field := range pan.By {
		pivots = append(pivots, object{"type": "values", "fields": []string{field}, "config": object{"limit": pan.Top, "skip_empty_values": true}})
		groups = append(groups, object{"type": "values", "fields": []string{field}, "limit": pan.Top, "skip_empty_values": true})
	}
	if pan.Kind == kindTime {
		columns, columnGroups = pivots, groups
		interval := object{"type": "auto", "scaling": 1.0}
		pivots = []object{{"type": "time", "fields": []string{"timestamp"}, "config": object{"interval": interval}}}
		groups = []object{{"type": "time", "fields": []string{"timestamp"}, "interval": interval}}
	}
	series, metrics := []object{{"config": object{"name": nil}, "function": "count()"}}, []object{{"type": "count", "id": "count()", "field": nil}}
	if pan.Last {
		series = append(series, object{"config": object{"name": "Last"}, "function": "latest(timestamp)"})
		metrics = append(metrics, object{"type": "latest", "id": "latest(timestamp)", "field": "timestamp"})
	}
	sort := []object{}
	if len(pan.By) > 0 && pan.Kind != kindTime {
		sort = []object{{"type": "series", "field": "count()", "direction": "Descending"}}
	}
	// One chart shows one label, as in grafanaType.
	visualization := "table"
	var config any
	switch {
	case pan.Kind == kindNumber:
		visualization = "numeric"
	case pan.Kind == kindDonut && len(pan.By) == 1:
		visualization = "pie"
	case pan.Kind == kindTime, pan.Kind == kindBars && len(pan.By) == 1:
		visualization, config = "bar", object{"barmode": "stack", "axis_type": "linear"}
	}
	w["config"] = object{"visualization": visualization, "visualization_config": config, "row_pivots": pivots, "column_pivots": columns,
		"series": series, "sort": sort, "rollup": pan.Kind != kindTime, "event_annotation": false, "formatting_settings": nil,
		"row_limit": nil, "column_limit": nil}
	s["name"], s["row_groups"], s["column_groups"], s["series"], s["sort"] = "chart", groups, columnGroups, metrics, sort
	s["rollup"], s["row_limit"], s["column_limit"] = pan.Kind != kindTime, nil, nil
}
