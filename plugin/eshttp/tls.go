package eshttp

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"fluent-bit-fortiems/plugin/option"
)

// secure sets up TLS for a host. Files are read again when they have changed, so that
// renewed certificates count from the next connection on. The server of a CONNECT proxy is
// checked as if there were no proxy.
func secure(t *http.Transport, dialer *net.Dialer, c *option.OutputConfig, host *url.URL) error {
	var errs []error
	f := &files{ca: c.CAFile, cert: c.ClientCertFile, key: c.ClientKeyFile}
	if c.CAFile != "" {
		if _, err := f.authorities(); err != nil {
			errs = append(errs, option.Refused(option.Output(), "ca_file", err))
		}
	}
	t.TLSClientConfig = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it, with the authorities as they are then
	}
	if c.ClientCertFile != "" {
		if _, err := f.client(nil); err != nil {
			errs = append(errs, fmt.Errorf("client_cert_file, client_key_file: %q, %q are not valid (%w); valid: the path of a readable PEM file for each",
				c.ClientCertFile, c.ClientKeyFile, err))
		}
		t.TLSClientConfig.GetClientCertificate = f.client
	}
	sum, err := hex.DecodeString(strings.ReplaceAll(c.CAFingerprint, ":", ""))
	if err != nil || len(sum) != sha256.Size && c.CAFingerprint != "" {
		errs = append(errs, errors.New("ca_fingerprint: the value is not valid; valid: 64 hexadecimal digits, with or without colons"))
	}
	name := host.Hostname()
	if !c.TLSVerify {
		name = ""
	}
	t.TLSClientConfig.VerifyConnection = func(state tls.ConnectionState) error {
		switch {
		case len(sum) > 0:
			known, err := f.authorities()
			if err != nil {
				return err
			}
			return verifyPinned(state.PeerCertificates, known, sum, name)
		case c.TLSVerify:
			return f.verify(state.PeerCertificates, name)
		}
		return nil
	}
	if via, err := t.Proxy(&http.Request{URL: host}); err == nil && via != nil && via.Scheme == "https" {
		// Only the connection to the proxy is dialled with this.
		proxyName := via.Hostname()
		conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, ServerName: proxyName}
		conf.VerifyConnection = func(state tls.ConnectionState) error { return f.verify(state.PeerCertificates, proxyName) }
		t.DialTLSContext = (&tls.Dialer{NetDialer: dialer, Config: conf}).DialContext
	}
	return errors.Join(errs...)
}

// files are the certificate files of an instance. Safe for concurrent use.
type files struct {
	ca, cert, key string // paths or ""

	mu     sync.Mutex
	caAt   time.Time // when the file that list was read from was changed
	list   []*x509.Certificate
	pairAt [2]time.Time
	pair   *tls.Certificate
}

// authorities are the certificates of the file. While it cannot be read the last ones
// count.
func (f *files) authorities() ([]*x509.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ca == "" {
		return nil, nil
	}
	at := changed(f.ca)
	if f.list != nil && at.Equal(f.caAt) {
		return f.list, nil
	}
	list, err := readCertificates(f.ca)
	if err == nil {
		f.list, f.caAt = list, at
	} else if f.list != nil {
		err = nil
	}
	return f.list, err
}

// client returns the client certificate. While its files cannot be read or do not belong
// together, as in the middle of a renewal, the last one counts.
func (f *files) client(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at := [2]time.Time{changed(f.cert), changed(f.key)}
	if f.pair != nil && at == f.pairAt {
		return f.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err == nil {
		f.pair, f.pairAt = &pair, at
	} else if f.pair != nil {
		err = nil
	}
	return f.pair, err
}

// changed is when a file was changed, in the zone UTC so that == compares it.
func changed(path string) time.Time {
	st, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return st.ModTime().UTC()
}

// verify checks a chain against the authorities of the file, else those of the system.
func (f *files) verify(shown []*x509.Certificate, name string) error {
	opts := x509.VerifyOptions{Intermediates: x509.NewCertPool(), DNSName: name}
	list, err := f.authorities()
	if err != nil {
		return err
	}
	if list != nil {
		opts.Roots = x509.NewCertPool()
		for _, c := range list {
			opts.Roots.AddCert(c)
		}
	}
	for _, c := range shown[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err = shown[0].Verify(opts)
	return err
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

// verifyPinned trusts the one certificate with the SHA-256 sum, as an authority or as the
// server's own. A certificate with the sum among those that the server shows is not
// enough: anybody can show a public certificate. The chain from the server's own has to end
// in it.
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
