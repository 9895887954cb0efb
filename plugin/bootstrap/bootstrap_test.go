package bootstrap

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/option"
)

// mark makes a template or policy that carries our mark at a version.
func mark(version int) map[string]any {
	return map[string]any{"_meta": map[string]any{"managed_by": managedBy, "version": float64(version)},
		"index_patterns": []any{"logs-fortinet.fortiems-*"}, "priority": 250.0, "data_stream": map[string]any{}}
}

func TestInstallsWhatIsAbsent(t *testing.T) {
	for product, policy := range map[string]string{
		elasticsearch: "PUT /_ilm/policy/logs-fortinet.fortiems",
		opensearch:    "PUT /_plugins/_ism/policies/logs-fortinet.fortiems",
	} {
		t.Run(product, func(t *testing.T) {
			f := newFake(t, product)
			b, l := instance(t, f, nil)
			if err := b.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := []string{
				policy,
				"PUT /_index_template/logs-fortinet.fortiems?create=true",
				"PUT /_index_template/logs-fortinet.fortiems.dead_letter?create=true",
			}
			if got := f.writes(); !slices.Equal(got, want) {
				t.Errorf("%q", got)
			}
			if w := l.warnings(); len(w) > 0 {
				t.Errorf("%q", w)
			}
			// Sent is the file of conf/, whole.
			doc, _, err := load(product, "index-template.json")
			if err != nil {
				t.Fatal(err)
			}
			if sent := f.templates[dataName]; !sameJSON(sent, doc) {
				t.Error("the template is not that of conf/")
			}
			_, lifecycle := at(f.templates[dataName], "template", "settings", "index", "lifecycle")
			if lifecycle != (product == elasticsearch) {
				t.Errorf("the template names a policy: %v", lifecycle)
			}

			// Ready again, and a second agent: nothing is written, nothing asked twice.
			asked := len(f.seen)
			if err := b.Ready(t.Context()); err != nil || len(f.seen) != asked {
				t.Errorf("asked again: %v, %q", err, f.seen[asked:])
			}
			second, _ := instance(t, f, nil)
			if err := second.Ready(t.Context()); err != nil || len(f.writes()) != len(want) {
				t.Errorf("%v, %q", err, f.writes())
			}
		})
	}
}

func sameJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

func TestLeavesOrReplacesWhatIsThere(t *testing.T) {
	foreign := map[string]any{"_meta": map[string]any{"managed_by": "ops"}, "priority": 300.0, "index_patterns": []any{"logs-fortinet.*-*"}}
	foreignStream := map[string]any{"data_stream": map[string]any{"hidden": false}, "priority": 300.0, "index_patterns": []any{"logs-fortinet.*-*"}}
	isPolicy := func(text string) map[string]any { return map[string]any{"description": text} }
	none := []string{"PUT /_index_template/logs-fortinet.fortiems.dead_letter?create=true"}
	for _, c := range []struct {
		name             string
		product          string
		template, policy map[string]any
		templatePut      bool
		policyPut        string // the query of the PUT, "-" for none
		warn             string // part of the one warning
		fails            string // part of the error
	}{
		{"older is replaced", elasticsearch, mark(0), mark(0), true, "", "", ""},
		{"same stays", elasticsearch, mark(1), mark(1), false, "-", "", ""},
		{"newer stays", elasticsearch, mark(99), mark(99), false, "-", "", ""},
		{"foreign template without a data stream", elasticsearch, foreign, mark(1), false, "-", "index template logs-fortinet.fortiems is not ours", "no index template would make one"},
		{"foreign template with a data stream", elasticsearch, foreignStream, mark(1), false, "-", "index template logs-fortinet.fortiems is not ours", ""},
		{"foreign policy", elasticsearch, mark(1), map[string]any{"phases": map[string]any{}}, false, "-", "lifecycle policy logs-fortinet.fortiems is not ours", ""},
		{"meta of another shape", elasticsearch, map[string]any{"_meta": map[string]any{"managed_by": []any{1.0}, "version": "x"}}, mark(1), false, "-", "is not ours", "no index template"},
		{"ISM older is replaced under its number", opensearch, mark(0), isPolicy("managed_by fluent-bit-fortiems version 0: x"), true, "-", "is not ours", ""},
		{"ISM same stays", opensearch, mark(1), isPolicy("managed_by fluent-bit-fortiems version 1: x"), false, "-", "", ""},
		{"ISM newer stays", opensearch, mark(1), isPolicy("managed_by fluent-bit-fortiems version 12 (edited)"), false, "-", "", ""},
		{"ISM foreign stays", opensearch, mark(1), isPolicy("keep 90 days"), false, "-", "lifecycle policy logs-fortinet.fortiems is not ours", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, c.product)
			f.templates[dataName], f.policies[dataName] = c.template, c.policy
			b, l := instance(t, f, nil)
			err := b.Ready(t.Context())
			if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("error %v, want %q", err, c.fails)
			}
			want := slices.Clone(none)
			if c.templatePut {
				want = append([]string{"PUT /_index_template/logs-fortinet.fortiems"}, want...)
			}
			if c.policyPut != "-" {
				want = append([]string{"PUT /_ilm/policy/logs-fortinet.fortiems" + c.policyPut}, want...)
			}
			if got := f.writes(); !slices.Equal(got, want) {
				t.Errorf("wrote %q, want %q", got, want)
			}
			w := l.warnings()
			if (len(w) == 0) != (c.warn == "") || len(w) > 1 || len(w) == 1 && !strings.Contains(w[0], c.warn) {
				t.Errorf("warnings %q, want %q", w, c.warn)
			}
		})
	}
}

func TestISMUpdateNamesItsNumber(t *testing.T) {
	f := newFake(t, opensearch)
	b, _ := instance(t, f, nil)
	// Version 0 is nobody's, so an older one is made by raising ours.
	f.policies[dataName] = map[string]any{"description": "managed_by fluent-bit-fortiems version 1: x"}
	f.seqNo[dataName] = 7
	doc, _, err := load(opensearch, "lifecycle-policy.json")
	if err != nil {
		t.Fatal(err)
	}
	if v := ismVersion(doc["policy"].(map[string]any)["description"]); v != 1 {
		t.Fatalf("version %d: mend this test, it can now use an older one", v)
	}
	if _, err := b.putPolicy(t.Context(), "p", "/_plugins/_ism/policies/"+dataName+"?if_seq_no=7&if_primary_term=1", doc, 2); err != nil {
		t.Fatal(err)
	}
	if f.seqNo[dataName] != 8 {
		t.Error("not updated")
	}
	// Somebody else was faster: no error, not overwritten.
	if _, err := b.putPolicy(t.Context(), "p", "/_plugins/_ism/policies/"+dataName+"?if_seq_no=7&if_primary_term=1", doc, 2); err != nil {
		t.Fatal(err)
	}
	if f.seqNo[dataName] != 8 {
		t.Error("overwritten")
	}
}

func TestServersWithoutLifecycles(t *testing.T) {
	for product, path := range map[string]string{
		elasticsearch: "GET /_ilm/policy/logs-fortinet.fortiems",
		opensearch:    "GET /_plugins/_ism/policies/logs-fortinet.fortiems",
	} {
		for _, status := range []int{400, 405, 410} {
			f := newFake(t, product)
			f.answers[path] = scripted{status: status, body: noHandler}
			b, l := instance(t, f, nil)
			if err := b.Ready(t.Context()); err != nil {
				t.Errorf("%s %d: %v", product, status, err)
			}
			if w := l.warnings(); len(w) != 1 || !strings.Contains(w[0], "no lifecycle policy is installed") || !strings.Contains(w[0], "no handler found") {
				t.Errorf("%s %d: %q", product, status, w)
			}
			if _, named := at(f.templates[dataName], "template", "settings", "index", "lifecycle"); named || f.templates[dataName] == nil {
				t.Errorf("%s %d: the template names a policy, or is not there", product, status)
			}
		}
	}
}

func TestPrivilegesMissing(t *testing.T) {
	const (
		getTemplate = "GET /_index_template/logs-fortinet.fortiems"
		putTemplate = "PUT /_index_template/logs-fortinet.fortiems"
		getStream   = "GET /_data_stream/logs-fortinet.fortiems-default"
		head        = "HEAD /logs-fortinet.fortiems-default"
		list        = "GET /_index_template"
		simulate    = "POST /_index_template/_simulate_index/logs-fortinet.fortiems-default"
	)
	builtin := map[string]any{"index_patterns": []any{"logs-*-*"}, "priority": 100.0, "data_stream": map[string]any{"hidden": false}}
	for _, c := range []struct {
		name    string
		product string
		deny    []string
		prepare func(*fake)
		warn    string
		fails   string
	}{
		{"may not write, stream exists", opensearch, []string{putTemplate}, func(f *fake) { f.streams = []string{"logs-fortinet.fortiems-default"} }, "answered 403 security_exception (action is unauthorized for user): give the user the cluster privileges", ""},
		{"may not read, stream exists", opensearch, []string{getTemplate}, func(f *fake) { f.streams = []string{"logs-fortinet.fortiems-default"} }, "answered 403 security_exception", ""},
		{"may not write, index or alias exists", opensearch, []string{putTemplate}, func(f *fake) { f.indices = []string{"logs-fortinet.fortiems-default"} }, "cannot be installed", ""},
		{"may not write, nothing there", opensearch, []string{putTemplate}, nil, "cannot be installed", "does not exist and no index template would make one"},
		{"may not write or look, OpenSearch", opensearch, []string{putTemplate, getStream, head, list, simulate}, nil, "cannot be installed", "may not look"},
		{"may not write, nothing there, Elasticsearch", elasticsearch, []string{putTemplate}, nil, "cannot be installed", "does not exist"},
		{"may not write, built-in template", elasticsearch, []string{putTemplate, simulate}, func(f *fake) { f.templates["logs"] = builtin }, "cannot be installed", ""},
		{"may not write or look, Elasticsearch", elasticsearch, []string{putTemplate, getStream, head, list, simulate}, nil, "cannot be installed", ""},
		{"may not ask for the version, Elasticsearch", elasticsearch, []string{"GET /"}, nil, "", ""},
		{"may not ask for the version, OpenSearch", opensearch, []string{"GET /"}, nil, "product is unknown: set product", "does not exist"},
		{"may not ask for the version, OpenSearch, stream exists", opensearch, []string{"GET /"}, func(f *fake) { f.streams = []string{"logs-fortinet.fortiems-default"} }, "set product", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFake(t, c.product)
			for _, d := range c.deny {
				f.answers[d] = scripted{status: 403, body: forbidden}
			}
			if c.prepare != nil {
				c.prepare(f)
			}
			b, l := instance(t, f, nil)
			err := b.Ready(t.Context())
			if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
				t.Errorf("error %v, want %q", err, c.fails)
			}
			if err != nil { // repeated: still refused, and still one line
				if b.Ready(t.Context()) == nil {
					t.Error("the second try goes on")
				}
			}
			w := l.warnings()
			if (len(w) == 0) != (c.warn == "") || len(w) > 1 || len(w) == 1 && !strings.Contains(w[0], c.warn) {
				t.Errorf("warnings %q, want %q", w, c.warn)
			}
		})
	}
}

func TestPolicyRefusedDoesNotHoldUp(t *testing.T) {
	for product, path := range map[string]string{
		elasticsearch: "/_ilm/policy/logs-fortinet.fortiems",
		opensearch:    "/_plugins/_ism/policies/logs-fortinet.fortiems",
	} {
		for _, method := range []string{"GET ", "PUT "} {
			f := newFake(t, product)
			f.answers[method+path] = scripted{status: 403, body: forbidden}
			b, l := instance(t, f, nil)
			if err := b.Ready(t.Context()); err != nil {
				t.Error(err)
			}
			if w := l.warnings(); len(w) != 1 || !strings.Contains(w[0], "manage_ilm") {
				t.Errorf("%s%s: %q", method, path, w)
			}
			if f.templates[dataName] == nil || f.templates[deadName] == nil {
				t.Errorf("%s%s: templates are missing", method, path)
			}
		}
	}
}

func TestDeadLetterTemplateRefusedDoesNotHoldUp(t *testing.T) {
	f := newFake(t, opensearch)
	f.answers["PUT /_index_template/"+deadName] = scripted{status: 403, body: forbidden}
	b, l := instance(t, f, nil)
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if w := l.warnings(); len(w) != 1 || !strings.Contains(w[0], "dead_letter") {
		t.Errorf("%q", w)
	}
}

// TestTriedAgain has each request fail once in each way that time can mend.
func TestTriedAgain(t *testing.T) {
	for _, product := range []string{elasticsearch, opensearch} {
		probe := newFake(t, product)
		b, _ := instance(t, probe, nil)
		if err := b.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, request := range probe.seen {
			request, _, _ = strings.Cut(request, "?")
			for _, s := range []scripted{
				{status: 401, body: `{"error":{"reason":"bad credentials"}}`}, {status: 429}, {status: 500}, {status: 503, body: "<html>down</html>"}, {status: 302},
				{status: 200, body: `{"acknow`}, {status: 200, body: `{"a":1}`, cut: true}, {status: 200, body: ""},
			} {
				if s.body == "" && s.status == 200 && strings.HasPrefix(request, "HEAD") {
					continue
				}
				if strings.HasPrefix(request, "POST /_index_template/_simulate_index/") && !s.cut && (s.status == 200 || s.status == 500) {
					continue // only good to know, see TestSimulation
				}
				s.once = true
				f := newFake(t, product)
				f.answers[request] = s
				b, _ := instance(t, f, nil)
				if err := b.Ready(t.Context()); err == nil {
					t.Errorf("%s: %s answered %d %q cut %v is taken for a success", product, request, s.status, s.body, s.cut)
				}
				if err := b.Ready(t.Context()); err != nil {
					t.Errorf("%s: %s: second try: %v", product, request, err)
				}
				if f.templates[dataName] == nil || f.templates[deadName] == nil || f.policies[dataName] == nil {
					t.Errorf("%s: %s: something is missing", product, request)
				}
			}
		}
	}
}

func TestNotAcknowledgedIsTriedAgain(t *testing.T) {
	f := newFake(t, elasticsearch)
	f.answers["PUT /_index_template/"+dataName] = scripted{status: 200, body: `{"acknowledged":false}`, once: true}
	b, _ := instance(t, f, nil)
	if err := b.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "not acknowledged") {
		t.Error(err)
	}
	if err := b.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAnotherAgentIsFaster(t *testing.T) {
	for name, made := range map[string]map[string]any{"with ours": mark(1), "with a newer one": mark(7)} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, elasticsearch)
			f.before = func(method, path string) {
				if method == "PUT" && path == "/_index_template/"+dataName {
					f.templates[dataName] = made
				}
			}
			b, l := instance(t, f, nil)
			if err := b.Ready(t.Context()); err != nil {
				t.Error(err)
			}
			if !sameJSON(f.templates[dataName], made) || len(l.warnings()) > 0 {
				t.Errorf("%v %q", f.templates[dataName], l.warnings())
			}
		})
	}
}

func TestWhatIsNoServer(t *testing.T) {
	for name, s := range map[string]scripted{
		"a page":      {status: 200, body: "<html>login</html>"},
		"other JSON":  {status: 200, body: `{"hello":"world"}`},
		"not found":   {status: 404, body: "404 page not found"},
		"bad request": {status: 400, body: "plain HTTP request was sent to HTTPS port"},
	} {
		f := newFake(t, "other")
		f.answers["GET /"] = s
		b, _ := instance(t, f, nil)
		if err := b.Ready(t.Context()); err == nil || len(f.writes()) > 0 {
			t.Errorf("%s: %v, wrote %q", name, err, f.writes())
		}
	}
}

func TestProductIsNotAskedForWhenItIsSet(t *testing.T) {
	f := newFake(t, opensearch)
	b, _ := instance(t, f, map[string]string{"product": "opensearch"})
	if err := b.Ready(t.Context()); err != nil || slices.Contains(f.seen, "GET /") {
		t.Errorf("%v %q", err, f.seen)
	}
}

func TestOtherTargets(t *testing.T) {
	for _, c := range []struct {
		options map[string]string
		want    map[string]string // pattern by template
		streams bool
	}{
		{map[string]string{"data_stream": "logs-fortinet.fortiems-prod", "dead_letter": "index:logs-fortinet.fortiems.dead_letter-prod"},
			map[string]string{dataName: "logs-fortinet.fortiems-*", deadName: "logs-fortinet.fortiems.dead_letter-*"}, true},
		{map[string]string{"data_stream": "logs-generic-default", "dead_letter": "off"},
			map[string]string{"fluent-bit-fortiems.logs-generic-default": "logs-generic-default"}, true},
		{map[string]string{"data_stream": "siem", "dead_letter": "index:siem-dead"},
			map[string]string{"fluent-bit-fortiems.siem": "siem", "fluent-bit-fortiems.siem-dead": "siem-dead"}, true},
		{map[string]string{"index": "fortiems-%Y.%m.%d", "dead_letter": "file:/tmp/x"},
			map[string]string{"fluent-bit-fortiems.fortiems-_._._": "fortiems-*.*.*"}, false},
		{map[string]string{"index": "fortiems-{observer.name}-%Y%m", "dead_letter": "off"},
			map[string]string{"fluent-bit-fortiems.fortiems-_-_": "fortiems-*-*"}, false},
	} {
		f := newFake(t, opensearch)
		b, l := instance(t, f, c.options)
		if err := b.Ready(t.Context()); err != nil {
			t.Error(err)
		}
		got := map[string]string{}
		for name, tmpl := range f.templates {
			got[name] = tmpl["index_patterns"].([]any)[0].(string)
			if _, stream := tmpl["data_stream"]; stream != c.streams {
				t.Errorf("%v: %s: data stream %v", c.options, name, stream)
			}
		}
		if !sameJSON(got, c.want) || len(l.warnings()) > 0 {
			t.Errorf("%v: %v, %q", c.options, got, l.warnings())
		}
		if c.streams != (len(f.policies) == 1) {
			t.Errorf("%v: policies %v", c.options, f.policies)
		}
	}
}

func TestGeneralPatternsGetNoTemplate(t *testing.T) {
	for _, index := range []string{"logs-%Y.%m.%d", "{host.name}", "a-%Y", "%Y", "metrics-{event.dataset}-default"} {
		f := newFake(t, elasticsearch)
		b, l := instance(t, f, map[string]string{"index": index, "dead_letter": "off"})
		if err := b.Ready(t.Context()); err != nil || len(f.templates) > 0 {
			t.Errorf("%s: %v, %v", index, err, f.templates)
		}
		if w := l.warnings(); len(w) != 1 || !strings.Contains(w[0], "could be that of others") {
			t.Errorf("%s: %q", index, w)
		}
	}
}

func TestBootstrapOff(t *testing.T) {
	off := func(more ...string) map[string]string {
		o := map[string]string{"bootstrap": "off"}
		for i := 0; i < len(more); i += 2 {
			o[more[i]] = more[i+1]
		}
		return o
	}
	f := newFake(t, opensearch)
	b, _ := instance(t, f, off("index", "fortiems-%Y"))
	if err := b.Ready(t.Context()); err != nil || len(f.seen) > 0 {
		t.Errorf("an index needs no question: %v %q", err, f.seen)
	}
	b, _ = instance(t, f, off())
	if err := b.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "bootstrap is off") {
		t.Error("goes on although a bulk would create a plain index", err)
	}
	f.templates["own"] = map[string]any{"index_patterns": []any{"logs-*"}, "priority": 500.0, "data_stream": map[string]any{}}
	if err := b.Ready(t.Context()); err != nil || len(f.writes()) > 0 {
		t.Error(err, f.writes())
	}
	f = newFake(t, opensearch)
	for _, r := range []string{"GET /_data_stream/logs-fortinet.fortiems-default", "HEAD /logs-fortinet.fortiems-default", "GET /_index_template"} {
		f.answers[r] = scripted{status: 403, body: forbidden}
	}
	b, _ = instance(t, f, off())
	if err := b.Ready(t.Context()); err != nil {
		t.Error("the operator has said that it is there:", err)
	}
	f = newFake(t, elasticsearch)
	b, _ = instance(t, f, off())
	if err := b.Ready(t.Context()); err != nil || !slices.Equal(f.seen, []string{"GET /"}) {
		t.Errorf("Elasticsearch makes a data stream of logs-*: %v %q", err, f.seen)
	}
}

func TestGatewayThatHidesAllButBulk(t *testing.T) {
	hide := func(f *fake, status int) {
		for _, r := range []string{
			"GET /", "GET /_ilm/policy/logs-fortinet.fortiems", "PUT /_ilm/policy/logs-fortinet.fortiems",
			"GET /_index_template/logs-fortinet.fortiems", "PUT /_index_template/logs-fortinet.fortiems",
			"GET /_index_template/logs-fortinet.fortiems.dead_letter", "PUT /_index_template/logs-fortinet.fortiems.dead_letter",
			"GET /_data_stream/logs-fortinet.fortiems-default", "HEAD /logs-fortinet.fortiems-default", "GET /_index_template",
			"POST /_index_template/_simulate_index/logs-fortinet.fortiems-default",
		} {
			f.answers[r] = scripted{status: status, body: "{}"}
		}
	}
	for _, c := range []struct {
		name    string
		product string
		options map[string]string
		status  int
		goesOn  bool
	}{
		{"bootstrap off", "other", map[string]string{"bootstrap": "off"}, 404, true},
		{"bootstrap off, every path is fine", "other", map[string]string{"bootstrap": "off"}, 200, true},
		{"every path is fine", "other", nil, 200, true},
		{"nothing is known", "other", nil, 404, false},
		{"nothing is known of Elasticsearch", elasticsearch, nil, 404, true},
		{"Elasticsearch by option", "other", map[string]string{"product": "elasticsearch"}, 404, true},
		{"OpenSearch by option", "other", map[string]string{"product": "opensearch"}, 404, false},
		{"OpenSearch by option, bootstrap off", "other", map[string]string{"product": "opensearch", "bootstrap": "off"}, 404, false},
	} {
		f := newFake(t, c.product)
		hide(f, c.status)
		for _, m := range []string{"GET", "PUT"} {
			f.answers[m+" /_plugins/_ism/policies/logs-fortinet.fortiems"] = scripted{status: c.status, body: "{}"}
		}
		b, _ := instance(t, f, c.options)
		if err := b.Ready(t.Context()); (err == nil) != c.goesOn {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestStrangePolicyIsLeftAlone(t *testing.T) {
	f := newFake(t, elasticsearch)
	f.answers["GET /_ilm/policy/logs-fortinet.fortiems"] = scripted{status: 200, body: `{"logs-fortinet.fortiems":[1],"other":true}`}
	b, _ := instance(t, f, nil)
	if err := b.Ready(t.Context()); err != nil || slices.ContainsFunc(f.writes(), func(w string) bool { return strings.Contains(w, "_ilm") }) {
		t.Errorf("%v %q", err, f.writes())
	}
}

func TestFlushesShareOneAttempt(t *testing.T) {
	f := newFake(t, elasticsearch)
	b, _ := instance(t, f, nil)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if err := b.Ready(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(f.writes()); n != 3 {
		t.Errorf("%d writes", n)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	f := newFake(t, elasticsearch)
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	f.before = func(string, string) {
		select {
		case entered <- struct{}{}:
		default:
		}
		<-leave
	}
	b, _ := instance(t, f, nil)
	defer close(leave)
	ctx, cancel := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() { first <- b.Ready(ctx) }()
	<-entered
	second, cancelSecond := context.WithCancel(t.Context())
	cancelSecond()
	if err := b.Ready(second); err == nil {
		t.Error("a caller whose time is over waits")
	}
	cancel()
	select {
	case err := <-first:
		if err == nil {
			t.Error("ready without an answer")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("does not end with its context")
	}
}

func TestNothingSecretIsSaid(t *testing.T) {
	c, err := option.ParseOutput(func(k string) string {
		return map[string]string{"username": "u", "password": "hunter2"}[k]
	})
	if err != nil {
		t.Fatal(err)
	}
	f := newFake(t, elasticsearch)
	f.answers["GET /"] = scripted{status: 401, body: `{"error":{"reason":"unable to authenticate user [u] for REST request [/]"}}`}
	b, _ := instance(t, f, nil)
	b.config = c
	if err := b.Ready(t.Context()); err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "401") {
		t.Error(err)
	}
}

func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a", "a", true}, {"a", "b", false}, {"*", "x", true}, {"logs-*-*", "logs-a-b", true}, {"logs-*-*", "logs-a", false},
		{"*-b", "a-b", true}, {"*-b", "a-bc", false}, {"a*b*c", "axxbyyc", true}, {"a*b*c", "axxcyyb", false}, {"aa*a", "aa", false}, {"a*", "", false},
		{"logs-fortinet.fortiems-*", "logs-fortinet.fortiems.dead_letter-default", false},
	} {
		if got := matches(c.pattern, c.name); got != c.want {
			t.Errorf("%s, %s: %v", c.pattern, c.name, got)
		}
	}
}

// TestConnect says what answers, or why nothing does, and changes nothing.
func TestConnect(t *testing.T) {
	const compatible = `{"version":{"number":"7.10.2"},"tagline":"The OpenSearch Project: https://opensearch.org/"}`
	for _, c := range []struct {
		product, set, root string
		status             int
		want               []string
	}{
		{elasticsearch, "auto", "", 0, []string{"connected to Elasticsearch 8.19.0 at HOST"}},
		{opensearch, "auto", "", 0, []string{"connected to OpenSearch 2.19.1 at HOST"}},
		{opensearch, "auto", compatible, 200, []string{"connected to OpenSearch 7.10.2 at HOST"}},
		{elasticsearch, "auto", "no", 200, []string{"not connected yet, chunks wait: which product is this: GET /: HOST"}},
		{"other", "auto", "{}", 404, []string{"connected to a server that does not say what it is at HOST"}},
		// An option says what it is, not that it answers.
		{opensearch, "opensearch", "", 0, []string{"connected to OpenSearch 2.19.1 at HOST"}},
		{opensearch, "elasticsearch", "", 0, []string{"HOST is OpenSearch 2.19.1, but product is set to elasticsearch: set it to auto", "connected to OpenSearch 2.19.1 at HOST"}},
		{"other", "opensearch", "{}", 404, []string{"connected to OpenSearch at HOST"}},
		{"other", "elasticsearch", "{}", 400, []string{"connected to Elasticsearch at HOST"}},
		{"other", "elasticsearch", "{}", 503, []string{"not connected yet, chunks wait: which product is this: GET /: HOST answered 503"}},
	} {
		f := newFake(t, c.product)
		if c.root != "" {
			f.answers["GET /"] = scripted{status: c.status, body: c.root}
		}
		srv := httptest.NewServer(f)
		defer srv.Close()
		b, l := instanceAt(t, srv.URL, map[string]string{"product": c.set, "hosts": srv.URL})
		b.log = hostlog.New("output", "fortiems_es", "t", hostlog.Info, time.Hour, l.write)
		b.Connect(t.Context())
		w := l.warnings()
		if len(w) != len(c.want) || len(f.writes()) > 0 {
			t.Fatalf("%+v: %q", c, w)
		}
		for i, want := range c.want {
			if want = strings.ReplaceAll(want, "HOST", srv.URL); !strings.Contains(w[i], want) {
				t.Errorf("%q, want %q", w[i], want)
			}
		}
	}
}

// TestConnectWithoutHosts: options host and port of other outputs cannot be seen.
func TestConnectWithoutHosts(t *testing.T) {
	for hosts, want := range map[string]bool{"": true, "http://127.0.0.1:1": false} {
		b, l := instanceAt(t, "http://127.0.0.1:1", map[string]string{"hosts": hosts})
		b.Connect(t.Context())
		if w := l.warnings(); len(w) != 1 || strings.Contains(w[0], "options host and port have no effect here") != want {
			t.Errorf("%q: %q", hosts, w)
		}
	}
}

// TestLinesNameTheHost: whatever is said of a server names it once.
func TestLinesNameTheHost(t *testing.T) {
	f := newFake(t, opensearch)
	f.streams = []string{defaultStream}
	f.templates[dataName] = map[string]any{"_meta": map[string]any{"managed_by": "ops"}, "index_patterns": []any{"logs-fortinet.*-*"}}
	f.policies[dataName] = map[string]any{"description": "keep 90 days"}
	f.answers["PUT /_index_template/"+deadName] = scripted{status: 403, body: forbidden}
	b, l := instance(t, f, nil)
	b.log = hostlog.New("output", "fortiems_es", "t", hostlog.Info, time.Hour, l.write)
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w := l.warnings(); len(w) != 3 {
		t.Errorf("%q", w)
	}
	f.streams, f.indices = nil, []string{defaultStream}
	delete(f.templates, dataName)
	b.Recheck()
	err := b.Ready(t.Context())
	if err == nil {
		t.Fatal("a plain index is taken")
	}
	for _, line := range append(l.warnings(), err.Error()) {
		if strings.Count(line, "http://127.0.0.1:") != 1 {
			t.Errorf("%q", line)
		}
	}
}

// TestTarget: what is in the way of our template is refused at once.
func TestTarget(t *testing.T) {
	const target = "logs-fortinet.fortiems-default"
	higher := func(stream bool) map[string]any {
		m := map[string]any{"index_patterns": []any{"logs-fortinet*"}, "priority": 500.0}
		if stream {
			m["data_stream"] = map[string]any{}
		}
		return m
	}
	for _, product := range []string{elasticsearch, opensearch} {
		for name, c := range map[string]struct {
			prepare     func(*fake)
			fails, warn string
		}{
			"nothing there":              {func(*fake) {}, "", ""},
			"the data stream is there":   {func(f *fake) { f.streams, f.attached = []string{target}, true }, "", ""},
			"it has no policy":           {func(f *fake) { f.streams = []string{target} }, "", "attach it with "},
			"a plain index":              {func(f *fake) { f.indices = []string{target} }, "is a plain index or an alias", ""},
			"a foreign template":         {func(f *fake) { f.templates["ops"] = higher(true) }, "index template ops (priority 500) wins over logs-fortinet.fortiems, so the field types", ""},
			"a foreign one for an index": {func(f *fake) { f.templates["ops"] = higher(false) }, "would make " + target + " a plain index", ""},
			"no pattern fits": {func(f *fake) {
				f.templates[dataName] = mark(99)
				f.templates[dataName]["index_patterns"] = []any{"other-*"}
			}, "no index template fits " + target, ""},
			"a foreign one that is lower": {func(f *fake) {
				f.templates["ops"] = map[string]any{"index_patterns": []any{"logs-*"}, "priority": 100.0}
			}, "", ""},
		} {
			f := newFake(t, product)
			c.prepare(f)
			b, l := instance(t, f, nil)
			err := checkReady(t, product+", "+name, b, l, c.fails, c.warn)
			asked := len(f.seen)
			if b.Recheck(); err == nil && (b.Ready(t.Context()) != nil || len(f.seen) == asked) {
				t.Errorf("%s, %s: not looked at again", product, name)
			}
		}
	}
}
