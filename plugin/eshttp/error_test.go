package eshttp

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
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
