package detections

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/servers"
)

const dir = "../../conf/detections"

// all returns every rule by its name, and the names by file.
func all(t *testing.T) (rules map[string]*rule, byFile map[string][]string) {
	t.Helper()
	files, err := filepath.Glob(dir + "/*.yml")
	if err != nil || len(files) != 8 {
		t.Fatal(files, err)
	}
	rules, byFile = map[string]*rule{}, map[string][]string{}
	for _, f := range files {
		list, err := load(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			if rules[r.Name] != nil {
				t.Errorf("two rules %q", r.Name)
			}
			rules[r.Name] = &r
			byFile[filepath.Base(f)] = append(byFile[filepath.Base(f)], r.Name)
		}
	}
	return rules, byFile
}

// TestForm checks the form of each rule against Sigma 2 and the rules of this project.
func TestForm(t *testing.T) {
	patterns := map[string]*regexp.Regexp{
		"uuid": regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`),
		"date": regexp.MustCompile(`^\d{4}-(0[1-9]|1[012])-(0[1-9]|[12]\d|3[01])$`),
		"tag":  regexp.MustCompile(`^attack\.(t\d{4}(\.\d{3})?|[a-z-]+)$`),
		"span": regexp.MustCompile(`^\d+[smhdwMy]$`),
	}
	ids := map[string]bool{}
	rules, _ := all(t)
	for name, r := range rules {
		if r.Title == "" || len(r.Title) > 256 || r.Description == "" || r.Author == "" || !strings.HasPrefix(name, "fortiems_") {
			t.Errorf("%s: title, description, author or name", name)
		}
		if !patterns["uuid"].MatchString(r.ID) || ids[r.ID] || !patterns["date"].MatchString(r.Date) {
			t.Errorf("%s: id %q or date %q", name, r.ID, r.Date)
		}
		ids[r.ID] = true
		if !slices.Contains([]string{"stable", "test", "experimental"}, r.Status) || !slices.Contains([]string{"informational", "low", "medium", "high", "critical"}, r.Level) {
			t.Errorf("%s: status %q or level %q", name, r.Status, r.Level)
		}
		if len(r.FalsePositives) == 0 || slices.ContainsFunc(r.FalsePositives, func(s string) bool { return len(s) < 2 }) {
			t.Errorf("%s: false positives %q", name, r.FalsePositives)
		}
		for _, tag := range r.Tags {
			if !patterns["tag"].MatchString(tag) {
				t.Errorf("%s: tag %q", name, tag)
			}
		}
		if c := r.Correlation; c != nil {
			if r.Detection != nil || r.Logsource != nil || len(c.GroupBy) == 0 || !patterns["span"].MatchString(c.Timespan) {
				t.Errorf("%s: correlation with detection, without group, or timespan %q", name, c.Timespan)
			}
			if (c.Condition.GTE > 0) != (c.Type != "temporal_ordered") || (c.Condition.Field != "") != (c.Type == "value_count") {
				t.Errorf("%s: the condition does not suit %s", name, c.Type)
			}
			for _, part := range c.Rules {
				if rules[part] == nil {
					t.Errorf("%s: no rule %s", name, part)
				}
			}
			continue
		}
		if r.Logsource["product"] != "fortinet" || r.Logsource["service"] != "fortiems" || r.License != "Apache-2.0" {
			t.Errorf("%s: log source %v, licence %q", name, r.Logsource, r.License)
		}
		if _, err := r.match(record{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestFieldsExist checks every field that a rule reads against the index templates,
// and that the rule lists it under fields.
func TestFieldsExist(t *testing.T) {
	rules, _ := all(t)
	for _, product := range []string{"elasticsearch", "opensearch"} {
		text, err := os.ReadFile("../../conf/" + product + "/index-template.json")
		if err != nil {
			t.Fatal(err)
		}
		var doc map[string]any
		if err := json.Unmarshal(text, &doc); err != nil {
			t.Fatal(err)
		}
		mapped := func(field string) bool {
			node := doc["template"].(map[string]any)["mappings"].(map[string]any)
			for part := range strings.SplitSeq(field, ".") {
				props, _ := node["properties"].(map[string]any)
				if node, _ = props[part].(map[string]any); node == nil {
					return false
				}
			}
			return node["type"] != nil
		}
		for name, r := range rules {
			read := slices.Clone(r.Fields)
			if c := r.Correlation; c != nil {
				read = slices.Concat(read, c.GroupBy)
				if c.Condition.Field != "" {
					read = append(read, c.Condition.Field)
				}
			}
			for sel, lines := range r.Detection {
				if sel == "condition" {
					continue
				}
				for key := range lines.(map[string]any) {
					field, _, _ := strings.Cut(key, "|")
					if !slices.Contains(r.Fields, field) {
						t.Errorf("%s reads %s and does not list it", name, field)
					}
				}
			}
			for _, f := range read {
				if !mapped(f) {
					t.Errorf("%s: %s has no field %s", name, product, f)
				}
			}
			if !slices.IsSorted(r.Fields) {
				t.Errorf("%s: fields are not in order", name)
			}
		}
	}
}

// corpusEvent is a golden record with its position in the corpus.
type corpusEvent struct {
	record
	where, message string
	line           []byte
}

func corpus(t *testing.T) (events []corpusEvent) {
	t.Helper()
	files, err := filepath.Glob("../corpus/*/expected.ndjson")
	if err != nil || len(files) < 30 {
		t.Fatal(len(files), err)
	}
	for _, f := range files {
		if strings.Contains(f, "options-flat") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for line := range bytes.Lines(text) {
			n++
			var doc map[string]any
			if err := json.Unmarshal(line, &doc); err != nil {
				t.Fatal(f, err)
			}
			ev := corpusEvent{record: record{fields: map[string][]string{}}, where: fmt.Sprintf("%s:%d", filepath.Base(filepath.Dir(f)), n), line: bytes.TrimSpace(line)}
			flatten(ev.fields, "", doc)
			if ev.at, err = time.Parse(time.RFC3339Nano, ev.fields["@timestamp"][0]); err != nil {
				t.Fatal(err)
			}
			ev.message = strings.Join(ev.fields["message"], "")
			events = append(events, ev)
		}
	}
	return events
}

func flatten(into map[string][]string, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if name != "" {
				k = name + "." + k
			}
			flatten(into, k, e)
		}
	case []any:
		for _, e := range v {
			flatten(into, name, e)
		}
	default:
		into[name] = append(into[name], fmt.Sprint(v))
	}
}

// found are messages of the corpus that a rule must match, similar ones that it must
// not match, and the categories that its matches may have.
var found = map[string]struct {
	must, not []string
	within    []string
}{
	"fortiems_login_failed": {
		must:   []string{"login failed", "Invalid credentials for user admin", "Unsuccessful login of admin", "Login denied", "Admin login failed for user root: invalid password"},
		not:    []string{"Administrator admin logged in from 192.0.2.5", "account locked", "Invalid credentials for service account svc-ems"},
		within: []string{"ems-authentication"},
	},
	"fortiems_login_succeeded": {
		must:   []string{"Administrator admin logged in from 192.0.2.5", "User admin signed in", "Authentication of admin via SAML was successful"},
		not:    []string{"login failed", "Administrator admin logged out", "Administrator logged in on the endpoint"},
		within: []string{"ems-authentication"},
	},
	"fortiems_account_locked": {
		must:   []string{"account locked", "Account ops locked after 5 failed login attempts"},
		not:    []string{"login failed", "Account ops unlocked by admin"},
		within: []string{"ems-authentication"},
	},
	"fortiems_protection_disabled": {
		must:   []string{"User disabled Realtime AntiVirus protection", "Realtime protection disabled", "Tamper protection disabled", "User disabled Webfilter", "Automatic scanning disabled"},
		not:    []string{"User enabled Realtime AntiVirus protection", "User enabled Webfilter", "Administrator account disabled: ops", "AntiVirus scan was stopped by a user before it finished.", "Scan stopped"},
		within: []string{"fct-security", "fct-event", "fct-vulnerability"},
	},
	"fortiems_malware_found": {
		must:   []string{"Found virus", "Found malware failed.exe", "AntiExpoit has detected violation", "AntiRansomware has found suspicious process", "Cloud scan: high risk file"},
		not:    []string{"Scan failed", "Application Control found a rule violation", "A vulnerability scan result has been logged", "File /tmp/z sent"},
		within: []string{"fct-security", "fct-traffic"},
	},
	"fortiems_ad_failure": {
		must:   []string{"failed to connect to AD server ldap://192.0.2.10:389", "LDAP bind failed: invalid credentials", "AD sync finished unsuccessfully", "LDAP query failed: size limit exceeded"},
		not:    []string{"Connected to AD server dc1.example.com", "AD sync completed: 120 users, 14 groups, 0 errors", "Unable to reach FSSO server 192.0.2.30"},
		within: []string{"ems-adconnector", "ems-addaemonworker"},
	},
	"fortiems_endpoint_offline": {
		must:   []string{"offline"},
		not:    []string{"online", "Endpoint registered"},
		within: []string{"ems-client", "fgt-endpoint"},
	},
	"fortiems_policy_weakened": {
		must:   []string{"Policy Guests deleted", "Profile deleted: VPN-HQ, it was assigned to Sales", "admin deleted Guests"},
		not:    []string{"Policy Guests created", "Policy Default updated by admin", "Admin account ops deleted", "Policy update failed: name is not available"},
		within: []string{"ems-policy"},
	},
	"fortiems_licence_problem": {
		must:   []string{"License expired", "License expires in 30 days", "License key is about to expire", "failed to register: licence limit reached"},
		not:    []string{"License renewed until 2026-01-01", "Scheduled backup failed: not enough space"},
		within: []string{"ems-event", "ems-client"},
	},
}

func TestRulesFindWhatTheyShouldInTheCorpus(t *testing.T) {
	rules, _ := all(t)
	events := corpus(t)
	for name, r := range rules {
		if r.Correlation != nil {
			continue
		}
		want, ok := found[name]
		if !ok {
			t.Errorf("%s: the test knows nothing about it", name)
			continue
		}
		hits, known := map[string]bool{}, map[string]bool{}
		for _, ev := range events {
			known[ev.message] = true
			hit, err := r.match(ev.record)
			if err != nil {
				t.Fatal(name, err)
			}
			if !hit {
				continue
			}
			hits[ev.message] = true
			if c := strings.Join(ev.fields["fortinet.ems.category"], ""); !slices.Contains(want.within, c) {
				t.Errorf("%s finds %s (%s) %q", name, ev.where, c, ev.message)
			}
		}
		for _, m := range want.must {
			if !hits[m] {
				t.Errorf("%s does not find %q (in the corpus: %v)", name, m, known[m])
			}
		}
		for _, m := range want.not {
			if hits[m] || !known[m] {
				t.Errorf("%s finds %q: %v (in the corpus: %v)", name, m, hits[m], known[m])
			}
		}
	}
}

// story is a sequence of corpus events at given minutes.
type story struct {
	events []record
	t      *testing.T
	corpus []corpusEvent
}

// add puts the corpus event of a message n times into the story, gap apart.
func (s *story) add(message, serial string, from, gap time.Duration, n int) *story {
	s.t.Helper()
	i := slices.IndexFunc(s.corpus, func(e corpusEvent) bool { return e.message == message })
	if i < 0 {
		s.t.Fatalf("no event %q", message)
	}
	for k := range n {
		fields := maps.Clone(s.corpus[i].fields)
		fields["observer.serial_number"] = []string{serial}
		fields["host.id"] = []string{fmt.Sprintf("%s-%d", serial, k)}
		s.events = append(s.events, record{time.Unix(1727856000, 0).Add(from + time.Duration(k)*gap), fields})
	}
	slices.SortStableFunc(s.events, func(a, b record) int { return a.at.Compare(b.at) })
	return s
}

func TestCorrelations(t *testing.T) {
	rules, _ := all(t)
	events := corpus(t)
	const failed, ok, ad, off, ems = "login failed", "User admin signed in", "AD sync finished unsuccessfully", "offline", "FCTEMS0000000001"
	told := map[string]bool{}
	for _, c := range []struct {
		name, rule string
		tell       func(s *story)
		want       int
	}{
		{"five failures in ten minutes", "fortiems_login_guessing", func(s *story) { s.add(failed, ems, 0, 2*time.Minute, 5) }, 1},
		{"four failures", "fortiems_login_guessing", func(s *story) { s.add(failed, ems, 0, time.Minute, 4) }, 0},
		{"five failures in too long a time", "fortiems_login_guessing", func(s *story) { s.add(failed, ems, 0, 4*time.Minute, 5) }, 0},
		{"five failures on two servers", "fortiems_login_guessing", func(s *story) {
			s.add(failed, ems, 0, time.Minute, 3).add(failed, "FCTEMS0000000002", 0, time.Minute, 2)
		}, 0},
		{"failures, then success", "fortiems_login_guessed", func(s *story) { s.add(failed, ems, 0, time.Minute, 5).add(ok, ems, 6*time.Minute, 0, 1) }, 1},
		{"success, then failures", "fortiems_login_guessed", func(s *story) { s.add(ok, ems, -time.Minute, 0, 1).add(failed, ems, 0, time.Minute, 5) }, 0},
		{"success long after failures", "fortiems_login_guessed", func(s *story) { s.add(failed, ems, 0, time.Minute, 5).add(ok, ems, time.Hour, 0, 1) }, 0},
		{"success on another server", "fortiems_login_guessed", func(s *story) {
			s.add(failed, ems, 0, time.Minute, 5).add(ok, "FCTEMS0000000002", 6*time.Minute, 0, 1)
		}, 0},
		{"two failures, then success", "fortiems_login_guessed", func(s *story) { s.add(failed, ems, 0, time.Minute, 2).add(ok, ems, 3*time.Minute, 0, 1) }, 0},
		{"six failures of the connector", "fortiems_ad_failing", func(s *story) { s.add(ad, ems, 0, 20*time.Minute, 6) }, 1},
		{"one failure an hour", "fortiems_ad_failing", func(s *story) { s.add(ad, ems, 0, time.Hour, 8) }, 0},
		{"twenty endpoints", "fortiems_mass_offline", func(s *story) { s.add(off, ems, 0, time.Second, 20) }, 1},
		{"nineteen endpoints", "fortiems_mass_offline", func(s *story) { s.add(off, ems, 0, time.Second, 19) }, 0},
		{"ten endpoints, each twice", "fortiems_mass_offline", func(s *story) {
			s.add(off, ems, 0, time.Second, 10).add(off, ems, time.Minute, time.Second, 10)
		}, 0},
		{"twenty endpoints in an hour", "fortiems_mass_offline", func(s *story) { s.add(off, ems, 0, 3*time.Minute, 20) }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &story{t: t, corpus: events}
			c.tell(s)
			got, err := alerts(rules, c.rule, s.events, nil, "")
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != c.want {
				t.Errorf("%d alerts, not %d", len(got), c.want)
			}
		})
		told[c.rule] = told[c.rule] || c.want > 0
	}
	for name, r := range rules {
		if r.Correlation != nil && !told[name] {
			t.Errorf("no sequence of events in which %s alerts", name)
		}
	}
}

// convert is a Python program that uses pySigma: it loads the file as a Sigma engine
// does, with all its checks, and prints queries as JSON.
const convert = `
import json, sys, yaml
from sigma.collection import SigmaCollection
from sigma.backends.elasticsearch import LuceneBackend, ESQLBackend
out = {"lucene": {}, "esql": {}}
for name in sys.argv[1:]:
    docs = list(yaml.safe_load_all(open(name)))
    c = SigmaCollection.from_dicts(docs)
    c.resolve_rule_references()
    for r in c.rules:
        if r.errors: raise r.errors[0]
    for d in docs:
        if "detection" in d:
            out["lucene"][d["name"]] = LuceneBackend().convert(SigmaCollection.from_dicts([d]))[0]
        elif d["correlation"]["type"] != "temporal_ordered": # not in this backend
            parts = [e for e in docs if e.get("name") in d["correlation"]["rules"]]
            out["esql"][d["name"]] = ESQLBackend().convert(SigmaCollection.from_dicts(parts + [d]))[0]
json.dump(out, sys.stdout)
`

// TestSigmaEngineFindsTheSame converts the rules with pySigma, queries a real
// OpenSearch that holds the corpus, and compares with the evaluator of this package.
func TestSigmaEngineFindsTheSame(t *testing.T) {
	python := os.Getenv("SIGMA_PYTHON")
	if python == "" {
		python = "../../build/out/sigma/bin/python"
	}
	if err := exec.Command(python, "-c", "import sigma.backends.elasticsearch").Run(); err != nil {
		t.Skip("not run: pySigma (make sigma, or name a Python that has pysigma-backend-elasticsearch in $SIGMA_PYTHON)")
	}
	files, err := filepath.Glob(dir + "/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, append([]string{"-c", convert}, files...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var queries struct{ Lucene, ESQL map[string]string }
	if err := json.Unmarshal(text, &queries); err != nil {
		t.Fatal(err)
	}
	rules, _ := all(t)
	for name, r := range rules {
		if r.Correlation == nil && queries.Lucene[name] == "" || r.Correlation != nil && r.Correlation.Type != "temporal_ordered" && queries.ESQL[name] == "" {
			t.Errorf("%s was not converted", name)
		}
	}
	s := servers.ForTest(t, servers.OpenSearch)
	events := corpus(t)
	store(t, s, events)
	for name, query := range queries.Lucene {
		body, err := json.Marshal(map[string]any{"size": 1000, "_source": false, "query": map[string]any{"query_string": map[string]any{"query": query, "analyze_wildcard": true}}})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Hits struct {
				Hits []struct {
					ID string `json:"_id"`
				}
			}
		}
		s.Must(t, "POST", "/logs-fortinet.fortiems-default/_search", string(body), &got)
		var there, here []string
		for _, h := range got.Hits.Hits {
			there = append(there, h.ID)
		}
		for _, ev := range events {
			if ok, _ := rules[name].match(ev.record); ok {
				here = append(here, ev.where)
			}
		}
		slices.Sort(there)
		slices.Sort(here)
		if !slices.Equal(here, there) || len(here) == 0 {
			t.Errorf("%s: %s\nfinds %q\nwants %q", name, query, there, here)
		}
	}
}

// store puts the corpus into a data stream; the id of a document is its position.
func store(t *testing.T, s *servers.Server, events []corpusEvent) {
	t.Helper()
	template, err := os.ReadFile("../../conf/opensearch/index-template.json")
	if err != nil {
		t.Fatal(err)
	}
	s.Must(t, "PUT", "/_index_template/fortiems", string(template), nil)
	var body bytes.Buffer
	for _, ev := range events {
		fmt.Fprintf(&body, "{\"create\":{\"_id\":%q}}\n%s\n", ev.where, ev.line)
	}
	var got struct{ Errors bool }
	s.Must(t, "POST", "/logs-fortinet.fortiems-default/_bulk?refresh=true", body.String(), &got)
	if got.Errors {
		t.Fatal("documents were rejected")
	}
}
