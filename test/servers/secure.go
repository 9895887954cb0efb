package servers

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Access is a user of a server with the security plugin, at first the administrator, and the
// authority that signed its certificate.
type Access struct {
	User, Password string
	CA             []byte // PEM

	files  map[string][]byte // certificates, keys and users of the server
	client *http.Client
}

// As is the access of another user.
func (a *Access) As(user, password string) *Access {
	b := *a
	b.User, b.Password = user, password
	return &b
}

// Send sends req as the user, or without login where there is no security plugin.
func (a *Access) Send(req *http.Request) (*http.Response, error) {
	if a == nil {
		return http.DefaultClient.Do(req)
	}
	req.SetBasicAuth(a.User, a.Password)
	return a.client.Do(req)
}

// RoundTrip sends req as it is, for a gateway in front of the server.
func (a *Access) RoundTrip(req *http.Request) (*http.Response, error) {
	if a == nil {
		return http.DefaultTransport.RoundTrip(req)
	}
	return a.client.Transport.RoundTrip(req)
}

// newAccess makes an authority, a certificate for all nodes, and an administrator.
func newAccess() (*Access, error) {
	a := &Access{User: "admin", Password: rand.Text() + "-aA1", files: map[string][]byte{}}
	hash, err := bcrypt.GenerateFromPassword([]byte(a.Password), bcrypt.DefaultCost)
	if err != nil {
		return nil, err
	}
	a.files["opensearch-security/internal_users.yml"] = fmt.Appendf(nil,
		"_meta: {type: internalusers, config_version: 2}\nadmin:\n  hash: %q\n  reserved: true\n  backend_roles: [admin]\n", hash)
	// The mapping of the distribution gives every user a role of its own (own_index), which
	// would hide that a privilege is missing.
	a.files["opensearch-security/roles_mapping.yml"] = []byte("_meta: {type: rolesmapping, config_version: 2}\nall_access:\n  backend_roles: [admin]\n")
	now := time.Now()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	node := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "node"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	var keys [2]*ecdsa.PrivateKey
	for i := range keys {
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
	}
	root, err1 := x509.CreateCertificate(rand.Reader, ca, ca, keys[0].Public(), keys[0])
	leaf, err2 := x509.CreateCertificate(rand.Reader, node, ca, keys[1].Public(), keys[0])
	key, err3 := x509.MarshalPKCS8PrivateKey(keys[1])
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	a.CA = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root})
	a.files["tls/ca.crt"] = a.CA
	a.files["tls/node.crt"] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf})
	a.files["tls/node.key"] = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(a.CA)
	a.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	return a, nil
}

// secure adds the security plugin with its configuration: its own roles, our certificates
// and our administrator instead of the demo ones, whose passwords are public.
func (s *Server) secure(ctx context.Context) (err error) {
	if s.access == nil {
		if s.access, err = newAccess(); err != nil {
			return err
		}
	}
	file, err := Plugin(ctx, "org.opensearch.plugin:opensearch-security", s.kind.Version()+".0")
	if err != nil {
		return err
	}
	from, err := unpack(file)
	if err != nil {
		return err
	}
	config := filepath.Join(s.dir, "config")
	if err := os.CopyFS(filepath.Join(config, "opensearch-security"), os.DirFS(filepath.Join(from, "config"))); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	for name, text := range s.access.files {
		to := filepath.Join(config, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.WriteFile(to, text, 0o600)); err != nil {
			return err
		}
	}
	if err := link(from, filepath.Join(s.dir, "plugins", filepath.Base(from))); err != nil {
		return err
	}
	for _, layer := range []string{"transport", "http"} {
		p := "plugins.security.ssl." + layer + "."
		s.opts.Node = append(s.opts.Node, p+"pemcert_filepath=tls/node.crt", p+"pemkey_filepath=tls/node.key", p+"pemtrustedcas_filepath=tls/ca.crt")
	}
	s.opts.Node = append(s.opts.Node, "plugins.security.ssl.http.enabled=true", "plugins.security.ssl.transport.enforce_hostname_verification=false",
		"plugins.security.nodes_dn=CN=node", "plugins.security.allow_default_init_securityindex=true",
		"plugins.security.restapi.roles_enabled=all_access")
	return nil
}

// Plugin returns the zip file of a plugin from Maven Central, downloaded once. artifact is
// group:name.
func Plugin(ctx context.Context, artifact, version string) (string, error) {
	_, name, _ := strings.Cut(artifact, ":")
	dir := filepath.Join(cache(), "plugins")
	unlock, err := lock(dir)
	if err != nil {
		return "", err
	}
	defer unlock()
	file := filepath.Join(dir, name+"-"+version+".zip")
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	if err := maven(ctx, dir, dependencies+"copy", "-Dartifact="+artifact+":"+version+":zip", "-DoutputDirectory="+dir); err != nil {
		return "", fmt.Errorf("%s %s from Maven Central: %w", artifact, version, err)
	}
	return file, nil
}

// unpack unpacks the zip file of a plugin once. The folder has the name of the plugin.
func unpack(file string) (dir string, err error) {
	unlock, err := lock(filepath.Join(cache(), "plugins"))
	if err != nil {
		return "", err
	}
	defer unlock()
	z, err := zip.OpenReader(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	defer z.Close()
	info, err := os.Stat(file)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(cache(), "plugins", fmt.Sprintf("%s-%d", strings.TrimSuffix(filepath.Base(file), ".zip"), info.ModTime().Unix()))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	half := dir + ".new"
	if err := os.RemoveAll(half); err != nil { // of a time that was interrupted
		return "", err
	}
	for _, f := range z.File {
		if f.FileInfo().IsDir() {
			continue
		}
		if err := extract(f, filepath.Join(half, filepath.FromSlash(path.Clean("/"+f.Name)))); err != nil {
			return "", err
		}
	}
	return dir, os.Rename(half, dir)
}

func extract(f *zip.File, to string) error {
	r, err := f.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, r); err != nil {
		return err
	}
	return errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, b.Bytes(), 0o644))
}
