package bootstrap

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"fluent-bit-fortiems/plugin/eshttp"
)

// wins returns an error unless the data stream exists or the template that the server will
// choose for it is t: the types of its fields would be guessed, and a plain index never
// becomes a data stream. t is in place.
func (b *Bootstrap) wins(ctx context.Context, s server, t *template) error {
	var streams struct {
		DataStreams []struct {
			Name   string  `json:"name"`
			Policy *string `json:"ilm_policy"`
		} `json:"data_streams"`
	}
	a, err := b.get(ctx, "/_data_stream/"+url.PathEscape(t.target), &streams)
	if err != nil {
		return err
	}
	if a.OK() && len(streams.DataStreams) > 0 {
		if s.product == opensearch {
			return b.checkISM(ctx, t)
		}
		if p := streams.DataStreams[0].Policy; s.version != "" && p == nil && b.ilm {
			b.refused("attach", "data stream %s is older than the lifecycle policy and does not have it: attach it with PUT /%s/_settings {\"index.lifecycle.name\":\"%s\"}", t.target, t.target, dataName)
		}
		return nil
	}
	if a, err = b.call(ctx, http.MethodHead, "/"+url.PathEscape(t.target), nil); err != nil {
		return err
	}
	if a.OK() {
		return fmt.Errorf("%s is a plain index or an alias, not a data stream: delete or rename it, choose another data_stream, or set bootstrap off if it is meant to be one", t.target)
	}
	best, err := b.winner(ctx, s, t.target)
	switch {
	case err != nil:
		return err
	case best.state == unknown || best.name == t.name:
		return nil
	case best.priority < 0:
		return fmt.Errorf("no index template fits %s: the index_patterns of %s do not; mend or delete that template, or set bootstrap off", t.target, t.name)
	case best.state == unusable:
		return fmt.Errorf("index template %s (priority %d) wins over %s and would make %s a plain index with guessed types: remove it, narrow its index_patterns, or set bootstrap off", best.name, best.priority, t.name, t.target)
	}
	return fmt.Errorf("index template %s (priority %d) wins over %s, so the field types of %s would be guessed: remove it, lower its priority below 250, or set bootstrap off if it has the types", best.name, best.priority, t.name, t.target)
}

// checkISM looks whether the write index of a data stream has a policy.
func (b *Bootstrap) checkISM(ctx context.Context, t *template) error {
	var indices map[string]json.RawMessage
	a, err := b.get(ctx, "/_plugins/_ism/explain/"+url.PathEscape(t.target), &indices)
	if err != nil || !a.OK() {
		return err // without ISM, or without the privilege: installPolicy has said so
	}
	managed, seen := false, false
	for name, text := range indices {
		var index struct {
			Policy  *string `json:"index.plugins.index_state_management.policy_id"`
			Managed *string `json:"policy_id"`
		}
		if strings.HasPrefix(name, ".ds-") && json.Unmarshal(text, &index) == nil {
			seen, managed = true, managed || index.Policy != nil || index.Managed != nil
		}
	}
	if seen && !managed {
		name, _ := b.plan.streams()
		b.refused("attach", "data stream %s is older than the lifecycle policy and does not have it: attach it with POST /_plugins/_ism/add/%s {\"policy_id\":\"%s\"}", t.target, t.target, name)
	}
	return nil
}

// checkTarget returns an error unless documents may go to the data stream although its
// template is not known to be ours; why is the reason for that. Without any template the
// first document would create a plain index of that name with guessed types, and nothing
// turns that into a data stream later.
func (b *Bootstrap) checkTarget(ctx context.Context, s server, why string) error {
	target := b.config.DataStream
	state, err := b.targetState(ctx, s, target)
	if err != nil {
		return err
	}
	switch {
	case state == usable:
		return nil
	case state == unusable:
		return fmt.Errorf("data stream %s does not exist and no index template would make one: %s", target, why)
	case !b.config.Bootstrap:
		return nil // the operator has said that everything is in place
	case s.product == elasticsearch && strings.HasPrefix(target, builtinPrefix):
		return nil
	}
	return fmt.Errorf("it is unknown whether the data stream %s exists (the user may not look): %s; %s", target, why, eshttp.HintLook)
}

type targetState int

const (
	unusable targetState = iota
	unknown              // the user may not look, or the server does not say
	usable
)

// targetState looks for the data stream, an index or alias of that name, and the
// template that would apply.
func (b *Bootstrap) targetState(ctx context.Context, s server, target string) (targetState, error) {
	var streams struct {
		DataStreams []struct {
			Name string `json:"name"`
		} `json:"data_streams"`
	}
	a, err := b.get(ctx, "/_data_stream/"+url.PathEscape(target), &streams)
	if err != nil {
		return unusable, err
	}
	if a.OK() && len(streams.DataStreams) > 0 {
		return usable, nil
	}
	state := unusable
	if a.Status == http.StatusForbidden {
		state = unknown
	}
	a, err = b.call(ctx, http.MethodHead, "/"+url.PathEscape(target), nil)
	switch {
	case err != nil:
		return unusable, err
	case a.OK():
		return usable, nil
	case a.Status == http.StatusForbidden:
		state = unknown
	}
	made, err := b.winner(ctx, s, target)
	if err != nil {
		return unusable, err
	}
	return max(state, made.state), nil
}

// choice is the index template that the server will choose.
type choice struct {
	name     string
	priority int64
	state    targetState // usable: it makes a data stream
}

// winner finds the template with the highest priority among those that fit the target, as
// the server does.
func (b *Bootstrap) winner(ctx context.Context, s server, target string) (choice, error) {
	var list struct {
		Templates []struct {
			Name     string `json:"name"`
			Template struct {
				Patterns   []string       `json:"index_patterns"`
				Priority   int64          `json:"priority"`
				DataStream map[string]any `json:"data_stream"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	const wanted = "index_templates.index_template."
	a, err := b.get(ctx, "/_index_template?filter_path=index_templates.name,"+wanted+"index_patterns,"+wanted+"priority,"+wanted+"data_stream", &list)
	switch {
	case err != nil:
		return choice{}, err
	case a.Status == http.StatusForbidden, !a.OK() && s.product != opensearch:
		return choice{state: unknown}, nil // OpenSearch answers, and has no template of its own
	case !a.OK():
		return choice{}, nil
	}
	best := choice{priority: -1}
	for _, t := range list.Templates {
		for _, pattern := range t.Template.Patterns {
			if t.Template.Priority <= best.priority || !matches(pattern, target) {
				continue
			}
			best = choice{t.Name, t.Template.Priority, unusable}
			if t.Template.DataStream != nil {
				best.state = usable
			}
		}
	}
	return best, nil
}

// matches reports whether name fits pattern, in which * is any text. Neither has
// a slash.
func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name)
	return ok
}
