package esbulk

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"fluent-bit-fortiems/plugin/hostlog"
)

// flight is one flush.
type flight struct {
	s    *Shipper
	ctx  context.Context
	tag  string
	id   chunkID
	done *positions // documents that are stored, dead letters or in a failure store
	left int        // documents that are neither
}

// scratch is the memory of a flush.
type scratch struct {
	enc    *encoder
	batch  batch
	chosen []int32
}

var scratches = sync.Pool{New: func() any { return &scratch{enc: newEncoder()} }}

// run delivers a chunk and reports whether all of it is done.
func (f *flight) run(chunk []byte) bool {
	m := scratches.Get().(*scratch)
	defer func() {
		if cap(m.batch.buf) <= f.s.maxPooled {
			scratches.Put(m)
		}
	}()
	// JSON is a little longer than MessagePack. Growing by and by would leave as
	// much memory again to the garbage collector.
	m.batch.buf = slices.Grow(m.batch.buf[:0], min(int(f.s.c.BulkMaxBytes), len(chunk)+len(chunk)/2))
	r := &reader{enc: m.enc, target: f.s.target.clone(), id: &f.id, ids: f.s.c.GenerateID, done: f.done, rest: chunk}
	defer func() {
		f.s.count.markers.Add(r.markers)
		f.s.count.skipped.Add(r.skipped)
	}()
	for len(r.rest) > 0 {
		if f.ctx.Err() != nil {
			return false
		}
		if bad := r.fill(&m.batch, int(f.s.c.BulkMaxBytes), f.s.c.BulkMaxDocs); len(bad) > 0 {
			f.bury(f.unfit(bad))
		}
		if len(m.batch.docs) > 0 && !f.ship(m) {
			return false
		}
	}
	return f.left == 0
}

// ship delivers a batch. It returns false when there is no use in going on now.
func (f *flight) ship(m *scratch) bool {
	b := &m.batch
	var n [outcomes]int
	d := delivery{f: f, b: b, ids: f.s.c.GenerateID, what: "documents"}
	d.delivered = func(d *doc, o outcome) {
		f.done.add(d.position)
		n[o]++
	}
	d.rejected = func(list []rejection) { f.bury(f.rejects(b, list)) }
	goOn := d.run(m.all())
	f.s.count.document(stored, n[stored])
	f.s.count.document(duplicate, n[duplicate])
	f.s.count.document(deadLettered, n[deadLettered])
	f.left += d.left
	return goOn
}

// all chooses all documents of the batch.
func (m *scratch) all() []int32 {
	m.chosen = m.chosen[:0]
	for i := range m.batch.docs {
		m.chosen = append(m.chosen, int32(i))
	}
	return m.chosen
}

// rejection is a document that the server will never take.
type rejection struct {
	doc  int32
	item item
}

// delivery sends documents of a batch until the server has them, rejects them for
// good, or there is no use in going on.
type delivery struct {
	f    *flight
	b    *batch
	ids  bool
	what string // for log lines

	delivered func(d *doc, o outcome)
	rejected  func(list []rejection)
	left      int // documents that are handed back
}

// maxUnusable is how often in a row an answer may leave open what became of the
// documents before the chunk is handed back.
const maxUnusable = 4

// run delivers the chosen documents and returns false when there is no use in
// sending others now. It reorders chosen.
func (d *delivery) run(chosen []int32) (goOn bool) {
	var wait backoff
	s := d.f.s
	lost, unreached := 0, 0
	for {
		a := s.send(d.f.ctx, d.b, chosen, d.ids)
		if a.verdict != unusable {
			lost = 0
		}
		switch a.verdict {
		case answered:
			held := false
			if chosen, held = d.sort(chosen, &a); len(chosen) == 0 {
				return !held
			}
		case tooLarge:
			if len(chosen) == 1 {
				d.rejected([]rejection{{chosen[0], item{status: 413, kind: "request_entity_too_large", reason: a.text}}})
				return true
			}
			s.count.again(len(chosen))
			half := len(chosen) / 2
			if !d.run(chosen[:half]) {
				d.left += len(chosen) - half
				return false
			}
			return d.run(chosen[half:])
		case unreachable:
			// Each other host gets a chance at once.
			if unreached++; unreached < s.transport.hosts {
				continue
			}
			return d.handBack(chosen, &a)
		case unusable:
			s.log.Limited(hostlog.Warn, a.cause, s.now(), "sending %d %s again with the same ids: %s", len(chosen), d.what, a.text)
			if lost++; lost == maxUnusable {
				return d.handBack(chosen, &a)
			}
		case refused, ended:
			return d.handBack(chosen, &a)
		}
		s.count.again(len(chosen))
		if !s.pause(d.f.ctx, max(wait.next(s.random()), a.wait)) {
			if d.f.ctx.Err() != nil {
				a.text = s.over(d.f.ctx, a.host).text + "; " + a.text
			}
			return d.handBack(chosen, &a)
		}
	}
}

// handBack gives documents up for this flush, with one throttled line.
func (d *delivery) handBack(chosen []int32, a *answer) bool {
	s := d.f.s
	d.left += len(chosen)
	s.hold(a.wait)
	level := hostlog.Error
	if a.verdict == ended || a.verdict == busy || a.verdict == answered {
		level = hostlog.Warn
	}
	s.log.Limited(level, a.cause, s.now(), "%d %s handed back for another try: %s", len(chosen), d.what, a.text)
	return false
}

// sort does with each document what its answer says and returns those to be sent
// again, in place. held reports that only an operator can help some, and none was
// delivered.
func (d *delivery) sort(chosen []int32, a *answer) (again []int32, held bool) {
	var rejections []rejection
	var first, waits item
	again = chosen[:0]
	stuck, delivered, diverted := 0, 0, 0
	for i, c := range chosen {
		it := &a.items[i]
		switch code := it.status; {
		case code >= 200 && code < 300 && it.diverted:
			d.delivered(&d.b.docs[c], deadLettered)
			delivered++
			diverted++
		case code >= 200 && code < 300:
			d.delivered(&d.b.docs[c], stored)
			delivered++
		case code == 409:
			d.delivered(&d.b.docs[c], duplicate)
			delivered++
		case code == 429 || code >= 500:
			waits = *it
			again = append(again, c)
		case code == 400 || code == 413:
			rejections = append(rejections, rejection{c, *it})
		default:
			if stuck == 0 {
				first = *it
			}
			stuck++
		}
	}
	s := d.f.s
	if diverted > 0 {
		s.log.Limited(hostlog.Warn, "failure store", s.now(), "%d %s were rejected by %s, which keeps them, with the reason, in the failure store of their data stream",
			diverted, d.what, a.host)
	}
	if len(rejections) > 0 {
		d.rejected(rejections)
	}
	if stuck > 0 {
		d.left += stuck
		s.log.Limited(hostlog.Error, fmt.Sprintf("item %d", first.status), s.now(), "%d %s handed back for another try: %s",
			stuck, d.what, explain(a.host, first.status, first.kind, false))
	}
	if len(again) > 0 {
		a.cause = fmt.Sprintf("item %d", waits.status)
		a.text = fmt.Sprintf("%s still answers %d %s to them", a.host, waits.status, waits.kind)
	}
	return again, stuck > 0 && delivered == 0
}
