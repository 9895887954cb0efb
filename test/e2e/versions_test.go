package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"fluent-bit-fortiems/plugin/eshttp"
	"fluent-bit-fortiems/test/rig"
	"fluent-bit-fortiems/test/servers"
)

// place is where a server keeps documents and dead letters: in data streams, or in indices
// where it has no data streams.
type place struct{ target, dead, options string }

var (
	streams = place{target: stream, dead: dead}
	indices = place{"fortiems", "fortiems.dead", "index=fortiems dead_letter=index:fortiems.dead product=opensearch"}
)

// with adds the options of the output to args.
func (p place) with(args ...string) []string {
	for _, o := range strings.Fields(p.options) {
		args = append(args, "--output-prop", o)
	}
	return args
}

// TestNewestServers repeats on the newest servers what the other tests show with the ones
// that most people have.
func TestNewestServers(t *testing.T) {
	rig.Build(t)
	for _, c := range []struct {
		kind servers.Kind
		at   place
	}{{servers.OpenSearch3, streams}, {servers.Elasticsearch9, indices}} {
		t.Run(c.kind.String(), func(t *testing.T) {
			s := servers.ForTest(t, c.kind, "http.max_content_length=200kb")
			clean := func() {
				if c.at == streams {
					s.Must(t, "DELETE", "/_data_stream/*", "", nil)
				} else {
					for _, i := range []string{c.at.target, c.at.dead} {
						if status, answer := s.Do(t, "DELETE", "/"+i, ""); status != http.StatusOK && status != http.StatusNotFound {
							t.Fatalf("%s", answer)
						}
					}
				}
				s.Must(t, "DELETE", "/_index_template/*", "", nil)
			}
			t.Run("corpus", func(t *testing.T) {
				if c.at == streams {
					corpusIsStored(t, s)
				} else {
					corpusInIndices(t, s)
				}
			})
			for name, f := range map[string]func(*testing.T, *servers.Server, place){
				"strict mapping and replay": strictMapping, "answers lost": answersLost, "read-only": readOnly, "too large": tooLarge,
			} {
				clean()
				t.Run(name, func(t *testing.T) { f(t, s, c.at) })
			}
		})
	}
}

// TestRefusalsOfRealServers provokes the refusals that are about an index and some that
// are about a document, in each server, and checks that they are told apart.
func TestRefusalsOfRealServers(t *testing.T) {
	const doc = `{"@timestamp":"2024-10-01T22:17:30Z","n":1}`
	set := func(s string) string { return "PUT /_cluster/settings " + fmt.Sprintf(`{"persistent":{%s}}`, s) }
	cases := []struct {
		name, target, doc string
		before, after     []string // requests: method, path, body
		index             bool     // an operator has to act
	}{
		{"closed index", "closed", doc, []string{"PUT /closed", "POST /closed/_close"}, nil, true},
		{"alias without a write index", "al", doc, []string{`PUT /al1 {"aliases":{"al":{}}}`, `PUT /al2 {"aliases":{"al":{}}}`}, nil, true},
		{"no such pipeline", "piped", doc, []string{`PUT /piped {"settings":{"index.default_pipeline":"absent"}}`}, nil, true},
		{"write block", "blocked", doc, []string{`PUT /blocked {"settings":{"index.blocks.write":true}}`}, nil, true},
		{"read-only", "readonly", doc, []string{`PUT /readonly {"settings":{"index.blocks.read_only":true}}`}, []string{`PUT /readonly/_settings {"index.blocks.read_only":null}`}, true},
		{"flood stage", "full", doc, []string{`PUT /full {"settings":{"index.blocks.read_only_allow_delete":true}}`}, nil, true},
		{"too many shards", "more", doc, []string{"PUT /one", set(`"cluster.max_shards_per_node":1`)}, []string{set(`"cluster.max_shards_per_node":null`)}, true},
		{"bad name", "Bad", doc, nil, nil, true},
		{"no automatic creation", "manual", doc, []string{set(`"action.auto_create_index":false`)}, []string{set(`"action.auto_create_index":null`)}, true},
		{"cluster read-only", "two", doc, []string{"PUT /two", set(`"cluster.blocks.read_only":true`)}, []string{set(`"cluster.blocks.read_only":null`)}, true},
		{"wrong type", "typed", `{"n":"text"}`, []string{`PUT /typed {"mappings":{"properties":{"n":{"type":"long"}}}}`}, nil, false},
		{"strict mapping", "strict", doc, []string{`PUT /strict {"mappings":{"dynamic":"strict"}}`}, nil, false},
		{"too many fields", "fields", doc, []string{`PUT /fields {"settings":{"index.mapping.total_fields.limit":1},"mappings":{"properties":{"a":{"type":"long"}}}}`}, nil, false},
	}
	for _, kind := range []servers.Kind{servers.OpenSearch, servers.OpenSearch3, servers.Elasticsearch, servers.Elasticsearch9} {
		t.Run(kind.String(), func(t *testing.T) {
			s := servers.ForTest(t, kind)
			send := func(t *testing.T, requests []string) (int, []byte) {
				status, answer := http.StatusOK, []byte(nil)
				for _, r := range requests {
					method, r, _ := strings.Cut(r, " ")
					path, body, _ := strings.Cut(r, " ")
					if status, answer = s.Do(t, method, path, body); status/100 != 2 {
						break
					}
				}
				return status, answer
			}
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					status, answer := send(t, c.before)
					if status/100 != 2 {
						t.Fatalf("%d %s", status, answer)
					}
					status, answer = s.Do(t, "POST", "/_bulk?timeout=2s", fmt.Sprintf("{\"create\":{\"_index\":%q}}\n%s\n", c.target, c.doc))
					if back, why := send(t, c.after); back/100 != 2 {
						t.Fatalf("%d %s", back, why)
					}
					type problem struct{ Type, Reason string }
					var got struct {
						Error problem
						Items []struct {
							Create struct {
								Status int
								Error  problem
							}
						}
					}
					if err := json.Unmarshal(answer, &got); err != nil {
						t.Fatalf("%d %s: %v", status, answer, err)
					}
					p := got.Error
					if len(got.Items) > 0 {
						status, p = got.Items[0].Create.Status, got.Items[0].Create.Error
					}
					t.Logf("%d %s %s", status, p.Type, p.Reason)
					if status/100 == 2 {
						t.Fatalf("it took the document: %s", answer)
					}
					if got := eshttp.AboutIndex(status, p.Type, p.Reason); got != c.index {
						t.Errorf("about the index: %v, want %v", got, c.index)
					}
				})
			}
		})
	}
}
