package esbulk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/elastic/elastic-transport-go/v8/elastictransport"

	"fluent-bit-fortiems/plugin/option"
)

// transport sends requests to the hosts of an instance in turn; a host that could
// not be reached is rested (for one minute at first) while others answer. It follows
// no redirect and tries nothing twice. Safe for concurrent use.
type transport struct {
	client *elastictransport.Client
	http   *http.Transport
	hosts  int
}

// newTransport reads the files that the options name. Errors name the option, never
// a secret.
func newTransport(c *option.OutputConfig, userAgent string) (*transport, error) {
	urls, err := hostURLs(c)
	var errs []error
	if err != nil {
		errs = append(errs, err)
	}
	secrets := map[string]string{"api_key": c.APIKey, "password": c.Password, "username": c.Username}
	for key, value := range secrets {
		if secrets[key], err = expand(value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		IdleConnTimeout:       60 * time.Second,
		MaxIdleConnsPerHost:   16,
		DisableCompression:    true, // answers are short; see filterPath
		ResponseHeaderTimeout: 0,    // the deadline of the flush is enough
	}
	if err := secure(t, c); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	opts := []elastictransport.Option{
		elastictransport.WithURLs(urls...),
		elastictransport.WithUserAgent(userAgent),
		elastictransport.WithTransport(&witness{next: t}),
		elastictransport.WithDisableRetry(),
	}
	switch {
	case secrets["api_key"] != "":
		opts = append(opts, elastictransport.WithAPIKey(encodeKey(secrets["api_key"])))
	case secrets["username"] != "":
		opts = append(opts, elastictransport.WithBasicAuth(secrets["username"], secrets["password"]))
	}
	client, err := elastictransport.NewClient(opts...)
	if err != nil {
		return nil, errors.New("hosts: " + err.Error())
	}
	return &transport{client: client, http: t, hosts: len(urls)}, nil
}

// Perform sends a request; it makes transport what esapi needs.
func (t *transport) Perform(r *http.Request) (*http.Response, error) {
	if b, ok := r.Body.(*payload); ok {
		r.ContentLength = int64(b.size)
		r.GetBody = b.again
	}
	return t.client.Perform(r)
}

func (t *transport) close(ctx context.Context) {
	_ = t.client.Close(ctx)
	t.http.CloseIdleConnections()
}

// witness notes which host a request went to, for log lines.
type witness struct{ next http.RoundTripper }

type witnessKey struct{}

func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	if host, ok := r.Context().Value(witnessKey{}).(*string); ok {
		*host = r.URL.Scheme + "://" + r.URL.Host
	}
	return w.next.RoundTrip(r)
}

// encodeKey takes an API key as Elasticsearch hands it out, encoded, or as id:key.
func encodeKey(key string) string {
	if strings.Contains(key, ":") {
		return base64.StdEncoding.EncodeToString([]byte(key))
	}
	return key
}

// expand replaces ${NAME} by the environment, as Fluent Bit does for values it
// reads from a file.
func expand(s string) (string, error) {
	var b strings.Builder
	for {
		head, rest, ok := strings.Cut(s, "${")
		name, tail, closed := strings.Cut(rest, "}")
		if !ok || !closed || name == "" {
			b.WriteString(s)
			return b.String(), nil
		}
		value, set := os.LookupEnv(name)
		if !set || value == "" {
			return "", errors.New("an environment variable that the value names is not set")
		}
		b.WriteString(head)
		b.WriteString(value)
		s = tail
	}
}

// hostURLs are the hosts, or the one that a cloud id stands for.
func hostURLs(c *option.OutputConfig) ([]*url.URL, error) {
	hosts := c.Hosts
	if c.CloudID != "" {
		host, err := cloudHost(c.CloudID)
		if err != nil {
			return nil, fmt.Errorf("cloud_id: %w", err)
		}
		hosts = []string{host}
	}
	var urls []*url.URL
	for _, h := range hosts {
		u, err := url.Parse(h)
		if err != nil {
			return nil, errors.New("hosts: an entry is not a URL")
		}
		u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
		urls = append(urls, u)
	}
	if len(urls) == 0 {
		return nil, errors.New("hosts: none is given")
	}
	return urls, nil
}

// cloudHost reads a cloud id: a name, a colon, and in base64 the domain with an
// optional port, the id of Elasticsearch and that of Kibana, separated by dollar
// signs.
func cloudHost(id string) (string, error) {
	encoded := id[strings.LastIndexByte(id, ':')+1:]
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", errors.New("the value is not valid; valid: the cloud id as the Elastic console shows it")
	}
	parts := strings.Split(string(text), "$")
	if len(parts) < 2 || parts[0] == "" || parts[1] == "" {
		return "", errors.New("the value is not valid; valid: the cloud id as the Elastic console shows it")
	}
	domain, port, ok := strings.Cut(parts[0], ":")
	if !ok {
		port = "443"
	}
	return "https://" + parts[1] + "." + domain + ":" + port, nil
}

// secure sets up TLS.
func secure(t *http.Transport, c *option.OutputConfig) error {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: !c.TLSVerify}
	t.TLSClientConfig = conf
	var errs []error
	var authorities []*x509.Certificate
	if c.CAFile != "" {
		var err error
		if authorities, err = readCertificates(c.CAFile); err != nil {
			errs = append(errs, option.Refused(option.Output(), "ca_file", err))
		}
		conf.RootCAs = x509.NewCertPool()
		for _, a := range authorities {
			conf.RootCAs.AddCert(a)
		}
	}
	if c.ClientCertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.ClientCertFile, c.ClientKeyFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("client_cert_file, client_key_file: %q, %q are not valid (%w); valid: the path of a readable PEM file for each",
				c.ClientCertFile, c.ClientKeyFile, err))
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	if c.CAFingerprint != "" {
		sum, err := hex.DecodeString(strings.ReplaceAll(c.CAFingerprint, ":", ""))
		if err != nil || len(sum) != sha256.Size {
			errs = append(errs, errors.New("ca_fingerprint: the value is not valid; valid: 64 hexadecimal digits, with or without colons"))
		}
		t.DialTLSContext = pinned(t.DialContext, conf, sum, authorities, c.TLSVerify)
		// Through a proxy DialTLSContext is not used. The connection is then checked
		// against the authorities of ca_file or the system, and refused if those do
		// not know the pinned one.
		conf.InsecureSkipVerify = false
	}
	return errors.Join(errs...)
}

func readCertificates(path string) (list []*x509.Certificate, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s has no certificate in PEM form", path)
	}
	return list, nil
}

// errPin is the answer to a server that shows nothing with the fingerprint.
var errPin = errors.New("no certificate of the server has the fingerprint of ca_fingerprint")

// pinned dials TLS and trusts the one certificate with the SHA-256 sum, as an
// authority or as the server's own. To find a certificate with the sum in what the
// server shows is not enough: anybody can show a public certificate. The chain from
// the server's own has to end in it.
func pinned(dial func(ctx context.Context, network, addr string) (net.Conn, error), base *tls.Config, sum []byte,
	known []*x509.Certificate, checkName bool) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		conf := base.Clone()
		conf.ServerName = host
		conf.InsecureSkipVerify = true // VerifyConnection does it
		conf.VerifyConnection = func(state tls.ConnectionState) error {
			name := host
			if !checkName {
				name = ""
			}
			return verifyPinned(state.PeerCertificates, known, sum, name)
		}
		raw, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(raw, conf)
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if err := conn.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, err
		}
		return conn, nil
	}
}

func verifyPinned(shown, known []*x509.Certificate, sum []byte, host string) error {
	opts := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), DNSName: host}
	found := false
	for i, list := range [][]*x509.Certificate{shown, known} {
		for _, c := range list {
			if s := sha256.Sum256(c.Raw); bytes.Equal(s[:], sum) {
				opts.Roots.AddCert(c)
				found = true
			} else if i == 0 {
				opts.Intermediates.AddCert(c)
			}
		}
	}
	if !found || len(shown) == 0 {
		return errPin
	}
	_, err := shown[0].Verify(opts)
	return err
}
