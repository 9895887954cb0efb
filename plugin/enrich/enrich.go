// Package enrich turns the raw lines in Fluent Bit log chunks into categorised
// records of the Elastic Common Schema (ECS).
//
// It reads and writes MessagePack directly: no maps, no reflection, no allocation
// per record. Events that are not FortiEMS lines pass byte for byte.
package enrich

import (
	"bytes"
	"cmp"
	"sync"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
)

// aheadSeconds is how much later than its receipt an event may say it happened before it
// is counted as ahead.
const aheadSeconds = 600

// Options configure an [Enricher].
type Options struct {
	// KeyNames are the record keys tried in order for the raw line; nil is log, message.
	KeyNames []string
	Schema   option.Schema // "" is ECS
	// Location is the zone of times that name none; nil is UTC.
	Location *time.Location
	// EventTime puts the event's own time into the record timestamp.
	EventTime bool
	// PreserveOriginal keeps the raw line in event.original.
	PreserveOriginal bool
	// Rules that categorise; nil is the built-in ones.
	Rules     *rule.Rules
	Unmatched option.Unmatched // "" is Pass
	Now       func() time.Time // the clock; nil is that of the system
}

// Stats is what one Run did.
type Stats struct {
	Counts  count.Counts
	Changed bool // the output differs from the input
}

// Enricher enriches chunks. It is immutable and safe for concurrent use.
type Enricher struct {
	parser    *parser.Parser
	keys      [][]byte
	flat      bool // schema flat
	original  bool
	unmatched option.Unmatched
	now       func() time.Time
	workers   sync.Pool // of *worker
}

// New returns an enricher.
func New(o Options) *Enricher {
	e := &Enricher{
		parser:    parser.New(parser.Options{Location: o.Location, ReceiptTime: !o.EventTime, Rules: o.Rules}),
		flat:      o.Schema == option.Flat,
		original:  o.PreserveOriginal,
		unmatched: cmp.Or(o.Unmatched, option.Pass),
		now:       o.Now,
	}
	if e.now == nil {
		e.now = time.Now
	}
	for _, k := range o.KeyNames {
		e.keys = append(e.keys, []byte(k))
	}
	if len(e.keys) == 0 {
		e.keys = [][]byte{[]byte("log"), []byte("message")}
	}
	e.workers.New = func() any { return new(worker) }
	return e
}

// batch is how many lines are parsed together and then written together, see
// [parser.Parser.ParseAll]: 25 % less time than one by one.
const batch = 16

// item is an event with a raw line, or one message of an event that holds several.
type item struct {
	in         event.Event
	pairs      []event.Pair // of the record
	raw        int          // index of the pair that holds the line
	ev         parser.Event
	start, end int    // of the event in the chunk
	part       bool   // one message of several
	text       []byte // the line; of a part only that message
}

// worker is the scratch memory of one Run.
type worker struct {
	items     [batch]item
	lines     [batch]parser.Line // of the items
	templates templateCache
	created   stamp
	values    [][]byte // of a key that repeats
	valid     []byte   // a text as valid UTF-8
	keys      [][]byte // of the Enricher
	probe     parser.Event
	now       time.Time // of this Run, zero until it is needed
}

// Run appends the enriched form of chunk to dst. It never writes beyond cap(dst): when
// that is too small, out is other memory, as with append. When nothing changed, or on
// error, out is dst and the chunk is to be passed untouched. The only error is
// event.ErrCorrupt: the chunk is not whole MessagePack. Neither slice is kept.
func (e *Enricher) Run(dst, chunk []byte) (out []byte, st Stats, err error) {
	w := e.workers.Get().(*worker)
	defer e.workers.Put(w)
	w.keys, w.now = e.keys, time.Time{}
	out = dst
	copied := 0 // bytes of the chunk that out has or leaves out
	for at := 0; at < len(chunk); {
		n := 0
		if n, at, err = e.read(w, chunk, at, &st); err != nil {
			return dst, Stats{}, err
		}
		e.parser.ParseAll(w.lines[:n])
		for i := range n {
			it, matched := &w.items[i], w.lines[i].Matched
			if !it.ev.Line.IsOneMessage() && e.splits(w, it, matched, &st) {
				out, copied = e.writeParts(out, chunk, copied, w, it, &st)
			} else {
				out, copied = e.writeItem(out, chunk, copied, w, it, matched, &st)
			}
		}
	}
	if !st.Changed {
		return dst, st, nil
	}
	return append(out, chunk[copied:]...), st, nil
}

// read reads events from chunk[at:] until it has a batch of lines. It returns their number
// and where the next event begins.
func (e *Enricher) read(w *worker, chunk []byte, at int, st *Stats) (n, next int, err error) {
	for n < batch && at < len(chunk) {
		it := &w.items[n]
		var rest []byte
		it.pairs, rest, err = it.in.Read(chunk[at:], it.pairs[:0])
		if err != nil {
			return 0, at, err
		}
		it.start, at = at, len(chunk)-len(rest)
		it.end, it.part = at, false
		st.Counts[count.Records]++
		if len(it.pairs) > 1 && isOurs(it.pairs) {
			st.Counts[count.Already]++
			continue
		}
		var found bool
		if it.text, found = e.findLine(w, it); !found {
			st.Counts[count.Passed]++
			continue
		}
		w.lines[n] = parser.Line{Text: it.text, Received: it.received(), Event: &it.ev}
		n++
	}
	return n, at, nil
}

// received is the time of the record.
func (it *item) received() ecs.Instant { return ecs.Instant{Sec: it.in.Sec, Nsec: it.in.Nsec} }

// splits reports whether the messages of the event become events of their own. When none of
// them is FortiEMS but the whole text is, it stays one message. When neither is and such
// lines pass, the event passes as it is; its messages are counted.
func (e *Enricher) splits(w *worker, it *item, matched bool, st *Stats) bool {
	if _, next := line.NextMessage(it.text); next == len(it.text) {
		return false
	}
	messages, some := e.probe(w, it, it.text)
	if some {
		return true
	}
	if !matched && e.unmatched == option.Pass {
		st.Counts[count.Records] += messages - 1
		st.Counts[count.Unmatched] += messages - 1
	}
	return !matched && e.unmatched != option.Pass
}

// probe reports whether one of the messages in text is FortiEMS. messages is their number
// if none is.
func (e *Enricher) probe(w *worker, it *item, text []byte) (messages uint64, matched bool) {
	var m line.Messages
	for m.Reset(text); m.More(); {
		if e.parser.Parse(&w.probe, m.Next(), it.received()) {
			return 0, true
		}
		messages++
	}
	return messages, false
}

// writeParts appends an event for each message of one.
func (e *Enricher) writeParts(out, chunk []byte, copied int, w *worker, it *item, st *Stats) ([]byte, int) {
	st.Counts[count.Records]-- // it was counted as one
	it.part = true
	var m line.Messages
	for m.Reset(it.text); m.More(); {
		st.Counts[count.Records]++
		it.text = m.Next()
		matched := e.parser.Parse(&it.ev, it.text, it.received())
		out, copied = e.writeItem(out, chunk, copied, w, it, matched, st)
	}
	return out, copied
}

// writeItem appends an event, if it changes, behind those of the chunk before it that do
// not.
func (e *Enricher) writeItem(out, chunk []byte, copied int, w *worker, it *item, matched bool, st *Stats) ([]byte, int) {
	if !matched {
		st.Counts[count.Unmatched]++
		if e.unmatched == option.Pass && !it.part || e.unmatched == option.Mark && isMarked(it.pairs) {
			return out, copied
		}
	}
	if it.start >= copied { // the first message of its event
		out = append(out, chunk[copied:it.start]...)
		copied = it.end
	}
	return e.write(out, w, it, matched, st), copied
}

// write appends an event that changes, unless it is dropped.
func (e *Enricher) write(out []byte, w *worker, it *item, matched bool, st *Stats) []byte {
	st.Changed = true
	switch {
	case !matched && e.unmatched == option.Pass:
		return appendPart(out, it)
	case matched:
		st.Counts[count.Matched]++
		st.Counts[count.Category(it.ev.Decision.Category)]++
		if it.ev.Time.Sec > it.in.Sec+aheadSeconds {
			st.Counts[count.Ahead]++
		}
		return e.appendEvent(out, w, it)
	case e.unmatched == option.Mark:
		st.Counts[count.Marked]++
		return e.appendMarked(out, w, it)
	}
	st.Counts[count.Dropped]++
	return out
}

// findLine sets it.raw to the pair that holds the raw line, and returns the line.
func (e *Enricher) findLine(w *worker, it *item) (line []byte, found bool) {
	if len(it.pairs) == 1 { // as from the syslog input
		for _, key := range e.keys {
			if string(it.pairs[0].Key) == string(key) {
				it.raw = 0
				return event.Text(it.pairs[0].Value)
			}
		}
		return nil, false
	}
	for _, key := range e.keys {
		for i := range it.pairs {
			p := &it.pairs[i]
			if string(p.Key) != string(key) {
				continue
			}
			switch text, ok := event.Text(p.Value); {
			case !ok:
			case !found:
				it.raw, line, found = i, text, true
			case !bytes.Equal(text, line):
				return e.chooseLine(w, it), true
			}
		}
	}
	return line, found
}

// chooseLine is findLine for a record with different texts under the keys: the first text
// that is FortiEMS, else the first that is not empty, else the first.
func (e *Enricher) chooseLine(w *worker, it *item) (line []byte) {
	it.raw = -1
	for _, key := range e.keys {
		for i := range it.pairs {
			text, ok := event.Text(it.pairs[i].Value)
			if !ok || string(it.pairs[i].Key) != string(key) {
				continue
			}
			if _, matched := e.probe(w, it, text); matched {
				it.raw = i
				return text
			}
			if it.raw < 0 || isEmpty(line) && !isEmpty(text) {
				it.raw, line = i, text
			}
		}
	}
	return line
}

func isEmpty(text []byte) bool { return len(bytes.Trim(text, " \t\r\n\x00")) == 0 }

// appendPart appends an event with one of several messages, which is not FortiEMS.
func appendPart(out []byte, it *item) []byte {
	out = append(out, it.in.Head...)
	out = msgp.AppendMapHeader(out, uint32(len(it.pairs)))
	for i := range it.pairs {
		p := &it.pairs[i]
		if i != it.raw {
			out = append(out, p.Raw...)
			continue
		}
		out = append(out, p.Raw[:len(p.Raw)-len(p.Value)]...)
		if msgp.NextType(p.Value) == msgp.BinType {
			out = msgp.AppendBytes(out, it.text)
		} else {
			out = appendText(out, it.text)
		}
	}
	return out
}

// received returns the time of receipt for event.created. It is the record time unless the
// parser of the input has set that: Fluent Bit's own clock gives nanoseconds, so a time of
// whole seconds, or with the fraction of the header, is not one of receipt if the line has
// it as well, to 5 s and in any zone, or has no time. The clock then says when the filter
// saw the record.
func (e *Enricher) received(w *worker, it *item) (sec int64, nsec int32) {
	const quarter, latency, widest = 15 * 60, 5, 14*3600 + 5
	ahead := it.ev.Time.Sec - it.in.Sec
	off := (ahead%quarter + quarter + latency) % quarter // zones differ by quarters of an hour
	h := &it.ev.Line.Header
	given := it.in.Nsec == 0 || h.HasTime && it.in.Nsec%1000 == 0 && it.in.Nsec == h.Time.Local.Nsec
	if !given || off > 2*latency || ahead > widest || ahead < -widest {
		return it.in.Sec, it.in.Nsec
	}
	if w.now.IsZero() {
		w.now = e.now()
	}
	return w.now.Unix(), int32(w.now.Nanosecond())
}
