package esbulk

import (
	"testing"

	"fluent-bit-fortiems/plugin/eshttp"
)

// TestClassesOfItems has a case for each kind of answer to a document.
func TestClassesOfItems(t *testing.T) {
	for _, c := range []struct {
		item item
		want itemClass
	}{
		{item{status: 200}, itemStored},
		{item{status: 201}, itemStored},
		{item{status: 201, inFailureStore: true}, itemInFailureStore},
		{item{status: 400, inFailureStore: true}, itemRejected},
		{item{status: 409, kind: "version_conflict_engine_exception"}, itemDuplicate},
		{item{status: 429, kind: "es_rejected_execution_exception"}, itemBusy},
		{item{status: 500}, itemBusy},
		{item{status: 503, kind: "unavailable_shards_exception"}, itemBusy},
		{item{status: 599}, itemBusy},
		{item{status: 400, kind: "mapper_parsing_exception"}, itemRejected},
		{item{status: 413}, itemRejected},
		{item{status: 401, kind: "security_exception"}, itemNeedsOperator},
		{item{status: 403, kind: "cluster_block_exception"}, itemNeedsOperator},
		{item{status: 404, kind: "index_not_found_exception"}, itemNeedsOperator},
		{item{status: 100}, itemNeedsOperator},
		// About the target, although the status is that of a bad document or a busy server.
		{item{status: 400, kind: "validation_exception", reason: "Validation Failed: 1: this action would add [2] total shards, but this cluster currently has [8]/[1] maximum shards open;"}, itemNeedsOperator},
		{item{status: 400, kind: "validation_exception", reason: "Validation Failed: 1: this action would add [2] shards, but this cluster currently has [1000]/[1000] maximum normal shards open;"}, itemNeedsOperator},
		{item{status: 400, kind: "index_closed_exception", reason: "closed"}, itemNeedsOperator},
		{item{status: 400, kind: "illegal_argument_exception", reason: "no write index is defined for alias [al]. The write index may be explicitly disabled"}, itemNeedsOperator},
		{item{status: 400, kind: "illegal_argument_exception", reason: "pipeline with id [nope] does not exist"}, itemNeedsOperator},
		{item{status: 400, kind: "invalid_index_name_exception", reason: "Invalid index name [_x], must not start with '_', '-', or '+'"}, itemNeedsOperator},
		{item{status: 403, kind: "cluster_block_exception", reason: "index [a1] blocked by: [FORBIDDEN/5/index read-only (api)];"}, itemNeedsOperator},
		{item{status: 403, kind: "cluster_block_exception", reason: "index [a1] blocked by: [FORBIDDEN/12/index read-only / allow delete (api)];"}, itemNeedsOperator},
		{item{status: 403, kind: "cluster_block_exception", reason: "blocked by: [FORBIDDEN/10/cluster create-index blocked (api)];"}, itemNeedsOperator},
		{item{status: 403, kind: "index_create_block_exception", reason: "blocked by: [FORBIDDEN/10/cluster create-index blocked (api)];"}, itemNeedsOperator},
		{item{status: 403, kind: "cluster_block_exception", reason: "blocked by: [FORBIDDEN/6/cluster read-only (api)];"}, itemNeedsOperator},
		{item{status: 429, kind: "cluster_block_exception", reason: "index [a1] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];"}, itemNeedsOperator},
		{item{status: 404, kind: "index_not_found_exception", reason: "no such index [q1] and [action.auto_create_index] ([-x*,+a*]) doesn't match"}, itemNeedsOperator},
		{item{status: 503, kind: "cluster_block_exception", reason: "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / initialized];"}, itemBusy},
		// About the document, with types that are used for both.
		{item{status: 400, kind: "illegal_argument_exception", reason: "Limit of total fields [1] has been exceeded"}, itemRejected},
		{item{status: 400, kind: "illegal_argument_exception", reason: "mapper [pipeline with id [x] does not exist] cannot be changed from type [long] to [text]"}, itemRejected},
		{item{status: 400, kind: "action_request_validation_exception", reason: "Validation Failed: 1: id [x] is too long"}, itemRejected},
		{item{status: 302}, itemNeedsOperator},
	} {
		if got := c.item.class(); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.item, got, c.want)
		}
	}
}

// TestClassesOfReplies has a case for each kind of reply to a request.
func TestClassesOfReplies(t *testing.T) {
	refusal := func(status int) *eshttp.Error { return &eshttp.Error{Class: eshttp.Refused, Status: status} }
	for _, c := range []struct {
		err  *eshttp.Error
		want replyClass
	}{
		{nil, answered},
		{&eshttp.Error{Class: eshttp.Unresolved}, unreachable},
		{&eshttp.Error{Class: eshttp.Unreachable}, unreachable},
		{&eshttp.Error{Class: eshttp.Untrusted}, unreachable},
		{&eshttp.Error{Class: eshttp.Broken}, broke},
		{&eshttp.Error{Class: eshttp.Unreadable}, unclear},
		{&eshttp.Error{Class: eshttp.Ended}, ended},
		{refusal(413), tooLarge}, {refusal(429), overloaded},
		{refusal(302), refused}, {refusal(400), suspect}, {refusal(401), refused}, {refusal(403), refused}, {refusal(404), refused},
		{refusal(500), refused}, {refusal(503), refused},
		{&eshttp.Error{Class: eshttp.Refused, Status: 429, Type: "cluster_block_exception"}, refused},
	} {
		if got := classify(c.err); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.err, got, c.want)
		}
	}
}
