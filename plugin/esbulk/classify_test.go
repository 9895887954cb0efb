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
		{&eshttp.Error{Class: eshttp.Broken}, unclear},
		{&eshttp.Error{Class: eshttp.Unreadable}, unclear},
		{&eshttp.Error{Class: eshttp.Ended}, ended},
		{refusal(413), tooLarge}, {refusal(429), overloaded},
		{refusal(302), refused}, {refusal(400), refused}, {refusal(401), refused}, {refusal(403), refused}, {refusal(404), refused},
		{refusal(500), refused}, {refusal(503), refused},
	} {
		if got := classify(c.err); got != c.want {
			t.Errorf("%+v: got %v, want %v", c.err, got, c.want)
		}
	}
}
