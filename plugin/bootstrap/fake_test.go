package bootstrap

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/option"
)

// fake is a server that knows the requests of this package and no other: anything
// else fails the test.
type fake struct {
	attached bool // data streams have the policy
	t        *testing.T
	product  string

	mu        sync.Mutex
	templates map[string]map[string]any
	policies  map[string]map[string]any // ILM by name, ISM by id; without the wrapper
	seqNo     map[string]int
	streams   []string
	indices   []string
	mappings  map[string]map[string]any // of indices, data streams and aliases by name
	answers   map[string]scripted       // by "METHOD /path"
	seen      []string                  // "METHOD /path?query"
	// before runs ahead of an answer, for races.
	before func(method, path string)
}

type scripted struct {
	status int
	body   string
	cut    bool
	once   bool
}

func newFake(t *testing.T, product string) *fake {
	return &fake{
		t: t, product: product,
		templates: map[string]map[string]any{}, policies: map[string]map[string]any{}, seqNo: map[string]int{},
		answers: map[string]scripted{},
	}
}

const (
	forbidden = `{"error":{"type":"security_exception","reason":"action is unauthorized for user"},"status":403}`
	noHandler = `{"error":"no handler found for uri [/x] and method [GET]"}`
)

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		f.t.Error(err)
	}
	f.seen = append(f.seen, r.Method+" "+r.URL.RequestURI())
	if f.before != nil {
		f.before(r.Method, r.URL.Path)
	}
	if f.product == elasticsearch {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
	}
	w.Header().Set("Content-Type", "application/json")
	key := r.Method + " " + r.URL.Path
	if s, ok := f.answers[key]; ok {
		if s.once {
			delete(f.answers, key)
		}
		if s.cut {
			w.Header().Set("Content-Length", fmt.Sprint(len(s.body)+10))
		}
		w.WriteHeader(s.status)
		io.WriteString(w, s.body)
		return
	}
	f.answer(w, r, body)
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request, body []byte) {
	p := r.URL.Path
	name := p[strings.LastIndexByte(p, '/')+1:]
	switch {
	case r.Method == "GET" && p == "/":
		distribution, number := "", "8.19.0"
		if f.product == opensearch {
			distribution, number = `"distribution":"opensearch",`, "2.19.1"
		}
		fmt.Fprintf(w, `{"version":{%s"number":"%s"}}`, distribution, number)
	case p == "/_index_template" && r.Method == "GET":
		f.list(w)
	case strings.HasPrefix(p, "/_index_template/_simulate_index/") && r.Method == "POST":
		f.simulate(w, name)
	case strings.HasSuffix(p, "/_mapping") && r.Method == "GET" && strings.Count(p, "/") == 2:
		f.mapping(w, strings.Split(p, "/")[1])
	case strings.HasPrefix(p, "/_index_template/"):
		f.template(w, r, name, body)
	case strings.HasPrefix(p, "/_ilm/policy/") && f.product == elasticsearch:
		f.policy(w, r, name, body)
	case strings.HasPrefix(p, "/_plugins/_ism/policies/") && f.product == opensearch:
		f.policy(w, r, name, body)
	case strings.HasPrefix(p, "/_data_stream/") && r.Method == "GET":
		if !slices.Contains(f.streams, name) {
			w.WriteHeader(404)
		}
		policy := ""
		if f.attached {
			policy = `,"ilm_policy":"logs-fortinet.fortiems"`
		}
		fmt.Fprintf(w, `{"data_streams":[{"name":%q%s}]}`, name, policy)
	case strings.HasPrefix(p, "/_plugins/_ism/explain/") && f.product == opensearch:
		policy := "null"
		if f.attached {
			policy = `"logs-fortinet.fortiems"`
		}
		fmt.Fprintf(w, `{".ds-%s-000001":{"index.plugins.index_state_management.policy_id":%s},"total_managed_indices":0}`, name, policy)
	case r.Method == "HEAD" && strings.Count(p, "/") == 1:
		if !slices.Contains(f.indices, name) {
			w.WriteHeader(404)
		}
	default:
		f.t.Errorf("a request that no server knows: %s %s", r.Method, p)
		w.WriteHeader(400)
	}
}

func (f *fake) list(w http.ResponseWriter) {
	var list []any
	for name, t := range f.templates {
		list = append(list, map[string]any{"name": name, "index_template": t})
	}
	json.NewEncoder(w).Encode(map[string]any{"index_templates": list})
}

// simulate answers as the products do: it does not name the template that wins, and
// OpenSearch fails for a data stream that exists.
func (f *fake) simulate(w http.ResponseWriter, target string) {
	if f.product == opensearch && slices.Contains(f.streams, target) {
		w.WriteHeader(500)
		io.WriteString(w, `{"error":{"type":"illegal_state_exception","reason":"index, alias, and data stream names need to be unique, but the following duplicates were found"},"status":500}`)
		return
	}
	var fit []string
	for name, t := range f.templates {
		patterns, _ := t["index_patterns"].([]any)
		if slices.ContainsFunc(patterns, func(p any) bool { return matches(p.(string), target) }) {
			fit = append(fit, name)
		}
	}
	priority := func(name string) float64 { p, _ := f.templates[name]["priority"].(float64); return p }
	slices.SortFunc(fit, func(a, b string) int { return int(priority(b) - priority(a)) })
	if len(fit) == 0 {
		io.WriteString(w, "{}")
		return
	}
	overlapping := []any{}
	for _, name := range fit[1:] {
		overlapping = append(overlapping, map[string]any{"name": name, "index_patterns": f.templates[name]["index_patterns"]})
	}
	inner, _ := f.templates[fit[0]]["template"].(map[string]any)
	if inner == nil {
		inner = map[string]any{"settings": map[string]any{}, "aliases": map[string]any{}}
	}
	json.NewEncoder(w).Encode(map[string]any{"template": inner, "overlapping": overlapping})
}

func (f *fake) mapping(w http.ResponseWriter, name string) {
	m, ok := f.mappings[name]
	if !ok && !slices.Contains(f.streams, name) {
		w.WriteHeader(404)
		io.WriteString(w, `{"error":{"type":"index_not_found_exception","reason":"no such index"},"status":404}`)
		return
	}
	if m == nil {
		doc, _, err := load(f.product, "index-template.json")
		if err != nil {
			f.t.Error(err)
		}
		m, _ = at(doc, "template", "mappings")
	}
	json.NewEncoder(w).Encode(map[string]any{
		".ds-" + name + "-000001": map[string]any{"mappings": map[string]any{}},
		".ds-" + name + "-000002": map[string]any{"mappings": m},
	})
}

func (f *fake) decode(r *http.Request, body []byte) map[string]any {
	var doc map[string]any
	if err := json.Unmarshal(body, &doc); err != nil {
		f.t.Errorf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	if c := r.Header.Get("Content-Type"); c != "application/json" {
		f.t.Errorf("%s %s: content type %q", r.Method, r.URL.Path, c)
	}
	return doc
}

func (f *fake) template(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	have, ok := f.templates[name]
	switch {
	case r.Method == "GET" && !ok:
		w.WriteHeader(404)
		io.WriteString(w, `{"error":{"type":"resource_not_found_exception","reason":"index template matching [x] not found"},"status":404}`)
	case r.Method == "GET":
		json.NewEncoder(w).Encode(map[string]any{"index_templates": []any{map[string]any{"name": name, "index_template": have}}})
	case r.Method == "PUT" && ok && r.URL.Query().Get("create") == "true":
		w.WriteHeader(400)
		io.WriteString(w, `{"error":{"type":"illegal_argument_exception","reason":"index template [x] already exists"},"status":400}`)
	case r.Method == "PUT":
		f.templates[name] = f.decode(r, body)
		io.WriteString(w, `{"acknowledged":true}`)
	default:
		f.t.Errorf("%s on a template", r.Method)
	}
}

func (f *fake) policy(w http.ResponseWriter, r *http.Request, name string, body []byte) {
	have, ok := f.policies[name]
	ism := f.product == opensearch
	switch {
	case r.Method == "GET" && !ok:
		w.WriteHeader(404)
		io.WriteString(w, `{"error":{"reason":"Policy not found"},"status":404}`)
	case r.Method == "GET" && ism:
		json.NewEncoder(w).Encode(map[string]any{"_id": name, "_seq_no": f.seqNo[name], "_primary_term": 1, "policy": have})
	case r.Method == "GET":
		json.NewEncoder(w).Encode(map[string]any{name: map[string]any{"version": 1, "policy": have}})
	case r.Method == "PUT" && ism && ok && r.URL.Query().Get("if_seq_no") != fmt.Sprint(f.seqNo[name]):
		w.WriteHeader(409)
		io.WriteString(w, `{"error":{"type":"version_conflict_engine_exception","reason":"conflict"},"status":409}`)
	case r.Method == "PUT":
		f.policies[name], _ = f.decode(r, body)["policy"].(map[string]any)
		f.seqNo[name]++
		if ism {
			w.WriteHeader(201)
			io.WriteString(w, `{"_id":"x","_seq_no":1,"_primary_term":1}`)
			return
		}
		io.WriteString(w, `{"acknowledged":true}`)
	default:
		f.t.Errorf("%s on a policy", r.Method)
	}
}

// writes are the PUT requests so far.
func (f *fake) writes() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []string
	for _, s := range f.seen {
		if strings.HasPrefix(s, "PUT ") {
			list = append(list, s)
		}
	}
	return list
}

// logs are the lines that an instance wrote at Warn and above.
type logs struct {
	mu    sync.Mutex
	lines []string
}

func (l *logs) write(_ hostlog.Level, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

func (l *logs) warnings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// instance is a Bootstrap against f with the options given on top of the defaults.
func instance(t *testing.T, f http.Handler, options map[string]string) (*Bootstrap, *logs) {
	t.Helper()
	srv := httptest.NewServer(f)
	t.Cleanup(srv.Close)
	return instanceAt(t, srv.URL, options)
}

func instanceAt(t *testing.T, address string, options map[string]string) (*Bootstrap, *logs) {
	t.Helper()
	c, err := option.ParseOutput(func(key string) string { return options[key] })
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := elastictransport.NewClient(elastictransport.WithURLs(u), elastictransport.WithDisableRetry())
	if err != nil {
		t.Fatal(err)
	}
	l := &logs{}
	log := hostlog.New("output", "fortiems_es", "t", hostlog.Warn, time.Hour, l.write)
	return New(Options{Transport: transport, Config: c, Log: log}), l
}
