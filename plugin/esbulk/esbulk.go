package esbulk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"fluent-bit-fortiems/plugin/eshttp"
	"fluent-bit-fortiems/plugin/hostlog"
	"fluent-bit-fortiems/plugin/metrics"
	"fluent-bit-fortiems/plugin/option"
)

// Result of a flush.
type Result int

// The results.
const (
	// Retry hands the chunk back: something of it is neither stored nor a dead
	// letter.
	Retry Result = iota
	// OK means that every document of the chunk is stored or a dead letter.
	OK
)

// Bootstrapper prepares the servers for the first documents.
type Bootstrapper interface {
	// Ready returns nil once documents may be sent. It is called before every
	// flush, from any goroutine.
	Ready(ctx context.Context) error
	// Recheck is called when the connection was lost or the target is not there.
	Recheck()
}

// Options of a Shipper.
type Options struct {
	Config    option.OutputConfig
	Client    *eshttp.Client // of the instance; the caller closes it after the Shipper
	Bootstrap Bootstrapper   // nil: always ready
	Log       *hostlog.Logger
	Metrics   *metrics.Output  // nil: none
	Now       func() time.Time // nil: time.Now
	Rand      func() float64   // in [0, 1), for jitter, safe for concurrent use; nil: a random one
}

// Shipper delivers chunks. All methods are safe for concurrent use.
type Shipper struct {
	c           option.OutputConfig
	log         *hostlog.Logger
	now         func() time.Time
	random      func() float64
	client      client
	bootstrap   Bootstrapper
	target      *target
	deadLetters deadLetterSink
	delivered   deliveredDocs
	count       counters
	limits      *limits
	through     atomic.Uint64 // documents that were stored
	maxPooled   int           // bytes of a buffer that is kept for another flush
	pause       func(ctx context.Context, d time.Duration) bool

	hold atomic.Pointer[hold] // what the server asked for, or nil

	news      news
	foreignID sync.Once // the line about ids that a pipeline changed

	errTimeout error // why the deadline of a flush ended it
	closing    context.Context
	cancel     context.CancelCauseFunc
	mu         sync.Mutex
	closed     bool
	flushes    sync.WaitGroup
}

// client is *eshttp.Client; an interface so that tests can answer for it.
type client interface {
	esapi.Transport
	Hosts() int
	Ill(host string) (rest time.Duration)
	Well(host string)
}

var errClosing = errors.New("the output stopped")

// New prepares a Shipper. It creates the file of dead letters, if the options name one,
// and opens no connection. The error joins all mistakes; each names the option.
func New(o Options) (*Shipper, error) {
	s := &Shipper{
		c: o.Config, log: o.Log, now: o.Now, random: o.Rand, client: o.Client, bootstrap: o.Bootstrap, pause: pause,
		limits:     newLimits(o.Config.BulkMaxBytes, o.Config.BulkMaxDocs),
		maxPooled:  int(2*o.Config.BulkMaxBytes) + 1<<20,
		errTimeout: fmt.Errorf("flush_timeout (%v) passed", o.Config.FlushTimeout),
	}
	s.count.metrics = o.Metrics
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Float64
	}
	var errTarget, errSink error
	s.target, errTarget = parseTargets(&o.Config)
	s.deadLetters, errSink = newDeadLetterSink(&o.Config)
	if err := errors.Join(errTarget, errSink); err != nil {
		return nil, err
	}
	s.closing, s.cancel = context.WithCancelCause(context.Background())
	return s, nil
}

// parseTargets reads data_stream or index.
func parseTargets(c *option.OutputConfig) (*target, error) {
	if strings.ContainsAny(c.DeadLetterIndex, "%{}") || c.DeadLetterIndex != strings.ToLower(c.DeadLetterIndex) {
		return nil, fmt.Errorf("dead_letter: %q is not valid (placeholders and upper case letters are not possible here); valid: index:NAME, file:PATH, off", c.DeadLetterIndex)
	}
	if c.Index != "" {
		t, err := parseTarget(c.Index)
		if err != nil {
			return nil, fmt.Errorf("index: %q is not valid (%w); valid: an index name", c.Index, err)
		}
		return t, nil
	}
	if strings.ContainsAny(c.DataStream, "%{}") || c.DataStream != strings.ToLower(c.DataStream) || c.DataStream == "" {
		return nil, fmt.Errorf("data_stream: %q is not valid (placeholders are for index, upper case letters are not possible); valid: a data stream name", c.DataStream)
	}
	return fixedTarget(c.DataStream), nil
}

// Flush delivers a chunk. It ends within the flush timeout. chunk and tag are
// borrowed during the call.
func (s *Shipper) Flush(ctx context.Context, tag string, chunk []byte) (result Result) {
	if !s.enter() {
		return Retry
	}
	defer s.flushes.Done()
	s.count.flushBegin()
	id := identify(tag, chunk)
	defer func() {
		s.count.flushEnd(result == OK)
		s.tell(id, result)
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, s.c.FlushTimeout, s.errTimeout)
	defer cancel()
	ctx, cancelCause := context.WithCancelCause(ctx)
	defer cancelCause(nil)
	defer context.AfterFunc(s.closing, func() { cancelCause(errClosing) })()

	if !s.ready(ctx) {
		return Retry
	}
	f := &flush{s: s, ctx: ctx, tag: tag, id: id}
	if f.done = s.delivered.take(f.id); f.done == nil {
		f.done = &positions{}
	}
	defer func() {
		if result != OK {
			s.delivered.put(f.id, f.done)
		}
	}()
	if f.run(chunk) {
		return OK
	}
	return Retry
}

// quietTrouble is how long no chunk gets through before its end is worth a line.
const quietTrouble = 5 * time.Second

// maxWaiting bounds the chunks that are counted while none gets through (2 MB).
const maxWaiting = 1 << 16

// news is what has been said of the course of things.
type news struct {
	mu      sync.Mutex
	first   bool                 // documents were stored
	since   time.Time            // of the first hand-back after the last success, or zero
	waiting map[chunkID]struct{} // chunks handed back since then
}

// tell logs the first success and the end of trouble.
func (s *Shipper) tell(id chunkID, result Result) {
	n := &s.news
	n.mu.Lock()
	defer n.mu.Unlock()
	now := s.now()
	if result != OK {
		if n.since.IsZero() {
			n.since, n.waiting = now, map[chunkID]struct{}{}
		}
		if len(n.waiting) < maxWaiting {
			n.waiting[id] = struct{}{}
		}
		return
	}
	if stored := s.count.documents[stored].Load(); !n.first && stored > 0 {
		n.first = true
		s.log.Printf(hostlog.Info, "first %d documents stored in %s", stored, cmp.Or(s.c.Index, s.c.DataStream))
	}
	if d := now.Sub(n.since); !n.since.IsZero() && d >= quietTrouble {
		chunks := fmt.Sprint(len(n.waiting), " chunks")
		if len(n.waiting) == 1 {
			chunks = "1 chunk"
		}
		s.log.Printf(hostlog.Info, "again delivering, %s waited %.0f s", chunks, d.Seconds())
	}
	n.since, n.waiting = time.Time{}, nil
}

// enter registers a flush unless the Shipper is closed.
func (s *Shipper) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.flushes.Add(1)
	}
	return !s.closed
}

// ready waits as long as the server asked for and then for the bootstrap.
func (s *Shipper) ready(ctx context.Context) bool {
	if h := s.hold.Load(); h != nil {
		d := h.until.Sub(s.now())
		if d > s.c.FlushTimeout { // more than postpone stores: the clock was set back
			s.hold.CompareAndSwap(h, nil)
		} else if d > 0 && !s.pause(ctx, d) {
			s.log.Limited(hostlog.Warn, "retry after", s.now(), "chunk handed back: %s asked to wait for another %v (Retry-After); is it overloaded?", h.host, d.Round(time.Second))
			return false
		}
	}
	if s.bootstrap == nil {
		return true
	}
	if err := s.bootstrap.Ready(ctx); err != nil {
		s.log.Limited(hostlog.Error, "bootstrap", s.now(), "chunk handed back: %v", err)
		return false
	}
	return true
}

// hold is when a host wants to be asked again.
type hold struct {
	until time.Time
	host  string
}

// postpone keeps later flushes from sending for d, at most the flush timeout, because a
// host asked for it.
func (s *Shipper) postpone(d time.Duration, host string) {
	if d > 0 {
		s.hold.Store(&hold{s.now().Round(0).Add(min(d, s.c.FlushTimeout)), host})
	}
}

// closeTimeout is how long Close waits for flushes that it has cancelled.
const closeTimeout = 5 * time.Second

// Close ends running flushes with Retry and waits for them, at most some seconds.
// It may be called more than once.
func (s *Shipper) Close() {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return
	}
	s.cancel(errClosing)
	done := make(chan struct{})
	go func() {
		s.flushes.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(closeTimeout):
	}
}

// Summary is one line about what was delivered since the start.
func (s *Shipper) Summary() string { return s.count.summary() }
