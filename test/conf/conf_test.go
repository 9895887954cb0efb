// Package conf loads every file that users load. With a real Fluent Bit each
// configuration is started, receives a line and prints its record.
package conf

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/fakees"
	"fluent-bit-fortiems/test/rig"
)

const line = `<190>Oct  1 22:17:30 h ems-vpn: emsserial=FCTEMS0000000001 msg="VPN tunnel connected"`

func TestYAMLNamesOnlyOptionsThatExist(t *testing.T) {
	files, err := filepath.Glob("../../conf/f*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatal(files, err)
	}
	var known []string
	for _, o := range option.Filter() {
		known = append(known, o.Key)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Service  map[string]any `yaml:"service"`
			Pipeline struct {
				Inputs  []map[string]any `yaml:"inputs"`
				Filters []map[string]any `yaml:"filters"`
				Outputs []map[string]any `yaml:"outputs"`
			} `yaml:"pipeline"`
		}
		if err := yaml.Unmarshal(text, &c); err != nil {
			t.Fatal(file, err)
		}
		if c.Service["grace"] != 40 || c.Service["coro_stack_size"] != 131072 {
			t.Errorf("%s: grace or coro_stack_size", file)
		}
		for _, in := range c.Pipeline.Inputs {
			if in["buffer_chunk_size"] != "256k" || in["buffer_max_size"] != "1m" || in["parser"] != "fortiems_raw" {
				t.Errorf("%s: an input without our sizes or parser", file)
			}
		}
		for _, f := range c.Pipeline.Filters {
			for key := range f {
				if key != "name" && key != "match" && !slices.Contains(known, key) {
					t.Errorf("%s: the filter has no option %s", file, key)
				}
			}
		}
		for _, o := range c.Pipeline.Outputs {
			if o["name"] == "fortiems_es" {
				checkOutput(t, file, o)
				for _, in := range c.Pipeline.Inputs {
					if in["storage.type"] != "filesystem" || c.Service["storage.path"] == nil {
						t.Errorf("%s: chunks are not kept on disk", file)
					}
				}
			}
		}
	}
}

// TestEveryConfigurationHasGraceAndWorkers reads every configuration that Fluent Bit
// loads: data in flight at a stop has time to arrive, and no output runs on the thread
// of the inputs.
func TestEveryConfigurationHasGraceAndWorkers(t *testing.T) {
	read := 0
	check := func(file, grace string, outputs []section) {
		read++
		if grace != "40" {
			t.Errorf("%s: grace %q, not 40", file, grace)
		}
		for _, o := range outputs {
			if n, err := strconv.Atoi(o["workers"]); err != nil || n < 1 {
				t.Errorf("%s: output %s has workers %q", file, o["name"], o["workers"])
			}
		}
		if len(outputs) == 0 {
			t.Errorf("%s: no output", file)
		}
	}
	for _, pattern := range []string{"../../conf/*.yaml", topologies + "*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var y struct {
				Service  map[string]any
				Pipeline struct{ Outputs []section }
				Config   struct{ Service, Outputs string } // of the Helm chart
			}
			if err := yaml.Unmarshal(text, &y); err != nil {
				t.Fatal(file, err)
			}
			switch {
			case y.Config.Service != "":
				c := classicText(t, file, y.Config.Service+y.Config.Outputs)
				check(file, c["service"][0]["grace"], c["output"])
			case y.Service != nil:
				check(file, fmt.Sprint(y.Service["grace"]), y.Pipeline.Outputs)
			}
		}
	}
	files, err := filepath.Glob("../../conf/fluent-bit*.conf")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		c := classic(t, file)
		check(file, c["service"][0]["grace"], c["output"])
	}
	if read != 20 {
		t.Errorf("%d configurations were read, not 20", read)
	}
}

// checkOutput checks that options exist and have the values that delivery needs.
func checkOutput(t *testing.T, file string, o map[string]any) {
	t.Helper()
	if o["workers"] != 2 || o["retry_limit"] != "no_limits" {
		t.Errorf("%s: workers or retry_limit", file)
	}
	for key := range o {
		switch key {
		case "name", "match", "workers", "retry_limit":
			continue
		}
		if !slices.ContainsFunc(option.Output(), func(x option.Option) bool { return x.Key == key }) {
			t.Errorf("%s: the output has no option %s", file, key)
		}
	}
}

// TestOutputConfigurationsShip starts the configurations of the output against a
// fake server with TLS and credentials. Their bootstrap is tested elsewhere.
func TestOutputConfigurationsShip(t *testing.T) {
	bin, object := fluentBit(t)
	cert, file := certificate(t), os.Getenv("FORTIEMS_TLS_CERT")
	for _, name := range []string{"fluent-bit-elasticsearch.yaml", "fluent-bit-elasticsearch.conf", "fluent-bit-opensearch.yaml", "fluent-bit-opensearch.conf", "fluent-bit-service.yaml", "fluent-bit-service.conf"} {
		t.Run(name, func(t *testing.T) {
			es := fakees.NewUnstarted()
			es.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			es.StartTLS()
			defer es.Close()
			es.Authorization("APIKey a2V5")
			if strings.Contains(name, "opensearch") {
				es.Authorization("Basic dTpw")
			}
			t.Setenv("ES_HOSTS", strings.Replace(es.URL, "127.0.0.1", "localhost", 1))
			t.Setenv("ES_API_KEY", "a2V5")
			t.Setenv("ES_USERNAME", "u")
			t.Setenv("ES_PASSWORD", "p")
			t.Setenv("ES_CA_FILE", file)
			port := rig.FreePort(t)
			if strings.Contains(name, "service") {
				t.Setenv("ES_USERNAME", "")
				t.Setenv("ES_PASSWORD", "")
				t.Setenv("FORTIEMS_LISTEN", "127.0.0.1")
				t.Setenv("FORTIEMS_PORT", fmt.Sprint(port))
			}
			out := startWith(t, bin, name, "5514", port, "-e", object, "-e", filepath.Join(filepath.Dir(object), "out_fortiems_es.so"))
			send := sendTo("tcp", port, net.Dial)
			var last error
			for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
				for _, d := range es.Stored("logs-fortinet.fortiems-default") {
					if strings.Contains(string(d.Source), `"action":"vpn-connect"`) {
						if f := es.Faults(); len(f) > 0 {
							t.Errorf("faults %q", f)
						}
						return
					}
				}
				last = send()
			}
			t.Fatalf("no document, %v\n%s", last, out.String())
		})
	}
}

func TestRulesExampleLoads(t *testing.T) {
	if _, err := rule.Load("../../conf/rules-example.yaml"); err != nil {
		t.Error(err)
	}
}

// fluentBit returns the real Fluent Bit and the object to load.
func fluentBit(t *testing.T) (bin, object string) {
	t.Helper()
	bin = rig.FluentBit(t)
	rig.Build(t)
	return bin, rig.Object
}

// start runs a configuration with its port replaced and returns what it prints.
// It is ended with SIGTERM when the test ends.
func start(t *testing.T, file, from string, port int) *rig.Output {
	t.Helper()
	bin, object := fluentBit(t)
	return startWith(t, bin, file, from, port, "-e", object)
}

// startWith is like start, with the given arguments to load the plugins.
func startWith(t *testing.T, bin, file, from string, port int, load ...string) *rig.Output {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{file, "parsers_fortiems.conf"} {
		text, err := os.ReadFile("../../conf/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text = bytes.ReplaceAll(text, []byte(from), []byte(fmt.Sprint(port)))
		text = bytes.ReplaceAll(text, []byte("/var/lib/fluent-bit"), []byte(dir))
		text = bytes.ReplaceAll(text, []byte("workers: 2"), []byte("workers: 2\n      bootstrap: off"))
		text = bytes.ReplaceAll(text, []byte("Workers     2"), []byte("Workers     2\n    bootstrap off"))
		// A short grace time is enough for a test.
		text = bytes.ReplaceAll(text, []byte("grace: 40"), []byte("grace: 1"))
		text = bytes.ReplaceAll(text, []byte("Grace           40"), []byte("Grace           1"))
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return run(t, bin, append(load, "-c", filepath.Join(dir, file))...)
}

// run starts a Fluent Bit and returns what it prints. It is ended with SIGTERM when
// the test ends.
func run(t *testing.T, bin string, args ...string) *rig.Output {
	t.Helper()
	return rig.Start(t, exec.Command(bin, args...))
}

// eventually sends the line until the output holds n of its records.
func eventually(t *testing.T, out *rig.Output, n int, send func() error) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if strings.Count(out.String(), `"action":"vpn-connect"`) >= n {
			return
		}
		last = send()
	}
	t.Fatalf("no record, %v\n%s", last, out.String())
}

func sendTo(network string, port int, dial func(network, addr string) (net.Conn, error)) func() error {
	return func() error {
		c, err := dial(network, fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = fmt.Fprintf(c, "%s\n", line)
		return err
	}
}

func TestUDPAndTCPBecomeRecords(t *testing.T) {
	for _, file := range []string{"fluent-bit.yaml", "fluent-bit.conf", "full.yaml"} {
		t.Run(file, func(t *testing.T) {
			port := rig.FreePort(t)
			out := start(t, file, "5514", port)
			eventually(t, out, 1, sendTo("tcp", port, net.Dial))
			before := strings.Count(out.String(), `"action":"vpn-connect"`)
			if file == "full.yaml" {
				return // has only tcp
			}
			eventually(t, out, before+1, sendTo("udp", port, net.Dial))
			// TLS bytes on the plain port do no harm.
			c, err := net.Dial("udp", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Write([]byte("\x16\x03\x01\x02\x00\xff")); err != nil {
				t.Fatal(err)
			}
			before = strings.Count(out.String(), `"action":"vpn-connect"`)
			eventually(t, out, before+1, sendTo("tcp", port, net.Dial))
		})
	}
}

func TestTLSBecomesRecords(t *testing.T) {
	fluentBit(t)
	certificate(t)
	for _, file := range []string{"fluent-bit-tls.yaml", "fluent-bit-tls.conf"} {
		t.Run(file, func(t *testing.T) {
			port := rig.FreePort(t)
			out := start(t, file, "6514", port)
			eventually(t, out, 1, sendTo("tcp", port, func(network, addr string) (net.Conn, error) {
				return tls.Dial(network, addr, &tls.Config{InsecureSkipVerify: true}) // FortiEMS does not verify either
			}))
		})
	}
}

func TestFullYAMLHasEveryOptionAtItsDefault(t *testing.T) {
	text, err := os.ReadFile("../../conf/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range option.Filter() {
		want := o.Key + ": " + o.Default
		if o.Default == "" {
			want = "# " + o.Key + ": "
		}
		if !strings.Contains(string(text), want) {
			t.Errorf("full.yaml lacks %q", want)
		}
	}
}

// certificate creates a certificate for localhost and sets its path in the environment.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{
		"FORTIEMS_TLS_CERT": {Type: "CERTIFICATE", Bytes: cert}, "FORTIEMS_TLS_KEY": {Type: "PRIVATE KEY", Bytes: der},
	} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv(name, file)
	}
	return tls.Certificate{Certificate: [][]byte{cert}, PrivateKey: key}
}
