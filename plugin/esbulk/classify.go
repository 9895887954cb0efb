package esbulk

import "fluent-bit-fortiems/plugin/eshttp"

// replyClass is what a reply means for its request as a whole.
type replyClass int

const (
	answered    replyClass = iota // the items are what became of each document
	tooLarge                      // no host takes a request of this size
	overloaded                    // not now
	unclear                       // what became of the documents is unknown
	broke                         // so it is, because the connection broke
	suspect                       // the request is refused as if it were wrong: one of its documents may be
	unreachable                   // not sent
	refused                       // an operator has to act, or the server to recover
	ended                         // the deadline has passed or the instance is closing
)

// replyClasses classify replies without usable items. The first row that fits counts; a
// reply that none fits is refused.
var replyClasses = []struct {
	fault eshttp.Class
	eshttp.Match
	class replyClass
}{
	{fault: eshttp.Unresolved, class: unreachable},
	{fault: eshttp.Unreachable, class: unreachable},
	{fault: eshttp.Untrusted, class: unreachable},
	{fault: eshttp.Broken, class: broke},
	{fault: eshttp.Unreadable, class: unclear},
	{fault: eshttp.Ended, class: ended},
	{fault: eshttp.Refused, Match: eshttp.Match{From: 400, To: 400}, class: suspect},
	{fault: eshttp.Refused, Match: eshttp.Match{From: 413, To: 413}, class: tooLarge},
	{fault: eshttp.Refused, Match: eshttp.Match{From: 429, To: 429}, class: overloaded},
}

// classify says what a reply means; err is nil when its items can be used.
func classify(err *eshttp.Error) replyClass {
	if err == nil {
		return answered
	}
	if err.Class == eshttp.Refused && eshttp.AboutIndex(err.Status, err.Type, err.Reason) {
		return refused
	}
	for i := range replyClasses {
		r := &replyClasses[i]
		if r.fault == err.Class && r.Fits(err.Status, err.Type, err.Reason) {
			return r.class
		}
	}
	return refused
}

// itemClass is what became of a document.
type itemClass int

const (
	itemStored         itemClass = iota // now
	itemDuplicate                       // it was stored already
	itemInFailureStore                  // rejected, and kept in the failure store of its data stream
	itemBusy                            // the server cannot take it now: send it again
	itemRejected                        // the server will never take it: dead letter
	itemNeedsOperator                   // an operator can help: hand it back
	itemClasses
)

// itemRows classify the answers to documents. The first row that fits counts; an item
// that none fits needs an operator.
var itemRows = []struct {
	eshttp.Match
	failureStore bool // only documents in the failure store
	class        itemClass
}{
	{Match: eshttp.Match{From: 200, To: 299}, failureStore: true, class: itemInFailureStore},
	{Match: eshttp.Match{From: 200, To: 299}, class: itemStored},
	{Match: eshttp.Match{From: 409, To: 409}, class: itemDuplicate},
	{Match: eshttp.Match{From: 429, To: 429}, class: itemBusy},
	{Match: eshttp.Match{From: 500, To: 599}, class: itemBusy},
	{Match: eshttp.Match{From: 400, To: 400}, class: itemRejected},
	{Match: eshttp.Match{From: 413, To: 413}, class: itemRejected},
}

// class says what became of the document of an item.
func (it *item) class() itemClass {
	if it.status >= 400 && eshttp.AboutIndex(it.status, it.kind, it.reason) {
		return itemNeedsOperator
	}
	for i := range itemRows {
		r := &itemRows[i]
		if r.Fits(it.status, it.kind, it.reason) && (it.inFailureStore || !r.failureStore) {
			return r.class
		}
	}
	return itemNeedsOperator
}
