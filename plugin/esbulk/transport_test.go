package esbulk

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/fakees"
)

// authority is a certificate authority for a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

// issue makes a certificate for a name or address, with the authority behind it.
func (a *authority) issue(t *testing.T, name string, until time.Time) tls.Certificate {
	t.Helper()
	key := newKey(t)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		tmpl.IPAddresses = []net.IP{ip}
	} else {
		tmpl.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}
}

func (a *authority) file(t *testing.T) string {
	t.Helper()
	return pemFile(t, "CERTIFICATE", a.cert.Raw)
}

func (a *authority) fingerprint() string { return fingerprint(a.cert.Raw) }

func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func pemFile(t *testing.T, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// secureFake starts a server with TLS.
func secureFake(t *testing.T, conf *tls.Config) *fakees.Server {
	t.Helper()
	es := fakees.NewUnstarted()
	es.TLS = conf
	es.Config.ErrorLog = nullLog
	es.StartTLS()
	t.Cleanup(es.Close)
	return es
}

func TestTLS(t *testing.T) {
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	soon := time.Now().Add(time.Hour)
	good := ours.issue(t, "127.0.0.1", soon)
	expired := ours.issue(t, "127.0.0.1", time.Now().Add(-time.Hour))
	wrongName := ours.issue(t, "elsewhere.example", soon)
	client := ours.issue(t, "client", soon)
	clientKey, err := x509.MarshalPKCS8PrivateKey(client.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := pemFile(t, "CERTIFICATE", client.Certificate[0]), pemFile(t, "PRIVATE KEY", clientKey)
	// An impostor that shows the pinned authority behind a certificate of another.
	impostor := other.issue(t, "127.0.0.1", soon)
	impostor.Certificate[1] = ours.cert.Raw
	pool := x509.NewCertPool()
	pool.AddCert(ours.cert)

	for name, c := range map[string]struct {
		cert tls.Certificate
		auth tls.ClientAuthType
		set  map[string]string
		want string // part of the one line; empty means stored
	}{
		"known authority":               {good, 0, map[string]string{"ca_file": ours.file(t)}, ""},
		"unknown authority":             {good, 0, nil, "signed by an unknown authority: set ca_file or ca_fingerprint"},
		"wrong authority":               {good, 0, map[string]string{"ca_file": other.file(t)}, "signed by an unknown authority"},
		"expired":                       {expired, 0, map[string]string{"ca_file": ours.file(t)}, "has expired"},
		"wrong host name":               {wrongName, 0, map[string]string{"ca_file": ours.file(t)}, "is for another host name"},
		"not checked":                   {expired, 0, map[string]string{"tls_verify": "off"}, ""},
		"fingerprint of authority":      {good, 0, map[string]string{"ca_fingerprint": ours.fingerprint()}, ""},
		"fingerprint with colons":       {good, 0, map[string]string{"ca_fingerprint": strings.ToUpper(colons(ours.fingerprint()))}, ""},
		"fingerprint of the server":     {good, 0, map[string]string{"ca_fingerprint": fingerprint(good.Certificate[0])}, ""},
		"wrong fingerprint":             {good, 0, map[string]string{"ca_fingerprint": other.fingerprint()}, "no certificate of the server has the fingerprint"},
		"fingerprint, impostor":         {impostor, 0, map[string]string{"ca_fingerprint": ours.fingerprint()}, "signed by an unknown authority"},
		"fingerprint, expired":          {expired, 0, map[string]string{"ca_fingerprint": ours.fingerprint()}, "has expired"},
		"fingerprint, wrong name":       {wrongName, 0, map[string]string{"ca_fingerprint": ours.fingerprint()}, "is for another host name"},
		"fingerprint, name not checked": {wrongName, 0, map[string]string{"ca_fingerprint": ours.fingerprint(), "tls_verify": "off"}, ""},
		"client certificate":            {good, tls.RequireAndVerifyClientCert, map[string]string{"ca_file": ours.file(t), "client_cert_file": certFile, "client_key_file": keyFile}, ""},
		"no client certificate":         {good, tls.RequireAndVerifyClientCert, map[string]string{"ca_file": ours.file(t)}, "does it want another client certificate?"},
	} {
		t.Run(name, func(t *testing.T) {
			es := secureFake(t, &tls.Config{Certificates: []tls.Certificate{c.cert}, ClientAuth: c.auth, ClientCAs: pool})
			set := map[string]string{"hosts": es.URL}
			for k, v := range c.set {
				set[k] = v
			}
			s, log := shipper(t, set)
			for range 3 {
				got := s.Flush(context.Background(), "tag", chunkOf(2))
				if (got == OK) != (c.want == "") {
					t.Fatalf("got %v, log %q", got, log.all())
				}
			}
			if strings.HasPrefix(name, "no client") {
				// TLS 1.3 refuses after the handshake: the refusal races with the
				// request, which may find the connection broken first.
				for range 50 {
					if log.count(c.want) > 0 {
						return
					}
					s.Flush(context.Background(), "tag", chunkOf(2))
				}
			}
			if c.want != "" && (len(log.all()) != 1 || log.count(c.want) != 1 || log.count("handed back for another try: https://127.0.0.1:") != 1) {
				t.Errorf("log %q", log.all())
			}
		})
	}
}

// A server name goes with the handshake, also with a pinned certificate.
func TestServerNameIsSent(t *testing.T) {
	ours := newAuthority(t, "ours")
	cert := ours.issue(t, "localhost", time.Now().Add(time.Hour))
	for _, set := range []map[string]string{{"ca_file": ours.file(t)}, {"ca_fingerprint": ours.fingerprint()}} {
		names := make(chan string, 9)
		es := secureFake(t, &tls.Config{GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
			names <- h.ServerName
			return &cert, nil
		}})
		set["hosts"] = strings.Replace(es.URL, "127.0.0.1", "localhost", 1)
		s, log := shipper(t, set)
		if s.Flush(context.Background(), "tag", chunkOf(1)) != OK || <-names != "localhost" {
			t.Errorf("log %q", log.all())
		}
	}
}

func colons(s string) string {
	var parts []string
	for ; len(s) > 0; s = s[2:] {
		parts = append(parts, s[:2])
	}
	return strings.Join(parts, ":")
}

func TestPlainServerBehindHTTPS(t *testing.T) {
	es := fake(t)
	s, log := shipper(t, map[string]string{"hosts": strings.Replace(es.URL, "http", "https", 1)})
	if s.Flush(context.Background(), "tag", chunkOf(1)) != Retry || log.count("does not speak TLS") != 1 {
		t.Errorf("log %q", log.all())
	}
}

func TestCredentials(t *testing.T) {
	t.Setenv("ESBULK_TEST_SECRET", "from env")
	for name, c := range map[string]struct {
		set  map[string]string
		want string
	}{
		"basic":             {map[string]string{"username": "u", "password": "p"}, "Basic " + base64.StdEncoding.EncodeToString([]byte("u:p"))},
		"basic, from env":   {map[string]string{"username": "u", "password": "${ESBULK_TEST_SECRET}"}, "Basic " + base64.StdEncoding.EncodeToString([]byte("u:from env"))},
		"API key":           {map[string]string{"api_key": "a2V5"}, "APIKey a2V5"},
		"API key as id:key": {map[string]string{"api_key": "id:key"}, "APIKey " + base64.StdEncoding.EncodeToString([]byte("id:key"))},
	} {
		t.Run(name, func(t *testing.T) {
			es := fake(t)
			es.Authorization(c.want)
			c.set["hosts"] = es.URL
			s, log := shipper(t, c.set)
			if s.Flush(context.Background(), "tag", chunkOf(1)) != OK {
				t.Errorf("log %q", log.all())
			}
			if got := es.Requests()[0].Header.Get("User-Agent"); got != "test" {
				t.Errorf("user agent %q", got)
			}
		})
	}
}

// No line at any level holds a secret, whatever goes wrong.
func TestSecretsStayOutOfLogs(t *testing.T) {
	const secret = "s3cr3t-Pa55"
	t.Setenv("ESBULK_TEST_SECRET", secret)
	encoded := base64.StdEncoding.EncodeToString([]byte("user:" + secret))
	for _, set := range []map[string]string{
		{"username": "user", "password": secret}, {"username": "user", "password": "${ESBULK_TEST_SECRET}"},
		{"api_key": secret}, {"api_key": "user:" + secret},
	} {
		var lines []string
		for name, c := range trouble {
			es := fakees.New()
			es.Script(c.script)
			all := map[string]string{"hosts": es.URL, "flush_timeout": "1s"}
			for k, v := range set {
				all[k] = v
			}
			if strings.Contains(name, "deadline") {
				es.Close()
				continue
			}
			s, log := shipper(t, all)
			s.Flush(context.Background(), "tag", chunkOf(20))
			es.Close()
			s.Flush(context.Background(), "tag", chunkOf(20))
			lines = append(lines, log.all()...)
			s.Close()
			lines = append(lines, s.Summary())
		}
		text := strings.Join(lines, "\n")
		if len(lines) < 30 || strings.Contains(text, secret) || strings.Contains(text, encoded) || strings.Contains(text, "line 1") {
			t.Errorf("%d lines:\n%s", len(lines), text)
		}
	}
}

// A redirect is not followed: the credentials would go with it.
func TestRedirectIsNotFollowed(t *testing.T) {
	asked := make(chan string, 9)
	to := newHTTP(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Header.Get("Authorization") }))
	for _, code := range []int{301, 302, 303, 307, 308} {
		es := fake(t)
		es.Script(func(*fakees.Request) *fakees.Reply {
			return &fakees.Reply{Status: code, Header: map[string]string{"Location": to}}
		})
		s, _ := shipper(t, map[string]string{"hosts": es.URL, "username": "u", "password": "p"})
		if s.Flush(context.Background(), "tag", chunkOf(1)) != Retry || len(asked) > 0 {
			t.Errorf("%d is followed", code)
		}
	}
}

func TestPathOfHost(t *testing.T) {
	es := fake(t)
	es.Other(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/es/_bulk" {
			t.Errorf("path %s", r.URL.Path)
		}
		r.URL.Path = "/_bulk"
		es.ServeHTTP(w, r)
	}))
	s, log := shipper(t, map[string]string{"hosts": es.URL + "/es/"})
	if s.Flush(context.Background(), "tag", chunkOf(1)) != OK {
		t.Errorf("log %q", log.all())
	}
}

// Every mistake is told at the start, with the name of its option.
func TestBadOptions(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		set  map[string]string
		want []string
	}{
		"no authorities file":         {map[string]string{"ca_file": "/nonexistent/ca"}, []string{"ca_file: open /nonexistent/ca: no such file or directory; valid: the path of a readable PEM file"}},
		"no certificate in it":        {map[string]string{"ca_file": empty}, []string{"ca_file: " + empty + " has no certificate in PEM form; valid: the path of a readable PEM file"}},
		"no client files":             {map[string]string{"client_cert_file": "/nonexistent/c", "client_key_file": "/nonexistent/k"}, []string{`client_cert_file, client_key_file: "/nonexistent/c", "/nonexistent/k" are not valid (open /nonexistent/c: no such file or directory); valid: the path of a readable PEM file for each`}},
		"no client certificate in it": {map[string]string{"client_cert_file": empty, "client_key_file": empty}, []string{`client_cert_file, client_key_file: "` + empty + `", "` + empty + `" are not valid (`}},
		"unset variable":              {map[string]string{"username": "u", "password": "x${ESBULK_UNSET}secret"}, []string{"password: an environment variable"}},
		"cloud id":                    {map[string]string{"cloud_id": "rubbish"}, []string{"cloud_id: "}},
		"data stream":                 {map[string]string{"data_stream": "logs-%Y"}, []string{"data_stream: "}},
		"index":                       {map[string]string{"index": "Logs-%Q"}, []string{"index: "}},
		"dead letter index":           {map[string]string{"dead_letter": "index:x-{y}"}, []string{"dead_letter: "}},
		"dead letter file":            {map[string]string{"dead_letter": "file:/nonexistent/dead"}, []string{"dead_letter: open /nonexistent/dead: no such file or directory; valid: index:NAME, file:PATH, off"}},
		"several":                     {map[string]string{"ca_file": "/nonexistent/ca", "index": "%"}, []string{"ca_file", "index"}},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := option.ParseOutput(func(k string) string { return c.set[k] })
			if err != nil {
				t.Fatal(err)
			}
			_, err = instance(Options{Config: config})
			if err == nil {
				t.Fatal("it is taken")
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v lacks %q", err, part)
				}
			}
			if strings.Contains(err.Error(), "secret") || len(option.Errors(err)) != len(c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}
