package esbulk

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"fluent-bit-fortiems/plugin/hostlog"
)

// indexSink writes dead letters to a data stream or index.
type indexSink struct{ index []byte }

// minPiece is the least a document is cut to, in bytes, when even its dead letter is too
// large for the server.
const minPiece = 4 << 10

func (x *indexSink) write(f *flush, list []deadLetter) []bool {
	m := scratches.Get().(*scratch)
	defer m.release(f.s.maxPooled)
	m.batch.reset()
	w := &indexWriter{index: x.index, f: f, m: m, letters: make([]sentLetter, len(list))}
	for i := range list {
		w.letters[i].deadLetter = &list[i]
		w.add(i, 1)
	}
	w.send()
	for len(w.tooLarge) > 0 {
		i := w.tooLarge[0]
		w.tooLarge = w.tooLarge[1:]
		l := &w.letters[i]
		parts := l.parts * 2
		switch {
		case w.stopped:
			l.failed = true
		case len(l.document)/parts < minPiece:
			l.failed = true
			f.s.log.Limited(hostlog.Error, "dead letter size", f.s.now(), "a dead letter is too large for %s even in pieces of %d bytes, so its document is handed back for another try: raise the limit of the server (http.max_content_length) or of the proxy in front of it", l.refusedBy, minPiece)
		default:
			w.add(i, parts)
			w.send()
		}
	}
	safe := make([]bool, len(list))
	for i := range safe {
		safe[i] = w.letters[i].unsent == 0 && !w.letters[i].failed
	}
	return safe
}

// indexWriter sends dead letters in batches. It owns their documents, whose position is
// the number of the letter.
type indexWriter struct {
	index    []byte
	f        *flush
	m        *scratch
	letters  []sentLetter
	tooLarge []int // letters to be sent in smaller pieces
	stopped  bool  // there is no use in sending more
}

// sentLetter is a dead letter on its way.
type sentLetter struct {
	*deadLetter
	parts  int // pieces that it is cut to
	unsent int // of these not stored yet
	failed bool

	refusedBy string // host that found a piece too large
}

// add puts a letter in pieces into the batch and sends full batches.
func (w *indexWriter) add(i, parts int) {
	c := &w.f.s.c
	b := &w.m.batch
	l := &w.letters[i]
	l.parts, l.unsent = parts, parts
	rest := l.document
	for p := range parts {
		piece := rest
		if p < parts-1 {
			n := len(rest) / (parts - p)
			for n > 0 && !utf8.RuneStart(rest[n]) {
				n--
			}
			piece = rest[:n]
		}
		rest = rest[len(piece):]
		d := doc{position: i, action: len(b.buf), sec: l.sec, nsec: l.nsec}
		b.buf = append(b.buf, actionHead...)
		b.buf = append(b.buf, w.index...)
		d.targetEnd = len(b.buf)
		if len(l.id) > 0 {
			b.buf = append(b.buf, idHead...)
			b.buf = append(b.buf, l.id...)
		}
		if parts > 1 && len(l.id) > 0 {
			b.buf = append(b.buf, '.')
			b.buf = strconv.AppendInt(b.buf, int64(p+1), 10)
			b.buf = append(b.buf, '.')
			b.buf = strconv.AppendInt(b.buf, int64(parts), 10)
		}
		b.buf = append(b.buf, actionTail...)
		d.body = len(b.buf)
		b.buf = l.append(b.buf, w.f, w.m.enc, piece, p, parts)
		b.buf = append(b.buf, '\n')
		d.end = len(b.buf)
		b.docs = append(b.docs, d)
		if len(b.buf) >= int(c.BulkMaxBytes) || len(b.docs) >= c.BulkMaxDocs {
			w.send()
		}
	}
}

// send delivers the batch.
func (w *indexWriter) send() {
	b := &w.m.batch
	defer b.reset()
	if len(b.docs) == 0 || w.stopped {
		return
	}
	d := delivery{s: w.f.s, ctx: w.f.ctx, batch: b, ids: w.f.s.c.GenerateID, what: "dead letters", owner: w, chunk: &positions{}}
	w.stopped = !d.run()
}

// settled implements owner.
func (w *indexWriter) settled(d *doc, _ itemClass) { w.letters[d.position].unsent-- }

// progress implements owner.
func (w *indexWriter) progress() int { return 0 }

// rejected implements owner.
func (w *indexWriter) rejected(b *batch, list []rejection) {
	for _, r := range list {
		i := b.docs[r.doc].position
		switch {
		case r.item.status != 413:
			w.letters[i].failed = true
			w.f.s.log.Limited(hostlog.Error, "dead letter rejected", w.f.s.now(), "%s answered %d %s to a dead letter for %s, so its document is handed back for another try: mend the mapping of %s, or set dead_letter to another index or file",
				r.host, r.item.status, r.item.kind, w.index, w.index)
		case !slices.Contains(w.tooLarge, i): // else another piece of it was too large as well
			w.tooLarge = append(w.tooLarge, i)
			w.letters[i].refusedBy = r.host
		}
	}
}
