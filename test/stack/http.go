package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// client talks to one server with basic authentication.
type client struct {
	url, user, password string
	http                *http.Client
}

// newClient trusts the authority in caFile, or those of the system if it is empty.
func newClient(url, user, password, caFile string) (*client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate", caFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	return &client{url: strings.TrimSuffix(url, "/"), user: user, password: password,
		http: &http.Client{Transport: transport, Timeout: 30 * time.Second}}, nil
}

// Perform sends a request whose URL is a path. With it client is an esapi.Transport.
func (c *client) Perform(req *http.Request) (*http.Response, error) {
	full, err := http.NewRequestWithContext(req.Context(), req.Method, c.url+req.URL.RequestURI(), req.Body)
	if err != nil {
		return nil, err
	}
	full.Header = req.Header
	if c.user != "" {
		full.SetBasicAuth(c.user, c.password)
	}
	return c.http.Do(full)
}

// call sends body as JSON, expects 2xx, and decodes the response into into, unless that is nil.
func (c *client) call(ctx context.Context, method, path string, body, into any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	return c.send(ctx, method, path, "application/json", text, nil, into)
}

// send is like call for any content type.
func (c *client) send(ctx context.Context, method, path, kind string, body []byte, header map[string]string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", kind)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := c.Perform(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s %s: %s: %.300s", method, path, resp.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

// eventually calls try until it succeeds or limit has passed, and returns its last error.
func eventually(ctx context.Context, limit, pause time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("given up after %s: %w", limit, err)
		case <-time.After(pause):
		}
	}
}

// runProbe is the health check of every service: images differ in the tools they
// have, and some have none.
func runProbe(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("probe", flag.ContinueOnError)
	ca := fs.String("ca", "", "authority of the server")
	user := fs.String("user", "", "user; the password is in $PROBE_PASSWORD")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return fmt.Errorf("expected one URL, got %d", fs.NArg())
	}
	c, err := newClient("", *user, os.Getenv("PROBE_PASSWORD"), *ca)
	if err != nil {
		return err
	}
	c.http.Timeout = 5 * time.Second
	url, path := split(fs.Arg(0))
	c.url = url
	return c.call(ctx, http.MethodGet, path, nil, nil)
}

// split cuts a URL between host and path.
func split(url string) (host, path string) {
	scheme, rest, _ := strings.Cut(url, "://")
	host, path, _ = strings.Cut(rest, "/")
	return scheme + "://" + host, "/" + path
}
