package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fluent-bit-fortiems/test/rig"
	"fluent-bit-fortiems/test/servers"
)

// TestLeastPrivilege ships to a real OpenSearch with its security plugin over TLS, as the
// users that plugin/README.md describes: one that installs templates, and one for
// bootstrap off. They can do that and nothing else. What goes wrong is said in a line, and
// nothing is lost once it is put right.
func TestLeastPrivilege(t *testing.T) {
	rig.Build(t)
	s := servers.ForTestWith(t, servers.OpenSearch, servers.Options{Security: true})
	login := loginTo(t, s)
	installer, shipper := privileges(t, "OpenSearch"), privileges(t, "OpenSearch, `bootstrap off`")
	account(t, s, "installer", installer)
	account(t, s, "shipper", shipper)

	t.Run("wrong password", func(t *testing.T) {
		args := append(login("installer"), "--input", numbered(t, 1))
		for i, a := range args {
			args[i] = strings.ReplaceAll(a, secret, "wrong")
		}
		p := run(t, s.URL(), args...)
		until(t, "it is logged", func() bool {
			return strings.Contains(p.log.String(), "answered 401") && strings.Contains(p.log.String(), "the credentials are not accepted")
		})
		if strings.Contains(p.log.String(), "password=wrong") {
			t.Error("the password is logged")
		}
	})
	t.Run("unknown authority", func(t *testing.T) {
		p := run(t, s.URL(), "--output-prop", "username=installer", "--output-prop", "password="+secret, "--input", numbered(t, 1))
		until(t, "it is logged", func() bool {
			return strings.Contains(p.log.String(), "signed by an unknown authority") && strings.Contains(p.log.String(), "set ca_file")
		})
	})

	// The shipper cannot look or install, so nothing is stored while there may be no template.
	t.Run("a missing template", func(t *testing.T) {
		p := run(t, s.URL(), append(login("shipper"), "--input", numbered(t, 1))...)
		until(t, "it is logged", func() bool {
			return strings.Contains(p.log.String(), "it is unknown whether the data stream") && strings.Contains(p.log.String(), "or set bootstrap off once it does")
		})
	})

	const n = 3000
	t.Run("installer", func(t *testing.T) {
		p := run(t, s.URL(), append(login("installer"), "--input", lines(t, 0, n, false))...)
		p.wait(t)
		notRefused(t, p)
		shipped(t, s, n, 0)
		// From here on, some documents are rejected and go to the dead letters.
		s.Must(t, "PUT", "/"+stream+"/_mapping", `{"properties":{"fortinet":{"properties":{"ems":{"properties":{"bad":{"type":"boolean"}}}}}}}`, nil)
		p = run(t, s.URL(), append(login("installer"), "--input", lines(t, n, 2*n, true))...)
		p.wait(t)
		notRefused(t, p)
		shipped(t, s, 2*n, n/100)
	})
	t.Run("shipper", func(t *testing.T) {
		p := run(t, s.URL(), append(login("shipper", "bootstrap=off"), "--input", lines(t, 2*n, 3*n, true))...)
		p.wait(t)
		notRefused(t, p)
		shipped(t, s, 3*n, 2*n/100)
	})
	t.Run("nothing more", func(t *testing.T) {
		for _, user := range []string{"installer", "shipper"} {
			for _, r := range []string{
				"GET /" + stream + "/_search", "GET /" + stream + "/_count", "DELETE /_data_stream/" + stream, "DELETE /" + stream, "POST /" + stream + "/_rollover",
				"PUT /" + stream + `/_settings {"index.blocks.write":true}`, "DELETE /" + stream + "/_doc/1", "POST /" + stream + "/_close",
				`POST /other/_doc {"a":1}`, "PUT /other", "GET /_cat/indices", `PUT /_cluster/settings {"persistent":{"action.auto_create_index":false}}`,
				"GET /_plugins/_security/api/internalusers", `PUT /_plugins/_security/api/internalusers/x {"password":"` + secret + `"}`, "GET /.opendistro_security/_search",
			} {
				if status := as(t, s, user, r); status != http.StatusForbidden {
					t.Errorf("%s: %s answers %d", user, r, status)
				}
			}
		}
		if status := as(t, s, "shipper", `PUT /_index_template/x {"index_patterns":["x"]}`); status != http.StatusForbidden {
			t.Errorf("the shipper may install a template: %d", status)
		}
	})
	t.Run("each privilege is needed", func(t *testing.T) {
		for i := range shipper.cluster {
			p := shipper
			p.cluster = slices.Delete(slices.Clone(p.cluster), i, i+1)
			misses(t, s, p, shipper.cluster[i], login)
		}
		for i := range shipper.indices {
			p := shipper
			p.indices = slices.Delete(slices.Clone(p.indices), i, i+1)
			misses(t, s, p, shipper.indices[i], login)
		}
	})
	t.Run("a privilege that is taken and given back", func(t *testing.T) {
		p := shipper
		p.indices = nil
		account(t, s, "shipper", p)
		r := run(t, s.URL(), append(login("shipper", "bootstrap=off"), "--input", lines(t, 3*n, 4*n, true))...)
		until(t, "it is logged", func() bool {
			return strings.Contains(r.log.String(), "403 security_exception (missing privilege indices:") && strings.Contains(r.log.String(), "may not write there")
		})
		account(t, s, "shipper", shipper)
		r.wait(t)
		shipped(t, s, 4*n, 3*n/100)
	})
}

// secret is the password of the users of the test.
const secret = "Fluent-Bit-7-secret-word"

// loginTo returns a function that gives the arguments to log in to s as user, and options
// of the output.
func loginTo(t *testing.T, s *servers.Server) func(user string, options ...string) []string {
	t.Helper()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(ca, s.Access().CA, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(user string, options ...string) (args []string) {
		for _, o := range append([]string{"ca_file=" + ca, "username=" + user, "password=" + secret}, options...) {
			args = append(args, "--output-prop", o)
		}
		return args
	}
}

// rights are the privileges of a user.
type rights struct{ cluster, indices []string }

// privileges reads those of a row of the table in plugin/README.md.
func privileges(t *testing.T, row string) rights {
	t.Helper()
	text, err := os.ReadFile("../../plugin/README.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^\| ` + regexp.QuoteMeta(row) + ` \| (.*) \| (.*) \|$`).FindStringSubmatch(string(text))
	if m == nil {
		t.Fatalf("no row %s in the table of privileges", row)
	}
	words := func(cell string) (list []string) {
		for _, w := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			list = append(list, w[1])
		}
		return list
	}
	return rights{words(m[1]), words(m[2])}
}

// account makes the user name, or gives it other privileges. everywhere are those on the
// indices *.
func account(t *testing.T, s *servers.Server, name string, r rights, everywhere ...string) {
	t.Helper()
	index := []any{}
	if len(everywhere) > 0 {
		index = append(index, map[string]any{"index_patterns": []string{"*"}, "allowed_actions": everywhere})
	}
	if len(r.indices) > 0 {
		index = append(index, map[string]any{"index_patterns": []string{"logs-fortinet.fortiems*"}, "allowed_actions": r.indices})
	}
	role, err := json.Marshal(map[string]any{"cluster_permissions": r.cluster, "index_permissions": index})
	if err != nil {
		t.Fatal(err)
	}
	s.Must(t, "PUT", "/_plugins/_security/api/roles/"+name, string(role), nil)
	s.Must(t, "PUT", "/_plugins/_security/api/internalusers/"+name, fmt.Sprintf(`{"password":%q,"opendistro_security_roles":[%q]}`, secret, name), nil)
}

// as sends a request (method, path, body) as a user and returns the status.
func as(t *testing.T, s *servers.Server, user, request string) int {
	t.Helper()
	method, rest, _ := strings.Cut(request, " ")
	path, body, _ := strings.Cut(rest, " ")
	req, err := http.NewRequest(method, s.URL()+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.Access().As(user, secret).Send(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

// lines writes the numbered lines from, to-1. If bad is set, one of every hundred has a
// value that the mapping of the test does not take.
func lines(t *testing.T, from, to int, bad bool) string {
	t.Helper()
	var b strings.Builder
	for i := from; i < to; i++ {
		line := numberedLine(i)
		if bad && i%100 == 0 {
			line += ` bad="not a boolean"`
		}
		fmt.Fprintln(&b, line)
	}
	return write(t, b.String())
}

// shipped checks that of the lines below n all are stored once, apart from so many that
// are dead letters.
func shipped(t *testing.T, s *servers.Server, n, letters int) {
	t.Helper()
	seen := numbers(t, s, stream)
	twice := 0
	for _, c := range seen {
		if c > 1 {
			twice++
		}
	}
	if got := s.Count(t, dead, ""); len(seen) != n-letters || twice > 0 || got != letters {
		t.Errorf("of %d lines %d are stored, %d of them more than once; %d dead letters, want %d", n, len(seen), twice, got, letters)
	}
}

// notRefused fails the test if the server refused anything for lack of a privilege.
func notRefused(t *testing.T, p *process) {
	t.Helper()
	for l := range strings.Lines(p.log.String()) {
		if strings.Contains(l, "security_exception") || strings.Contains(l, "answered 401") || strings.Contains(l, "answered 403") {
			t.Errorf("%s", l)
		}
	}
}

// misses checks that a shipper without the privilege what does not get on.
func misses(t *testing.T, s *servers.Server, r rights, what string, login func(string, ...string) []string) {
	t.Helper()
	account(t, s, "less", r)
	p := run(t, s.URL(), append(login("less", "bootstrap=off", "data_stream=logs-fortinet.fortiems-less"), "--input", numbered(t, 1))...)
	const line = "answered 403 security_exception (missing privilege "
	until(t, what+" is missed", func() bool { return strings.Contains(p.log.String(), line) })
	t.Logf("without %s: %s", what, lineWith(p.log.String(), line))
}

func lineWith(text, part string) string {
	for l := range strings.Lines(text) {
		if strings.Contains(l, part) {
			return strings.TrimSpace(l)
		}
	}
	return ""
}
