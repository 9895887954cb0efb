package metrics

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/hostlog"
)

// patience bounds every wait.
const patience = 30 * time.Second

func listen(t *testing.T, addr string) *Server {
	t.Helper()
	s, err := Listen(addr, "1.2.3", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// port returns the address that s really listens on.
func (s *Server) port() string { return s.shared.listener.Addr().String() }

// scrape returns what the server shows, by series as it is written.
func scrape(t *testing.T, s *Server) map[string]string {
	t.Helper()
	code, text := get(t, s.URL())
	if code != http.StatusOK {
		t.Fatalf("status %d\n%s", code, text)
	}
	series := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "} "); ok && !strings.HasPrefix(line, "#") {
			series[name+"}"] = value
		}
	}
	return series
}

// get uses a connection of its own, so that nothing is left behind.
func get(t *testing.T, url string) (code int, body string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func want(t *testing.T, series map[string]string, wanted map[string]string) {
	t.Helper()
	for name, value := range wanted {
		if series[name] != value {
			t.Errorf("%s: got %q, want %q", name, series[name], value)
		}
	}
}

func counts(n uint64) *count.Counts {
	c := &count.Counts{
		count.Records: 10 * n, count.Matched: 6 * n, count.Unmatched: 3 * n, count.Marked: 2 * n, count.Dropped: n,
		count.Passed: n, count.Already: 4 * n, count.Ahead: n, count.Corrupt: n, count.Memory: 2 * n, count.Panics: 3 * n,
	}
	c[count.Category(dict.VPN)] = 5 * n
	c[count.Category(dict.Unknown)] = n
	return c
}

func TestFilterIsScraped(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	s.Filter("fortiems.0").Add(counts(1))
	got := scrape(t, s)
	want(t, got, map[string]string{
		`fortiems_filter_records_total{name="fortiems.0"}`:                                     "10",
		`fortiems_filter_matched_records_total{name="fortiems.0"}`:                             "6",
		`fortiems_filter_unmatched_records_total{name="fortiems.0"}`:                           "3",
		`fortiems_filter_marked_records_total{name="fortiems.0"}`:                              "2",
		`fortiems_filter_dropped_records_total{name="fortiems.0"}`:                             "1",
		`fortiems_filter_passed_records_total{name="fortiems.0"}`:                              "1",
		`fortiems_filter_already_records_total{name="fortiems.0"}`:                             "4",
		`fortiems_filter_ahead_records_total{name="fortiems.0"}`:                               "1",
		`fortiems_filter_categorized_records_total{category="ems-vpn",name="fortiems.0"}`:      "5",
		`fortiems_filter_categorized_records_total{category="unknown",name="fortiems.0"}`:      "1",
		`fortiems_filter_categorized_records_total{category="ems-client",name="fortiems.0"}`:   "0",
		`fortiems_filter_failed_chunks_total{name="fortiems.0",reason="corrupt"}`:              "1",
		`fortiems_filter_failed_chunks_total{name="fortiems.0",reason="memory"}`:               "2",
		`fortiems_filter_failed_chunks_total{name="fortiems.0",reason="internal_error"}`:       "3",
		`fortiems_build_info{goversion="` + runtime.Version() + `",version="1.2.3"}`:           "1",
		`go_info{version="` + runtime.Version() + `"}`:                                         "1",
		`fortiems_output_documents_total{name="fortiems_es.0",result="stored"}`:                "", // no output, no series
		`fortiems_filter_categorized_records_total{category="fgt-endpoint",name="fortiems.0"}`: "0",
	})
	_, text := get(t, s.URL())
	if !strings.Contains(text, "process_cpu_seconds_total") {
		t.Error("nothing about the process")
	}
}

func TestOutputIsScraped(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	o := s.Output("es")
	zero := scrape(t, s)
	for name, value := range zero {
		if strings.HasPrefix(name, "fortiems_output_") && value != "0" {
			t.Errorf("%s is %s before anything happened", name, value)
		}
	}
	for _, name := range []string{`fortiems_output_bulk_requests_total{name="es",status="5xx"}`, `fortiems_output_documents_total{name="es",result="dead_lettered"}`} {
		if zero[name] != "0" {
			t.Errorf("%s is not there at 0", name)
		}
	}
	o.FlushBegin()
	o.FlushBegin()
	for _, status := range []int{200, 0, 302, 429, 503, 100, 700, -5} {
		o.RequestBegin()
		o.RequestEnd(status, 200*time.Millisecond, 1000, 100)
	}
	o.RequestBegin()
	o.Documents(Stored, 90)
	o.Documents(Duplicate, 5)
	o.Documents(DeadLettered, 3)
	o.Documents(Dropped, 2)
	o.Documents(Stored, -1)
	o.Documents(Result(99), 1)
	o.Retried(7)
	o.Retried(-7)
	o.ForeignIDs(4)
	o.ForeignIDs(-4)
	o.FlushEnd(true)
	o.FlushBegin()
	o.FlushEnd(false)
	want(t, scrape(t, s), map[string]string{
		`fortiems_output_documents_total{name="es",result="stored"}`:        "90",
		`fortiems_output_documents_total{name="es",result="duplicate"}`:     "5",
		`fortiems_output_documents_total{name="es",result="dead_lettered"}`: "3",
		`fortiems_output_documents_total{name="es",result="dropped"}`:       "2",
		`fortiems_output_retried_documents_total{name="es"}`:                "7",
		`fortiems_output_foreign_id_documents_total{name="es"}`:             "4",
		`fortiems_output_bulk_requests_total{name="es",status="2xx"}`:       "1",
		`fortiems_output_bulk_requests_total{name="es",status="3xx"}`:       "1",
		`fortiems_output_bulk_requests_total{name="es",status="4xx"}`:       "1",
		`fortiems_output_bulk_requests_total{name="es",status="5xx"}`:       "1",
		`fortiems_output_bulk_requests_total{name="es",status="none"}`:      "4",
		`fortiems_output_bulk_duration_seconds_count{name="es"}`:            "8",
		`fortiems_output_bulk_duration_seconds_bucket{name="es",le="0.1"}`:  "0",
		`fortiems_output_bulk_duration_seconds_bucket{name="es",le="0.25"}`: "8",
		`fortiems_output_uncompressed_bytes_total{name="es"}`:               "8000",
		`fortiems_output_sent_bytes_total{name="es"}`:                       "800",
		`fortiems_output_flushes_total{name="es",result="ok"}`:              "1",
		`fortiems_output_flushes_total{name="es",result="retry"}`:           "1",
		`fortiems_output_flushes_in_flight{name="es"}`:                      "1",
		`fortiems_output_bulk_requests_in_flight{name="es"}`:                "1",
	})
}

func TestNilOutputCountsNothing(t *testing.T) {
	var o *Output
	o.Documents(Stored, 1)
	o.Retried(1)
	o.ForeignIDs(1)
	o.RequestBegin()
	o.RequestEnd(200, time.Second, 1, 1)
	o.FlushBegin()
	o.FlushEnd(true)
	var f *Filter
	f.Add(counts(1))
	var s *Server
	s.Close()
}

// A second instance of a name adds to it, and what it counted stays when it
// goes: a counter that went back would count twice in Prometheus.
func TestInstancesOfOneNameAreSummed(t *testing.T) {
	hold := listen(t, "127.0.0.1:0")
	old, young := listen(t, hold.port()), listen(t, hold.port())
	f := old.Filter("f")
	f.Add(counts(1))
	young.Filter("f").Add(counts(100))
	young.Filter("other").Add(counts(7))
	old.Output("es").Documents(Stored, 1)
	young.Output("es").Documents(Stored, 10)
	check := func(f, other string) {
		t.Helper()
		want(t, scrape(t, hold), map[string]string{
			`fortiems_filter_records_total{name="f"}`:                       f,
			`fortiems_filter_records_total{name="other"}`:                   other,
			`fortiems_output_documents_total{name="es",result="stored"}`:    "11",
			`fortiems_output_documents_total{name="es",result="duplicate"}`: "0",
		})
	}
	check("1010", "70")
	f.Add(counts(4))
	old.Close()
	old.Close()
	check("1050", "70")
	young.Close()
	check("1050", "70")
}

func TestOneServerPerAddress(t *testing.T) {
	first := listen(t, "127.0.0.1:0")
	addr := first.port()
	_, port, _ := net.SplitHostPort(addr)
	holds := []*Server{first, listen(t, addr), listen(t, ":"+port), listen(t, "[::ffff:127.0.0.1]:"+port)}
	if holds[0].shared != holds[1].shared || holds[1].shared != holds[2].shared || holds[2].shared != holds[3].shared {
		t.Fatal("the same address has two servers")
	}
	for _, s := range holds {
		get(t, "http://"+addr+"/metrics") // is still there
		s.Close()
	}
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the port is still open after the last Close")
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal("the port is not free after the last Close: ", err)
	}
	l.Close()
}

func TestResolve(t *testing.T) {
	for addr, want := range map[string]string{
		"127.0.0.1:2112":        "127.0.0.1:2112",
		":2112":                 "127.0.0.1:2112", // not all interfaces
		"0.0.0.0:2112":          ":2112",
		"[::]:2112":             ":2112",
		"[::1]:2112":            "[::1]:2112",
		"[::ffff:10.0.0.1]:443": "10.0.0.1:443",
		"localhost:2112":        "127.0.0.1:2112",
	} {
		if got, err := resolve(addr); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", addr, got, err, want)
		}
	}
	for _, addr := range []string{"", "2112", "::1:2112", "no host of this name:2112"} {
		if got, err := resolve(addr); err == nil {
			t.Errorf("%s: got %q", addr, got)
		}
	}
}

func TestAllInterfacesOnlyWhenAsked(t *testing.T) {
	s := listen(t, "0.0.0.0:0")
	if a := s.shared.listener.Addr().(*net.TCPAddr); !a.IP.IsUnspecified() {
		t.Errorf("0.0.0.0 listens on %v", a)
	}
	s = listen(t, ":0")
	if a := s.shared.listener.Addr().(*net.TCPAddr); !a.IP.IsLoopback() {
		t.Errorf("no host listens on %v", a)
	}
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	wanted := fmt.Sprintf(`metrics_listen: cannot listen on %q: `, addr)
	if _, err := Listen(addr, "", nil); err == nil || !strings.HasPrefix(err.Error(), wanted) || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v, want %s", err, wanted)
	}
	if _, err := Listen("2112", "", nil); err == nil || !strings.HasPrefix(err.Error(), `metrics_listen: "2112" cannot be used`) {
		t.Errorf("got %v", err)
	}
	l.Close()
	listen(t, addr).Close() // the failure left nothing behind
}

func TestPages(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	base := "http://" + s.port()
	for path, code := range map[string]int{"/": 200, "/metrics": 200, "/debug/pprof/": 404, "/metrics/x": 404} {
		got, text := get(t, base+path)
		if got != code || path == "/" && !strings.Contains(text, "/metrics") {
			t.Errorf("%s: %d %q", path, got, text)
		}
	}
	resp, err := http.Post(base+"/metrics", "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", resp.StatusCode)
	}
}

// families gathers everything that a server with one filter and one output shows.
func families(t *testing.T) (*prometheus.Registry, []*dto.MetricFamily) {
	t.Helper()
	registry := prometheus.NewRegistry()
	s := &Server{shared: &shared{metrics: newSet(registry, "1.2.3")}}
	s.Filter("f").Add(counts(1))
	s.Output("es")
	all, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return registry, all
}

func TestMetricsFollowTheConventions(t *testing.T) {
	registry, _ := families(t)
	var names []string
	for _, r := range Rows() {
		names = append(names, r.Name)
	}
	problems, err := testutil.GatherAndLint(registry, names...)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestRowsAreWhatIsShown(t *testing.T) {
	_, all := families(t)
	shown := make(map[string]*dto.MetricFamily)
	for _, f := range all {
		if strings.HasPrefix(f.GetName(), "fortiems_") {
			shown[f.GetName()] = f
		}
	}
	for _, r := range Rows() {
		f := shown[r.Name]
		if f == nil {
			t.Errorf("%s is not shown", r.Name)
			continue
		}
		delete(shown, r.Name)
		if strings.ToLower(f.GetType().String()) != r.Type || f.GetHelp() != r.Help {
			t.Errorf("%s: %v, %q", r.Name, f.GetType(), f.GetHelp())
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		wanted := r.Labels()
		if slices.Sort(wanted); !slices.Equal(labels, wanted) {
			t.Errorf("%s: labels %v, want %v", r.Name, labels, wanted)
		}
	}
	for name := range shown {
		t.Errorf("%s has no row", name)
	}
}

func TestNamesThatAreNoText(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	s.Filter("bad \xff \"quote\"\n").Add(counts(1))
	s.Filter("").Add(counts(2))
	s.Output("\xff").Retried(1)
	want(t, scrape(t, s), map[string]string{
		"fortiems_filter_records_total{name=\"bad \uFFFD \\\"quote\\\"\\n\"}": "10",
		`fortiems_filter_records_total{name="-"}`:                             "20",
		"fortiems_output_retried_documents_total{name=\"\uFFFD\"}":            "1",
	})
}

// goroutines waits until no more than most are there.
func goroutines(t *testing.T, most int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > most {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d at the start\n%s", runtime.NumGoroutine(), most, stacks[:runtime.Stack(stacks, true)])
		}
		runtime.Gosched()
	}
}

// Clients that keep their connections, or never finish a request, neither hold
// Close for long nor leave anything behind.
func TestCloseIsBoundedAndLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	s := listen(t, "127.0.0.1:0")
	for _, text := range []string{"", "GET /metr", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf"} {
		c, err := net.Dial("tcp", s.port())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(text, "\r\n\r\n") {
			if _, err := bufio.NewReader(c).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
	}
	start := time.Now()
	s.Close()
	if took := time.Since(start); took > drainTimeout+2*time.Second {
		t.Errorf("Close took %v", took)
	}
	goroutines(t, before)
}

func TestManyReloads(t *testing.T) {
	before := runtime.NumGoroutine()
	first := listen(t, "127.0.0.1:0")
	addr := first.port()
	first.Close()
	for i := range 50 {
		filter, output := listen(t, addr), listen(t, addr)
		filter.Filter("f").Add(counts(1))
		output.Output("es").Retried(1)
		want(t, scrape(t, filter), map[string]string{
			`fortiems_filter_records_total{name="f"}`:            "10",
			`fortiems_output_retried_documents_total{name="es"}`: "1",
		})
		if i%2 == 0 {
			filter, output = output, filter
		}
		filter.Close()
		output.Close()
	}
	goroutines(t, before)
}

// Whatever comes and goes at the same time, a scrape gives whole answers and a
// counter never goes back.
func TestManyAtOnce(t *testing.T) {
	hold := listen(t, "127.0.0.1:0")
	addr := hold.port()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				s, err := Listen(addr, "", nil)
				if err != nil {
					t.Error(err)
					return
				}
				s.Filter("f").Add(counts(1))
				s.Output("es").FlushBegin()
				s.Output("es").FlushEnd(true)
				s.Close()
			}
		})
	}
	last := 0
	for range 20 {
		var n int
		if text := scrape(t, hold)[`fortiems_filter_records_total{name="f"}`]; text != "" {
			if _, err := fmt.Sscan(text, &n); err != nil {
				t.Fatal(err)
			}
		}
		if n < last {
			t.Errorf("%d after %d", n, last)
		}
		last = n
	}
	wg.Wait()
	want(t, scrape(t, hold), map[string]string{
		`fortiems_filter_records_total{name="f"}`:              "800",
		`fortiems_output_flushes_total{name="es",result="ok"}`: "80",
		`fortiems_output_flushes_in_flight{name="es"}`:         "0",
	})
}

func TestErrorsOfTheServerAreThrottledLines(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	log := hostlog.New("filter", "fortiems", "f", hostlog.Warn, time.Hour, func(_ hostlog.Level, line string) {
		mu.Lock()
		defer mu.Unlock()
		lines = append(lines, line)
	})
	to := errorLog(log)
	to.Print("http: something\n")
	to.Print("http: something")
	if len(lines) != 1 || lines[0] != "[filter:fortiems:f] metrics_listen: http: something" {
		t.Errorf("got %q", lines)
	}
	errorLog(nil).Print("nobody listens")
}
