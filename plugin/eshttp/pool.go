package eshttp

import (
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Bounds of the rest of an ill host. Each rest is twice as long as the one before.
const (
	firstRest   = 2 * time.Second
	longestRest = 5 * time.Minute
)

// pool chooses hosts in turn and leaves those out that rest. Safe for concurrent use.
type pool struct {
	now   func() time.Time
	hosts []*host

	mu   sync.Mutex
	next int
}

// host is one of hosts.
type host struct {
	url  *url.URL
	http *http.Transport

	rests int       // in a row
	until time.Time // end of the rest
}

func newPool(urls []*url.URL, now func() time.Time) *pool {
	p := &pool{now: now}
	for _, u := range urls {
		p.hosts = append(p.hosts, &host{url: u})
	}
	return p
}

// pick returns the next host that does not rest; if all do, the one whose rest ends
// first.
func (p *pool) pick() *host {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	var best *host
	for i := range p.hosts {
		h := p.hosts[(p.next+i)%len(p.hosts)]
		if !h.until.After(now) || h.until.After(now.Add(longestRest)) { // or the clock was set back
			p.next = (p.next + i + 1) % len(p.hosts)
			return h
		}
		if best == nil || h.until.Before(best.until) {
			best = h
		}
	}
	return best
}

// ill rests the hosts with an address. Of several requests that fail together only the
// first makes the rest longer.
func (p *pool) ill(address string) (rest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for _, h := range p.hosts {
		if h.url.Scheme+"://"+h.url.Host != address {
			continue
		}
		if rest = h.until.Sub(now); rest > 0 && rest <= longestRest {
			continue
		}
		rest = longestRest
		if h.rests < 8 {
			rest = min(firstRest<<h.rests, longestRest)
		}
		h.rests++
		h.until = now.Add(rest)
	}
	return rest
}

func (p *pool) well(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.hosts {
		if h.rests > 0 && h.url.Scheme+"://"+h.url.Host == address {
			h.rests, h.until = 0, time.Time{}
		}
	}
}
