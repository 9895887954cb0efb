package esbulk

import (
	"sync"
	"time"
)

// limits are what one request may have at most: what the options allow, and less where the
// servers are slow or something in front of them breaks connections. Safe for concurrent
// use.
type limits struct {
	mu    sync.Mutex
	docs  int // of a request now
	most  int // of a request, as the options say
	bytes int // of a request, before compression

	broke    int  // least bytes of a request whose connections broke, 0: none
	passed   bool // a smaller one was answered since
	evidence int  // how often that was so
}

// minLearnt is the least bytes that bytes is set to.
const minLearnt = 64 << 10

func newLimits(bytes int64, docs int) *limits {
	return &limits{docs: docs, most: docs, bytes: int(bytes)}
}

func (l *limits) now() (bytes, docs int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytes, l.docs
}

// took learns from the time that a request with n documents took until its answer, or
// until it was given up. It reports whether the next ones get smaller.
func (l *limits) took(d, flushTimeout time.Duration, n int) (smaller bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case d > flushTimeout/2 && n > 1:
		smaller = n/2 < l.docs
		l.docs = min(l.docs, n/2)
	case d < flushTimeout/8 && n >= l.docs:
		l.docs = min(2*l.docs, l.most)
	}
	return smaller
}

// answeredAt learns that a request of a size was answered.
func (l *limits) answeredAt(size int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if size >= l.broke {
		l.broke, l.evidence = 0, 0 // it was not the size
	}
	l.passed = l.broke > 0
}

// brokeAt learns that the connections of a request of a size broke. It reports whether a
// new limit is learnt: twice larger requests broke and smaller ones between were answered.
// The limit holds as long as the instance, so that it is not found out for each request.
func (l *limits) brokeAt(size int) (learnt bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.passed {
		l.evidence++
	}
	if l.broke == 0 || size < l.broke {
		l.broke = size
	}
	l.passed = false
	if l.evidence < 2 || l.broke/2 < minLearnt || l.broke/2 >= l.bytes {
		return false
	}
	l.bytes, l.broke, l.evidence = l.broke/2, 0, 0
	return true
}
