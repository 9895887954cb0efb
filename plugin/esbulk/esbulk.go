package esbulk

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

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
}

// Options of a Shipper.
type Options struct {
	Config    option.OutputConfig
	Log       *hostlog.Logger
	UserAgent string
	Metrics   *metrics.Output  // nil: none
	Now       func() time.Time // nil: time.Now
	Rand      func() float64   // in [0, 1), for jitter, safe for concurrent use; nil: a random one

	// Bootstrap makes the Bootstrapper, which sends through the transport of the
	// instance. nil: always ready.
	Bootstrap func(esapi.Transport) Bootstrapper
}

// Shipper delivers chunks. All methods are safe for concurrent use.
type Shipper struct {
	c         option.OutputConfig
	log       *hostlog.Logger
	now       func() time.Time
	random    func() float64
	transport *transport
	bootstrap Bootstrapper
	target    *target
	letters   letters
	memory    memory
	count     counters
	maxPooled int
	pause     func(ctx context.Context, d time.Duration) bool

	// holdUntil is when the server wants to be asked again, in Unix nanoseconds.
	holdUntil atomic.Int64

	closing context.Context
	cancel  context.CancelCauseFunc
	mu      sync.Mutex
	closed  bool
	flights sync.WaitGroup
}

var errClosing = errors.New("the output is stopping")

// New prepares a Shipper. It reads the files that the options name and opens no
// connection. The error joins all mistakes; each names the option.
func New(o Options) (*Shipper, error) {
	s := &Shipper{
		c: o.Config, log: o.Log, now: o.Now, random: o.Rand, pause: pause,
		maxPooled: int(2*o.Config.BulkMaxBytes) + 1<<20,
	}
	s.count.metrics = o.Metrics
	if s.now == nil {
		s.now = time.Now
	}
	if s.random == nil {
		s.random = rand.Float64
	}
	var errs []error
	var err error
	if s.target, err = parseTargets(&o.Config); err != nil {
		errs = append(errs, err)
	}
	if s.transport, err = newTransport(&o.Config, o.UserAgent); err != nil {
		errs = append(errs, err)
	}
	if s.letters, err = newLetters(&o.Config); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		if s.letters != nil {
			s.letters.close()
		}
		return nil, err
	}
	if o.Bootstrap != nil {
		s.bootstrap = o.Bootstrap(s.transport)
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
	defer s.flights.Done()
	s.count.flushBegin()
	defer func() { s.count.flushEnd(result == OK) }()
	ctx, cancel := context.WithTimeout(ctx, s.c.FlushTimeout)
	defer cancel()
	ctx, cancelCause := context.WithCancelCause(ctx)
	defer cancelCause(nil)
	defer context.AfterFunc(s.closing, func() { cancelCause(errClosing) })()

	if !s.ready(ctx) {
		return Retry
	}
	f := &flight{s: s, ctx: ctx, tag: tag, id: identify(tag, chunk)}
	f.done = s.memory.take(f.id)
	if f.done == nil {
		f.done = &positions{}
	}
	defer func() {
		if result != OK {
			s.memory.put(f.id, f.done)
		}
	}()
	if f.run(chunk) {
		return OK
	}
	return Retry
}

// enter registers a flush unless the Shipper is closed.
func (s *Shipper) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.flights.Add(1)
	}
	return !s.closed
}

// ready waits as long as the server asked for and then for the bootstrap.
func (s *Shipper) ready(ctx context.Context) bool {
	if until := s.holdUntil.Load(); until != 0 {
		d := time.Unix(0, until).Sub(s.now())
		if d > s.c.FlushTimeout { // more than hold stores: the clock was set back
			s.holdUntil.CompareAndSwap(until, 0)
		} else if d > 0 && !s.pause(ctx, d) {
			s.log.Limited(hostlog.Warn, "hold", s.now(), "chunk handed back: the server asked to wait (Retry-After)")
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

// hold keeps later flushes from sending before d is over. More than the flush
// timeout is not believed.
func (s *Shipper) hold(d time.Duration) {
	if d > 0 {
		s.holdUntil.Store(s.now().Add(min(d, s.c.FlushTimeout)).UnixNano())
	}
}

// closeTimeout is how long Close waits for flushes that were told to end.
const closeTimeout = 5 * time.Second

// Close ends flushes in flight with Retry and waits for them, at most some seconds.
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
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	done := make(chan struct{})
	go func() {
		s.flights.Wait()
		s.letters.close()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	s.transport.close(ctx)
}

// Summary tells in one line what was delivered since the start.
func (s *Shipper) Summary() string { return s.count.summary() }
