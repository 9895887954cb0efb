package conf

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/fakees"
	"fluent-bit-fortiems/test/rig"
)

const topologies = "../../conf/topologies/"

// endpointLine names an endpoint and a severity; line does not.
const endpointLine = `<190>Oct  1 22:17:30 h x: type=event subtype=ems-client level=warning devid=FCT8000000000001 hostname="PC-0001" emsserial=FCTEMS0000000001 msg="Endpoint quarantined"`

// TestTopologiesAreSafe checks the settings that every topology must have.
func TestTopologiesAreSafe(t *testing.T) {
	files, err := filepath.Glob(topologies + "*.yaml")
	if err != nil || len(files) != 9 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "kubernetes-values.yaml") {
			continue // below
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Service  map[string]any
			Pipeline struct{ Inputs, Filters, Outputs []map[string]any }
		}
		if err := yaml.Unmarshal(text, &c); err != nil {
			t.Fatal(file, err)
		}
		name := filepath.Base(file)
		if c.Service["grace"] != 40 || c.Service["coro_stack_size"] != 131072 || c.Service["storage.path"] == nil {
			t.Errorf("%s: service %v", name, c.Service)
		}
		for _, in := range c.Pipeline.Inputs {
			if in["storage.type"] != "filesystem" {
				t.Errorf("%s: %v keeps its chunks in memory", name, in["name"])
			}
			if in["name"] == "syslog" && (in["parser"] != "fortiems_raw" || in["buffer_chunk_size"] != "256k") {
				t.Errorf("%s: input %v", name, in)
			}
		}
		for _, f := range c.Pipeline.Filters {
			for key := range f {
				if key != "name" && key != "match" && !slices.ContainsFunc(option.Filter(), func(o option.Option) bool { return o.Key == key }) {
					t.Errorf("%s: the filter has no option %s", name, key)
				}
			}
		}
		for _, o := range c.Pipeline.Outputs {
			if w, _ := o["workers"].(int); w < 1 || o["retry_limit"] != "no_limits" {
				t.Errorf("%s: output %v", name, o)
			}
			if o["name"] == "forward" && (o["require_ack_response"] != true && o["require_ack_response"] != "on" || o["tls.verify"] != true && o["tls.verify"] != "on") {
				t.Errorf("%s: forwards without ack or check: %v", name, o)
			}
			if o["name"] == "fortiems_es" {
				checkOutput(t, name, o)
			}
		}
	}
}

// startTopology writes a file of conf/topologies with replacements, and the parsers file
// next to it, and starts Fluent Bit with both plugins.
func startTopology(t *testing.T, file string, replace ...string) *rig.Output {
	t.Helper()
	text, err := os.ReadFile(topologies + file)
	if err != nil {
		t.Fatal(err)
	}
	return startText(t, "topologies/"+file, string(text), replace...)
}

func startText(t *testing.T, name, text string, replace ...string) *rig.Output {
	t.Helper()
	bin, object := fluentBit(t)
	dir := t.TempDir()
	parsers, err := os.ReadFile("../../conf/parsers_fortiems.conf")
	if err != nil {
		t.Fatal(err)
	}
	// A short grace time is enough for a test; the bootstrap is tested elsewhere.
	replace = append(replace, "grace: 40", "grace: 1", "Grace           40", "Grace           1", "/var/lib/fluent-bit", dir,
		"hosts: ${ES_HOSTS}", "hosts: ${ES_HOSTS}\n      bootstrap: off", "hosts       ${ES_HOSTS}", "hosts       ${ES_HOSTS}\n    bootstrap   off")
	text = strings.NewReplacer(replace...).Replace(text)
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{path: text, filepath.Join(dir, "parsers_fortiems.conf"): string(parsers)} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return run(t, bin, "-e", object, "-e", filepath.Join(filepath.Dir(object), "out_fortiems_es.so"), "-c", path)
}

// until sends lines until done holds.
func until(t *testing.T, outs []*rig.Output, send func() error, done func() bool) {
	t.Helper()
	var last error
	for deadline := time.Now().Add(40 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if done() {
			return
		}
		last = send()
	}
	t.Errorf("nothing arrived, %v", last)
	for _, o := range outs {
		t.Log(o.String())
	}
	t.FailNow()
}

// sendLine sends a line over TCP.
func sendLine(port int, text string) func() error {
	return func() error {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(c, "%s\n", text)
		return errors.Join(err, c.Close())
	}
}

// secureES is a fake server with TLS; its authority and key are in the environment.
func secureES(t *testing.T, cert tls.Certificate) *fakees.Server {
	t.Helper()
	es := fakees.NewUnstarted()
	es.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	es.StartTLS()
	t.Cleanup(es.Close)
	es.Authorization("APIKey a2V5")
	t.Setenv("ES_HOSTS", strings.Replace(es.URL, "127.0.0.1", "localhost", 1))
	t.Setenv("ES_API_KEY", "a2V5")
	t.Setenv("ES_CA_FILE", os.Getenv("FORTIEMS_TLS_CERT"))
	return es
}

func shipped(es *fakees.Server) bool {
	return slices.ContainsFunc(es.Stored("logs-fortinet.fortiems-default"), func(d fakees.Doc) bool {
		return bytes.Contains(d.Source, []byte(`"action":"vpn-connect"`))
	})
}

// TestEdgeForwardsToAggregator runs both pairs: the filter at either end.
func TestEdgeForwardsToAggregator(t *testing.T) {
	bin, _ := fluentBit(t)
	replace := []string{}
	if help, err := exec.Command(bin, "-i", "forward", "-h").CombinedOutput(); err != nil {
		t.Fatal(err)
	} else if bytes.Contains(help, []byte("tls.verify_client_cert")) {
		replace = []string{"# tls.verify_client_cert: on", "tls.verify_client_cert: on"}
	}
	for _, pair := range [][2]string{
		{"edge-filter.yaml", "aggregator.yaml"}, {"edge-raw.yaml", "aggregator-filter.yaml"},
		{"edge-filter.yaml", "aggregator-filter.yaml"}, // the second filter leaves the records of the first alone
	} {
		edge, aggregator := pair[0], pair[1]
		t.Run(edge+" to "+aggregator, func(t *testing.T) {
			es := secureES(t, certificate(t))
			for name, value := range map[string]string{
				"FORWARD_SHARED_KEY": "a-shared-key", "FORWARD_CA": os.Getenv("FORTIEMS_TLS_CERT"), "FORWARD_CERT": os.Getenv("FORTIEMS_TLS_CERT"),
				"FORWARD_KEY": os.Getenv("FORTIEMS_TLS_KEY"), "AGGREGATOR_LISTEN": "127.0.0.1", "AGGREGATOR_HOST": "localhost",
				"AGGREGATOR_NAME": "aggregator", "EDGE_NAME": "edge",
			} {
				t.Setenv(name, value)
			}
			in, between := rig.FreePort(t), fmt.Sprint(rig.FreePort(t))
			second := startTopology(t, aggregator, append(replace, "24224", between)...)
			first := startTopology(t, edge, "5514", fmt.Sprint(in), "24224", between)
			until(t, []*rig.Output{first, second}, sendLine(in, line), func() bool { return shipped(es) })
			if f := es.Faults(); len(f) > 0 {
				t.Errorf("faults %q", f)
			}
		})
	}
}

// listen accepts TCP connections and delivers messages, which end with the byte end.
func listen(t *testing.T, end byte) (port int, got chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	got = make(chan string, 1000)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					text, err := r.ReadString(end)
					if err != nil {
						return
					}
					select {
					case got <- strings.TrimSuffix(text, string(end)):
					default: // enough for any test
					}
				}
			}()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port, got
}

// take returns the next JSON object, or nil if none has arrived.
func take(t *testing.T, got chan string) map[string]any {
	t.Helper()
	select {
	case text := <-got:
		var o map[string]any
		if err := json.Unmarshal([]byte(text), &o); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		return o
	default:
		return nil
	}
}

func TestGraylogGetsFlatFields(t *testing.T) {
	fluentBit(t)
	graylog, got := listen(t, 0)
	t.Setenv("GRAYLOG_HOST", "127.0.0.1")
	in := rig.FreePort(t)
	out := startTopology(t, "graylog-gelf.yaml", "5514", fmt.Sprint(in), "12201", fmt.Sprint(graylog))
	var o map[string]any
	until(t, []*rig.Output{out}, sendLine(in, endpointLine), func() bool { o = take(t, got); return o != nil })
	for key, want := range map[string]any{
		"version": "1.1", "short_message": "Endpoint quarantined", "host": "PC-0001", "level": 4.0,
		"_fortinet_ems_category": "ems-client", "_event_action": "endpoint-quarantine", "_observer_serial_number": "FCTEMS0000000001",
	} {
		if o[key] != want {
			t.Errorf("%s is %v, not %v\n%v", key, o[key], want, o)
		}
	}
	for key, v := range o {
		if _, nested := v.(map[string]any); nested {
			t.Errorf("%s is nested", key)
		}
	}
}

func TestLokiGetsFewLabels(t *testing.T) {
	fluentBit(t)
	type push struct {
		Streams []struct {
			Stream map[string]string
			Values [][]any
		}
	}
	pushes := make(chan push, 1000)
	loki := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var p push
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &p); err != nil || r.URL.Path != "/loki/api/v1/push" {
			t.Errorf("%s: %v: %s", r.URL, err, body)
		}
		select {
		case pushes <- p:
		default:
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer loki.Close()
	t.Setenv("LOKI_HOST", "127.0.0.1")
	in := rig.FreePort(t)
	out := startTopology(t, "loki.yaml", "5514", fmt.Sprint(in), "3100", loki.URL[strings.LastIndexByte(loki.URL, ':')+1:])
	var p push
	until(t, []*rig.Output{out}, sendLine(in, endpointLine), func() bool {
		select {
		case p = <-pushes:
			return true
		default:
			return false
		}
	})
	s := p.Streams[0]
	if len(s.Stream) != 3 || s.Stream["job"] != "fortiems" || s.Stream["fortinet_ems_category"] != "ems-client" || s.Stream["event_dataset"] != "fortinet.fortiems" {
		t.Errorf("labels %v", s.Stream)
	}
	var record map[string]any
	if err := json.Unmarshal([]byte(fmt.Sprint(s.Values[0][1])), &record); err != nil || record["event_action"] != "endpoint-quarantine" {
		t.Errorf("%v: %v", err, s.Values[0])
	}
}

func TestWazuhManagerGetsJSONLines(t *testing.T) {
	fluentBit(t)
	check := func(t *testing.T, o map[string]any) {
		t.Helper()
		event, _ := o["event"].(map[string]any)
		if event["module"] != "fortinet" || event["action"] != "endpoint-quarantine" || o["message"] != "Endpoint quarantined" {
			t.Errorf("%v", o)
		}
	}
	t.Run("tcp", func(t *testing.T) {
		manager, got := listen(t, '\n')
		t.Setenv("WAZUH_HOST", "127.0.0.1")
		in := rig.FreePort(t)
		out := startTopology(t, "wazuh-manager-tcp.yaml", "port: 5514", fmt.Sprintf("port: %d", in), "port: 514\n", fmt.Sprintf("port: %d\n", manager))
		var o map[string]any
		until(t, []*rig.Output{out}, sendLine(in, endpointLine), func() bool { o = take(t, got); return o != nil })
		check(t, o)
		if _, err := time.Parse("2006-01-02T15:04:05.999999Z", fmt.Sprint(o["@timestamp"])); err != nil {
			t.Error(err)
		}
	})
	t.Run("file", func(t *testing.T) {
		dir, in := t.TempDir(), rig.FreePort(t)
		out := startTopology(t, "wazuh-manager-file.yaml", "5514", fmt.Sprint(in), "/var/log/fortiems", dir)
		var text []byte
		until(t, []*rig.Output{out}, sendLine(in, endpointLine), func() bool {
			text, _ = os.ReadFile(dir + "/fortiems.json") // created with the first record
			return bytes.IndexByte(text, '\n') > 0
		})
		var o map[string]any
		first, _, _ := bytes.Cut(text, []byte("\n"))
		if err := json.Unmarshal(first, &o); err != nil {
			t.Fatalf("%v: %s", err, first)
		}
		check(t, o)
	})
}

// TestWazuhRules checks the example rules: well-formed, with unique ids, existing parents,
// and fields that our records have.
func TestWazuhRules(t *testing.T) {
	text, err := os.ReadFile(topologies + "wazuh-rules.xml")
	if err != nil {
		t.Fatal(err)
	}
	var group struct {
		Name  string `xml:"name,attr"`
		Rules []struct {
			ID     string `xml:"id,attr"`
			Level  int    `xml:"level,attr"`
			Parent string `xml:"if_sid"`
			Fields []struct {
				Name string `xml:"name,attr"`
			} `xml:"field"`
		} `xml:"rule"`
	}
	if err := xml.Unmarshal(text, &group); err != nil {
		t.Fatal(err)
	}
	template, err := os.ReadFile("../../conf/elasticsearch/index-template.json")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, r := range group.Rules {
		if seen[r.ID] || r.Parent != "" && !seen[r.Parent] || r.Level < 1 || r.Level > 15 || len(r.Fields) == 0 {
			t.Errorf("rule %+v", r)
		}
		seen[r.ID] = true
		for _, f := range r.Fields {
			last := f.Name[strings.LastIndexByte(f.Name, '.')+1:]
			if !bytes.Contains(template, []byte(`"`+last+`":`)) {
				t.Errorf("rule %s: no field %s", r.ID, f.Name)
			}
		}
	}
	if len(seen) < 5 {
		t.Errorf("%d rules", len(seen))
	}
}

// TestKubernetesValues starts the configuration that the chart would mount.
func TestKubernetesValues(t *testing.T) {
	text, err := os.ReadFile(topologies + "kubernetes-values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type mount struct {
		Path string `yaml:"mountPath"`
	}
	var v struct {
		Config struct {
			Service, Inputs, Filters, Outputs string
			CustomParsers                     string `yaml:"customParsers"`
		}
		Args              []string
		ExtraVolumeMounts []mount `yaml:"extraVolumeMounts"`
		ExtraPorts        []struct {
			Port int `yaml:"containerPort"`
		} `yaml:"extraPorts"`
		Service struct {
			Type   string
			Ranges []string `yaml:"loadBalancerSourceRanges"`
		}
		Termination int `yaml:"terminationGracePeriodSeconds"`
	}
	if err := yaml.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	config := strings.Join([]string{v.Config.Service, v.Config.Inputs, v.Config.Filters, v.Config.Outputs}, "\n")
	if v.Termination <= 40 || !strings.Contains(config, "Grace           40") || !slices.Contains(v.Args, "/fluent-bit/etc/conf/fluent-bit.conf") {
		t.Errorf("%d seconds to end, %v", v.Termination, v.Args)
	}
	if len(v.ExtraPorts) != 1 || !strings.Contains(config, fmt.Sprintf("Port              %d", v.ExtraPorts[0].Port)) {
		t.Errorf("ports %v", v.ExtraPorts)
	}
	// The service also exposes Fluent Bit's HTTP server.
	if v.Service.Type != "LoadBalancer" || len(v.Service.Ranges) == 0 || slices.Contains(v.Service.Ranges, "0.0.0.0/0") {
		t.Errorf("service %v", v.Service)
	}
	for _, dir := range []string{"/tls", "/es-ca", "/var/lib/fluent-bit"} {
		if !strings.Contains(config, dir) || !slices.ContainsFunc(v.ExtraVolumeMounts, func(m mount) bool { return m.Path == dir }) {
			t.Errorf("%s is not mounted", dir)
		}
	}
	// The chart evaluates these texts as templates.
	if strings.Contains(config+v.Config.CustomParsers, "{{") {
		t.Error("template marks in the configuration")
	}
	fluentBit(t)
	es := secureES(t, certificate(t))
	parsers := filepath.Join(t.TempDir(), "custom_parsers.conf")
	if err := os.WriteFile(parsers, []byte(v.Config.CustomParsers), 0o600); err != nil {
		t.Fatal(err)
	}
	in := rig.FreePort(t)
	out := startText(t, "fluent-bit.conf", config, "6514", fmt.Sprint(in), "0.0.0.0", "127.0.0.1", "2020", fmt.Sprint(rig.FreePort(t)),
		"custom_parsers.conf", parsers, "/es-ca/ca.crt", os.Getenv("FORTIEMS_TLS_CERT"), "/tls/tls.crt", os.Getenv("FORTIEMS_TLS_CERT"), "/tls/tls.key", os.Getenv("FORTIEMS_TLS_KEY"))
	send := sendTo("tcp", in, func(network, addr string) (net.Conn, error) {
		return tls.Dial(network, addr, &tls.Config{InsecureSkipVerify: true}) // FortiEMS does not verify either
	})
	until(t, []*rig.Output{out}, send, func() bool { return shipped(es) })
}
