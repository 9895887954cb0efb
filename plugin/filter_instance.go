package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/metrics"
	"fluent-bit-fortiems/plugin/option"
)

// verdict is what a filter call did with a chunk.
type verdict int

const (
	untouched verdict = iota // the host keeps its bytes
	modified                 // the result holds the new bytes, at least one
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
	counts  count.Atomic    // since the start of the instance
	growth  atomic.Uint32   // bytes that growthUnit bytes of a chunk become; 0 before the first result
	metrics *metrics.Server // nil if metrics_listen is not set
	scraped *metrics.Filter // counts, for metrics; nil as well
}

// newFilter decodes and checks the options and prepares the instance called name.
// The error joins all mistakes, those of the rules file too, and leaves nothing open.
func newFilter(name string, get func(key string) string, log *hostlog.Logger) (*filter, error) {
	c, err := option.ParseFilter(get)
	rules := rule.Builtin()
	if c.RulesFile != "" {
		path, rulesErr := findFile(c.RulesFile, os.Args)
		if rulesErr == nil {
			rules, rulesErr = rule.Load(path)
		}
		for _, e := range option.Errors(rulesErr) {
			var in *rule.Error
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
	f := &filter{log: log, enrich: enrich.New(enrich.Options{
		KeyNames:         c.KeyNames,
		Schema:           c.Schema,
		Location:         c.Location,
		EventTime:        c.EventTime,
		PreserveOriginal: c.PreserveOriginal,
		Rules:            rules,
		Unmatched:        c.Unmatched,
	})}
	if c.MetricsListen != "" {
		if f.metrics, err = metrics.Listen(c.MetricsListen, buildVersion(), log); err != nil {
			return nil, err
		}
		f.scraped = f.metrics.Filter(name)
	}
	log.Printf(hostlog.Info, "version %s, %s", buildVersion(), option.Effective(option.Filter(), get))
	if f.metrics != nil {
		log.Printf(hostlog.Info, "metrics at %s", f.metrics.URL())
	}
	return f, nil
}

// run filters chunk into dst, which is empty. With the verdict modified, out is the result:
// in dst, or in memory of Go if it has more than cap(dst) bytes. No slice is kept.
func (f *filter) run(dst, chunk []byte) (out []byte, v verdict) {
	out, st, err := f.enrich.Run(dst, chunk)
	if err != nil {
		f.count(&count.Counts{count.Corrupt: 1})
		f.log.Limited(hostlog.Error, "corrupt", time.Now(), "chunk of %d bytes passed untouched: %v", len(chunk), err)
		return nil, untouched
	}
	f.count(&st.Counts)
	if ahead := st.Counts[count.Ahead]; ahead > 0 && f.log.Enabled(hostlog.Warn) {
		f.log.Limited(hostlog.Warn, "ahead", time.Now(),
			"event time of %d records is more than 10 minutes ahead of their receipt; is the timezone option right?", ahead)
	}
	records, removed := st.Counts[count.Records], st.Counts[count.Dropped]
	switch {
	case !st.Changed:
		return nil, untouched
	case len(out) > 0:
		f.learn(len(out), len(chunk))
		return out, modified
	case removed > 0 && removed == records:
		return nil, dropped
	}
	// An empty result although not every record was dropped. Handing it to the host
	// would delete the chunk.
	f.count(&count.Counts{count.Corrupt: 1})
	f.log.Limited(hostlog.Error, "empty", time.Now(), "chunk of %d bytes passed untouched: empty result for %d records, %d of them dropped",
		len(chunk), records, removed)
	return nil, untouched
}

// count adds d to the counters of the instance and to those that are scraped.
func (f *filter) count(d *count.Counts) {
	f.counts.Add(d)
	f.scraped.Add(d)
}

const (
	growthUnit  = 16
	firstGrowth = 4 * growthUnit // a record has about four times the bytes of its line
	maxGrowth   = 64 * growthUnit
)

// room estimates the bytes of the result for a chunk of n bytes from earlier chunks.
func (f *filter) room(n int) int {
	growth := int(cmp.Or(f.growth.Load(), firstGrowth))
	return n*growth/growthUnit + n/8 + 4096
}

// learn takes a result into account. The growth rises at once and falls slowly, so that
// few results are larger than the estimate.
func (f *filter) learn(out, chunk int) {
	now := uint32(min(out*growthUnit/max(chunk, 1), maxGrowth)) + 1
	if last := f.growth.Load(); now < last {
		now = last - (last-now+7)/8
	}
	f.growth.Store(now)
}

// panicked counts and logs a panic that a filter call recovered from. f is nil if
// the call named no instance.
func (f *filter) panicked(text string, now time.Time) {
	log := orphan
	if f != nil {
		f.count(&count.Counts{count.Panics: 1})
		log = f.log
	}
	log.Limited(hostlog.Error, "panic", now, "internal error, chunk passed untouched: %s", text)
}

// outOfMemory counts and logs a result of n bytes that could not be handed over.
func (f *filter) outOfMemory(n int, now time.Time) {
	f.count(&count.Counts{count.Memory: 1})
	f.log.Limited(hostlog.Error, "memory", now, "chunk passed untouched: no memory for %d bytes", n)
}

// close logs what the instance did and ends its metrics, which takes a second
// at most.
func (f *filter) close() {
	f.metrics.Close()
	f.log.Printf(hostlog.Info, "%s", f.summary())
}

// summary is one line about everything that the instance counted.
func (f *filter) summary() string {
	counts := f.counts.Load()
	var b strings.Builder
	fmt.Fprintf(&b, "filtered %d records: %d FortiEMS, %d unmatched", counts[count.Records], counts[count.Matched], counts[count.Unmatched])
	for i, row := range count.Rows {
		if counts[i] > 0 && row.Summary != "" {
			fmt.Fprintf(&b, ", %d %s", counts[i], row.Summary)
		}
	}
	sep := "; "
	for c := range dict.NumCategories {
		if n := counts[count.Category(c)]; n > 0 {
			fmt.Fprintf(&b, "%s%s %d", sep, c, n)
			sep = ", "
		}
	}
	return b.String()
}
