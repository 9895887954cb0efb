package eshttp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Match selects answers. The zero value matches every answer.
type Match struct {
	From, To int    // statuses, both included; 0: any
	Type     string // part of the error type; "": any
	Reason   string // start of the reason, because further on it may quote a document; "": any
}

// Fits reports whether an answer is one of m.
func (m *Match) Fits(status int, kind, reason string) bool {
	return (m.From == 0 || status >= m.From && status <= m.To) && strings.Contains(kind, m.Type) && strings.HasPrefix(reason, m.Reason)
}

// index are the refusals that are about the target, not about a document, although many
// have the status of a bad document (400) or of a busy server (429): no document can be
// stored until an operator has done what hint says. Where a type is used for documents as
// well, the wording decides. Seen with OpenSearch 2.19.1, and where said with others or in
// their source.
var index = []struct {
	Match
	hint string
}{
	{Match{400, 400, "validation_exception", "Validation Failed: 1: this action would add"}, "the cluster has as many shards as it may: delete old indices, or raise cluster.max_shards_per_node"},
	{Match{400, 400, "index_closed_exception", ""}, "open the index: POST /<index>/_open"},
	{Match{400, 400, "illegal_argument_exception", "no write index is defined for alias"}, "give the alias a write index (is_write_index)"},
	{Match{400, 400, "illegal_argument_exception", "pipeline with id ["}, "create the ingest pipeline, or remove it from index.default_pipeline or index.final_pipeline"},
	{Match{400, 400, "invalid_index_name_exception", ""}, "choose another name in data_stream, index or dead_letter"},
	{Match{400, 400, "illegal_argument_exception", "data_stream ["}, "an index or alias has the name of the data stream: remove it, or choose another name"}, // Elasticsearch, source
	{Match{403, 403, "cluster_block_exception", "index ["}, "the index is read-only: remove the block that its settings index.blocks.* name"},
	{Match{403, 403, "block_exception", "blocked by: [FORBIDDEN/10"}, "creating indices is blocked: reset the cluster setting cluster.blocks.create_index"}, // OpenSearch 2.19.1 refuses PUT so, a bulk request creates the index all the same
	{Match{403, 403, "block", ""}, "writing is blocked, is the disk full or the index or cluster read-only?"},
	{Match{429, 429, "cluster_block_exception", ""}, "the disk of a node is full: free space or add some; the server then removes the block itself"}, // Elasticsearch 7.17: 403
	{Match{404, 404, "index_not_found_exception", "no such index ["}, "the index may not be created: check data_stream and index, action.auto_create_index and the privileges"},
}

// AboutIndex reports whether a refusal is about the target of documents.
func AboutIndex(status int, kind, reason string) bool { return indexHint(status, kind, reason) != "" }

func indexHint(status int, kind, reason string) string {
	for i := range index {
		if index[i].Fits(status, kind, reason) {
			return index[i].hint
		}
	}
	return ""
}

// hints say what an operator can do about a refusal; the first row that fits counts.
var hints = []struct {
	Match
	op   string // part of the operation; "": any
	page bool   // only an answer that is a web page
	hint string
}{
	{Match: Match{From: 407, To: 407}, hint: hintProxyLogin},
	{Match: Match{From: 400, To: 599}, page: true, hint: hintOtherService},
	{Match: Match{From: 401, To: 401}, hint: "the credentials are not accepted, check api_key or username and password"},
	{Match: Match{From: 403, To: 403}, op: "/_index_template", hint: hintInstall},
	{Match: Match{From: 403, To: 403}, op: "/_ilm/", hint: hintInstall},
	{Match: Match{From: 403, To: 403}, op: "/_plugins/_ism/", hint: hintInstall},
	{Match: Match{From: 403, To: 403}, op: "/_bulk", hint: "the user may not write there, check its privileges"},
	{Match: Match{From: 404, To: 404}, op: "/_bulk", hint: "there is no bulk endpoint or no such target, check hosts, data_stream and index"},
	{Match: Match{From: 413, To: 413}, hint: "the request is too large for the server or a proxy in front of it"},
	{Match: Match{From: 429, To: 429}, hint: "the server is overloaded"},
	{Match: Match{From: 300, To: 399}, hint: "a redirect is not followed, put the address that it leads to into hosts if it is the search server's"},
	{Match: Match{From: 500, To: 500, Type: "mapper_exception"}, op: "/_bulk", hint: "mapping new fields takes the server too long: raise flush_timeout, or map fewer fields"},
	{Match: Match{From: 500, To: 599}, hint: "the server or a proxy in front of it cannot take requests now"},
	{op: "/_bulk", hint: "the server refuses the request as a whole"},
}

// hint returns the hint for a refusal, "" if there is none.
func hint(e *Error, page bool) string {
	if strings.Contains(e.Op, "/_bulk") {
		if h := indexHint(e.Status, e.Type, e.Reason); h != "" {
			return h
		}
	}
	for i := range hints {
		h := &hints[i]
		if h.Fits(e.Status, e.Type, e.Reason) && strings.Contains(e.Op, h.op) && (page || !h.page) {
			return h.hint
		}
	}
	return ""
}

// Hints that do not follow from a status.
const (
	hintInstall      = "give the user the cluster privileges manage_index_templates and manage_ilm (OpenSearch: cluster_manage_index_templates and cluster:admin/opendistro/ism/*), or install the files of conf/ and set bootstrap off"
	hintOtherService = "this is not Elasticsearch or OpenSearch; is it Kibana, a dashboard or a proxy?"
	hintNotTLS       = "write http:// in hosts, or switch TLS on at the server"
	hintTLS          = "write https:// in hosts"
	hintProxy        = "let the proxy pass this host and port, or name the host in NO_PROXY"
	hintProxyLogin   = "a proxy wants a login: write http://user:password@proxy:port in HTTPS_PROXY or HTTP_PROXY, or name the host in NO_PROXY"

	// HintLook is for a user who may not ask whether a data stream exists.
	HintLook = "give the user the privilege view_index_metadata (OpenSearch: indices:admin/data_stream/get, indices:admin/get), or set bootstrap off once it does"
	// HintGzip is for a bulk answer without items.
	HintGzip = "does the server understand gzip? else set compress off"
	// HintProduct is for a server that does not answer as a known product would.
	HintProduct = "set product if a gateway hides them"
)

// errPin is the answer to a server that shows nothing with the fingerprint.
var errPin = errors.New("no certificate of the server has the fingerprint of ca_fingerprint")

// tls explains err if TLS failed, and reports whether it did.
func (e *Error) tls(err error) bool {
	var (
		unknown    x509.UnknownAuthorityError
		invalid    x509.CertificateInvalidError
		name       x509.HostnameError
		plain      tls.RecordHeaderError
		alert      tls.AlertError
		unverified *tls.CertificateVerificationError
		op         *net.OpError
	)
	switch {
	case errors.Is(err, errPin):
		e.Cause, e.Hint = errPin.Error(), "compare it with the fingerprint of the server's authority"
	case errors.As(err, &unknown):
		e.Cause, e.Hint = "the certificate is signed by an unknown authority", "set ca_file or ca_fingerprint"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Cause, e.Hint = "the certificate has expired or is not valid yet: "+invalid.Detail, "renew it, or set the clock of this machine"
	case errors.As(err, &invalid):
		e.Cause = "the certificate is not valid: " + invalid.Error()
	case errors.As(err, &name):
		e.Cause, e.Hint = "the certificate is for another host name: "+name.Error(), "use one of its names in hosts"
	case errors.As(err, &plain), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		e.Cause, e.Hint = "the server does not speak TLS", hintNotTLS
	case errors.As(err, &unverified):
		e.Cause = "the certificate cannot be checked: " + unverified.Error()
	case errors.As(err, &alert), errors.As(err, &op) && op.Op == "remote error":
		e.Cause, e.Hint = fmt.Sprintf("the server ended the TLS handshake (%v)", err), "does it want another client certificate?"
	default:
		return false
	}
	return true
}
