package bootstrap

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"fluent-bit-fortiems/plugin/eshttp"
	"fluent-bit-fortiems/plugin/hostlog"
)

// found is what the server has under a name of ours.
type found struct {
	exists  bool
	ours    bool
	version int
}

// decision is what to do about a template or policy.
type decision int

const (
	create      decision = iota // it is absent
	replace                     // it is ours and older
	keep                        // it is ours and the same
	keepNewer                   // it is ours and newer
	keepForeign                 // it is not ours
	keepUnread                  // the server does not show it
)

// decide compares what the server answered with status and found with the version that
// we have.
func decide(status int, f found, version int) decision {
	switch ok := status/100 == 2; {
	case status == http.StatusNotFound, ok && !f.exists:
		return create
	case !ok:
		return keepUnread
	case !f.ours:
		return keepForeign
	case f.version > version:
		return keepNewer
	case f.version == version:
		return keep
	}
	return replace
}

// install puts everything in place. why is empty when the template of the records is
// ours and at least as new as this program's. An error means: try again later.
func (b *Bootstrap) install(ctx context.Context, s server) (why string, err error) {
	if s.product == "" {
		why = "the server does not show its version, so the product is unknown: set product"
		b.refused("product", "%s", why)
		return why, nil
	}
	lifecycle, err := b.installPolicy(ctx, s)
	if err != nil {
		return "", err
	}
	b.ilm = lifecycle
	if b.plan.tooGeneral != "" {
		why = fmt.Sprintf("index pattern %s could be that of others", b.plan.tooGeneral)
		b.refused("data", "no index template is installed: %s; install conf/%s/index-template.json with patterns of your own", why, s.product)
	} else if why, err = b.installTemplate(ctx, s, b.plan.data, lifecycle); err != nil {
		return "", err
	}
	if b.plan.dead == nil {
		return why, nil
	}
	// Dead letters must not hold up what is healthy.
	if _, err := b.installTemplate(ctx, s, b.plan.dead, lifecycle); err != nil {
		return "", err
	}
	return why, nil
}

// installTemplate returns why t is not in place, or "".
func (b *Bootstrap) installTemplate(ctx context.Context, s server, t *template, lifecycle bool) (why string, err error) {
	body, version, err := t.body(s.product, lifecycle)
	if err != nil {
		return "", err
	}
	path := "/_index_template/" + url.PathEscape(t.name)
	for range 2 { // once more when another agent was faster
		f, a, err := b.findTemplate(ctx, path)
		if err != nil {
			return "", err
		}
		what := fmt.Sprintf("index template %s", t.name)
		if why, kept := b.keeps(what, t.name, f, a, version); kept {
			return why, nil
		}
		query := ""
		if !f.exists {
			query = "?create=true" // never over one that was made meanwhile
		}
		a, err = b.put(ctx, path+query, body)
		if err != nil {
			return "", err
		}
		if a.OK() {
			b.sayf(hostlog.Info, "", "%s version %d installed for %s", what, version, t.pattern)
			return "", nil
		}
		if again, _, err := b.findTemplate(ctx, path); err != nil {
			return "", err
		} else if f.exists || !again.exists {
			why = fmt.Sprintf("%s cannot be installed: %v", what, a.Err())
			b.refused(t.name, "%s", why)
			return why, nil
		}
	}
	return fmt.Sprintf("index template %s is changed by others at this moment", t.name), nil
}

// keeps decides about a resource and logs the decision. kept says that it stays as it is,
// why that it is not known to be ours.
func (b *Bootstrap) keeps(what, kind string, f found, a *eshttp.Answer, version int) (why string, kept bool) {
	switch decide(a.Status, f, version) {
	case create:
		return "", false
	case replace:
		b.sayf(hostlog.Info, "", "%s version %d is older than %d and is replaced", what, f.version, version)
		return "", false
	case keepNewer:
		b.sayf(hostlog.Info, "", "%s version %d is newer than %d and stays as it is", what, f.version, version)
	case keepForeign:
		why = fmt.Sprintf("%s is not ours", what)
		b.refused(kind, "%s and stays as it is; rename it to get ours, or set bootstrap off", why)
	case keepUnread:
		why = fmt.Sprintf("%s cannot be read: %v", what, a.Err())
		b.refused(kind, "%s", why)
	}
	return why, true
}

// refused logs what the server or a resource of others prevents.
func (b *Bootstrap) refused(kind, format string, args ...any) {
	b.sayf(hostlog.Warn, kind, format, args...)
}

func (b *Bootstrap) findTemplate(ctx context.Context, path string) (found, *eshttp.Answer, error) {
	var list struct {
		Templates []struct {
			Template struct {
				Meta meta `json:"_meta"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	a, err := b.get(ctx, path, &list)
	if err != nil || !a.OK() || len(list.Templates) == 0 {
		return found{}, a, err
	}
	return list.Templates[0].Template.Meta.found(), a, nil
}

// meta is the mark on what we install. Others may put anything there.
type meta map[string]any

func (m meta) found() found {
	version, _ := m["version"].(float64)
	return found{exists: true, ours: m["managed_by"] == managedBy, version: int(version)}
}

// policy is a lifecycle policy as a product takes it.
type policy struct {
	feature, name, path string
	doc                 map[string]any
	version             int
	// read returns what an answer has, and the query that replaces that and nothing newer.
	read func(answer json.RawMessage) (f found, query string)
}

// installPolicy installs the lifecycle policy. Documents go on without it, unless the
// server cannot be reached. It returns whether templates may name the policy.
func (b *Bootstrap) installPolicy(ctx context.Context, s server) (lifecycle bool, err error) {
	name, patterns := b.plan.streams()
	if name == "" {
		return false, nil
	}
	ilm := s.product != opensearch
	p, err := ismPolicy(name, patterns)
	if ilm {
		p, err = ilmPolicy()
	}
	if err != nil {
		return false, err
	}
	var answer json.RawMessage
	a, err := b.get(ctx, p.path, &answer)
	if err != nil {
		return false, err
	}
	if missing(a) {
		b.refused("policy", "no lifecycle policy is installed: the server has no %s (%v)", p.feature, a.Err())
		return false, nil
	}
	var f found
	query := ""
	if a.OK() {
		f, query = p.read(answer)
	}
	what := "lifecycle policy " + p.name
	if _, kept := b.keeps(what, "policy", f, a, p.version); kept {
		return ilm, nil // a policy that is missing after all shows up in ILM's explain, and nothing is lost
	}
	a, err = b.putPolicy(ctx, what, p.path+query, p.doc, p.version)
	// A core without x-pack takes the question for one about a document (404) and
	// refuses the policy. A 403 says nothing about the feature.
	return err == nil && ilm && (a.OK() || a.Status == http.StatusForbidden), err
}

// ilmPolicy is the policy that the templates name, the same for all targets.
func ilmPolicy() (*policy, error) {
	doc, version, err := load(elasticsearch, "lifecycle-policy.json")
	return &policy{"ILM", dataName, "/_ilm/policy/" + dataName, doc, version, func(answer json.RawMessage) (f found, query string) {
		var list map[string]json.RawMessage
		_ = json.Unmarshal(answer, &list)
		if text, ok := list[dataName]; ok {
			var p struct {
				Policy struct {
					Meta meta `json:"_meta"`
				} `json:"policy"`
			}
			_ = json.Unmarshal(text, &p) // what we cannot read is not ours
			f = p.Policy.Meta.found()
		}
		return f, ""
	}}, err
}

// putPolicy installs a policy; a refusal is logged and no error.
func (b *Bootstrap) putPolicy(ctx context.Context, what, path string, doc map[string]any, version int) (*eshttp.Answer, error) {
	body, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	a, err := b.put(ctx, path, body)
	switch {
	case err != nil:
	case a.OK():
		b.sayf(hostlog.Info, "", "%s version %d installed", what, version)
	case a.Status == http.StatusConflict: // another agent was faster
		b.sayf(hostlog.Info, "", "%s is being installed by another agent", what)
	default:
		b.refused("policy", "%s cannot be installed: %v", what, a.Err())
	}
	return a, err
}

// missing reports whether the server has no such feature. One without the policy only
// answers 404.
func missing(a *eshttp.Answer) bool {
	return a.Status == http.StatusBadRequest || a.Status == http.StatusMethodNotAllowed || a.Status == http.StatusGone
}

// ismMark is how a policy of ours begins its description; ISM has no _meta.
var ismMark = regexp.MustCompile(`^managed_by ` + managedBy + ` version (\d+)\b`)

// ismPolicy is the policy for the index patterns of one instance.
func ismPolicy(name string, patterns []string) (*policy, error) {
	doc, _, err := load(opensearch, "lifecycle-policy.json")
	policyDoc, _ := at(doc, "policy")
	if templates, ok := policyDoc["ism_template"].([]any); ok && len(templates) == 1 {
		if t, ok := templates[0].(map[string]any); ok {
			t["index_patterns"] = patterns
		}
	}
	path := "/_plugins/_ism/policies/" + url.PathEscape(name)
	return &policy{"Index State Management", name, path, doc, ismVersion(policyDoc["description"]), func(answer json.RawMessage) (f found, query string) {
		var got struct {
			SeqNo       json.Number `json:"_seq_no"`
			PrimaryTerm json.Number `json:"_primary_term"`
			Policy      struct {
				Description any `json:"description"`
			} `json:"policy"`
		}
		_ = json.Unmarshal(answer, &got) // what we cannot read is not ours
		version := ismVersion(got.Policy.Description)
		return found{exists: true, ours: version > 0, version: version},
			"?if_seq_no=" + url.QueryEscape(got.SeqNo.String()) + "&if_primary_term=" + url.QueryEscape(got.PrimaryTerm.String())
	}}, err
}

// ismVersion reads the version out of a description, 0 if it is not ours.
func ismVersion(description any) int {
	text, _ := description.(string)
	m := ismMark.FindStringSubmatch(text)
	if m == nil {
		return 0
	}
	v, _ := strconv.Atoi(m[1])
	return v
}
