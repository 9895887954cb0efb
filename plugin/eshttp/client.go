package eshttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/net/http/httpproxy"

	"fluent-bit-fortiems/plugin/option"
)

// connectTimeout bounds the dial, and the TLS handshake. What follows is bounded by the
// context of a request.
const connectTimeout = 10 * time.Second

// Client sends requests to the hosts of an output instance. Safe for concurrent use.
type Client struct {
	pool      *pool
	auth      string // Authorization header, or ""
	userAgent string
}

// New reads the files that the options name and opens no connection. The error joins
// all mistakes; each names the option and none holds a secret.
func New(c *option.OutputConfig, userAgent string) (*Client, error) {
	urls, errHosts := hostURLs(c)
	auth, errLogin := login(c)
	client := &Client{pool: newPool(urls, time.Now), auth: auth, userAgent: userAgent}
	errs := []error{errHosts, errLogin}
	proxy := httpproxy.FromEnvironment().ProxyFunc()
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}
	for i, h := range client.pool.hosts {
		h.http = &http.Transport{
			Proxy:               func(r *http.Request) (*url.URL, error) { return proxy(r.URL) },
			DialContext:         dialer.DialContext,
			TLSHandshakeTimeout: connectTimeout,
			IdleConnTimeout:     60 * time.Second,
			MaxIdleConnsPerHost: 16,
			DisableCompression:  true, // answers are short

			OnProxyConnectResponse: proxyAnswer,
		}
		if err := secure(h.http, dialer, c, h.url); i == 0 {
			errs = append(errs, err) // the same for all
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return client, nil
}

// Hosts is the number of hosts that are used in turn.
func (c *Client) Hosts() int { return len(c.pool.hosts) }

// Perform implements esapi.Transport. It sends r to the next host and sets scheme, host
// and the first part of the path of r.URL. Redirects are not followed.
func (c *Client) Perform(r *http.Request) (*http.Response, error) { return c.send(c.pool.pick(), r) }

func (c *Client) send(h *host, r *http.Request) (*http.Response, error) {
	r.URL.Scheme, r.URL.Host = h.url.Scheme, h.url.Host
	if h.url.Path != "" {
		r.URL.Path, r.URL.RawPath = h.url.Path+r.URL.Path, h.url.EscapedPath()+r.URL.EscapedPath()
	}
	r.Host = ""
	r.Header.Set("User-Agent", c.userAgent)
	if c.auth != "" {
		r.Header.Set("Authorization", c.auth)
	}
	resp, err := h.http.RoundTrip(r)
	if err == nil && strings.EqualFold(resp.Header.Get("Content-Encoding"), "gzip") { // nobody asked for it
		resp.Body = &unzipped{body: resp.Body}
		resp.Header.Del("Content-Encoding")
	}
	return resp, err
}

// unzipped reads a body that is compressed.
type unzipped struct {
	body io.ReadCloser
	zip  *gzip.Reader
}

func (u *unzipped) Read(p []byte) (n int, err error) {
	if u.zip == nil {
		if u.zip, err = gzip.NewReader(u.body); err != nil {
			u.zip = nil
			return 0, err
		}
	}
	return u.zip.Read(p)
}

func (u *unzipped) Close() error { return u.body.Close() }

// proxyError is the answer of a proxy to CONNECT.
type proxyError struct {
	proxy  string
	status int
}

func (e *proxyError) Error() string {
	return fmt.Sprintf("the proxy %s answered %d to CONNECT", e.proxy, e.status)
}

func proxyAnswer(_ context.Context, proxy *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return &proxyError{proxy.Host, resp.StatusCode}
}

// Ill rests a host, given as in Call.Host, that did not answer as it should, and returns
// for how long.
func (c *Client) Ill(host string) time.Duration { return c.pool.ill(host) }

// Well ends the rest of a host.
func (c *Client) Well(host string) { c.pool.well(host) }

// Pinned returns a transport that stays with one host until that is ill: for requests
// that build on each other. Not safe for concurrent use.
func (c *Client) Pinned() *Pinned { return &Pinned{Client: c} }

// Pinned is a Client that stays with one host.
type Pinned struct {
	*Client
	host *host
}

// Perform implements esapi.Transport.
func (p *Pinned) Perform(r *http.Request) (*http.Response, error) {
	if p.host == nil {
		p.host = p.pool.pick()
	}
	return p.send(p.host, r)
}

// Ill rests the host and lets go of it.
func (p *Pinned) Ill(host string) time.Duration {
	p.host = nil
	return p.Client.Ill(host)
}

// Close closes idle connections. Requests should have ended. A nil Client has none.
func (c *Client) Close() {
	if c == nil {
		return
	}
	for _, h := range c.pool.hosts {
		h.http.CloseIdleConnections()
	}
}

// Call is one request. It implements esapi.Transport for requests of that package; the
// error of Perform is an *Error. Not safe for concurrent use.
type Call struct {
	Transport esapi.Transport
	Op        string // method and path, for errors
	Host      string // scheme and address that Perform asked
}

// Perform sends r. The caller closes the body of the response.
func (c *Call) Perform(r *http.Request) (*http.Response, error) {
	if b, ok := r.Body.(*Body); ok {
		r.ContentLength = int64(b.size)
		r.GetBody = b.again
	}
	resp, err := c.Transport.Perform(r)
	if r.URL.Host != "" {
		c.Host = r.URL.Scheme + "://" + r.URL.Host
	}
	if err != nil {
		return nil, c.Failed(r.Context(), err)
	}
	return resp, nil
}

// Answer is a response that was read whole.
type Answer struct {
	Call
	Status int
	Header http.Header
	Body   []byte
}

// OK reports whether the status is a success.
func (a *Answer) OK() bool { return a.Status/100 == 2 }

// Err explains an answer that is no success.
func (a *Answer) Err() *Error { return a.Refused(a.Status, a.Header, bytes.NewReader(a.Body)) }

// Bounds of Do.
const (
	doTimeout = 10 * time.Second
	maxAnswer = 16 << 20 // bytes; the list of all templates of a large cluster
)

var errDoTimeout = fmt.Errorf("%v passed", doTimeout)

// failover is a transport with several hosts.
type failover interface {
	Hosts() int
	Ill(host string) time.Duration
}

// Do sends a request, with body as JSON unless it is empty, and reads the answer
// whatever its status. If a host is ill, it asks the next one at once. The error is an
// *Error.
func Do(ctx context.Context, t esapi.Transport, method, path string, body []byte) (*Answer, error) {
	hosts := 1
	pool, several := t.(failover)
	if several {
		hosts = pool.Hosts()
	}
	for i := 1; ; i++ {
		a, err := do(ctx, t, method, path, body)
		var e *Error
		if err == nil && !a.OK() {
			e = a.Err()
		} else if err != nil && !errors.As(err, &e) || err == nil {
			return a, err
		}
		if !several || !e.Ill() || ctx.Err() != nil {
			return a, err
		}
		pool.Ill(e.Host)
		if i >= hosts {
			return a, err
		}
	}
}

func do(ctx context.Context, t esapi.Transport, method, path string, body []byte) (*Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, doTimeout, errDoTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	} else {
		r.Body = nil
	}
	a := &Answer{Call: Call{Transport: t, Op: method + " " + r.URL.Path}}
	resp, err := a.Perform(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a.Status, a.Header = resp.StatusCode, resp.Header
	if a.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer)); err != nil {
		return nil, a.Unreadable(ctx, ErrCut, resp.Header)
	}
	if a.OK() && isPage(a.Header) {
		return nil, a.Unreadable(ctx, ErrNotJSON, resp.Header)
	}
	return a, nil
}
