package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/metrics"
	"fluent-bit-fortiems/plugin/option"
)

// verdict is what a filter call did with a chunk.
type verdict int

const (
	untouched verdict = iota // the host keeps its bytes
	modified                 // the buffer holds the new bytes, at least one
	dropped                  // no record is left
)

// runner is enrich.Enricher; an interface so that tests can make it fail.
type runner interface {
	Run(dst, chunk []byte) ([]byte, enrich.Stats, error)
}

// filter is one filter instance. All methods are safe for concurrent use, because
// processors of threaded inputs run on the threads of their inputs.
type filter struct {
	log     *hostlog.Logger
	enrich  runner
	count   counters
	metrics *metrics.Server // nil if metrics_listen is not set
}

// counters of one instance since its start.
type counters struct {
	records, matched, unmatched, dropped, marked, passed, ahead atomic.Uint64
	corrupt, panics, memory                                     atomic.Uint64 // chunks passed untouched because of an error
	categories                                                  [parser.NumCategories]atomic.Uint64
}

// newFilter decodes and checks the options and prepares the instance called name.
// The error joins all mistakes, those of the rules file too; nothing is left open
// with one.
func newFilter(name string, get func(key string) string, log *hostlog.Logger) (*filter, error) {
	c, err := option.ParseFilter(get)
	rules := parser.BuiltinRules()
	if c.RulesFile != "" {
		var rulesErr error
		rules, rulesErr = parser.LoadRules(c.RulesFile)
		for _, e := range option.Errors(rulesErr) {
			var in *parser.RulesError
			if errors.As(e, &in) && in.Line > 0 {
				e = fmt.Errorf("rules_file: %w", e)
			} else {
				e = option.Refused(option.Filter(), "rules_file", e)
			}
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return nil, err
	}
	f := &filter{log: log, enrich: enrich.New(enrichOptions(c, rules))}
	if c.MetricsListen != "" {
		if f.metrics, err = metrics.Listen(c.MetricsListen, buildVersion(), log); err != nil {
			return nil, err
		}
		f.metrics.Filter(name, f.count.read)
	}
	log.Printf(hostlog.Info, "version %s, %s", buildVersion(), option.Effective(option.Filter(), get))
	if f.metrics != nil {
		log.Printf(hostlog.Info, "metrics at %s", f.metrics.URL())
	}
	return f, nil
}

func enrichOptions(c option.FilterConfig, rules *parser.Rules) enrich.Options {
	o := enrich.Options{
		KeyNames:         c.KeyNames,
		Schema:           enrich.ECS,
		Location:         c.Location,
		EventTime:        c.EventTime,
		PreserveOriginal: c.PreserveOriginal,
		Rules:            rules,
		Unmatched:        enrich.Pass,
	}
	if c.Schema == option.Flat {
		o.Schema = enrich.Flat
	}
	switch c.Unmatched {
	case option.Mark:
		o.Unmatched = enrich.Mark
	case option.Drop:
		o.Unmatched = enrich.Drop
	}
	return o
}

// run filters chunk into *buf, whose old content is overwritten. *buf is valid
// only with the verdict modified. chunk is not kept.
func (f *filter) run(buf *[]byte, chunk []byte) verdict {
	out, st, err := f.enrich.Run((*buf)[:0], chunk)
	if out != nil {
		*buf = out // keep what it grew to
	}
	if err != nil {
		f.count.corrupt.Add(1)
		f.log.Limited(hostlog.Error, "corrupt", time.Now(), "chunk of %d bytes passed untouched: %v", len(chunk), err)
		return untouched
	}
	f.add(&st)
	if st.Ahead > 0 && f.log.Enabled(hostlog.Warn) {
		f.log.Limited(hostlog.Warn, "ahead", time.Now(),
			"event time of %d records is more than 10 minutes ahead of their receipt; is the timezone option right?", st.Ahead)
	}
	switch {
	case !st.Changed:
		return untouched
	case len(out) > 0:
		return modified
	case st.Dropped > 0 && st.Dropped == st.Records:
		return dropped
	}
	// Nothing came out although not every record was to be dropped. Handing
	// that to the host would delete the chunk.
	f.count.corrupt.Add(1)
	f.log.Limited(hostlog.Error, "empty", time.Now(), "chunk of %d bytes passed untouched: empty result for %d records, %d of them dropped",
		len(chunk), st.Records, st.Dropped)
	return untouched
}

func (f *filter) add(st *enrich.Stats) {
	c := &f.count
	c.records.Add(st.Records)
	c.matched.Add(st.Matched)
	c.unmatched.Add(st.Unmatched)
	c.dropped.Add(st.Dropped)
	c.marked.Add(st.Marked)
	c.passed.Add(st.Passed)
	c.ahead.Add(st.Ahead)
	for i, n := range st.Categories {
		if n > 0 {
			c.categories[i].Add(n)
		}
	}
}

// read returns the counts as they are now, for the metrics.
func (c *counters) read() metrics.FilterCounts {
	now := metrics.FilterCounts{
		Records: c.records.Load(), Matched: c.matched.Load(), Unmatched: c.unmatched.Load(),
		Marked: c.marked.Load(), Dropped: c.dropped.Load(), Passed: c.passed.Load(), Ahead: c.ahead.Load(),
		Corrupt: c.corrupt.Load(), Memory: c.memory.Load(), Panics: c.panics.Load(),
	}
	for i := range c.categories {
		now.Categories[i] = c.categories[i].Load()
	}
	return now
}

// panicked counts and logs a panic that a filter call recovered from. f is nil if
// the call was for no instance.
func (f *filter) panicked(text string, now time.Time) {
	log := orphan
	if f != nil {
		f.count.panics.Add(1)
		log = f.log
	}
	log.Limited(hostlog.Error, "panic", now, "internal error, chunk passed untouched: %s", text)
}

// outOfMemory counts and logs a result of n bytes that could not be handed over.
func (f *filter) outOfMemory(n int, now time.Time) {
	f.count.memory.Add(1)
	f.log.Limited(hostlog.Error, "memory", now, "chunk passed untouched: no memory for %d bytes", n)
}

// close logs what the instance did and ends its metrics, which takes a second
// at most.
func (f *filter) close() {
	f.metrics.Close()
	f.log.Printf(hostlog.Info, "%s", f.summary())
}

func (f *filter) summary() string {
	c := &f.count
	var b strings.Builder
	fmt.Fprintf(&b, "filtered %d records: %d FortiEMS, %d unmatched", c.records.Load(), c.matched.Load(), c.unmatched.Load())
	for _, row := range []struct {
		n    uint64
		name string
	}{
		{c.marked.Load(), "marked"},
		{c.dropped.Load(), "dropped"},
		{c.passed.Load(), "without a raw line"},
		{c.ahead.Load(), "ahead of time"},
		{c.corrupt.Load(), "corrupt chunks"},
		{c.memory.Load(), "chunks without memory"},
		{c.panics.Load(), "internal errors"},
	} {
		if row.n > 0 {
			fmt.Fprintf(&b, ", %d %s", row.n, row.name)
		}
	}
	sep := "; "
	for i := range c.categories {
		if n := c.categories[i].Load(); n > 0 {
			fmt.Fprintf(&b, "%s%s %d", sep, parser.Category(i), n)
			sep = ", "
		}
	}
	return b.String()
}

// buffers are the output buffers between enrich and the C allocator.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// maxPooled keeps one huge chunk from staying in memory for good. Fluent Bit's
// chunks are about 2 MB, and our records up to four times the line.
const maxPooled = 16 << 20

func putBuffer(buf *[]byte) {
	if cap(*buf) <= maxPooled {
		*buf = (*buf)[:0]
		buffers.Put(buf)
	}
}

// table maps the handles that C keeps to Go values. Handles start at 1 and are
// never used again, so a stale one finds nothing. The zero table is ready for use.
type table[T any] struct {
	mu   sync.RWMutex
	last uintptr
	rows map[uintptr]T
}

func (t *table[T]) put(v T) uintptr {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.rows == nil {
		t.rows = make(map[uintptr]T)
	}
	t.last++
	t.rows[t.last] = v
	return t.last
}

func (t *table[T]) get(handle uintptr) (T, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	v, ok := t.rows[handle]
	return v, ok
}

func (t *table[T]) take(handle uintptr) (T, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	v, ok := t.rows[handle]
	delete(t.rows, handle)
	return v, ok
}
