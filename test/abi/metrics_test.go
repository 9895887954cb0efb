package abi_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/test/fakees"

	"fluent-bit-fortiems/test/rig"
)

// freeAddress returns an unused address of this machine.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// scrape returns the metrics at addr by series as printed; nil if there is no server.
func scrape(t *testing.T, addr string) map[string]float64 {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + addr + "/metrics")
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, %v\n%s", resp.StatusCode, err, text)
		return nil
	}
	series := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		at := strings.LastIndexByte(line, ' ')
		if strings.HasPrefix(line, "#") || at < 0 {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		series[line[:at]] = value
	}
	return series
}

// listening returns the syslog address that the host logs.
func (p *process) listening(t *testing.T) string {
	t.Helper()
	var addr string
	p.until(t, "the host to listen", func() bool {
		_, rest, ok := strings.Cut(p.log.String(), "listening tcp ")
		var whole bool
		addr, _, whole = strings.Cut(rest, "\n")
		return ok && whole
	})
	return addr
}

// send sends lines over one connection.
func send(t *testing.T, addr string, lines ...string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, strings.Join(lines, "\n")+"\n"); err != nil {
		t.Fatal(err)
	}
}

// untilScraped polls the metrics for values.
func (p *process) untilScraped(t *testing.T, addr string, wanted map[string]float64) map[string]float64 {
	t.Helper()
	var got map[string]float64
	p.until(t, fmt.Sprint(wanted), func() bool {
		got = scrape(t, addr)
		for name, value := range wanted {
			if n, ok := got[name]; !ok || n != value {
				return false
			}
		}
		return got != nil
	})
	return got
}

func TestMetricsAreServedWhileRecordsPass(t *testing.T) {
	rig.Build(t)
	eachABI(t, func(t *testing.T, abi string) {
		addr := freeAddress(t)
		p := start(t, "", host, "--abi", abi, "--filter", object, "--syslog-tcp", "127.0.0.1:0",
			"--filter-prop", "metrics_listen="+addr, "--filter-prop", "alias=ems", "--filter-prop", "unmatched=mark")
		p.untilScraped(t, addr, map[string]float64{
			`fortiems_filter_records_total{name="ems"}`:                                  0,
			`fortiems_filter_categorized_records_total{category="unknown",name="ems"}`:   0,
			`fortiems_filter_failed_chunks_total{name="ems",reason="internal_error"}`:    0,
			`fortiems_filter_categorized_records_total{category="ems-vpn",name="ems"}`:   0,
			`fortiems_filter_passed_records_total{name="ems"}`:                           0,
			`fortiems_filter_categorized_records_total{category="fct-event",name="ems"}`: 0,
		})
		send(t, p.listening(t), line(t), unmatched, line(t), "emsserial=FCTEMS0000000001 msg=\"quux of the frob\"")
		got := p.untilScraped(t, addr, map[string]float64{
			`fortiems_filter_records_total{name="ems"}`:                                   4,
			`fortiems_filter_matched_records_total{name="ems"}`:                           3,
			`fortiems_filter_unmatched_records_total{name="ems"}`:                         1,
			`fortiems_filter_marked_records_total{name="ems"}`:                            1,
			`fortiems_filter_dropped_records_total{name="ems"}`:                           0,
			`fortiems_filter_categorized_records_total{category="ems-client",name="ems"}`: 2,
			`fortiems_filter_categorized_records_total{category="unknown",name="ems"}`:    1,
		})
		for _, name := range []string{"process_resident_memory_bytes", "go_goroutines"} {
			if got[name] == 0 {
				t.Errorf("no %s", name)
			}
		}
		p.stop(t)
		p.wantLog(t, "[filter:fortiems:ems] metrics at http://"+addr+"/metrics")
		if scrape(t, addr) != nil {
			t.Error("somebody still listens")
		}
	})
}

func TestFiltersShareAnAddress(t *testing.T) {
	rig.Build(t)
	addr := freeAddress(t)
	_, port, _ := net.SplitHostPort(addr)
	p := start(t, "", host, "--filter", object, "--syslog-tcp", "127.0.0.1:0", "--chunk", "1", "--instances", "2", "--filter-prop", "metrics_listen=:"+port)
	send(t, p.listening(t), line(t), line(t), line(t), line(t))
	p.untilScraped(t, addr, map[string]float64{
		`fortiems_filter_matched_records_total{name="fortiems.0"}`: 2,
		`fortiems_filter_matched_records_total{name="fortiems.1"}`: 2,
	})
	p.stop(t)
}

// A reload ends all instances and starts new ones, which need the same port.
func TestMetricsSurviveReloads(t *testing.T) {
	rig.Build(t)
	const reloads, more = 20, 5
	addr := freeAddress(t)
	p := start(t, "", host, "--filter", object, "--syslog-tcp", "127.0.0.1:0", "--chunk", "1", "--threads", "2", "--instances", "2",
		"--filter-prop", "metrics_listen="+addr, "--filter-prop", "alias=ems", "--reload", strconv.Itoa(reloads))
	to := p.listening(t)
	before := p.untilScraped(t, addr, map[string]float64{`fortiems_filter_records_total{name="ems"}`: 0})
	for i := range reloads + more {
		send(t, to, line(t))
		p.until(t, fmt.Sprintf("record %d", i+1), func() bool { return len(p.records(t)) > i })
	}
	// Four instances of one name share one series, which restarts at zero.
	after := p.untilScraped(t, addr, map[string]float64{`fortiems_filter_matched_records_total{name="ems"}`: more})
	for _, name := range []string{"go_goroutines", "process_open_fds"} {
		if after[name] > before[name]+3 {
			t.Errorf("%s: %v at the start, %v after %d reloads", name, before[name], after[name], reloads)
		}
	}
	p.stop(t)
	if n := strings.Count(p.log.String(), "] metrics at "); n != 4*(reloads+1) {
		t.Errorf("%d starts with metrics, want %d\n%s", n, 4*(reloads+1), p.log.String())
	}
}

func TestPortInUseStopsTheStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	withHost(t, "", "--input", "-", "--filter-prop", "metrics_listen="+addr).wantCode(t, 1).
		wantLog(t, fmt.Sprintf("[error] [filter:fortiems:fortiems.0] metrics_listen: cannot listen on %q: bind: address already in use", addr))
}

// A client that never finishes its request must not delay the end of the host.
func TestSlowScrapeDoesNotHoldTheEnd(t *testing.T) {
	rig.Build(t)
	addr := freeAddress(t)
	p := start(t, "", host, "--filter", object, "--syslog-tcp", "127.0.0.1:0", "--filter-prop", "metrics_listen="+addr)
	p.untilScraped(t, addr, nil)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /metrics HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	p.stop(t)
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("ending took %v", took)
	}
}

// Filter and output of one process share a metrics server; the output's counters equal
// what the Elasticsearch server received.
func TestFilterAndOutputShareAnAddress(t *testing.T) {
	rig.Build(t)
	server, addr := es(t), freeAddress(t)
	server.Script(func(r *fakees.Request) *fakees.Reply {
		if r.Number == 0 {
			return &fakees.Reply{Edit: func(items []fakees.Item) []fakees.Item {
				items[0].Status = 429
				return items
			}}
		}
		return nil
	})
	p := start(t, "", host, "--filter", object, "--output", outputLink, "--syslog-tcp", "127.0.0.1:0",
		"--filter-prop", "metrics_listen="+addr, "--output-prop", "metrics_listen="+addr,
		"--output-prop", "bootstrap=off", "--output-prop", "hosts="+server.URL)
	p.untilScraped(t, addr, map[string]float64{
		`fortiems_output_documents_total{name="fortiems_es.0",result="stored"}`:        0,
		`fortiems_output_documents_total{name="fortiems_es.0",result="dead_lettered"}`: 0,
	})
	send(t, p.listening(t), line(t))
	got := p.untilScraped(t, addr, map[string]float64{
		`fortiems_filter_matched_records_total{name="fortiems.0"}`:                     1,
		`fortiems_output_documents_total{name="fortiems_es.0",result="stored"}`:        1,
		`fortiems_output_documents_total{name="fortiems_es.0",result="duplicate"}`:     0,
		`fortiems_output_documents_total{name="fortiems_es.0",result="dead_lettered"}`: 0,
		`fortiems_output_retried_documents_total{name="fortiems_es.0"}`:                1,
		`fortiems_output_bulk_requests_total{name="fortiems_es.0",status="2xx"}`:       2,
		`fortiems_output_bulk_duration_seconds_count{name="fortiems_es.0"}`:            2,
		`fortiems_output_flushes_total{name="fortiems_es.0",result="ok"}`:              1,
		`fortiems_output_flushes_total{name="fortiems_es.0",result="retry"}`:           0,
		`fortiems_output_flushes_in_flight{name="fortiems_es.0"}`:                      0,
		`fortiems_output_bulk_requests_in_flight{name="fortiems_es.0"}`:                0,
	})
	plain, sent := got[`fortiems_output_uncompressed_bytes_total{name="fortiems_es.0"}`], got[`fortiems_output_sent_bytes_total{name="fortiems_es.0"}`]
	if sent == 0 || sent >= plain {
		t.Errorf("%v bytes, %v of them sent", plain, sent)
	}
	p.stop(t)
	p.wantLog(t, "[output:fortiems_es:fortiems_es.0] metrics at http://"+addr+"/metrics")
}
