package bootstrap

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"fluent-bit-fortiems/plugin/eshttp"
)

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
	made, err := b.templateMakes(ctx, s, target)
	if err != nil {
		return unusable, err
	}
	return max(state, made), nil
}

// templateMakes reports whether the template that the server would choose for the
// target makes a data stream.
func (b *Bootstrap) templateMakes(ctx context.Context, s server, target string) (targetState, error) {
	var list struct {
		Templates []struct {
			Template struct {
				Patterns   []string       `json:"index_patterns"`
				Priority   int64          `json:"priority"`
				DataStream map[string]any `json:"data_stream"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	const wanted = "index_templates.index_template."
	a, err := b.get(ctx, "/_index_template?filter_path="+wanted+"index_patterns,"+wanted+"priority,"+wanted+"data_stream", &list)
	switch {
	case err != nil:
		return unusable, err
	case a.Status == http.StatusForbidden, !a.OK() && s.product != opensearch:
		return unknown, nil // OpenSearch answers, and has no template of its own
	case !a.OK():
		return unusable, nil
	}
	best, state := int64(-1), unusable
	for _, t := range list.Templates {
		for _, pattern := range t.Template.Patterns {
			if t.Template.Priority <= best || !matches(pattern, target) {
				continue
			}
			best, state = t.Template.Priority, unusable
			if t.Template.DataStream != nil {
				state = usable
			}
		}
	}
	return state, nil
}

// matches reports whether name fits pattern, in which * is any text. Neither has
// a slash.
func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name)
	return ok
}
