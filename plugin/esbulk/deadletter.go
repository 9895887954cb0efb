package esbulk

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/option"
)

// letter is a document that cannot be stored where it should be.
type letter struct {
	position int
	document []byte // JSON, or base64 of MessagePack; borrowed from the batch
	encoding string
	item     item // status 0: it was never sent
	target   []byte
	id       []byte
	sec      int64
	nsec     int32
	timed    bool
}

const (
	inJSON    = "json"
	inMsgpack = "msgpack+base64"
)

// letters is where dead letters go.
type letters interface {
	// write stores letters and reports for each whether it is safe now. It has
	// logged why when one is not.
	write(f *flight, list []letter) []bool
	close()
}

func newLetters(c *option.OutputConfig) (letters, error) {
	switch {
	case c.DeadLetterIndex != "":
		return &indexLetters{index: []byte(c.DeadLetterIndex)}, nil
	case c.DeadLetterFile != "":
		l, err := openFileLetters(c.DeadLetterFile, maxLetterFile)
		if err != nil {
			return nil, option.Refused(option.Output(), "dead_letter", err)
		}
		return l, nil
	}
	return noLetters{}, nil
}

// rejects makes letters of documents that the server rejected.
func (f *flight) rejects(b *batch, list []rejection) []letter {
	out := make([]letter, 0, len(list))
	for _, r := range list {
		d := &b.docs[r.doc]
		out = append(out, letter{
			position: d.position, document: b.document(d), encoding: inJSON, item: r.item,
			target: b.target(d), id: f.id.appendDocID(nil, d.position), sec: d.sec, nsec: d.nsec, timed: true,
		})
	}
	return out
}

// unfit makes letters of events that cannot become documents.
func (f *flight) unfit(list []unfit) []letter {
	out := make([]letter, 0, len(list))
	for _, u := range list {
		l := letter{
			position: u.position, document: base64.StdEncoding.AppendEncode(nil, u.raw), encoding: inMsgpack,
			item: item{kind: "not_convertible", reason: u.reason.Error()}, id: f.id.appendDocID(nil, u.position),
			sec: u.sec, nsec: u.nsec, timed: u.sec != 0,
		}
		if f.s.target.fixed != nil {
			l.target = f.s.target.fixed
		}
		out = append(out, l)
	}
	return out
}

// bury writes letters. What cannot be written is handed back.
func (f *flight) bury(list []letter) {
	s := f.s
	first := list[0].item
	safe := s.letters.write(f, list)
	kept := 0
	for i, ok := range safe {
		if ok {
			f.done.add(list[i].position)
			kept++
		}
	}
	f.left += len(list) - kept
	if kept > 0 {
		outcome, level := deadLettered, hostlog.Warn
		where := "went to the dead letters"
		if _, off := s.letters.(noLetters); off {
			outcome, level, where = dropped, hostlog.Error, "are dropped (dead_letter off)"
		}
		s.count.document(outcome, kept)
		s.log.Limited(level, "dead letters", s.now(), "%d documents that cannot be stored %s; the first: %d %s", kept, where, first.status, first.kind)
	}
}

// noLetters drops.
type noLetters struct{}

func (noLetters) write(_ *flight, list []letter) []bool {
	safe := make([]bool, len(list))
	for i := range safe {
		safe[i] = true
	}
	return safe
}

func (noLetters) close() {}

// append appends a letter as JSON. piece is its document or the part of it that
// this letter carries.
func (l *letter) append(dst []byte, f *flight, enc *encoder, piece []byte, part, parts int) []byte {
	now := f.s.now()
	dst = append(dst, `{"@timestamp":"`...)
	dst = enc.time(dst, now.Unix(), int32(now.Nanosecond()))
	dst = append(dst, `","event":{"kind":"pipeline_error","module":"fortinet","dataset":"fortinet.fortiems.dead_letter"},"error":{"type":"`...)
	dst = appendText(dst, []byte(l.item.kind))
	dst = append(dst, `","message":"`...)
	dst = appendText(dst, []byte(l.item.reason))
	dst = append(dst, `"},`...)
	if l.item.status != 0 {
		dst = append(dst, `"http":{"response":{"status_code":`...)
		dst = strconv.AppendInt(dst, int64(l.item.status), 10)
		dst = append(dst, `}},`...)
	}
	dst = append(dst, `"dead_letter":{"encoding":"`...)
	dst = append(dst, l.encoding...)
	dst = append(dst, `","target":"`...)
	dst = append(dst, l.target...) // as it stood in JSON
	dst = append(dst, `","id":"`...)
	dst = append(dst, l.id...)
	dst = append(dst, `","tag":"`...)
	dst = appendText(dst, []byte(f.tag))
	if l.timed {
		dst = append(dst, `","time":"`...)
		dst = enc.time(dst, l.sec, l.nsec)
	}
	if parts > 1 {
		dst = append(dst, `","part":`...)
		dst = strconv.AppendInt(dst, int64(part+1), 10)
		dst = append(dst, `,"parts":`...)
		dst = strconv.AppendInt(dst, int64(parts), 10)
		dst = append(dst, `,"document":"`...)
	} else {
		dst = append(dst, `","document":"`...)
	}
	dst = appendText(dst, piece)
	return append(dst, `"}}`...)
}

// indexLetters writes to a data stream or index.
type indexLetters struct{ index []byte }

func (*indexLetters) close() {}

// minPiece is the least a document is cut to when even its dead letter is too large
// for the server.
const minPiece = 4 << 10

func (x *indexLetters) write(f *flight, list []letter) []bool {
	m := scratches.Get().(*scratch)
	defer func() {
		if cap(m.batch.buf) <= f.s.maxPooled {
			scratches.Put(m)
		}
	}()
	w := &letterWriter{x: x, f: f, m: m, list: list, open: make([]int, len(list)), parts: make([]int, len(list)), failed: make([]bool, len(list))}
	m.batch.reset()
	for i := range list {
		w.add(i, 1)
	}
	w.send()
	for len(w.cut) > 0 {
		next := w.cut[0]
		w.cut = w.cut[1:]
		if w.stopped {
			w.failed[next.letter] = true
			continue
		}
		if len(list[next.letter].document)/next.parts < minPiece {
			w.failed[next.letter] = true
			f.s.log.Limited(hostlog.Error, "letter size", f.s.now(), "a dead letter is too large for the server even in pieces of %d bytes", minPiece)
			continue
		}
		w.add(next.letter, next.parts)
		w.send()
	}
	safe := make([]bool, len(list))
	for i := range safe {
		safe[i] = w.open[i] == 0 && !w.failed[i]
	}
	return safe
}

// letterWriter sends letters in batches.
type letterWriter struct {
	x       *indexLetters
	f       *flight
	m       *scratch
	list    []letter
	open    []int  // pieces of each letter that are not stored yet
	parts   []int  // pieces that each letter is cut to now
	failed  []bool // letters that cannot be stored
	cut     []cut  // letters to be sent in pieces
	stopped bool
}

type cut struct{ letter, parts int }

// add puts a letter in parts pieces into the batch and sends full batches.
func (w *letterWriter) add(i, parts int) {
	l := &w.list[i]
	w.open[i], w.parts[i] = parts, parts
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
		b := &w.m.batch
		d := doc{position: i, action: len(b.buf), sec: l.sec, nsec: l.nsec}
		b.buf = append(b.buf, actionHead...)
		b.buf = append(b.buf, w.x.index...)
		d.targetEnd = len(b.buf)
		b.buf = append(b.buf, idHead...)
		b.buf = append(b.buf, l.id...)
		if parts > 1 {
			b.buf = append(b.buf, '.')
			b.buf = strconv.AppendInt(b.buf, int64(p+1), 10)
			b.buf = append(b.buf, '.')
			b.buf = strconv.AppendInt(b.buf, int64(parts), 10)
		}
		b.buf = append(b.buf, '"', '}', '}', '\n')
		d.body = len(b.buf)
		b.buf = l.append(b.buf, w.f, w.m.enc, piece, p, parts)
		b.buf = append(b.buf, '\n')
		d.end = len(b.buf)
		b.docs = append(b.docs, d)
		if len(b.buf) >= int(w.f.s.c.BulkMaxBytes) || len(b.docs) >= w.f.s.c.BulkMaxDocs {
			w.send()
		}
	}
}

// send delivers what the batch holds.
func (w *letterWriter) send() {
	b := &w.m.batch
	defer b.reset()
	if len(b.docs) == 0 || w.stopped {
		return
	}
	d := delivery{f: w.f, b: b, ids: true, what: "dead letters"}
	d.delivered = func(d *doc, _ outcome) { w.open[d.position]-- }
	d.rejected = func(list []rejection) {
		for _, r := range list {
			i := b.docs[r.doc].position
			if r.item.status == 413 {
				w.again(i)
				continue
			}
			w.failed[i] = true
			w.f.s.log.Limited(hostlog.Error, "letter rejected", w.f.s.now(), "%s rejects a dead letter: %d %s; its document is handed back for another try",
				w.x.index, r.item.status, r.item.kind)
		}
	}
	w.stopped = !d.run(w.m.all())
}

// again has a letter sent in twice as many pieces.
func (w *letterWriter) again(i int) {
	parts := w.parts[i] * 2
	for _, c := range w.cut {
		if c.letter == i {
			return // another piece of it was too large as well
		}
	}
	w.cut = append(w.cut, cut{i, parts})
}
