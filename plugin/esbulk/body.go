package esbulk

import (
	"errors"

	"fluent-bit-fortiems/plugin/event"
)

// batch is the body of one request: an action line and a document line per document. Any
// selection of its documents can be sent again.
type batch struct {
	buf   []byte
	docs  []doc
	order []int32 // memory of all
}

// all lists the documents, valid until the next call.
func (b *batch) all() []int32 {
	b.order = b.order[:0]
	for i := range b.docs {
		b.order = append(b.order, int32(i))
	}
	return b.order
}

// doc is where a document is in its batch.
type doc struct {
	position  int // in the chunk; in a batch of dead letters the number of the letter
	action    int // start of the action line
	targetEnd int // end of the index name, which begins after actionHead
	body, end int // the document with its newline
	sec       int64
	nsec      int32
}

// The action line: actionHead, index name, idHead and _id if there is one, actionTail.
const (
	actionHead = `{"create":{"_index":"`
	idHead     = `","_id":"`
	actionTail = "\"}}\n"
)

func (b *batch) reset() { b.buf, b.docs = b.buf[:0], b.docs[:0] }

// target returns the name of the index of a document as JSON text.
func (b *batch) target(d *doc) []byte { return b.buf[d.action+len(actionHead) : d.targetEnd] }

// size is the number of bytes of documents with their action lines.
func (b *batch) size(docs []int32) (n int) {
	for _, i := range docs {
		n += b.docs[i].end - b.docs[i].action
	}
	return n
}

// document returns the JSON of a document without the newline.
func (b *batch) document(d *doc) []byte { return b.buf[d.body : d.end-1] }

// reader makes batches of a chunk.
type reader struct {
	enc    *encoder
	target *target
	id     *chunkID
	ids    bool // give documents an _id
	done   *positions

	rest     []byte
	position int // of the event at the start of rest

	markers uint64 // group markers left out
	skipped uint64 // events that were delivered by an earlier flush
}

// unconvertible is an event that cannot become a document.
type unconvertible struct {
	position int
	raw      []byte // part of the chunk
	reason   error
	sec      int64
	nsec     int32
}

var (
	errNoMap   = errors.New("record is not a map")
	errNoEvent = errors.New("not an event")
)

// fill puts the next documents into b, at most maxDocs of them and maxBytes; a longer
// document goes alone. Events that cannot become documents are returned. b stays empty
// at the end of the chunk.
func (r *reader) fill(b *batch, maxBytes, maxDocs int) (bad []unconvertible) {
	b.reset()
	for len(r.rest) > 0 && len(b.docs) < maxDocs {
		if len(bad) >= maxDocs {
			return bad
		}
		ev, rest, err := event.Next(r.rest)
		raw := r.rest[:len(r.rest)-len(rest)]
		if err != nil {
			// The rest cannot be decoded: it becomes one dead letter.
			raw, rest = r.rest, nil
		}
		switch {
		case r.done.has(r.position):
			r.skipped++
		case err != nil:
			bad = append(bad, unconvertible{position: r.position, raw: raw, reason: errCorrupt})
		case len(ev.Record) == 0 && isMarker(&ev):
			r.markers++
		case len(ev.Record) == 0:
			reason := errNoEvent
			if ev.TimeEnd > 0 {
				reason = errNoMap
			}
			bad = append(bad, unconvertible{position: r.position, raw: raw, reason: reason})
		default:
			start := len(b.buf)
			if err := r.add(b, &ev); err != nil {
				bad = append(bad, unconvertible{position: r.position, raw: raw, reason: err, sec: ev.Sec, nsec: ev.Nsec})
			} else if len(b.buf) > maxBytes && len(b.docs) > 1 {
				b.buf, b.docs = b.buf[:start], b.docs[:len(b.docs)-1]
				return bad // it is the first of the next batch
			}
		}
		r.rest = rest
		r.position++
	}
	return bad
}

// isMarker reports whether an event without a record begins or ends a group:
// seconds of -1 or -2 (include/fluent-bit/flb_log_event.h).
func isMarker(ev *event.Event) bool {
	return ev.TimeStart > 0 && (ev.Sec == -1 || ev.Sec == -2)
}

func (r *reader) add(b *batch, ev *event.Event) error {
	d := doc{position: r.position, action: len(b.buf), sec: ev.Sec, nsec: ev.Nsec}
	name := r.target.of(ev.Sec, ev.Body, ev.Count)
	b.buf = append(b.buf, actionHead...)
	b.buf = appendText(b.buf, name)
	d.targetEnd = len(b.buf)
	if r.ids {
		b.buf = append(b.buf, idHead...)
		b.buf = r.id.appendDocID(b.buf, r.position)
	}
	b.buf = append(b.buf, actionTail...)
	d.body = len(b.buf)
	buf, err := r.enc.document(b.buf, ev.Sec, ev.Nsec, ev.Body, ev.Count)
	if err != nil {
		b.buf = buf[:d.action]
		return err
	}
	b.buf = append(buf, '\n')
	d.end = len(b.buf)
	b.docs = append(b.docs, d)
	return nil
}

// positions is a set of positions in a chunk, and what else is known of the chunk. A nil
// one is empty.
type positions struct {
	bits []uint64
	n    int

	trials trials
	busy   bool // it was handed back because the server could not take documents
}

func (p *positions) has(i int) bool {
	return p != nil && i>>6 < len(p.bits) && p.bits[i>>6]&(1<<(i&63)) != 0
}

func (p *positions) add(i int) {
	for i>>6 >= len(p.bits) {
		p.bits = append(p.bits, 0)
	}
	if bit := uint64(1) << (i & 63); p.bits[i>>6]&bit == 0 {
		p.bits[i>>6] |= bit
		p.n++
	}
}

// merge adds what q has.
func (p *positions) merge(q *positions) {
	if p.trials == nil {
		p.trials = q.trials
	}
	p.busy = p.busy || q.busy
	for w, bits := range q.bits {
		for b := range 64 {
			if bits&(1<<b) != 0 {
				p.add(w<<6 | b)
			}
		}
	}
}

// docID returns the _id of a document. The document must have one.
func (b *batch) docID(d *doc) []byte { return b.buf[d.targetEnd+len(idHead) : d.body-len(actionTail)] }
