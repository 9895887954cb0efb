package esbulk

import (
	"context"
	"slices"
	"sync"
)

// flush is the delivery of one chunk. It owns the documents of the chunk.
type flush struct {
	s    *Shipper
	ctx  context.Context
	tag  string
	id   chunkID
	done *positions // documents that are stored, dead letters or in a failure store
	left int        // documents that are neither
	// settledNow are the documents of a batch by item class.
	settledNow tally
}

// scratch is the memory of a flush.
type scratch struct {
	enc   *encoder
	batch batch
}

var scratches = sync.Pool{New: func() any { return &scratch{enc: newEncoder()} }}

// release gives the memory back unless it has become large.
func (m *scratch) release(maxPooled int) {
	if cap(m.batch.buf) <= maxPooled {
		scratches.Put(m)
	}
}

// run delivers a chunk and reports whether all of it is done.
func (f *flush) run(chunk []byte) bool {
	c := &f.s.c
	m := scratches.Get().(*scratch)
	defer m.release(f.s.maxPooled)
	// JSON is a little longer than MessagePack. Growing in steps would allocate twice as
	// much.
	m.batch.buf = slices.Grow(m.batch.buf[:0], min(int(c.BulkMaxBytes), len(chunk)+len(chunk)/2))
	r := &reader{enc: m.enc, target: f.s.target.clone(), id: &f.id, ids: c.GenerateID, done: f.done, rest: chunk}
	defer func() {
		f.s.count.markers.Add(r.markers)
		f.s.count.skipped.Add(r.skipped)
	}()
	for len(r.rest) > 0 {
		if f.ctx.Err() != nil {
			return false
		}
		maxBytes, maxDocs := f.s.limits.now()
		if bad := r.fill(&m.batch, maxBytes, maxDocs); len(bad) > 0 {
			f.deadLetter(f.unconvertibleLetters(bad))
		}
		if len(m.batch.docs) > 0 && !f.ship(m) {
			return false
		}
	}
	return f.left == 0
}

// ship delivers a batch. It returns false when there is no use in going on now.
func (f *flush) ship(m *scratch) bool {
	f.settledNow = tally{}
	d := delivery{s: f.s, ctx: f.ctx, batch: &m.batch, ids: f.s.c.GenerateID, what: "documents", owner: f, chunk: f.done}
	goOn := d.run()
	f.s.through.Add(uint64(f.settledNow[itemStored]))
	f.s.count.document(stored, f.settledNow[itemStored])
	f.s.count.document(duplicate, f.settledNow[itemDuplicate])
	f.s.count.document(deadLettered, f.settledNow[itemInFailureStore])
	f.left += d.left
	return goOn
}

// settled implements owner.
func (f *flush) settled(d *doc, c itemClass) {
	f.done.add(d.position)
	f.settledNow[c]++
}

// rejected implements owner.
func (f *flush) rejected(b *batch, list []rejection) { f.deadLetter(f.rejectedLetters(b, list)) }

// progress implements owner.
func (f *flush) progress() int { return f.settledNow[itemStored] }
