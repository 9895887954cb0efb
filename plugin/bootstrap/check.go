package bootstrap

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"fluent-bit-fortiems/plugin/eshttp"
	"fluent-bit-fortiems/plugin/hostlog"
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
		if err := b.checkExisting(ctx, s, t); err != nil {
			return err
		}
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
	sim, err := b.simulate(ctx, t.target)
	if err != nil {
		return err
	}
	best, err := b.winner(ctx, s, t.target, sim)
	if err != nil || best.name == t.name || best.state == unknown && !sim.known {
		return err
	}
	return b.foreignWins(s, t, best, sim)
}

// foreignWins returns why the data stream must not be made by a template that is not ours,
// or nil if that has the same types.
func (b *Bootstrap) foreignWins(s server, t *template, best choice, sim simulation) error {
	if best.priority < 0 {
		return fmt.Errorf("no index template fits %s: the index_patterns of %s do not; mend or delete that template, or set bootstrap off", t.target, t.name)
	}
	name := "an index template that the user may not see"
	if best.name != "" {
		name = fmt.Sprintf("index template %s (priority %d)", best.name, best.priority)
	}
	if best.state == unusable {
		return fmt.Errorf("%s wins over %s and would make %s a plain index with guessed types: remove it, narrow its index_patterns, or set bootstrap off", name, t.name, t.target)
	}
	why := ""
	if sim.known {
		wanted, err := t.wantedTypes(s.product)
		if err != nil {
			return err
		}
		if why = otherTypes(sim.types, wanted); why == "" {
			b.sayf(hostlog.Info, "", "%s wins over %s and gives %s the same field types", name, t.name, t.target)
			return nil
		}
		why = " (" + why + ")"
	}
	return fmt.Errorf("%s wins over %s, so the field types of %s would be guessed%s: remove it, lower its priority below 250, or set bootstrap off if it has the types", name, t.name, t.target, why)
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
		return usable, b.checkExisting(ctx, s, b.plan.data)
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
	sim, err := b.simulate(ctx, target)
	if err != nil {
		return unusable, err
	}
	made, err := b.winner(ctx, s, target, sim)
	if err != nil {
		return unusable, err
	}
	if made.state == usable && sim.known && made.name != b.plan.data.name && s.product != "" {
		wanted, err := b.plan.data.wantedTypes(s.product)
		if err != nil {
			return unusable, err
		}
		if other := otherTypes(sim.types, wanted); other != "" {
			b.differs("index template %s makes %s with other field types than ours: %s", made.name, target, other)
		}
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
// the server does: by the list of all, without those that lose by what the server itself
// says. If the user may not see the list, only ours has a name.
func (b *Bootstrap) winner(ctx context.Context, s server, target string, sim simulation) (choice, error) {
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
	none := choice{priority: -1}
	const wanted = "index_templates.index_template."
	a, err := b.get(ctx, "/_index_template?filter_path=index_templates.name,"+wanted+"index_patterns,"+wanted+"priority,"+wanted+"data_stream", &list)
	switch {
	case err != nil:
		return choice{}, err
	case sim.known && sim.none:
		return none, nil
	case !a.OK():
		var best choice
		if a.Status == http.StatusForbidden || s.product != opensearch { // which answers, and has no template of its own
			best.state = unknown
		}
		if sim.known && !slices.Contains(sim.loses, b.plan.data.name) {
			best.name = b.plan.data.name
		}
		return best, nil
	}
	best := none
	for _, t := range list.Templates {
		if t.Template.Priority <= best.priority || slices.Contains(sim.loses, t.Name) {
			continue
		}
		if !slices.ContainsFunc(t.Template.Patterns, func(p string) bool { return matches(p, target) }) {
			continue
		}
		best = choice{t.Name, t.Template.Priority, unusable}
		if t.Template.DataStream != nil {
			best.state = usable
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
