package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/rig"
	"fluent-bit-fortiems/test/servers"
)

// TestISMPolicyRollsOver installs the lifecycle policy on an OpenSearch with the plugins
// for index management and security, as the user of plugin/README.md: it is attached to the
// data streams of documents and of dead letters. With a condition that comes true at once
// it rolls over under load with the privileges of that user, the next backing index has the
// policy too, and everything is stored.
func TestISMPolicyRollsOver(t *testing.T) {
	rig.Build(t)
	s := servers.ForTestWith(t, servers.OpenSearch, servers.Options{
		Plugins: indexManagement(t), Security: true,
		Settings: []string{"plugins.index_state_management.job_interval=1", "plugins.index_state_management.jitter=0"},
	})
	account(t, s, "installer", privileges(t, "OpenSearch"), "indices:admin/rollover")
	login := loginTo(t, s)
	const n = 2000
	first := append(login("installer"), "--input", numbered(t, n), "--time", received)
	p := run(t, s.URL(), first...)
	p.wait(t)
	notRefused(t, p)
	if log := p.log.String(); !strings.Contains(log, "lifecycle policy "+policyName) || strings.Contains(log, "cannot be installed") {
		t.Errorf("the policy is not installed: %s", log)
	}
	s.Must(t, "PUT", "/"+dead+"/_create/1", `{"@timestamp":"2024-10-01T22:17:30Z"}`, nil)
	for _, target := range []string{stream, dead} {
		until(t, target+" is managed", func() bool { return slices.Equal(managed(t, s, target), []string{policyName}) })
	}

	// A data stream without it is named in the log, with the command that attaches it.
	s.Must(t, "POST", "/_plugins/_ism/remove/"+stream, "", nil)
	until(t, "the policy is removed", func() bool { return len(managed(t, s, stream)) == 0 })
	p = run(t, s.URL(), first...)
	p.wait(t)
	if !strings.Contains(p.log.String(), "is older than the lifecycle policy") || !strings.Contains(p.log.String(), "POST /_plugins/_ism/add/"+stream) {
		t.Error("nothing is said about the data stream without a policy")
	}
	s.Must(t, "POST", "/_plugins/_ism/add/"+stream, `{"policy_id":"`+policyName+`"}`, nil)
	until(t, "the policy is attached again", func() bool { return len(managed(t, s, stream)) == 1 })

	// The same policy with another condition, written by the same user: ISM acts with the
	// privileges of who wrote it. A data stream that is made from now on gets it.
	s.Must(t, "DELETE", "/_data_stream/"+stream, "", nil)
	var policy struct {
		Seq    int `json:"_seq_no"`
		Term   int `json:"_primary_term"`
		Policy struct {
			Description string           `json:"description"`
			Start       string           `json:"default_state"`
			States      []map[string]any `json:"states"`
			Template    any              `json:"ism_template"`
		} `json:"policy"`
	}
	const path = "/_plugins/_ism/policies/" + policyName
	s.Must(t, "GET", path, "", &policy)
	policy.Policy.States[0]["actions"] = []any{map[string]any{"rollover": map[string]any{"min_doc_count": 1}}}
	text, err := json.Marshal(map[string]any{"policy": policy.Policy})
	if err != nil {
		t.Fatal(err)
	}
	if status := as(t, s, "installer", fmt.Sprintf("PUT %s?if_seq_no=%d&if_primary_term=%d %s", path, policy.Seq, policy.Term, text)); status != http.StatusOK {
		t.Fatalf("the installer may not change its policy: %d", status)
	}
	run(t, s.URL(), first...).wait(t)

	// Load while it rolls over. Every second answer is lost, so documents are sent again.
	url := between(t, s, func() {}, func(bulk int) bool { return bulk%2 == 0 })
	sent := n
	begun := time.Now()
	for len(backing(t, s)) < 2 {
		if time.Since(begun) > 8*time.Minute {
			_, why := s.Do(t, "GET", "/_plugins/_ism/explain/"+stream, "")
			t.Fatalf("no rollover: %s", why)
		}
		run(t, url, append(login("installer"), "--input", lines(t, sent, sent+n, false), "--chunk", "1000", "--tag", fmt.Sprint("t", sent), "--output-prop", "bulk_max_docs=100")...).wait(t)
		sent += n
	}
	took := time.Since(begun)
	seen, twice := numbers(t, s, stream), 0
	for _, c := range seen {
		if c > 1 {
			twice++
		}
	}
	if len(seen) != sent {
		t.Errorf("of %d documents %d are stored", sent, len(seen))
	}
	// What the documentation names as the limit: only documents of the requests whose
	// answer was lost at the moment of the rollover.
	if twice > 2*100 {
		t.Errorf("%d documents are stored twice", twice)
	}
	until(t, "the next index is managed", func() bool {
		return slices.Equal(managed(t, s, stream), []string{policyName, policyName})
	})
	// And of a chunk that comes again after a rollover and a restart each document is stored
	// once more.
	run(t, s.URL(), first...).wait(t)
	if got := s.Count(t, stream, ""); got != sent+twice+n {
		t.Errorf("%d documents after the first chunks came again, want %d", got, sent+twice+n)
	}
	t.Logf("rolled over after %s; %d documents with every second answer lost: %d lost, %d twice", took.Round(time.Second), sent, sent-len(seen), twice)
}

const policyName = "logs-fortinet.fortiems"

// indexManagement returns the plugins of ISM: from Maven Central, or the file that the
// environment names, such as one of the official distribution.
func indexManagement(t *testing.T) []string {
	t.Helper()
	version := servers.OpenSearch.Version() + ".0"
	var files []string
	for _, name := range []string{"opensearch-job-scheduler", "opensearch-index-management"} {
		if file := os.Getenv("ISM_PLUGIN"); file != "" && name == "opensearch-index-management" {
			files = append(files, file)
			continue
		}
		file, err := servers.Plugin(t.Context(), "org.opensearch.plugin:"+name, version)
		if err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			t.Skipf("not run: needs the plugin %s %s from Maven Central (or ISM_PLUGIN=FILE.zip): %s", name, version, first)
		}
		files = append(files, file)
	}
	return files
}

// backing returns the backing indices of the data stream.
func backing(t *testing.T, s *servers.Server) []string {
	t.Helper()
	var got struct {
		DataStreams []struct {
			Indices []struct {
				Name string `json:"index_name"`
			}
		} `json:"data_streams"`
	}
	s.Must(t, "GET", "/_data_stream/"+stream, "", &got)
	var names []string
	for _, i := range got.DataStreams[0].Indices {
		names = append(names, i.Name)
	}
	return names
}

// managed returns the policies that ISM says of the backing indices of target.
func managed(t *testing.T, s *servers.Server, target string) []string {
	t.Helper()
	var all map[string]json.RawMessage
	s.Must(t, "GET", "/_plugins/_ism/explain/"+target, "", &all)
	var list []string
	for name, text := range all {
		var index struct {
			Policy string `json:"policy_id"`
		}
		if strings.HasPrefix(name, ".ds-") && json.Unmarshal(text, &index) == nil && index.Policy != "" {
			list = append(list, index.Policy)
		}
	}
	return list
}
