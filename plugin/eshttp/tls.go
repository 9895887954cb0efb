package eshttp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"fluent-bit-fortiems/plugin/option"
)

// secure sets up TLS.
func secure(t *http.Transport, dialer *net.Dialer, c *option.OutputConfig) error {
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
		t.DialTLSContext = pinned(dialer, conf, sum, authorities, c.TLSVerify)
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

// pinned dials TLS and trusts the one certificate with the SHA-256 sum, as an
// authority or as the server's own. A certificate with the sum among those that the
// server shows is not enough: anybody can show a public certificate. The chain from
// the server's own has to end in it.
func pinned(dialer *net.Dialer, base *tls.Config, sum []byte, known []*x509.Certificate, checkName bool) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		name, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		if !checkName {
			name = ""
		}
		conf := base.Clone()
		conf.InsecureSkipVerify = true // VerifyConnection does it
		conf.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyPinned(state.PeerCertificates, known, sum, name)
		}
		return (&tls.Dialer{NetDialer: dialer, Config: conf}).DialContext(ctx, network, addr)
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
