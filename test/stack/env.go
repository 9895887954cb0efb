package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// secrets are the variables of .env that hold a password.
var secrets = []string{
	"ELASTIC_PASSWORD", "KIBANA_SYSTEM_PASSWORD", "KIBANA_ENCRYPTION_KEY", "FORTIEMS_PASSWORD",
	"OPENSEARCH_ADMIN_PASSWORD", "OPENSEARCH_DASHBOARDS_PASSWORD", "GRAFANA_PASSWORD",
	"MONGODB_PASSWORD", "GRAYLOG_PASSWORD", "GRAYLOG_PASSWORD_SECRET",
}

// graylogHash is the variable with the hash of GRAYLOG_PASSWORD, in the form that Graylog reads.
const graylogHash = "GRAYLOG_ROOT_PASSWORD_SHA2"

// runEnv creates missing files and keeps existing ones: the volumes of an earlier
// `make stack` hold its passwords.
func runEnv(_ context.Context, args []string) error {
	fs := flag.NewFlagSet("env", flag.ContinueOnError)
	file := fs.String("file", "test/.env", "file with the passwords")
	dir := fs.String("dir", "build/out/stack", "folder for certificates and state, readable by its owner alone")
	if err := fs.Parse(args); err != nil {
		return err
	}
	values, err := ensureEnv(*file)
	if err != nil {
		return err
	}
	// Containers of any user read these through mounts of single folders;
	// the parent folder keeps other users of this machine out.
	if err := os.MkdirAll(*dir, 0o700); err != nil {
		return err
	}
	if err := os.Chmod(*dir, 0o700); err != nil {
		return err
	}
	buffer := filepath.Join(*dir, "buffer")
	if err := os.MkdirAll(buffer, 0o777); err != nil {
		return err
	}
	if err := os.Chmod(buffer, 0o777); err != nil {
		return err
	}
	if err := ensureCertificates(filepath.Join(*dir, "tls"), time.Now()); err != nil {
		return err
	}
	return writeUsers(filepath.Join(*dir, "opensearch"), values)
}

// ensureEnv reads file and adds a random value for every missing secret.
func ensureEnv(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	values := parseEnv(string(text))
	if len(text) == 0 {
		text = []byte("# Made by `make stack` for this machine. Not for version control.\n")
	}
	for _, name := range secrets {
		if values[name] != "" {
			continue
		}
		if values[name], err = password(); err != nil {
			return nil, err
		}
		text = append(text, name+"="+values[name]+"\n"...)
	}
	if values[graylogHash] == "" {
		values[graylogHash] = fmt.Sprintf("%x", sha256.Sum256([]byte(values["GRAYLOG_PASSWORD"])))
		text = append(text, graylogHash+"="+values[graylogHash]+"\n"...)
	}
	return values, os.WriteFile(file, text, 0o600)
}

// parseEnv reads NAME=value lines.
func parseEnv(text string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(name, "#") {
			values[name] = value
		}
	}
	return values
}

// password returns 192 random bits with the character classes that OpenSearch
// requires. It needs no quoting in .env, YAML or a URL.
func password() (string, error) {
	raw := make([]byte, 24)
	if _, err := rand.Read(raw); err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(raw) + "-Aa1", nil
}

// The validity of the certificates, and how long before their end they are renewed.
const (
	certLife  = 365 * 24 * time.Hour
	certRenew = 30 * 24 * time.Hour
)

// ensureCertificates creates an authority, one certificate for every service, and one
// for administering OpenSearch, unless they exist and do not expire soon.
func ensureCertificates(dir string, now time.Time) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if text, err := os.ReadFile(filepath.Join(dir, "node.crt")); err == nil {
		if block, _ := pem.Decode(text); block != nil {
			if c, err := x509.ParseCertificate(block.Bytes); err == nil && now.Add(certRenew).Before(c.NotAfter) {
				return nil
			}
		}
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fortiems stack"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certLife),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	if err := issue(dir, "ca", ca, ca, caKey, caKey, false); err != nil {
		return err
	}
	for i, name := range []string{"node", "admin"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 2), Subject: pkix.Name{CommonName: name},
			NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		if name == "node" {
			leaf.DNSNames = []string{"localhost", "collector", "elasticsearch", "opensearch"}
			leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
		}
		if err := issue(dir, name, leaf, ca, key, caKey, true); err != nil {
			return err
		}
	}
	return nil
}

// issue signs a certificate and writes it, with its key if keep is set. The key of the
// authority is not written, so it cannot sign anything later.
func issue(dir, name string, c, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey, keep bool) error {
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), parentKey)
	if err != nil {
		return err
	}
	if keep {
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		// Readable for the users inside the containers; the folder above is closed.
		text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
		if err := os.WriteFile(filepath.Join(dir, name+".key"), text, 0o644); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// writeUsers replaces the default users of OpenSearch, whose passwords are public.
func writeUsers(dir string, values map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file := filepath.Join(dir, "internal_users.yml")
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	var b strings.Builder
	b.WriteString("_meta: {type: internalusers, config_version: 2}\n")
	for _, u := range []struct{ name, secret, more string }{
		{"admin", "OPENSEARCH_ADMIN_PASSWORD", "reserved: true\n  backend_roles: [admin]"},
		{"kibanaserver", "OPENSEARCH_DASHBOARDS_PASSWORD", "reserved: true"},
		// Index State Management policies work only when an administrator installs them.
		{"fortiems", "FORTIEMS_PASSWORD", "backend_roles: [admin]"},
	} {
		hash, err := bcrypt.GenerateFromPassword([]byte(values[u.secret]), 12)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s:\n  hash: %q\n  %s\n", u.name, hash, u.more)
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
