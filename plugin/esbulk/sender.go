package esbulk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"fluent-bit-fortiems/plugin/eshttp"
	"fluent-bit-fortiems/plugin/hostlog"
)

// delivery sends the documents of a batch until each is done with or there is no use in
// going on. It does what classify and state.next decide: it sends, waits, logs, counts
// and reports to the owner.
type delivery struct {
	s     *Shipper
	ctx   context.Context
	batch *batch
	ids   bool   // the documents have an _id
	what  string // for log lines
	owner owner

	state state
	left  int // documents that are handed back
}

// owner learns what became of the documents of a batch.
type owner interface {
	// settled is called for a document that the server has.
	settled(d *doc, c itemClass)
	// rejected is called with documents that the server will never take.
	rejected(b *batch, list []rejection)
}

// rejection is a document that the server will never take.
type rejection struct {
	doc  int32
	item item
}

// reply is what came of one request.
type reply struct {
	call  eshttp.Call
	items []item        // of the documents that were sent, in their order
	err   *eshttp.Error // nil: the items can be used
	wait  time.Duration // Retry-After, 0 if there is none
}

// run delivers the batch. It returns false when there is no use in sending others now.
func (d *delivery) run() (goOn bool) {
	s := d.s
	d.state = state{work: [][]int32{d.batch.all()}, hosts: s.client.Hosts()}
	for len(d.state.work) > 0 {
		docs := d.state.top()
		r := d.sendOnce(docs)
		class := classify(r.err)
		var t tally
		if class == answered {
			d.state.replace(d.settle(&r, docs, &t))
		}
		if class == unclear {
			s.log.Limited(hostlog.Warn, r.err.Kind(), s.now(), "sending %d %s again with the same ids: %s", len(docs), d.what, r.err.Brief())
		}
		switch d.state.next(class, len(docs), &t) {
		case doFinish:
			d.state.replace()
			d.state.pauses = 0
		case doResend:
			s.count.again(len(d.state.top()))
			if !s.pause(d.ctx, max(d.state.pause(s.random()), r.wait)) {
				return d.handBack(&r, class)
			}
		case doResendNow:
		case doHalve:
			s.count.again(len(docs))
			half := len(docs) / 2
			d.state.replace(docs[half:], docs[:half])
		case doDeadLetter:
			d.owner.rejected(d.batch, []rejection{{docs[0], item{status: r.err.Status, kind: "request_entity_too_large", reason: r.err.Brief()}}})
			d.state.replace()
		case doStop:
			d.left += d.state.rest()
			return false
		case doHandBack:
			return d.handBack(&r, class)
		}
	}
	return true
}

// settle does with each document what its item says, counts the classes in t and returns
// the documents to be sent again, in place. If there are some, it sets r.err to the answer
// to the last of them.
func (d *delivery) settle(r *reply, docs []int32, t *tally) (again []int32) {
	var rejections []rejection
	var operator, busy *item
	again = docs[:0]
	for i, doc := range docs {
		it := &r.items[i]
		c := it.class()
		t[c]++
		switch c {
		case itemStored, itemDuplicate, itemInFailureStore:
			d.owner.settled(&d.batch.docs[doc], c)
		case itemBusy:
			busy = it
			again = append(again, doc)
		case itemRejected:
			rejections = append(rejections, rejection{doc, *it})
		case itemNeedsOperator:
			if operator == nil {
				operator = it
			}
		}
	}
	s := d.s
	if n := t[itemInFailureStore]; n > 0 {
		s.log.Limited(hostlog.Warn, "failure store", s.now(), "%d %s were rejected by %s, which keeps them, with the reason, in the failure store of their data stream",
			n, d.what, r.call.Host)
	}
	if len(rejections) > 0 {
		d.owner.rejected(d.batch, rejections)
	}
	if n := t[itemNeedsOperator]; n > 0 {
		d.left += n
		d.logHandedBack(hostlog.Error, n, "item ", r.call.RefusedItem(operator.status, operator.kind, operator.reason))
	}
	if busy != nil {
		r.err = r.call.RefusedItem(busy.status, busy.kind, busy.reason)
	}
	return again
}

// handBack gives up what is left of the batch for this flush because of a reply.
func (d *delivery) handBack(r *reply, class replyClass) bool {
	d.left += d.state.rest()
	d.s.postpone(r.wait)
	level := hostlog.Error
	if class == ended || class == overloaded || class == answered {
		level = hostlog.Warn
	}
	d.logHandedBack(level, d.state.rest(), "", r.err)
	return false
}

func (d *delivery) logHandedBack(level hostlog.Level, n int, kind string, err *eshttp.Error) {
	text := err.Brief()
	if d.ctx.Err() != nil && err.Class != eshttp.Ended {
		text = context.Cause(d.ctx).Error() + "; " + text
	}
	d.s.log.Limited(level, kind+err.Kind(), d.s.now(), "%d %s handed back for another try: %s", n, d.what, text)
}

// filterPath keeps what we read in the answer and leaves the rest out: a quarter
// of the bytes.
var filterPath = []string{"errors", "items.*._id", "items.*.status", "items.*.error", "items.*.failure_store", "error", "status"}

// sendOnce sends documents in one request and reads the reply.
func (d *delivery) sendOnce(docs []int32) (r reply) {
	s := d.s
	r.call = eshttp.Call{Transport: s.client, Op: "POST /_bulk"}
	buf := requestBuffers.Get().(*requestBuffer)
	plain := buf.pack(d.batch, docs, s.c.Gzip)
	size := buf.Len()
	body := eshttp.NewBody(buf.Bytes())
	start := s.now()
	status := 0
	s.count.requestBegin()
	defer func() {
		s.count.metrics.RequestEnd(status, s.now().Sub(start), plain, size)
		body.Release()
		if buf.Cap() <= s.maxPooled {
			requestBuffers.Put(buf)
		}
	}()
	header := http.Header{"Content-Type": {"application/x-ndjson"}, "Accept": {"application/json"}}
	if s.c.Gzip {
		header.Set("Content-Encoding", "gzip")
	}
	response, err := esapi.BulkRequest{Body: body, FilterPath: filterPath, Header: header}.Do(d.ctx, &r.call)
	if err != nil {
		if !errors.As(err, &r.err) {
			r.err = r.call.Failed(d.ctx, err)
		}
		return r
	}
	defer finish(response.Body)
	status = response.StatusCode
	r.wait = retryAfter(response.Header, s.now())
	if status/100 == 2 {
		d.readItems(&r, response, docs)
	} else {
		r.err = r.call.Refused(status, response.Header, response.Body)
	}
	return r
}

// finish reads a little of what is left, so that the connection can be used again,
// and closes.
func finish(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10)
	body.Close()
}

// readItems reads the answers to documents.
func (d *delivery) readItems(r *reply, response *esapi.Response, docs []int32) {
	items := make([]item, 0, len(docs))
	foreign := 0
	_, err := readItems(response.Body, func(i int, it *item, id []byte) error {
		if i >= len(docs) {
			return errCount
		}
		if d.ids && len(id) > 0 && !it.inFailureStore {
			switch want := d.batch.docID(&d.batch.docs[docs[i]]); {
			case bytes.Equal(want, id):
			case bytes.HasPrefix(id, want[:min(idPrefix+1, len(want))]):
				return errOtherItem // of this chunk: the items are in another order
			default:
				foreign++
			}
		}
		items = append(items, *it)
		return nil
	})
	if err == nil && len(items) != len(docs) {
		err = errCount
	}
	if err == nil {
		r.items = items
		if foreign > 0 {
			d.s.count.foreign.Add(uint64(foreign))
			d.s.foreignID.Do(func() {
				d.s.log.Printf(hostlog.Warn, "%s gives documents other ids than ours: a pipeline sets or removes _id. They count as delivered; one that is sent again after a lost answer can be stored twice: let the pipeline leave _id alone", r.call.Host)
			})
		}
		return
	}
	if !isAnswerError(err) {
		err = fmt.Errorf("the connection broke: %w", err)
	}
	r.err = r.call.Unreadable(d.ctx, err, response.Header)
	if err == errCount && len(items) == 0 && d.s.c.Gzip {
		r.err.Hint = eshttp.HintGzip
	}
}

// retryAfter reads a Retry-After header: seconds or an HTTP date. 0 means that
// there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// pause waits for d. It returns false without waiting when the deadline of ctx is
// not later than that, and early when ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
