package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// indexPrefix names the index set of the stack and its indices in Graylog.
const indexPrefix = "fortiems"

// graylog talks to the API of Graylog 6.1 or newer as its administrator.
// Source: Graylog2/graylog2-server, the resources under org.graylog2.rest.resources.
type graylog struct{ c *client }

func (g graylog) call(ctx context.Context, method, path string, body, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	// Graylog refuses changes without X-Requested-By, against forged requests.
	header := map[string]string{"X-Requested-By": "fortiems", "Accept": "application/json"}
	return g.c.send(ctx, method, "/api"+path, "application/json", text, header, into)
}

// runGraylog prepares Graylog: an index set, the content pack, and its stream, which is to
// write to that index set. It may run again.
func runGraylog(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("graylog", flag.ContinueOnError)
	file := fs.String("file", "", "content pack")
	if err := fs.Parse(args); err != nil {
		return err
	}
	env, err := need("FRONT_URL", "GRAYLOG_PASSWORD")
	if err != nil {
		return err
	}
	c, err := newClient(env["FRONT_URL"], "admin", env["GRAYLOG_PASSWORD"], "")
	if err != nil {
		return err
	}
	pack, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	return eventually(ctx, setupLimit, pollPause, func(ctx context.Context) error {
		g := graylog{c}
		set, err := g.indexSet(ctx)
		if err != nil {
			return err
		}
		streams, err := g.install(ctx, pack)
		if err != nil {
			return err
		}
		if err := g.call(ctx, http.MethodPut, "/streams/indexSet/"+set, streams, nil); err != nil {
			return err
		}
		for _, s := range streams { // since 7.0 streams of a content pack are paused at first
			if err := g.call(ctx, http.MethodPost, "/streams/"+s+"/resume", nil, nil); err != nil {
				return err
			}
		}
		fmt.Printf("content pack installed, %d stream writes to %s_*\n", len(streams), indexPrefix)
		return nil
	})
}

// indexSet returns the id of the index set, which it creates with the settings of the
// default one. It fixes the type of the one field that would else become a date.
func (g graylog) indexSet(ctx context.Context) (string, error) {
	var list struct {
		Sets []map[string]any `json:"index_sets"`
	}
	if err := g.call(ctx, http.MethodGet, "/system/indices/index_sets", nil, &list); err != nil {
		return "", err
	}
	set := map[string]any{"title": "FortiEMS", "description": "Records of fluent-bit-fortiems", "index_prefix": indexPrefix, "writable": true}
	for _, s := range list.Sets {
		if s["index_prefix"] == indexPrefix {
			return s["id"].(string), nil
		}
		if s["default"] == true {
			for _, same := range []string{"shards", "replicas", "rotation_strategy_class", "rotation_strategy", "retention_strategy_class",
				"retention_strategy", "index_analyzer", "index_optimization_max_num_segments", "index_optimization_disabled",
				"field_type_refresh_interval", "data_tiering", "use_legacy_rotation"} {
				if s[same] != nil {
					set[same] = s[same]
				}
			}
		}
	}
	var created struct{ ID string }
	if err := g.call(ctx, http.MethodPost, "/system/indices/index_sets", set, &created); err != nil {
		return "", err
	}
	return created.ID, g.call(ctx, http.MethodPut, "/system/indices/mappings", map[string]any{
		"index_sets": []string{created.ID}, "field": "fortinet_ems_date", "type": "string", "rotate": true}, nil)
}

// install uploads and installs the content pack, unless this has been done, and returns the
// ids of its streams.
func (g graylog) install(ctx context.Context, text []byte) (streams []string, err error) {
	var pack struct {
		ID  string
		Rev int
	}
	if err := json.Unmarshal(text, &pack); err != nil {
		return nil, err
	}
	base := "/system/content_packs"
	revision := base + "/" + url.PathEscape(pack.ID) + "/" + strconv.Itoa(pack.Rev)
	if err := g.call(ctx, http.MethodGet, revision, nil, nil); err != nil {
		if err := g.call(ctx, http.MethodPost, base, json.RawMessage(text), nil); err != nil {
			return nil, err
		}
	}
	type installation struct {
		Entities []struct {
			ID   string
			Type struct{ Name string }
		}
	}
	var have struct{ Installations []installation }
	if err := g.call(ctx, http.MethodGet, base+"/"+url.PathEscape(pack.ID)+"/installations", nil, &have); err != nil {
		return nil, err
	}
	if len(have.Installations) == 0 {
		have.Installations = make([]installation, 1)
		body, err := g.installation(ctx)
		if err != nil {
			return nil, err
		}
		if err := g.call(ctx, http.MethodPost, revision+"/installations", body, &have.Installations[0]); err != nil {
			return nil, err
		}
	}
	for _, i := range have.Installations {
		for _, e := range i.Entities {
			if e.Type.Name == "stream" {
				streams = append(streams, e.ID)
			}
		}
	}
	if len(streams) == 0 {
		return nil, fmt.Errorf("the installed content pack %s has no stream", pack.ID)
	}
	return streams, nil
}

// installation is the body of the request to install, which Graylog 7 expects in an envelope.
func (g graylog) installation(ctx context.Context) (any, error) {
	var system struct{ Version string }
	if err := g.call(ctx, http.MethodGet, "/system", nil, &system); err != nil {
		return nil, err
	}
	major, err := strconv.Atoi(strings.Split(system.Version, ".")[0])
	if err != nil {
		return nil, fmt.Errorf("version of Graylog: %w", err)
	}
	body := map[string]any{"parameters": map[string]any{}, "comment": "fluent-bit-fortiems"}
	if major >= 7 {
		body = map[string]any{"entity": body}
	}
	return body, nil
}

// categories counts the stored messages per category.
func (g graylog) categories(ctx context.Context) (map[string]int, error) {
	var got struct {
		Rows [][]any `json:"datarows"` // category, number
	}
	err := g.call(ctx, http.MethodPost, "/search/aggregate", map[string]any{
		"query": "event_module:fortinet", "timerange": map[string]any{"type": "relative", "range": 24 * 3600},
		"group_by": []any{map[string]any{"field": "fortinet_ems_category", "limit": 100}},
		"metrics":  []any{map[string]any{"function": "count"}},
	}, &got)
	counts := map[string]int{}
	for _, r := range got.Rows {
		name, n := fmt.Sprint(r[0]), 0.0
		if len(r) == 2 {
			n, _ = r[1].(float64)
		}
		counts[name] = int(n)
	}
	return counts, err
}
