package eshttp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/elastic/go-elasticsearch/v8/esapi"

	"fluent-bit-fortiems/plugin/option"
)

// connectTimeout bounds the dial, and the TLS handshake. What follows is bounded by the
// context of a request.
const connectTimeout = 10 * time.Second

// Client sends requests to the hosts of an output instance. Safe for concurrent use.
type Client struct {
	client *elastictransport.Client
	http   *http.Transport
	hosts  int
}

// New reads the files that the options name and opens no connection. The error joins
// all mistakes; each names the option and none holds a secret.
func New(c *option.OutputConfig, userAgent string) (*Client, error) {
	urls, errHosts := hostURLs(c)
	auth, errLogin := login(c)
	dialer := &net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         dialer.DialContext,
		TLSHandshakeTimeout: connectTimeout,
		IdleConnTimeout:     60 * time.Second,
		MaxIdleConnsPerHost: 16,
		DisableCompression:  true, // answers are short
	}
	if err := errors.Join(errHosts, errLogin, secure(t, dialer, c)); err != nil {
		return nil, err
	}
	opts := []elastictransport.Option{
		elastictransport.WithURLs(urls...),
		elastictransport.WithUserAgent(userAgent),
		elastictransport.WithTransport(t),
		elastictransport.WithDisableRetry(),
	}
	client, err := elastictransport.NewClient(append(opts, auth...)...)
	if err != nil {
		return nil, errors.New("hosts: " + err.Error())
	}
	return &Client{client: client, http: t, hosts: len(urls)}, nil
}

// Hosts is the number of hosts that are used in turn.
func (c *Client) Hosts() int { return c.hosts }

// Perform implements esapi.Transport. It sets scheme and host of r.URL.
func (c *Client) Perform(r *http.Request) (*http.Response, error) { return c.client.Perform(r) }

// Close closes idle connections. Requests should have ended. A nil Client has none.
func (c *Client) Close() {
	if c == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.client.Close(ctx)
	c.http.CloseIdleConnections()
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

// Do sends a request, with body as JSON unless it is empty, and reads the answer
// whatever its status. The error is an *Error.
func Do(ctx context.Context, t esapi.Transport, method, path string, body []byte) (*Answer, error) {
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
	return a, nil
}
