package abi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/fakees"

	"fluent-bit-fortiems/test/rig"
)

// abis are the layouts the stand-in host can imitate: before cb_notification, the
// last one with the short option stride, and the newest.
var abis = []string{"2.2", "5.0.2", "5.1.1"}

// withHost runs the stand-in host with the filter to its end.
func withHost(t *testing.T, input string, args ...string) *process {
	t.Helper()
	rig.Build(t)
	return start(t, input, host, append([]string{"--filter", object}, args...)...).wait(t)
}

// eachABI runs a test for every layout.
func eachABI(t *testing.T, test func(t *testing.T, abi string)) {
	for _, abi := range abis {
		t.Run(abi, func(t *testing.T) { test(t, abi) })
	}
}

func TestHostListsOptions(t *testing.T) {
	eachABI(t, func(t *testing.T, abi string) {
		p := withHost(t, "", "--abi", abi, "--filter-help").wantCode(t, 0)
		// The host wraps texts.
		help := strings.Join(strings.Fields(p.out.String()), " ")
		for _, o := range option.Filter() {
			if !strings.Contains(help, o.Key+" "+o.Text) || o.Default != "" && !strings.Contains(help, "default: "+o.Default) {
				t.Errorf("%s or its default is missing in:\n%s", o.Key, p.out.String())
			}
		}
	})
}

// badValues has an invalid value for each option that can have one, and the error text.
var badValues = map[string][2]string{
	"key_name":          {"log,,message", `key_name: "log,,message" is not valid (an entry is empty); valid: record keys`},
	"schema":            {"nested", `schema: "nested" is not valid; valid: ecs, flat`},
	"timezone":          {"Mars/Base", `timezone: "Mars/Base" is not valid; valid: an IANA name`},
	"event_time":        {"maybe", `event_time: "maybe" is not valid; valid: on, off, true, false`},
	"preserve_original": {"x", `preserve_original: "x" is not valid; valid: on, off, true, false`},
	"rules_file":        {"/nonexistent/rules.yaml", "rules_file: reading rules: stat /nonexistent/rules.yaml: no such file"},
	"unmatched":         {"keep", `unmatched: "keep" is not valid; valid: pass, mark, drop`},
	"metrics_listen":    {"2112", `metrics_listen: "2112" is not valid; valid: host:port with a port from 1 to 65535`},
}

func TestHostRefusesBadOptions(t *testing.T) {
	eachABI(t, func(t *testing.T, abi string) {
		for _, o := range option.Filter() {
			bad, ok := badValues[o.Key]
			if !ok {
				t.Errorf("%s has no bad value here", o.Key)
				continue
			}
			t.Run(o.Key, func(t *testing.T) {
				withHost(t, "", "--abi", abi, "--input", "-", "--filter-prop", o.Key+"="+bad[0]).
					wantCode(t, 1).wantLog(t, "[error] [filter:fortiems:fortiems.0] "+bad[1])
			})
		}
		t.Run("unknown", func(t *testing.T) {
			p := withHost(t, "", "--abi", abi, "--input", "-", "--filter-prop", "key_nam=log").
				wantCode(t, 1).wantLog(t, "unknown configuration property 'key_nam'")
			for _, o := range option.Filter() {
				p.wantLog(t, o.Key)
			}
		})
		t.Run("two at once", func(t *testing.T) {
			withHost(t, "", "--abi", abi, "--input", "-", "--filter-prop", "schema=x", "--filter-prop", "unmatched=y").
				wantCode(t, 1).wantLog(t, `schema: "x"`, `unmatched: "y"`)
		})
		t.Run("bad rule", func(t *testing.T) {
			rules := file(t, "version: 1\nrules:\n  - nonsense: true\n  - rubbish: true\n")
			withHost(t, "", "--abi", abi, "--input", "-", "--filter-prop", "rules_file="+rules).
				wantCode(t, 1).wantLog(t, "[filter:fortiems:fortiems.0] rules_file: "+rules+":3: ", "[filter:fortiems:fortiems.0] rules_file: "+rules+":4: ")
		})
	})
}

func TestHostRefusesDaemonMode(t *testing.T) {
	eachABI(t, func(t *testing.T, abi string) {
		withHost(t, "", "--abi", abi, "--daemon", "--input", "-").
			wantCode(t, 1).wantLog(t, "[error] [filter:fortiems:fortiems.0] cannot run in daemon mode")
	})
}

func TestHostFilters(t *testing.T) {
	eachABI(t, func(t *testing.T, abi string) {
		p := withHost(t, line(t)+"\n"+unmatched+"\n", "--abi", abi, "--guard", "--input", "-").wantCode(t, 0).
			wantLog(t, "[ info] [filter:fortiems:fortiems.0] version ", "key_name=log,message schema=ecs timezone=UTC",
				"[ info] [filter:fortiems:fortiems.0] filtered 2 records: 1 FortiEMS, 1 unmatched; ems-client 1")
		records := p.records(t)
		if len(records) != 2 || at(records[0], "fortinet", "ems", "category") != "ems-client" || at(records[0], "event", "action") != "endpoint-offline" || records[1]["log"] != unmatched {
			t.Errorf("got %v", records)
		}
	})
}

func TestHostFiltersOnManyThreads(t *testing.T) {
	eachABI(t, func(t *testing.T, abi string) {
		input := file(t, line(t)+"\n"+unmatched+"\n")
		args := []string{"--abi", abi, "--input", input, "--time", "1000000000.5", "--repeat", "200", "--chunk", "1"}
		one := withHost(t, "", args...).wantCode(t, 0)
		many := withHost(t, "", append(args, "--threads", "4", "--instances", "2")...).wantCode(t, 0)
		if got, want := many.sortedLines(), one.sortedLines(); len(want) != 400 || !slices.Equal(got, want) {
			t.Errorf("%d lines on 4 threads differ from %d lines on one", len(got), len(want))
		}
	})
}

func TestHostReloads(t *testing.T) {
	eachABI(t, func(t *testing.T, abi string) {
		p := withHost(t, "", "--abi", abi, "--input", file(t, line(t)+"\n"), "--repeat", "25", "--chunk", "1", "--reload", "20", "--threads", "2").wantCode(t, 0)
		if n := len(p.records(t)); n != 25 {
			t.Errorf("%d records of 25", n)
		}
		starts, ends := strings.Count(p.log.String(), "] version "), strings.Count(p.log.String(), "] filtered ")
		if starts != ends || starts < 21 {
			t.Errorf("%d starts, %d ends", starts, ends)
		}
	})
}

// chunkOf returns the chunk that the host makes from lines, before filtering.
func chunkOf(t *testing.T, lines string) []byte {
	t.Helper()
	dump := filepath.Join(t.TempDir(), "chunk")
	rig.Build(t)
	start(t, lines, host, "--input", "-", "--time", "1000000000.5", "--dump-chunk", dump).wait(t).wantCode(t, 0)
	chunk, err := os.ReadFile(dump)
	if err != nil || len(chunk) == 0 {
		t.Fatalf("%d bytes, %v", len(chunk), err)
	}
	return chunk
}

func TestCorruptChunkPassesByteForByte(t *testing.T) {
	good := chunkOf(t, line(t)+"\n")
	for name, chunk := range map[string][]byte{
		"never used type byte":  {0xc1, 1, 2},
		"cut event":             good[:len(good)-3],
		"cut after a good one":  slices.Concat(good, good[:len(good)/2]),
		"garbage after":         slices.Concat(good, []byte{0xc1}),
		"length beyond the end": {0x92, 0xdd, 0xff, 0xff, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			eachABI(t, func(t *testing.T, abi string) {
				in, out := file(t, string(chunk)), filepath.Join(t.TempDir(), "out")
				p := withHost(t, "", "--abi", abi, "--guard", "--raw-chunk", in, "--repeat", "3", "--dump-chunk", out).wantCode(t, 0)
				got, err := os.ReadFile(out)
				if err != nil || !bytes.Equal(got, bytes.Repeat(chunk, 3)) {
					t.Errorf("out: % x, %v\nin:  % x", got, err, chunk)
				}
				if n := strings.Count(p.log.String(), "[error] [filter:fortiems:fortiems.0]"); n != 1 {
					t.Errorf("%d error lines:\n%s", n, p.log.String())
				}
				p.wantLog(t, "passed untouched", "3 corrupt chunks")
			})
		})
	}
}

func TestHostUnmatchedLines(t *testing.T) {
	chunk := chunkOf(t, unmatched+"\n")
	for want, emptied := range map[string]string{"pass": "emptied=0", "mark": "emptied=0", "drop": "emptied=1"} {
		t.Run(want, func(t *testing.T) {
			eachABI(t, func(t *testing.T, abi string) {
				out := filepath.Join(t.TempDir(), "out")
				p := withHost(t, unmatched+"\n", "--abi", abi, "--input", "-", "--time", "1000000000.5", "--stats",
					"--dump-chunk", out, "--filter-prop", "unmatched="+want).wantCode(t, 0).wantLog(t, emptied)
				got, err := os.ReadFile(out)
				if err != nil {
					t.Fatal(err)
				}
				switch records := p.records(t); want {
				case "pass":
					if !bytes.Equal(got, chunk) {
						t.Errorf("got % x\nwant % x", got, chunk)
					}
				case "mark":
					if len(records) != 1 || records[0]["message"] != unmatched || at(records[0], "event", "kind") != "pipeline_error" {
						t.Errorf("got %v", records)
					}
				case "drop":
					if len(got) != 0 || len(records) != 0 {
						t.Errorf("got % x, %v", got, records)
					}
				}
			})
		})
	}
}

// unmatched=drop must drop only unmatched lines.
func TestDropKeepsTheRest(t *testing.T) {
	p := withHost(t, unmatched+"\n"+line(t)+"\n", "--input", "-", "--filter-prop", "unmatched=drop").wantCode(t, 0)
	if records := p.records(t); len(records) != 1 || at(records[0], "event", "module") != "fortinet" {
		t.Errorf("got %v", records)
	}
	p = withHost(t, "a\n", "--input", "-", "--key", "other", "--filter-prop", "unmatched=drop").wantCode(t, 0)
	if records := p.records(t); len(records) != 1 || records[0]["other"] != "a" {
		t.Errorf("a record without a raw line: got %v", records)
	}
}

// Event times after the receipt usually mean a wrong time zone; one warning is logged.
func TestHostWarnsOfTimesAhead(t *testing.T) {
	p := withHost(t, strings.Repeat(line(t)+"\n", 5), "--input", "-", "--chunk", "1", "--time", "1000000000").wantCode(t, 0)
	if n := strings.Count(p.log.String(), "more than 10 minutes ahead"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, p.log.String())
	}
	p.wantLog(t, "5 ahead of time")
}

// es returns a fake server that reports protocol errors as test failures.
func es(t *testing.T) *fakees.Server {
	t.Helper()
	server := fakees.New()
	t.Cleanup(func() {
		server.Close()
		for _, f := range server.Faults() {
			t.Error("fault:", f)
		}
	})
	return server
}

const dataStream = "logs-fortinet.fortiems-default"

func TestHostRefusesBadOutputOptions(t *testing.T) {
	eachABI(t, func(t *testing.T, abi string) {
		rig.Build(t)
		p := start(t, "a\n", host, "--abi", abi, "--output", outputLink, "--input", "-", "--output-prop", "compress=zip",
			"--output-prop", "hosts=http://u:secret@h", "--output-prop", "api_key=secret").wait(t).wantCode(t, 1).
			wantLog(t, `[error] [output:fortiems_es:fortiems_es.0] compress: "zip" is not valid; valid: gzip, off`, "hosts: ")
		if strings.Contains(p.log.String(), "api_key=secret") {
			t.Error("the log has a secret")
		}
		start(t, "a\n", host, "--abi", abi, "--output", outputLink, "--input", "-", "--output-prop", "ca_file=/nonexistent/ca.pem").wait(t).
			wantCode(t, 1).wantLog(t, "[output:fortiems_es:fortiems_es.0] ca_file: open /nonexistent/ca.pem: no such file")
	})
}

func TestHostShips(t *testing.T) {
	eachABI(t, func(t *testing.T, abi string) {
		server := es(t)
		p := withHost(t, line(t)+"\n"+unmatched+"\n", "--abi", abi, "--output", outputLink, "--input", "-",
			"--output-prop", "bootstrap=off", "--output-prop", "hosts="+server.URL).wantCode(t, 0).
			wantLog(t, "[ info] [output:fortiems_es:fortiems_es.0] version ", "delivered 1 of 1 chunks in 1 requests; documents: 2 stored")
		docs, records := server.Stored(dataStream), p.records(t)
		if len(docs) != 2 || len(records) != 2 {
			t.Fatalf("%d documents, %d records", len(docs), len(records))
		}
		for i, d := range docs {
			var got map[string]any
			if err := json.Unmarshal(d.Source, &got); err != nil || !reflect.DeepEqual(got, records[i]) {
				t.Errorf("stored %s\nprinted %v", d.Source, records[i])
			}
		}
	})
}

// The server fails in every way while several threads deliver chunks; finally every line
// is stored once.
func TestHostShipsThroughTrouble(t *testing.T) {
	server := es(t)
	server.Script(func(r *fakees.Request) *fakees.Reply {
		switch r.Number % 6 {
		case 0:
			return &fakees.Reply{Status: 503}
		case 1:
			return &fakees.Reply{Store: true, Hangup: true}
		case 2:
			return &fakees.Reply{Store: true, Cut: 40}
		case 3:
			return &fakees.Reply{Edit: func(items []fakees.Item) []fakees.Item {
				for i := range items {
					if items[i].Status == 201 && i%2 == 0 {
						items[i].Status = 429
					}
				}
				return items
			}}
		}
		return nil
	})
	var input strings.Builder
	for i := range 400 {
		fmt.Fprintf(&input, "line %d\n", i)
	}
	withHost(t, input.String(), "--output", outputLink, "--input", "-", "--chunk", "20", "--flush-threads", "4", "--quiet",
		"--retry-pause-ms", "1", "--output-prop", "bootstrap=off", "--output-prop", "hosts="+server.URL).wantCode(t, 0).
		wantLog(t, "delivered 20 of ", "handed back for another try: "+server.URL+" answered 503")
	seen := make(map[string]bool)
	for _, d := range server.Stored(dataStream) {
		var got struct {
			Log string `json:"log"`
		}
		if err := json.Unmarshal(d.Source, &got); err != nil {
			t.Fatal(err)
		}
		seen[got.Log] = true
	}
	if n := len(server.Stored(dataStream)); n != 400 || len(seen) != 400 {
		t.Errorf("%d documents, %d different lines", n, len(seen))
	}
}

// In a host without Fluent Bit's functions, or with invalid arguments, the object returns
// an error and does not crash.
func TestBareHost(t *testing.T) {
	rig.Build(t)
	program := filepath.Join(t.TempDir(), "bare")
	if text, err := command(rig.Compiler(), "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o", program, "testdata/bare_host.c", "-ldl"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	p := start(t, "", program, object).wait(t).wantCode(t, 0).
		wantLog(t, "[filter:fortiems:-] cannot run in this host, it does not export flb_filter_get_property")
	if want := "init -1\ninit NULL -1\nfilter 2 2 2 2 2 2\nexit 0 0\nproxy init 0 0\nflush 2 2 2\nproxy exit 1 1\nregister -1\n"; p.out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", p.out.String(), want)
	}
}
