package esbulk

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fluent-bit-fortiems/plugin/eshttp"
	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/fakees"
)

// connectProxy answers CONNECT with a status and leads every tunnel to one address.
func connectProxy(t *testing.T, status int, to string) (address string, asked *atomic.Int32) {
	asked = &atomic.Int32{}
	return newHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Method != http.MethodConnect || status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		up, err := net.Dial("tcp", to)
		if err != nil {
			t.Error(err)
			return
		}
		down, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(down, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { defer up.Close(); _, _ = io.Copy(up, down) }()
		go func() { defer down.Close(); _, _ = io.Copy(down, up) }()
	})), asked
}

// TestProxies: hosts behind a proxy that the environment names.
func TestProxies(t *testing.T) {
	ours, other := newAuthority(t, "ours"), newAuthority(t, "other")
	soon := time.Now().Add(time.Hour)
	good := secureFake(t, &tls.Config{Certificates: []tls.Certificate{ours.issue(t, "es.example", soon)}})
	stranger := secureFake(t, &tls.Config{Certificates: []tls.Certificate{other.issue(t, "es.example", soon)}})
	trusted := other.file(t) // as if the stranger had a certificate of a public authority
	for name, c := range map[string]struct {
		status int
		to     *fakees.Server
		set    map[string]string
		none   string // NO_PROXY
		want   string // part of the line; empty means stored
	}{
		"authority":                     {200, good, map[string]string{"ca_file": ours.file(t)}, "", ""},
		"fingerprint":                   {200, good, map[string]string{"ca_fingerprint": ours.fingerprint()}, "", ""},
		"fingerprint, a stranger":       {200, stranger, map[string]string{"ca_fingerprint": ours.fingerprint()}, "", "no certificate of the server has the fingerprint"},
		"fingerprint, a known stranger": {200, stranger, map[string]string{"ca_fingerprint": ours.fingerprint(), "ca_file": trusted}, "", "no certificate of the server has the fingerprint"},
		"a login is wanted":             {407, good, nil, "", "answered 407 to CONNECT: a proxy wants a login: write http://user:password@proxy:port in HTTPS_PROXY"},
		"not allowed":                   {403, good, nil, "", "answered 403 to CONNECT: let the proxy pass this host and port, or name the host in NO_PROXY"},
		"no proxy for this host":        {403, good, nil, "es.example", "the name cannot be resolved"},
	} {
		t.Run(name, func(t *testing.T) {
			address, asked := connectProxy(t, c.status, strings.TrimPrefix(c.to.URL, "https://"))
			t.Setenv("HTTPS_PROXY", strings.Replace(address, "http://", "http://user:s3cret@", 1))
			t.Setenv("NO_PROXY", c.none)
			set := map[string]string{"hosts": "https://es.example:9200", "username": "u", "password": "p4ss", "flush_timeout": "5s"}
			for k, v := range c.set {
				set[k] = v
			}
			before := len(c.to.Requests())
			s, log := shipper(t, set)
			got := s.Flush(context.Background(), "tag"+name, chunkOf(2))
			if c.want == "" && (got != OK || asked.Load() == 0) {
				t.Errorf("%d CONNECTs, log %q", asked.Load(), log.all())
			}
			if c.want != "" && (got != Retry || log.count("https://es.example:9200") != 1 || log.count(c.want) != 1 && c.none == "" || len(c.to.Requests()) != before) {
				t.Errorf("%v, %d requests, log %q", got, len(c.to.Requests())-before, log.all())
			}
			if log.count("s3cret")+log.count("p4ss") > 0 || (asked.Load() == 0) != (c.none != "") {
				t.Errorf("%d CONNECTs, log %q", asked.Load(), log.all())
			}
		})
	}
}

// TestProxyForPlainHTTP gets the requests themselves, without CONNECT.
func TestProxyForPlainHTTP(t *testing.T) {
	es := fake(t)
	for name, c := range map[string]struct {
		status int
		want   string
	}{
		"passes":            {200, ""},
		"a login is wanted": {407, "http://es.example:9200 answered 407 with a web page: a proxy wants a login: write http://user:password@proxy:port in HTTPS_PROXY or HTTP_PROXY"},
		"not allowed":       {403, "http://es.example:9200 answered 403 with a web page: this is not Elasticsearch or OpenSearch; is it Kibana, a dashboard or a proxy?"},
		"no way":            {502, "http://es.example:9200 answered 502 with a web page: this is not Elasticsearch or OpenSearch; is it Kibana, a dashboard or a proxy?"},
	} {
		t.Run(name, func(t *testing.T) {
			proxy := newHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Host != "es.example:9200" || r.Header.Get("Proxy-Authorization") != "Basic dXNlcjpzM2NyZXQ=" {
					t.Errorf("host %s, login %s", r.URL.Host, r.Header.Get("Proxy-Authorization"))
				}
				if c.status != 200 {
					w.Header().Set("Content-Type", "text/html")
					w.WriteHeader(c.status)
					return
				}
				r.Header.Del("Proxy-Authorization")
				es.ServeHTTP(w, r)
			}))
			t.Setenv("HTTP_PROXY", strings.Replace(proxy, "http://", "http://user:s3cret@", 1))
			s, log := shipper(t, map[string]string{"hosts": "http://es.example:9200"})
			got := s.Flush(context.Background(), "tag"+name, chunkOf(2))
			if (got == OK) != (c.want == "") || c.want != "" && log.count(c.want) != 1 || log.count("s3cret") > 0 {
				t.Errorf("%v, log %q", got, log.all())
			}
		})
	}
}

// TestProxyWithTLS: the connection to the proxy is checked with the authorities, that to the
// server behind it with ca_fingerprint.
func TestProxyWithTLS(t *testing.T) {
	ours, front := newAuthority(t, "ours"), newAuthority(t, "front")
	soon := time.Now().Add(time.Hour)
	good := secureFake(t, &tls.Config{Certificates: []tls.Certificate{ours.issue(t, "es.example", soon)}})
	address, asked := connectProxy(t, 200, strings.TrimPrefix(good.URL, "https://"))
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{front.issue(t, "127.0.0.1", soon)}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer down.Close()
				up, err := net.Dial("tcp", strings.TrimPrefix(address, "http://"))
				if err != nil {
					return
				}
				go func() { defer up.Close(); _, _ = io.Copy(up, down) }()
				_, _ = io.Copy(down, up)
			}()
		}
	}()
	t.Setenv("HTTPS_PROXY", "https://"+l.Addr().String())
	flush := func(set map[string]string) (Result, *logLines) {
		set["hosts"] = "https://es.example:9200"
		s, log := shipper(t, set)
		return s.Flush(context.Background(), "tag", chunkOf(2)), log
	}
	got, log := flush(map[string]string{"ca_file": front.file(t), "ca_fingerprint": ours.fingerprint()})
	if got != OK || asked.Load() == 0 {
		t.Errorf("%v, %d CONNECTs, log %q", got, asked.Load(), log.all())
	}
	before := asked.Load()
	got, log = flush(map[string]string{"ca_fingerprint": ours.fingerprint()})
	if got == OK || asked.Load() != before || log.count("the certificate is signed by an unknown authority") != 1 {
		t.Errorf("an unknown proxy is used: %v, %q", got, log.all())
	}
}

// TestRenewedCertificates writes new certificates over the old ones while an instance runs.
func TestRenewedCertificates(t *testing.T) {
	old, renewed := newAuthority(t, "old"), newAuthority(t, "renewed")
	dir := t.TempDir()
	ca, cert, key := filepath.Join(dir, "ca"), filepath.Join(dir, "cert"), filepath.Join(dir, "key")
	at := time.Now().Add(-time.Hour)
	write := func(path, kind string, der []byte) {
		t.Helper()
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		at = at.Add(time.Second)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	install := func(a *authority) {
		t.Helper()
		client := a.issue(t, "client", time.Now().Add(time.Hour))
		der, err := x509.MarshalPKCS8PrivateKey(client.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		write(ca, "CERTIFICATE", a.cert.Raw)
		write(cert, "CERTIFICATE", client.Certificate[0])
		write(key, "PRIVATE KEY", der)
	}
	install(old)
	var now atomic.Pointer[tls.Config]
	serve := func(a *authority) {
		pool := x509.NewCertPool()
		pool.AddCert(a.cert)
		now.Store(&tls.Config{Certificates: []tls.Certificate{a.issue(t, "127.0.0.1", time.Now().Add(time.Hour))}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool})
	}
	serve(old)
	es := secureFake(t, &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return now.Load(), nil }})
	s, log := shipper(t, map[string]string{"hosts": es.URL, "ca_file": ca, "client_cert_file": cert, "client_key_file": key})
	flush := func(tag string) Result { return s.Flush(context.Background(), tag, chunkOf(1)) }
	if flush("a") != OK {
		t.Fatalf("%q", log.all())
	}
	serve(renewed)
	es.CloseClientConnections()
	if flush("b") != Retry {
		t.Error("the old authority is not asked")
	}
	write(ca, "CERTIFICATE", []byte("half a file"))
	install(renewed)
	for i := range 5 { // connections of before may break first
		if flush("c") == OK {
			break
		} else if i == 4 {
			t.Errorf("the renewed files are not read: %q", log.all())
		}
	}
}

// TestLogins: what surrounds a key does not count, what no key can have stops the start.
func TestLogins(t *testing.T) {
	t.Setenv("ESBULK_TEST_KEY", "a2V5\r\n")
	for _, set := range []map[string]string{{"api_key": "${ESBULK_TEST_KEY}"}, {"api_key": " a2V5\n"}} {
		es := fake(t)
		es.Authorization("APIKey a2V5")
		set["hosts"] = es.URL
		s, log := shipper(t, set)
		if s.Flush(context.Background(), "tag", chunkOf(1)) != OK {
			t.Errorf("%q", log.all())
		}
	}
	t.Setenv("ESBULK_TEST_PASSWORD", " pass word\r\n")
	es := fake(t)
	es.Authorization("Basic dXNlcjpwYXNzIHdvcmQ=") // user:pass word
	s, log := shipper(t, map[string]string{"hosts": es.URL, "username": "user\n", "password": "${ESBULK_TEST_PASSWORD}"})
	if s.Flush(context.Background(), "tag", chunkOf(1)) != OK {
		t.Errorf("%q", log.all())
	}
	for _, key := range []string{"a2 V5", "a2\nV5", "schlüssel"} {
		c, err := option.ParseOutput(func(k string) string { return map[string]string{"api_key": key}[k] })
		if err == nil {
			_, err = eshttp.New(&c, "test")
		}
		if err == nil || !strings.Contains(err.Error(), "api_key: ") || strings.Contains(err.Error(), key) {
			t.Errorf("%q: %v", key, err)
		}
	}
}

// TestWrongProtocol: http to a port with TLS, as Go, nginx and Netty answer it.
func TestWrongProtocol(t *testing.T) {
	ours := newAuthority(t, "ours")
	goServer := secureFake(t, &tls.Config{Certificates: []tls.Certificate{ours.issue(t, "127.0.0.1", time.Now().Add(time.Hour))}})
	nginx := newHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(400)
		_, _ = io.WriteString(w, "<html><center>The plain HTTP request was sent to HTTPS port</center>")
	}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			// All of it: else the client may fail while it writes, before it reads the answer.
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
			}
			_, _ = c.Write([]byte{0x15, 3, 3, 0, 2, 2, 80}) // an alert of TLS
			c.Close()
		}
	}()
	for _, host := range []string{strings.Replace(goServer.URL, "https", "http", 1), nginx, "http://" + l.Addr().String()} {
		s, log := shipper(t, map[string]string{"hosts": host, "compress": "off"})
		// The answer gets lost if the server closes the connection while the request is being written.
		for try := 1; log.count(host+": the server speaks TLS: write https:// in hosts") == 0; try++ {
			if s.Flush(context.Background(), "tag", chunkOf(1)) != Retry || try == 200 {
				t.Fatalf("%s: %q", host, log.all())
			}
		}
	}
}

// TestAnswersInGzip that nobody asked for.
func TestAnswersInGzip(t *testing.T) {
	es := fake(t)
	srv := newHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		es.ServeHTTP(zipWriter{w, z}, r)
	}))
	s, log := shipper(t, map[string]string{"hosts": srv})
	if s.Flush(context.Background(), "tag", chunkOf(3)) != OK || len(es.Stored(stream)) != 3 {
		t.Errorf("%q", log.all())
	}
}

type zipWriter struct {
	http.ResponseWriter
	zip io.Writer
}

func (z zipWriter) Write(p []byte) (int, error) { return z.zip.Write(p) }

// TestNoIDs: with generate_id off neither documents nor their dead letters have one.
func TestNoIDs(t *testing.T) {
	es := fake(t)
	es.Answer(func(d *fakees.Doc) *fakees.Item {
		if d.ID != "" {
			t.Errorf("%s has the id %s", d.Index, d.ID)
		}
		if d.Index == stream && strings.Contains(string(d.Source), "line 1") {
			return &fakees.Item{Status: 400, Type: "mapper_parsing_exception"}
		}
		return nil
	})
	s, log := shipper(t, map[string]string{"hosts": es.URL, "generate_id": "off"})
	if s.Flush(context.Background(), "tag", chunkOf(3)) != OK {
		t.Fatalf("%q", log.all())
	}
	if _, l := readLetter(t, es.Stored(grave)[0].Source); l.Letter.ID != "" || strings.Contains(string(es.Stored(grave)[0].Source), `"id"`) {
		t.Errorf("%+v", l)
	}
}

// TestEscapedPath keeps %2F in the path of a host.
func TestEscapedPath(t *testing.T) {
	es := fake(t)
	srv := newHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.EscapedPath() != "/a%2Fb/_bulk" {
			t.Errorf("path %s", r.URL.EscapedPath())
		}
		r.URL.Path, r.URL.RawPath = "/_bulk", ""
		es.ServeHTTP(w, r)
	}))
	s, log := shipper(t, map[string]string{"hosts": srv + "/a%2Fb/"})
	if s.Flush(context.Background(), "tag", chunkOf(1)) != OK {
		t.Errorf("%q", log.all())
	}
}
