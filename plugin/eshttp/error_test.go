package eshttp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRefusals has a case for each hint.
func TestRefusals(t *testing.T) {
	const bulk, template = "POST /_bulk", "PUT /_index_template/x"
	for _, c := range []struct {
		op     string
		status int
		kind   string // content type
		body   string
		want   string
	}{
		{bulk, 400, "", `{"error":{"type":"parse_exception","reason":"r"}}`, bulk + ": http://h answered 400 parse_exception (r): the server refuses the request as a whole"},
		{bulk, 401, "", `{"error":"text"}`, bulk + ": http://h answered 401 (text): the credentials are not accepted, check api_key or username and password"},
		{bulk, 403, "", `{"error":{"type":"security_exception","reason":"r","caused_by":{"reason":"c"}}}`, bulk + ": http://h answered 403 security_exception (r: c): the user may not write there, check its privileges"},
		{bulk, 403, "", `{"error":{"type":"cluster_block_exception"}}`, bulk + `: http://h answered 403 cluster_block_exception: writing is blocked, is the disk full or the index or cluster read-only?`},
		{bulk, 404, "", "", bulk + ": http://h answered 404: there is no bulk endpoint or no such target, check hosts, data_stream and index"},
		{bulk, 407, "text/html", "<html>", bulk + ": http://h answered 407 with a web page: " + hintProxyLogin},
		{bulk, 413, "", "", bulk + ": http://h answered 413: the request is too large for the server or a proxy in front of it"},
		{bulk, 429, "", "", bulk + ": http://h answered 429: the server is overloaded"},
		{bulk, 302, "", "", bulk + ": http://h answered 302: a redirect is not followed, put the address that it leads to into hosts if it is the search server's"},
		{bulk, 503, "", "", bulk + ": http://h answered 503: the server or a proxy in front of it cannot take requests now"},
		{bulk, 500, "", `{"error":{"type":"mapper_exception","reason":"timed out while waiting for a dynamic mapping update"}}`, bulk + ": http://h answered 500 mapper_exception (timed out while waiting for a dynamic mapping update): mapping new fields takes the server too long: raise flush_timeout, or map fewer fields"},
		{bulk, 502, "text/html; charset=utf-8", "<html>", bulk + ": http://h answered 502 with a web page: " + hintOtherService},
		{template, 403, "", `{"error":{"type":"a line","reason":"b"}}`, template + ": http://h answered 403 (b): " + hintInstall},
		{"GET /_ilm/policy/x", 403, "", "", "GET /_ilm/policy/x: http://h answered 403: " + hintInstall},
		{"GET /_plugins/_ism/policies/x", 403, "", "", "GET /_plugins/_ism/policies/x: http://h answered 403: " + hintInstall},
		{template, 400, "", "page\nnot\tfound " + strings.Repeat("ä", 200), template + ": http://h answered 400 (page not found " + strings.Repeat("ä", 142) + "...)"},
		{template, 400, "", `{"error":{"type":7,"reason":{"a":1}}}`, template + `: http://h answered 400 ({"type":7,"reason":{"a":1}})`},
	} {
		call := Call{Op: c.op, Host: "http://h"}
		e := call.Refused(c.status, http.Header{"Content-Type": {c.kind}}, strings.NewReader(c.body))
		if e.Error() != c.want {
			t.Errorf("got  %s\nwant %s", e, c.want)
		}
		if e.Reason != "" && strings.Contains(e.Brief(), "("+e.Reason+")") || strings.Contains(e.Brief(), c.op) {
			t.Errorf("the short text is %s", e.Brief())
		}
	}
}

// TestMissingPrivilege has the reasons of OpenSearch 2.19.1 (seen) and Elasticsearch
// (source). The line for documents names the privilege and quotes nothing else.
func TestMissingPrivilege(t *testing.T) {
	call := Call{Op: "POST /_bulk", Host: "http://h"}
	for reason, want := range map[string]string{
		"no permissions for [indices:data/write/index] and User [name=u, backend_roles=[], requestedTenant=null]":  " (missing privilege indices:data/write/index)",
		"action [indices:data/write/bulk[s]] is unauthorized for user [u] with effective roles [r] on indices [i]": " (missing privilege indices:data/write/bulk)",
		"no permissions for [] and User [name=u]":                            "",
		"a document that says no permissions for [indices:data/write/index]": "",
	} {
		e := call.RefusedItem(403, "security_exception", reason)
		if want = "http://h answered 403 security_exception" + want + ": the user may not write there, check its privileges"; e.Brief() != want {
			t.Errorf("got  %s\nwant %s", e.Brief(), want)
		}
	}
}

func TestFailures(t *testing.T) {
	over, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("10s passed"))
	page := http.Header{"Content-Type": {"text/html"}}
	call := Call{Op: "GET /", Host: "http://h"}
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for _, c := range []struct {
		got   *Error
		class Class
		want  string
	}{
		{call.Failed(t.Context(), refused), Unreachable, "http://h cannot be reached: dial tcp: connection refused: is it running, and do address, port and firewall fit?"},
		{call.Failed(t.Context(), &net.DNSError{Err: "no such host", Name: "h"}), Unresolved, "http://h: the name cannot be resolved: lookup h: no such host: check the name in hosts and the DNS of this machine"},
		{call.Failed(t.Context(), io.ErrUnexpectedEOF), Broken, "http://h: the connection broke before the answer: unexpected EOF"},
		{call.Failed(t.Context(), errPin), Untrusted, "http://h: no certificate of the server has the fingerprint of ca_fingerprint: compare it with the fingerprint of the server's authority"},
		{call.Failed(over, refused), Ended, "http://h: no answer before 10s passed"},
		{call.Unreadable(over, ErrCut, nil), Ended, "http://h: no answer before 10s passed"},
		{call.Unreadable(t.Context(), ErrCut, page), Unreadable, "http://h: the answer is cut"},
		{call.Unreadable(t.Context(), ErrNotJSON, page), Unreadable, "http://h: the answer is a web page: " + hintOtherService},
		{new(Call).Failed(t.Context(), refused), Unreachable, "the server cannot be reached: dial tcp: connection refused: is it running, and do address, port and firewall fit?"},
	} {
		if c.got.Brief() != c.want || c.got.Class != c.class {
			t.Errorf("got %s %q, want %s %q", c.got.Class, c.got.Brief(), c.class, c.want)
		}
	}
}

// TestIll: which failures another host may not have.
func TestIll(t *testing.T) {
	const bulk = "POST /_bulk"
	for _, c := range []struct {
		op     string
		status int
		body   string
		want   bool
	}{
		{bulk, 500, `{"error":{"type":"x"},"status":500}`, true}, {bulk, 503, "", true}, {bulk, 501, "", false},
		{bulk, 302, "", true}, {bulk, 407, "", true}, {bulk, 413, "<html>", false}, {bulk, 429, "slow down", false},
		{bulk, 401, `{"error":{"type":"security_exception"},"status":401}`, false}, {bulk, 401, "login", true}, {bulk, 401, `{"message":"Unauthorized"}`, true},
		{bulk, 403, `{"error":{"type":"security_exception"},"status":403}`, false}, {bulk, 403, "", true},
		{bulk, 404, "404 page not found", true}, {bulk, 400, `{"error":"text","status":400}`, false},
		{"HEAD /x", 404, "", false}, {"GET /_ilm/policy/x", 404, `{"_index":"_ilm","found":false}`, false}, {"GET /_ilm/policy/x", 404, "not here", true},
	} {
		call := Call{Op: c.op, Host: "http://h"}
		if e := call.Refused(c.status, http.Header{}, strings.NewReader(c.body)); e.Ill() != c.want {
			t.Errorf("%s %d %s: %v", c.op, c.status, c.body, e.Ill())
		}
	}
	call := Call{Op: bulk, Host: "http://h"}
	to := call.Refused(302, http.Header{"Location": {"https://user:secret@login.example/x?token=secret"}}, strings.NewReader(""))
	if text := to.Error(); !strings.Contains(text, "302 to https://login.example/x: a redirect is not followed") || strings.Contains(text, "secret") {
		t.Errorf("%s", text)
	}
}

// TestPool: an ill host rests, longer each time, and is asked again.
func TestPool(t *testing.T) {
	now := time.Unix(1e9, 0)
	a, b := &url.URL{Scheme: "http", Host: "a"}, &url.URL{Scheme: "http", Host: "b"}
	p := newPool([]*url.URL{a, b}, func() time.Time { return now })
	names := func(n int) (s string) {
		for range n {
			s += p.pick().url.Host
		}
		return s
	}
	if got := names(4); got != "abab" {
		t.Error(got)
	}
	for _, rest := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		rest *= time.Second
		if got := p.ill("http://a"); got != rest {
			t.Errorf("rests %v, want %v", got, rest)
		}
		if got := p.ill("http://a"); got != rest { // another request that failed
			t.Errorf("rests %v, want %v", got, rest)
		}
		if got := names(3); got != "bbb" {
			t.Error(got)
		}
		now = now.Add(rest)
	}
	if got := names(2); got != "ab" && got != "ba" {
		t.Error(got)
	}
	p.ill("http://a")
	now = now.Add(time.Second)
	p.ill("http://b")
	if got := names(2); got != "bb" { // both rest: the one whose rest ends first
		t.Error(got)
	}
	p.well("http://a")
	if got := names(2); got != "aa" {
		t.Error(got)
	}
	now = now.Add(-time.Hour) // the clock is set back
	if got := names(2); got != "ab" && got != "ba" {
		t.Error(got)
	}
}
