package esbulk

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Pauses between requests of one flush. The first is about firstPause; each further
// one is twice as long as the one before, up to longestPause. Jitter takes off up
// to half, so that many agents do not come back at the same moment.
const (
	firstPause   = 250 * time.Millisecond
	longestPause = 10 * time.Second
)

// backoff counts the pauses of one request and its successors.
type backoff struct{ tries int }

func (b *backoff) next(random float64) time.Duration {
	pause := longestPause
	if b.tries < 6 {
		pause = min(firstPause<<b.tries, longestPause)
	}
	b.tries++
	return pause - time.Duration(random*float64(pause)/2)
}

// retryAfter reads a Retry-After header: seconds or an HTTP date. 0 means that
// there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if n, err := strconv.ParseUint(v, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// pause waits for d. It returns false without waiting when the deadline of ctx is
// not later than that, and early when ctx ends.
func pause(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
