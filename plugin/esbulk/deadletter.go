package esbulk

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"strconv"

	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/option"
)

// deadLetter is a document that cannot be stored where it should be.
type deadLetter struct {
	position int
	document []byte // JSON, or base64 of MessagePack; borrowed from the batch
	encoding string
	host     string // that refused it, "" if it was never sent
	item     item   // status 0: there was no answer
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

// deadLetterSink is where dead letters go: an index, a file, or nowhere.
type deadLetterSink interface {
	// write stores dead letters and reports for each whether it is safe. It has
	// logged why when one is not.
	write(f *flush, list []deadLetter) []bool
}

func newDeadLetterSink(c *option.OutputConfig) (deadLetterSink, error) {
	switch {
	case c.DeadLetterIndex != "":
		return &indexSink{index: []byte(c.DeadLetterIndex)}, nil
	case c.DeadLetterFile != "":
		s, err := openFileSink(c.DeadLetterFile, maxDeadLetterFile)
		if err != nil {
			return nil, option.Refused(option.Output(), "dead_letter", err)
		}
		return s, nil
	}
	return noSink{}, nil
}

// noSink drops.
type noSink struct{}

func (noSink) write(_ *flush, list []deadLetter) []bool { return allSafe(len(list)) }

func allSafe(n int) []bool {
	safe := make([]bool, n)
	for i := range safe {
		safe[i] = true
	}
	return safe
}

// rejectedLetters makes dead letters of documents that the server rejected.
func (f *flush) rejectedLetters(b *batch, list []rejection) []deadLetter {
	out := make([]deadLetter, 0, len(list))
	for _, r := range list {
		d := &b.docs[r.doc]
		out = append(out, deadLetter{
			position: d.position, document: b.document(d), encoding: inJSON, host: r.host, item: r.item,
			target: b.target(d), id: f.letterID(d.position), sec: d.sec, nsec: d.nsec, timed: true,
		})
	}
	return out
}

// letterID is the id of the document at a position, nil if documents have none.
func (f *flush) letterID(position int) []byte {
	if !f.s.c.GenerateID {
		return nil
	}
	return f.id.appendDocID(nil, position)
}

// unconvertibleLetters makes dead letters of events that cannot become documents.
func (f *flush) unconvertibleLetters(list []unconvertible) []deadLetter {
	out := make([]deadLetter, 0, len(list))
	for _, u := range list {
		out = append(out, deadLetter{
			position: u.position, document: base64.StdEncoding.AppendEncode(nil, u.raw), encoding: inMsgpack,
			item: item{kind: "not_convertible", reason: u.reason.Error()}, target: f.s.target.fixed, id: f.letterID(u.position),
			sec: u.sec, nsec: u.nsec, timed: u.sec != 0,
		})
	}
	return out
}

// deadLetter writes dead letters. What cannot be written is handed back.
func (f *flush) deadLetter(list []deadLetter) {
	s := f.s
	kept := 0
	for i, ok := range s.deadLetters.write(f, list) {
		if ok {
			f.done.add(list[i].position)
			kept++
		}
	}
	f.left += len(list) - kept
	if kept == 0 {
		return
	}
	outcome, level, where := deadLettered, hostlog.Warn, "went to the dead letters in "+cmp.Or(s.c.DeadLetterIndex, s.c.DeadLetterFile)
	remedy := " (error.message there says why; remove the cause and replay them)"
	if _, off := s.deadLetters.(noSink); off {
		outcome, level, where = dropped, hostlog.Error, "are dropped (dead_letter off)"
		remedy = " (set dead_letter to keep them)"
	}
	s.count.document(outcome, kept)
	first := list[0].item.kind
	switch l := list[0]; {
	case l.item.status != 0:
		first = fmt.Sprintf("%s answered %d %s", l.host, l.item.status, first)
	case l.host != "":
		first = l.host + ": " + first
	}
	s.log.Limited(level, "dead letters", s.now(), "%d documents that cannot be stored %s; the first: %s%s", kept, where, first, remedy)
}

// append appends a dead letter as JSON. piece is its document, or one of parts of it.
func (l *deadLetter) append(dst []byte, f *flush, enc *encoder, piece []byte, part, parts int) []byte {
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
	dst = append(dst, l.target...) // is JSON text already
	if len(l.id) > 0 {
		dst = append(dst, `","id":"`...)
		dst = append(dst, l.id...)
	}
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
