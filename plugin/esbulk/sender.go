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
	chunk *positions // what is known of the chunk

	state   state
	left    int            // documents that are handed back
	busy    []rejection    // of the last answer: documents that got 5xx
	waiting map[int32]bool // single documents that are behind all others because they failed
}

// owner learns what became of the documents of a batch.
type owner interface {
	// settled is called for a document that the server has.
	settled(d *doc, c itemClass)
	// rejected is called with documents that the server will never take.
	rejected(b *batch, list []rejection)
	// progress is the number of documents of the batch that were stored now.
	progress() int
}

// rejection is a document that the server will never take.
type rejection struct {
	doc  int32
	host string // that refused it
	item item
}

// reply is what came of one request.
type reply struct {
	call  eshttp.Call
	plain int           // bytes of the request before compression
	items []item        // of the documents that were sent, in their order
	err   *eshttp.Error // nil: the items can be used
	wait  time.Duration // Retry-After, 0 if there is none
}

// run delivers the batch. It returns false when there is no use in sending others now.
func (d *delivery) run() (goOn bool) {
	s := d.s
	d.state = state{work: [][]int32{d.batch.all()}, hosts: s.client.Hosts(), maxFutile: maxFutile}
	if d.chunk.busy {
		d.state.maxFutile = 1 // it waited with Fluent Bit meanwhile
	}
	for len(d.state.work) > 0 {
		docs := d.state.top()
		if maxBytes, _ := s.limits.now(); len(docs) > 1 && d.batch.size(docs) > maxBytes {
			d.halve(docs) // the limit was learnt meanwhile
			continue
		}
		r := d.sendOnce(docs)
		class, ill := classify(r.err), d.judge(&r)
		var t tally
		if class == answered {
			d.state.replace(d.settle(&r, docs, &t))
		}
		if class == unclear || class == broke {
			s.log.Limited(hostlog.Warn, r.err.Kind(), s.now(), "sending %d %s again with the same ids: %s", len(docs), d.what, r.err.Brief())
		}
		switch d.state.next(class, len(docs), &t, ill) {
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
			if class == broke && s.limits.brokeAt(r.plain) {
				limit, _ := s.limits.now()
				s.log.Printf(hostlog.Warn, "%s or a proxy in front of it breaks connections of larger requests: from now on requests have at most %d bytes; set bulk_max_bytes to that, or raise the limit there", r.call.Host, limit)
			}
			d.state.pauses = 0
			s.count.again(len(docs))
			d.halve(docs)
		case doDeadLetter:
			d.owner.rejected(d.batch, []rejection{{docs[0], r.call.Host, item{status: r.err.Status, kind: "request_entity_too_large", reason: r.err.Brief()}}})
			d.state.replace()
		case doSuspect:
			if !d.suspect(docs[0], r.err) {
				return d.handBack(&r, class)
			}
		case doLeave:
			d.leave(&r)
			if d.owner.progress() == 0 {
				d.left += d.state.rest()
				return false
			}
		case doStop:
			d.left += d.state.rest()
			return false
		case doHandBack:
			return d.handBack(&r, class)
		}
	}
	return true
}

// judge rests a host that is ill, and reports whether another one may do better.
func (d *delivery) judge(r *reply) (ill bool) {
	s := d.s
	if r.err == nil {
		s.limits.answeredAt(r.plain)
	}
	if r.err == nil || !r.err.Ill() {
		s.client.Well(r.call.Host)
		return false
	}
	if r.err.Class == eshttp.Ended { // the flush has ended, or the instance
		if d.ctx.Err() != nil && context.Cause(d.ctx) != errClosing && s.client.Hosts() > 1 {
			s.client.Ill(r.call.Host)
		}
		return false
	}
	if rest := s.client.Ill(r.call.Host); s.client.Hosts() > 1 {
		s.log.Limited(hostlog.Warn, "rest "+r.err.Kind(), s.now(), "the next host is asked and this one rests for %v: %s", rest.Round(time.Second), r.err.Brief())
		return true
	}
	return false
}

func (d *delivery) halve(docs []int32) {
	half := len(docs) / 2
	d.state.replace(docs[half:], docs[:half])
}

// suspect deals with a document that fails alone: it waits for others, and becomes a dead
// letter once some got through since it first failed. It returns false when nothing else
// is left to be sent.
func (d *delivery) suspect(doc int32, err *eshttp.Error) bool {
	through := d.s.through.Load() + uint64(d.owner.progress())
	t, _ := d.chunk.trials.of(d.batch.docs[doc].position, through)
	switch {
	case t != nil && through > t.through:
		it := item{status: err.Status, kind: err.Type, reason: err.Reason}
		if it.kind == "" {
			it.kind = "request_" + string(err.Class)
		}
		if it.reason == "" {
			it.reason = err.Cause
		}
		d.owner.rejected(d.batch, []rejection{{doc, err.Host, it}})
		d.state.replace()
	case d.waiting[doc] || len(d.state.work) == 1:
		return false
	default:
		if d.waiting == nil {
			d.waiting = map[int32]bool{}
		}
		d.waiting[doc] = true
		d.state.postpone()
	}
	return true
}

// leave hands back the documents of the next request, which are busy. One that alone gets
// 5xx again and again while others get through becomes a dead letter.
func (d *delivery) leave(r *reply) {
	docs := len(d.state.top())
	d.state.replace()
	d.state.futile, d.state.pauses = 0, 0
	d.chunk.busy = true
	through := d.s.through.Load() + uint64(d.owner.progress())
	var given []rejection
	for _, b := range d.busy {
		t, old := d.chunk.trials.of(d.batch.docs[b.doc].position, through)
		if t == nil || old && through == t.through {
			continue
		}
		t.through = through
		if t.tries++; t.tries >= maxTries {
			given = append(given, b)
		}
	}
	if len(given) > 0 {
		d.owner.rejected(d.batch, given)
	}
	if n := docs - len(given); n > 0 {
		d.left += n
		d.logHandedBack(hostlog.Warn, n, "item ", r.err)
	}
}

// settle does with each document what its item says, counts the classes in t and returns
// the documents to be sent again, in place. If there are some, it sets r.err to the answer
// to the last of them.
func (d *delivery) settle(r *reply, docs []int32, t *tally) (again []int32) {
	var rejections []rejection
	var operator, busy *item
	again, d.busy = docs[:0], d.busy[:0]
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
			if it.status != http.StatusTooManyRequests {
				d.busy = append(d.busy, rejection{doc, r.call.Host, *it})
			}
		case itemRejected:
			rejections = append(rejections, rejection{doc, r.call.Host, *it})
		case itemNeedsOperator:
			if operator == nil {
				operator = it
			}
		}
	}
	s := d.s
	if n := t[itemInFailureStore]; n > 0 {
		s.log.Limited(hostlog.Warn, "failure store", s.now(), "%s rejected %d %s and keeps them, with the reason, in the failure store of their data stream: look there with GET <data stream>::failures/_search",
			r.call.Host, n, d.what)
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
	d.s.postpone(r.wait, r.call.Host)
	level := hostlog.Error
	if class == ended || class == overloaded || class == answered {
		level = hostlog.Warn
	}
	d.logHandedBack(level, d.state.rest(), "", r.err)
	return false
}

func (d *delivery) logHandedBack(level hostlog.Level, n int, kind string, err *eshttp.Error) {
	if err.Status == http.StatusNotFound || err.Class == eshttp.Unreachable || err.Class == eshttp.Broken {
		if d.s.bootstrap != nil {
			d.s.bootstrap.Recheck() // it may be another server, or an empty one, when it is back
		}
	}
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
	ctx, patience, cancel := d.attempt()
	defer cancel()
	buf := requestBuffers.Get().(*requestBuffer)
	r.plain = buf.pack(d.batch, docs, s.c.Gzip)
	size := buf.Len()
	body := eshttp.NewBody(buf.Bytes())
	start := s.now()
	status := 0
	s.count.requestBegin()
	defer func() {
		took := s.now().Sub(start)
		if s.limits.took(took, s.c.FlushTimeout, len(docs)) {
			s.log.Limited(hostlog.Warn, "slow", s.now(), "%s took %v for %d %s, more than half of flush_timeout: the next requests have half as many until it is faster; the server may have too little memory or too many fields to map",
				r.call.Host, took.Round(time.Millisecond), len(docs), d.what)
		}
		s.count.metrics.RequestEnd(status, took, r.plain, size)
		body.Release()
		if buf.Cap() <= s.maxPooled {
			requestBuffers.Put(buf)
		}
	}()
	header := http.Header{"Content-Type": {"application/x-ndjson"}, "Accept": {"application/json"}}
	if s.c.Gzip {
		header.Set("Content-Encoding", "gzip")
	}
	response, err := esapi.BulkRequest{Body: body, FilterPath: filterPath, Header: header, Timeout: patience}.Do(ctx, &r.call)
	if err != nil {
		if !errors.As(err, &r.err) {
			r.err = r.call.Failed(ctx, err)
		}
		d.hung(&r)
		return r
	}
	defer finish(response.Body)
	status = response.StatusCode
	r.wait = retryAfter(response.Header, s.now())
	if status/100 == 2 {
		d.readItems(ctx, &r, response, docs)
		d.hung(&r)
	} else {
		r.err = r.call.Refused(status, response.Header, response.Body)
	}
	return r
}

// attempt bounds a request, so that there is time for another host if this one hangs, and
// returns the timeout for the server, which is a little shorter.
func (d *delivery) attempt() (ctx context.Context, patience time.Duration, cancel func()) {
	left := d.s.c.FlushTimeout
	if deadline, ok := d.ctx.Deadline(); ok {
		left = time.Until(deadline)
	}
	if d.s.client.Hosts() < 2 || left < 2*time.Second {
		return d.ctx, max(left*9/10, time.Millisecond).Truncate(time.Millisecond), func() {}
	}
	left /= 2
	ctx, cancel = context.WithTimeoutCause(d.ctx, left, fmt.Errorf("%v passed", left.Round(100*time.Millisecond)))
	return ctx, (left * 9 / 10).Truncate(time.Millisecond), cancel
}

// hung makes a failure of the host out of the end of an attempt.
func (d *delivery) hung(r *reply) {
	if r.err != nil && r.err.Class == eshttp.Ended && d.ctx.Err() == nil {
		r.err.Class, r.err.Hint = eshttp.Broken, "is it overloaded or stuck?"
	}
}

// finish reads a little of what is left, so that the connection can be used again,
// and closes.
func finish(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 64<<10)
	body.Close()
}

// readItems reads the answers to documents.
func (d *delivery) readItems(ctx context.Context, r *reply, response *esapi.Response, docs []int32) {
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
			case it.status/100 == 2:
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
			d.s.count.foreignIDs(foreign)
			d.s.foreignID.Do(func() {
				d.s.log.Printf(hostlog.Warn, "%s gives documents other ids than ours: a pipeline sets or removes _id. They count as delivered; one that is sent again after a lost answer can be stored twice: let the pipeline leave _id alone", r.call.Host)
			})
		}
		return
	}
	if !isAnswerError(err) {
		err = fmt.Errorf("the connection broke: %w", err)
	}
	r.err = r.call.Unreadable(ctx, err, response.Header)
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
