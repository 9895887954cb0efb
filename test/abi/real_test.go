package abi_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/rig"
)

// reloads is how often the reload test reloads; FORTIEMS_RELOADS changes it.
const reloads = 20

// fluentBit is a real Fluent Bit binary.
type fluentBit struct{ path, version string }

// eachFluentBit runs a test with every available Fluent Bit, in parallel with the other
// tests that use it.
func eachFluentBit(t *testing.T, test func(t *testing.T, fb fluentBit)) {
	rig.Build(t)
	t.Parallel()
	for _, path := range rig.FluentBits(t) {
		text, err := command(path, "--version")
		if err != nil {
			t.Fatalf("%s: %v\n%s", path, err, text)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		fb := fluentBit{path, strings.TrimPrefix(first, "Fluent Bit v")}
		t.Run(fb.version, func(t *testing.T) {
			t.Parallel()
			test(t, fb)
		})
	}
}

// start starts Fluent Bit with the object and a configuration in YAML.
func (fb fluentBit) start(t *testing.T, config string, args ...string) *process {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fluent-bit.yaml")
	if err := os.WriteFile(name, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, "", fb.path, append([]string{"-e", object, "-c", name}, args...)...)
}

// service and stdout are the parts that most configurations here have. The grace
// period is short because nothing is pending.
const (
	service = "service: {flush: 0.2, grace: 2, log_level: info}\n"
	stdout  = "  outputs: [{name: stdout, match: '*', format: json_lines, json_date_key: '@timestamp', json_date_format: iso8601}]\n"
)

// tail is a tail input that ends with its file.
func tail(tag, file string) string {
	return fmt.Sprintf("{name: tail, tag: %s, path: %q, key: message, read_from_head: on, exit_on_eof: on, buffer_max_size: 1m}", tag, file)
}

// pipeline is a configuration that prints the records that the filters make from a file.
func pipeline(file string, filters ...string) string {
	return service + "pipeline:\n  inputs: [" + tail("a", file) + "]\n  filters: [" + strings.Join(filters, ", ") + "]\n" + stdout
}

// optionSets are the option sets of the corpus: the defaults for all of it, and the
// options of each case that has an options.yaml.
func optionSets(t *testing.T) map[string][]string {
	t.Helper()
	inputs, err := filepath.Glob("../corpus/*/input.log")
	if err != nil || len(inputs) < 30 {
		t.Fatalf("%d cases, %v", len(inputs), err)
	}
	sets := map[string][]string{"": inputs}
	for _, in := range inputs {
		if _, err := os.Stat(filepath.Join(filepath.Dir(in), "options.yaml")); err == nil {
			sets[filepath.Base(filepath.Dir(in))] = []string{in}
		}
	}
	return sets
}

// caseOptions returns the options of a corpus case, with full paths of files.
func caseOptions(t *testing.T, name string) map[string]string {
	t.Helper()
	set := map[string]string{}
	if name == "" {
		return set
	}
	dir, err := filepath.Abs("../corpus/" + name)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "options.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.TrimSpace(l), ":")
		if l[0] == '#' || !ok {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		if key == "rules_file" {
			value = filepath.Join(dir, value)
		}
		set[key] = value
	}
	return set
}

// The golden files hold the records of the corpus. This test checks that real Fluent Bit
// and the stand-in host, which most tests use, produce the same ones.
func TestRealRecordsAreThoseOfTheStandIn(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for name, inputs := range optionSets(t) {
			t.Run("options of "+name, func(t *testing.T) {
				var lines []byte
				for _, in := range inputs {
					text, err := os.ReadFile(in)
					if err != nil {
						t.Fatal(err)
					}
					for l := range strings.Lines(string(text)) {
						// The tail input treats CR LF as a line end.
						lines = append(append(lines, strings.TrimRight(l, "\r\n")...), '\n')
					}
				}
				in := file(t, string(lines))
				filter, props := "{name: fortiems, match: '*'", []string(nil)
				for key, value := range caseOptions(t, name) {
					filter += fmt.Sprintf(", %s: %q", key, value)
					props = append(props, "--filter-prop", key+"="+value)
				}
				real := fb.start(t, pipeline(in, filter+"}")).wait(t).wantCode(t, 0)
				standIn := withHost(t, "", append(props, "--key", "message", "--input", in)...).wantCode(t, 0)
				sameRecords(t, real.records(t), standIn.records(t))
			})
		}
	})
}

// The same through the syslog input with the parser and sizes that we ship, as in
// production. Lines that Fluent Bit itself splits or repeats are left out: lines with
// NUL, and empty ones.
func TestRealRecordsOverSyslog(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		text, err := os.ReadFile(corpusFile(t))
		if err != nil {
			t.Fatal(err)
		}
		var lines strings.Builder
		n := 0
		for l := range strings.Lines(string(text)) {
			if l = strings.TrimRight(l, "\r\n"); l != "" && !strings.Contains(l, "\x00") {
				lines.WriteString(l + "\n")
				n++
			}
		}
		port := rig.FreePort(t)
		p := fb.start(t, strings.Replace(service, "{", fmt.Sprintf("{parsers_file: %q, ", parsers(t)), 1)+fmt.Sprintf(`pipeline:
  inputs: [{name: syslog, tag: a, mode: tcp, listen: 127.0.0.1, port: %d, parser: fortiems_raw, buffer_chunk_size: 256k, buffer_max_size: 1m}]
  filters: [{name: fortiems, match: '*'}]
`, port)+stdout)
		var conn net.Conn
		p.until(t, "the listener", func() bool {
			conn, err = net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			return err == nil
		})
		defer conn.Close()
		if _, err := io.WriteString(conn, lines.String()); err != nil {
			t.Fatal(err)
		}
		p.until(t, "every record", func() bool { return len(p.records(t)) >= n })
		p.stop(t)
		standIn := withHost(t, "", "--key", "message", "--input", file(t, lines.String())).wantCode(t, 0)
		sameRecords(t, p.records(t), standIn.records(t))
	})
}

// sameRecords compares records without their time of receipt.
func sameRecords(t *testing.T, got, want []map[string]any) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Errorf("%d records, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		withoutReceipt(t, got[i])
		withoutReceipt(t, want[i])
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("record %d\n got %v\nwant %v", i+1, asJSON(got[i]), asJSON(want[i]))
		}
	}
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// withoutReceipt removes the time of receipt: event.created, and the record's timestamp
// if it is the same or if the record has no event.created. A remaining timestamp is cut
// to the microseconds that Fluent Bit prints.
func withoutReceipt(t *testing.T, r map[string]any) {
	t.Helper()
	const micros = "2006-01-02T15:04:05.000000"
	text, _ := r["@timestamp"].(string)
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	r["@timestamp"] = at.Format(micros)
	created := text
	if event, ok := r["event"].(map[string]any); ok && event["created"] != nil {
		created, _ = event["created"].(string)
		delete(event, "created")
	} else if r["event_created"] != nil {
		created, _ = r["event_created"].(string)
		delete(r, "event_created")
	}
	received, err := time.Parse(time.RFC3339Nano, created)
	if err != nil {
		t.Fatal(err)
	}
	if received.Format(micros) == at.Format(micros) {
		delete(r, "@timestamp")
	}
}

// With the default coro_stack_size, old versions give a coroutine 24 KiB. The filter must
// not need more, even while the garbage collector runs all the time.
func TestRealDefaultStackUnderGC(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		config := file(t, pipeline(file(t, strings.Repeat(line(t)+"\n", 5000)), "{name: fortiems, match: '*'}"))
		if err := os.Rename(config, config+".yaml"); err != nil {
			t.Fatal(err)
		}
		p := start(t, "", "env", "GOGC=1", fb.path, "-e", object, "-c", config+".yaml").wait(t).wantCode(t, 0)
		if n := len(p.records(t)); n != 5000 {
			t.Errorf("%d records of 5000\n%s", n, p.log.String())
		}
	})
}

func TestRealListsOptions(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		p := start(t, "", fb.path, "-e", object, "-F", "fortiems", "-h").wait(t).wantCode(t, 0)
		help := strings.Join(strings.Fields(p.out.String()), " ") // the host wraps texts
		for _, o := range option.Filter() {
			if !strings.Contains(help, o.Key+" "+o.Text) || o.Default != "" && !strings.Contains(help, "default: "+o.Default) {
				t.Errorf("%s or its default is missing in:\n%s", o.Key, p.out.String())
			}
		}
	})
}

func TestRealRefusesBadOptions(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		in := file(t, line(t)+"\n")
		refused := func(t *testing.T, key, value string, parts ...string) *process {
			t.Helper()
			p := fb.start(t, pipeline(in, fmt.Sprintf("{name: fortiems, match: '*', %s: %q}", key, value))).wait(t).wantLog(t, parts...)
			if p.code == 0 || len(p.records(t)) > 0 {
				t.Errorf("exit status %d, %d records", p.code, len(p.records(t)))
			}
			return p
		}
		t.Run("unknown", func(t *testing.T) {
			p := refused(t, "key_nam", "log", "unknown configuration property 'key_nam'")
			for _, o := range option.Filter() {
				p.wantLog(t, o.Key)
			}
		})
		for key, bad := range badValues {
			t.Run(key, func(t *testing.T) {
				refused(t, key, bad[0], "[error] [filter:fortiems:fortiems.0] "+bad[1])
			})
		}
		t.Run("bad rules", func(t *testing.T) {
			rules := file(t, "version: 1\nrules:\n  - nonsense: true\n")
			refused(t, "rules_file", rules, "[error] [filter:fortiems:fortiems.0] rules_file: "+rules+":3: ")
		})
	})
}

// poll polls until a condition holds.
func poll(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// running returns the processes that were started with a text in their arguments.
func running(t *testing.T, text string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d processes, %v", len(files), err)
	}
	for _, f := range files {
		if args, err := os.ReadFile(f); err == nil && strings.Contains(string(args), text) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(f)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

func TestRealRefusesDaemonMode(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for how, daemon := range map[string]struct {
			args    []string
			service string
		}{
			"-d":        {[]string{"-d"}, service},
			"daemon on": {nil, strings.Replace(service, "{", "{daemon: on, ", 1)},
		} {
			t.Run(how, func(t *testing.T) {
				log := filepath.Join(t.TempDir(), "log") // a daemon has no stderr
				config := strings.Replace(pipeline(file(t, line(t)+"\n"), "{name: fortiems, match: '*'}"), service, daemon.service, 1)
				p := fb.start(t, config, append(daemon.args, "-l", log)...)
				p.wait(t) // the parent; its child is the daemon
				poll(t, "the refusal", func() bool {
					text, _ := os.ReadFile(log)
					return strings.Contains(string(text), "[error] [filter:fortiems:fortiems.0] cannot run in daemon mode (-d, daemon on)")
				})
				poll(t, "the end of the daemon", func() bool { return len(running(t, log)) == 0 })
			})
		}
	})
}

// api is the HTTP server of a Fluent Bit with hot reload.
type api struct {
	url string
	p   *process
}

// reloadable starts a Fluent Bit with hot reload and returns it with the path of its
// configuration.
func (fb fluentBit) reloadable(t *testing.T, pipeline string) (a api, config string) {
	t.Helper()
	port := rig.FreePort(t)
	config = filepath.Join(t.TempDir(), "fluent-bit.yaml")
	text := fmt.Sprintf("service: {flush: 0.2, grace: 5, log_level: info, hot_reload: on, http_server: on, http_listen: 127.0.0.1, http_port: %d, parsers_file: %q}\n",
		port, parsers(t)) + pipeline
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	a = api{fmt.Sprintf("http://127.0.0.1:%d/api/v2/reload", port), start(t, "", fb.path, "-e", object, "-c", config)}
	a.p.until(t, "the HTTP server", func() bool { return a.count() == 0 })
	return a, config
}

func parsers(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../conf/parsers_fortiems.conf")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// client keeps no connections, so none is from before a reload.
var client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// count returns the number of reloads; -1 while Fluent Bit does not answer.
func (a api) count() int {
	resp, err := client.Get(a.url)
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	var answer struct {
		Count *int `json:"hot_reload_count"`
	}
	if json.NewDecoder(resp.Body).Decode(&answer) != nil || answer.Count == nil {
		return -1
	}
	return *answer.Count
}

// requestReload requests a reload and reports whether Fluent Bit accepted the request.
func (a api) requestReload() bool {
	resp, err := client.Post(a.url, "application/json", strings.NewReader("{}"))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return err == nil && strings.Contains(string(text), "done")
}

// traffic writes numbered lines, one every few milliseconds, until it is stopped.
type traffic struct {
	stop chan struct{}
	wg   sync.WaitGroup
}

// numbered returns a FortiEMS line with the sender and the number in it.
func numbered(sender string, n int) string {
	return fmt.Sprintf("emsserial=FCTEMS0000000001 type=event sender=%s seq=%d msg=\"offline\"\n", sender, n)
}

// every calls send in a goroutine until the traffic is stopped or send fails.
func (tr *traffic) every(d time.Duration, send func(n int)) {
	tr.wg.Go(func() {
		tick := time.NewTicker(d)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tr.stop:
				return
			case <-tick.C:
				send(n)
			}
		}
	})
}

func (tr *traffic) end() {
	close(tr.stop)
	tr.wg.Wait()
}

// bySender collects the numbers in the output, by sender and in order of arrival.
func bySender(t *testing.T, p *process) map[string][]int {
	t.Helper()
	got := map[string][]int{}
	for _, r := range p.records(t) {
		sender, _ := at(r, "fortinet", "ems", "sender").(string)
		text, _ := at(r, "fortinet", "ems", "seq").(string)
		n, err := strconv.Atoi(text)
		if err != nil || at(r, "fortinet", "ems", "category") == nil {
			t.Fatalf("record %s", asJSON(r))
		}
		got[sender] = append(got[sender], n)
	}
	return got
}

// tcpSender sends lines over syslog and reconnects when the listener is gone. Each
// connection counts as a separate sender.
type tcpSender struct {
	silent      atomic.Bool
	total       atomic.Int64 // lines written
	addr        string
	conn        net.Conn
	connections int
	sent        map[string]int // lines written by sender
	number      int
}

func (s *tcpSender) send(int) {
	if s.silent.Load() {
		return
	}
	if s.conn == nil {
		conn, err := net.DialTimeout("tcp", s.addr, time.Second)
		if err != nil {
			return // the listener is being reloaded
		}
		s.conn, s.number, s.connections = conn, 0, s.connections+1
	}
	sender := fmt.Sprint("tcp", s.connections)
	if _, err := io.WriteString(s.conn, numbered(sender, s.number)); err != nil {
		s.conn.Close()
		s.conn = nil
		return
	}
	s.number++
	s.sent[sender] = s.number
	s.total.Add(1)
}

// A tailed file whose position Fluent Bit stores loses nothing over reloads. Syslog over
// TCP has no acknowledgements: lines written to a connection that the reload closes may be
// lost in the kernel, so only earlier lines must all arrive. Fluent Bit (5.1.1, with or
// without our filter) does not pause its syslog input for a reload but waits until no
// chunk is pending: while lines keep arriving, it waits for ever. So the TCP sender is
// silent from the request until the reload is done.
func TestRealReloadsUnderTraffic(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		want := reloads
		if n, err := strconv.Atoi(os.Getenv("FORTIEMS_RELOADS")); err == nil && n > 0 {
			want = n
		}
		dir := t.TempDir()
		log, err := os.Create(filepath.Join(dir, "live.log"))
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		port := rig.FreePort(t)
		a, _ := fb.reloadable(t, fmt.Sprintf(`pipeline:
  inputs:
    - {name: tail, tag: file, path: %q, db: %q, key: message, read_from_head: on, refresh_interval: 1}
    - {name: syslog, tag: tcp, mode: tcp, listen: 127.0.0.1, port: %d, parser: fortiems_raw, buffer_chunk_size: 256k, buffer_max_size: 1m}
  filters: [{name: fortiems, match: '*'}]
`, log.Name(), filepath.Join(dir, "live.db"), port)+stdout)

		written := 0
		tcp := &tcpSender{addr: fmt.Sprintf("127.0.0.1:%d", port), sent: map[string]int{}}
		tr := &traffic{stop: make(chan struct{})}
		tr.every(3*time.Millisecond, func(n int) {
			if _, err := io.WriteString(log, numbered("file", n)); err != nil {
				t.Error(err)
			}
			written = n + 1
		})
		tr.every(3*time.Millisecond, tcp.send)
		ended := sync.OnceFunc(tr.end)
		defer ended()
		for n := 1; n <= want; n++ {
			before := tcp.total.Load()
			a.p.until(t, fmt.Sprint("traffic before reload ", n), func() bool { return tcp.total.Load() > before+20 })
			tcp.silent.Store(true)
			a.p.until(t, fmt.Sprint("an ear for reload ", n), a.requestReload)
			a.p.until(t, fmt.Sprint("reload ", n), func() bool { return a.count() == n })
			tcp.silent.Store(false)
		}
		ended()
		a.p.until(t, "the last line of the file", func() bool {
			return strings.Contains(a.p.out.String(), fmt.Sprintf(`"sender":"file","seq":"%d"`, written-1))
		})
		a.p.stop(t)

		got := bySender(t, a.p)
		wantNumbers(t, "file", got["file"], written)
		if len(got["file"]) != written {
			t.Errorf("file: %d records of %d lines", len(got["file"]), written)
		}
		lost := 0
		for sender, sent := range tcp.sent {
			wantNumbers(t, sender, got[sender], len(got[sender]))
			lost += sent - len(got[sender])
		}
		if len(tcp.sent) <= want/2 {
			t.Errorf("%d connections over %d reloads", len(tcp.sent), want)
		}
		if starts, ends := strings.Count(a.p.log.String(), "] version "), strings.Count(a.p.log.String(), "] filtered "); starts != want+1 || ends != want+1 {
			t.Errorf("%d starts and %d ends of the filter", starts, ends)
		}
		t.Logf("%d reloads: %d lines of the file, 0 lost; %d connections, %d lines in the kernel when they were closed",
			want, written, len(tcp.sent), lost)
	})
}

// wantNumbers checks that all numbers from 0 to n-1 are present.
func wantNumbers(t *testing.T, sender string, got []int, n int) {
	t.Helper()
	have := map[int]bool{}
	for _, v := range got {
		have[v] = true
	}
	var lost []int
	for v := range n {
		if !have[v] {
			lost = append(lost, v)
		}
	}
	if len(lost) > 0 {
		t.Errorf("%s: %d of %d lines are lost: %v", sender, len(lost), n, lost[:min(len(lost), 10)])
	}
}

// Fluent Bit checks option names before it stops the old pipeline. Plugins check values
// after that; on an error Fluent Bit ends cleanly, and a service manager restarts it.
func TestRealReloadWithBrokenOption(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		for name, c := range map[string]struct {
			option, log string
			survives    bool
		}{
			"unknown name": {"key_nam: log", "unknown configuration property 'key_nam'", true},
			"bad value":    {"timezone: Mars/Base", `[filter:fortiems:fortiems.0] timezone: "Mars/Base" is not valid`, false},
		} {
			t.Run(name, func(t *testing.T) {
				live := file(t, numbered("file", 0))
				a, config := fb.reloadable(t, fmt.Sprintf("pipeline:\n  inputs: [{name: tail, tag: file, path: %q, key: message, read_from_head: on}]\n  filters: [{name: fortiems, match: '*'}]\n", live)+stdout)
				a.p.until(t, "the first record", func() bool { return len(a.p.records(t)) == 1 })
				text, err := os.ReadFile(config)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(config, []byte(strings.Replace(string(text), "{name: fortiems,", "{name: fortiems, "+c.option+",", 1)), 0o600); err != nil {
					t.Fatal(err)
				}
				a.requestReload()
				a.p.until(t, "the reason", func() bool { return strings.Contains(a.p.log.String(), c.log) })
				if !c.survives {
					if a.p.wait(t); a.p.code <= 0 {
						t.Errorf("exit status %d", a.p.code)
					}
					return
				}
				f, err := os.OpenFile(live, os.O_APPEND|os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := io.WriteString(f, numbered("file", 1)); err != nil {
					t.Fatal(err)
				}
				a.p.until(t, "a record of the old configuration", func() bool { return slices.Contains(bySender(t, a.p)["file"], 1) })
				a.p.stop(t)
			})
		}
	})
}

// sink is an HTTP server that accepts JSON lines. While it is held, it is slow and rejects
// requests.
type sink struct {
	url  string
	mu   sync.Mutex
	seen map[string]int // by number
	held chan struct{}  // closed when requests are accepted
	slow time.Duration  // delay before it rejects a request
	came chan struct{}  // has a value once a request is waiting
}

func newSink(t *testing.T) *sink {
	s := &sink{slow: 2 * time.Second, seen: map[string]int{}, held: make(chan struct{}), came: make(chan struct{}, 1)}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	select {
	case s.came <- struct{}{}:
	default:
	}
	select {
	case <-s.held:
	case <-time.After(s.slow):
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := bufio.NewScanner(strings.NewReader(string(body)))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var record map[string]any
		if json.Unmarshal(lines.Bytes(), &record) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		number, _ := at(record, "fortinet", "ems", "seq").(string)
		s.seen[number]++
	}
	w.WriteHeader(http.StatusCreated)
}

func (s *sink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.seen)
}

// Records that are read but not delivered at SIGTERM stay in storage until the next start.
func TestRealSIGTERMWithDataInFlight(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		const n = 3000
		dir, s := t.TempDir(), newSink(t)
		var lines strings.Builder
		for i := range n {
			lines.WriteString(numbered("file", i))
		}
		host, port, err := net.SplitHostPort(strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		config := fmt.Sprintf(`service: {flush: 0.2, grace: 1, log_level: info, storage.path: %q, storage.sync: full}
pipeline:
  inputs: [{name: tail, tag: file, path: %q, db: %q, key: message, read_from_head: on, storage.type: filesystem}]
  filters: [{name: fortiems, match: '*'}]
  outputs: [{name: http, match: '*', host: %s, port: %s, format: json_lines, retry_limit: no_limits}]
`, filepath.Join(dir, "storage"), file(t, lines.String()), filepath.Join(dir, "db"), host, port)

		first := fb.start(t, config)
		first.until(t, "a request", func() bool { return len(s.came) == 1 })
		first.stop(t)
		if s.count() != 0 {
			t.Fatalf("%d records were delivered to a sink that takes none", s.count())
		}
		first.wantLog(t, "] filtered ")
		close(s.held)
		second := fb.start(t, config)
		second.until(t, "every line", func() bool { return s.count() >= n })
		second.stop(t)
		for i := range n {
			if s.seen[fmt.Sprint(i)] == 0 {
				t.Errorf("line %d is lost", i)
			}
		}
	})
}

func TestRealTwoFiltersWithDifferentOptions(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		in := file(t, line(t)+"\n"+unmatched+"\n")
		config := service + "pipeline:\n  inputs: [" + tail("a", in) + ", " + tail("b", in) + "]\n  filters:\n" +
			"    - {name: fortiems, match: a, schema: flat, unmatched: drop}\n" +
			"    - {name: fortiems, match: b, preserve_original: on, unmatched: mark}\n" + stdout
		config = strings.ReplaceAll(config, "exit_on_eof: on, ", "") // otherwise the first input to end stops Fluent Bit
		p := fb.start(t, config)
		p.until(t, "three records", func() bool { return len(p.records(t)) >= 3 })
		p.stop(t)
		got := map[string]int{}
		for _, r := range p.records(t) {
			switch {
			case r["fortinet_ems_category"] == "ems-client" && r["event_original"] == nil:
				got["flat"]++
			case at(r, "fortinet", "ems", "category") == "ems-client" && at(r, "event", "original") == line(t):
				got["nested"]++
			case at(r, "event", "kind") == "pipeline_error" && r["message"] == unmatched:
				got["marked"]++
			default:
				t.Errorf("record %s", asJSON(r))
			}
		}
		if !maps.Equal(got, map[string]int{"flat": 1, "nested": 1, "marked": 1}) {
			t.Errorf("got %v", got)
		}
		p.wantLog(t, "[filter:fortiems:fortiems.0] filtered 2 records: 1 FortiEMS, 1 unmatched, 1 dropped",
			"[filter:fortiems:fortiems.1] filtered 2 records: 1 FortiEMS, 1 unmatched, 1 marked")
	})
}

// The second filter of a chain finds no raw line and does not change the records.
func TestRealFilterTwiceIsFilterOnce(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		in := file(t, line(t)+"\n")
		once := fb.start(t, pipeline(in, "{name: fortiems, match: '*'}")).wait(t).wantCode(t, 0)
		twice := fb.start(t, pipeline(in, "{name: fortiems, match: '*', key_name: 'log,message'}", "{name: fortiems, match: '*', key_name: log}")).wait(t).wantCode(t, 0)
		sameRecords(t, twice.records(t), once.records(t))
	})
}

func TestRealProcessorsOnThreadedInputs(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		const n = 2000
		config := service + "pipeline:\n  inputs:\n"
		for _, tag := range []string{"a", "b"} {
			var lines strings.Builder
			for i := range n {
				lines.WriteString(numbered(tag, i))
			}
			config += fmt.Sprintf("    - {name: tail, tag: %s, path: %q, key: message, read_from_head: on, threaded: on, processors: {logs: [{name: fortiems}]}}\n", tag, file(t, lines.String()))
		}
		p := fb.start(t, config+stdout)
		p.until(t, "every record", func() bool { return strings.Count(p.out.String(), "}\n") >= 2*n })
		p.stop(t)
		got := bySender(t, p)
		for _, tag := range []string{"a", "b"} {
			if wantNumbers(t, tag, got[tag], n); len(got[tag]) != n {
				t.Errorf("%s: %d records of %d", tag, len(got[tag]), n)
			}
		}
		if ends := strings.Count(p.log.String(), fmt.Sprintf("] filtered %d records: %d FortiEMS", n, n)); ends != 2 {
			t.Errorf("%d of 2 processors counted %d records\n%s", ends, n, p.log.String())
		}
	})
}

func TestRealLogLevel(t *testing.T) {
	eachFluentBit(t, func(t *testing.T, fb fluentBit) {
		in := file(t, line(t)+"\n")
		for name, c := range map[string]struct {
			service, filter string
			lines           bool
		}{
			"info for all":                {"info", "", true},
			"error for all":               {"error", "", false},
			"info, but error here":        {"info", ", log_level: error", false},
			"info, but off here":          {"info", ", log_level: off", false},
			"error, but info here":        {"error", ", log_level: info", true},
			"debug shows what info shows": {"debug", "", true},
		} {
			t.Run(name, func(t *testing.T) {
				config := strings.Replace(pipeline(in, "{name: fortiems, match: '*'"+c.filter+"}"), "log_level: info}", "log_level: "+c.service+"}", 1)
				p := fb.start(t, config).wait(t).wantCode(t, 0)
				if len(p.records(t)) != 1 || len(p.filterLines()) > 0 != c.lines {
					t.Errorf("%d records, log lines %q", len(p.records(t)), p.filterLines())
				}
			})
		}
	})
}
