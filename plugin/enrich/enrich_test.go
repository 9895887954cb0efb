package enrich

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
)

// wazuh is the real FortiEMS line of wazuh/wazuh#26094.
const wazuh = `2024-10-01T22:17:30.112143+00:00 Oct  1 22:17:30s dtime="2024-10-01 22:17:30" type=event subtype=admin devid=FCT0000000000000 uid=A10B23C53766789D8B95D4EAC96B1921 hostname="user_test" user="usertest" deviceip=192.168.1.102 devicemac=a1-b2-c3-4d-38-a6 emsserial=FCTEMS9916065432 os="macOS 14.1.1" msg="offline" usingpolicy="Global" emshostname="" vd="default"`

// sekoia is the real FortiClient traffic line of SEKOIA-IO/intake-formats.
const sekoia = `devname="fortiproxyunit" devid="1111111111111111" vd="default" itime=123456 fctsn="FCT1234567890" date="2025-03-27" time="09:38:48" logver=1 id=96900 type="traffic" subtype="system" eventtype="traffic" level="info" uid="A94A8FE5CCB19BA61C4C0873D391E987982FBBD3" hostname="Toowoomba" pcdomain="Domain.int" deviceip=1.2.3.4 devicemac="00-11-22-33-44-55" site="default" fctver="7.2.8.1140" fgtserial="N/A" emsserial="1111111111111111" usingpolicy="Default" os="Microsoft Windows 11 Professional Edition, 64-bit (build 22000)" user="johndoe@DOMAIN" msg="Traffic log" sessionid=10000000 srcname="chrome.exe" srcproduct="Google Chrome" srcport=0 direction="outbound" remotename="example.com" dstport=443 proto=6 rcvdbyte=0 sentbyte=0 utmaction="userbrowsed" utmevent="webfilter" service="https" userinitiated=1 browsetime=7 url="/common/oauth2/v2.0/authorize?client_id=ed98c729-468d-451b-bf07-ad564a64a318" tz="+0100"`

const sshd = `<38>Oct  1 22:17:30 web1 sshd[811]: Accepted publickey for admin from 192.0.2.9 port 50022 ssh2`

const receivedSec, receivedNsec = 1733392800, 123456789 // 2024-12-05T10:00:00.123456789Z

// pair is an incoming pair of a record in raw MessagePack.
type pair struct {
	key   string
	value []byte
}

func str(s string) []byte { return msgp.AppendString(nil, s) }
func bin(s string) []byte { return msgp.AppendBytes(nil, []byte(s)) }

// eventOf builds an event as in_syslog does, its metadata a map 32.
func eventOf(pairs ...pair) []byte {
	b := event.AppendTime([]byte{0x92, 0x92}, receivedSec, receivedNsec)
	b = append(b, 0xdf, 0, 0, 0, 0)
	return append(b, recordOf(pairs...)...)
}

func recordOf(pairs ...pair) []byte {
	b := msgp.AppendMapHeader(nil, uint32(len(pairs)))
	for _, p := range pairs {
		b = append(msgp.AppendString(b, p.key), p.value...)
	}
	return b
}

// run runs the filter over one chunk.
func run(t testing.TB, o Options, chunk []byte) ([]byte, Stats) {
	t.Helper()
	out, st, err := New(o).Run(nil, chunk)
	if err != nil {
		t.Fatal(err)
	}
	if !st.Changed {
		return chunk, st
	}
	return out, st
}

// jsonOf returns the records of a chunk as JSON, one per line.
func jsonOf(t testing.TB, chunk []byte) string {
	t.Helper()
	var out bytes.Buffer
	for len(chunk) > 0 {
		ev, rest, err := event.Next(chunk)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := msgp.UnmarshalAsJSON(&out, ev.Record); err != nil {
			t.Fatal(err)
		}
		out.WriteByte('\n')
		chunk = rest
	}
	return out.String()
}

func TestUnmatchedLines(t *testing.T) {
	chunk := append(eventOf(pair{"message", str(sshd)}, pair{"event", str("x")}, pair{"n", msgp.AppendInt(nil, 7)}), eventOf(pair{"message", str("")})...)
	t.Run("pass byte for byte", func(t *testing.T) {
		out, st := run(t, Options{}, chunk)
		if !bytes.Equal(out, chunk) || st.Changed || st.Counts[count.Unmatched] != 2 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("mark", func(t *testing.T) {
		out, st := run(t, Options{Unmatched: option.Mark}, chunk)
		want := `{"n":7,"labels":{"event":"x"},"message":"` + sshd + `","event":{"kind":"pipeline_error"},"error":{"message":"not a FortiEMS line"}}` + "\n" +
			`{"message":"","event":{"kind":"pipeline_error"},"error":{"message":"not a FortiEMS line"}}` + "\n"
		got := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(jsonOf(t, out))
		if got != want || st.Counts[count.Marked] != 2 {
			t.Errorf("%+v\n got %s\nwant %s", st, got, want)
		}
	})
	t.Run("drop", func(t *testing.T) {
		out, st := run(t, Options{Unmatched: option.Drop}, append(bytes.Clone(chunk), eventOf(pair{"log", bin(wazuh)})...))
		if st.Counts[count.Dropped] != 2 || st.Counts[count.Matched] != 1 || strings.Count(jsonOf(t, out), "\n") != 1 {
			t.Errorf("%+v %s", st, jsonOf(t, out))
		}
	})
}

func TestEventsThatAreNotLinesPassByteForByte(t *testing.T) {
	group := append([]byte{0x92, 0x92, 0xd7, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x80}, recordOf(pair{"log", str(wazuh)})...)
	for name, raw := range map[string][]byte{
		"group start":         group,
		"record is no map":    append(event.AppendTime([]byte{0x92, 0x92}, 1, 1), 0x80, 0xa1, 'x'),
		"no raw key":          eventOf(pair{"other", str(wazuh)}),
		"raw key is a number": eventOf(pair{"log", msgp.AppendInt(nil, 1)}),
		"no event":            {0xc0},
		"empty array":         {0x90},
		"empty inner array":   {0x92, 0x90, 0x80},
		"invalid UTF-8":       eventOf(pair{"log", bin("\xff\xfe\x16\x03\x01")}),
	} {
		t.Run(name, func(t *testing.T) {
			chunk := append(bytes.Clone(raw), eventOf(pair{"log", bin(wazuh)})...)
			out, st := run(t, Options{}, chunk)
			if st.Counts[count.Records] != 2 || st.Counts[count.Matched] != 1 || !bytes.HasPrefix(out, raw) {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestCorruptChunkIsLeftAlone(t *testing.T) {
	whole := append(eventOf(pair{"log", bin(wazuh)}), eventOf(pair{"log", bin(wazuh)})...)
	one := len(whole) / 2
	for n := 1; n < len(whole); n++ {
		if n == one {
			continue
		}
		dst := []byte("kept")
		out, st, err := New(Options{}).Run(dst, whole[:n])
		if err == nil || string(out) != "kept" || st != (Stats{}) {
			t.Fatalf("cut at %d: %v %+v", n, err, st)
		}
	}
}

// TestRunKeepsWithinDst gives Run rooms of all sizes: it uses dst as long as the result fits,
// and never writes beyond it.
func TestRunKeepsWithinDst(t *testing.T) {
	chunk := append(eventOf(pair{"source", str("x")}, pair{"log", bin(wazuh)}), eventOf(pair{"log", bin(sshd)})...)
	e := New(Options{EventTime: true})
	want, _, err := e.Run(nil, chunk)
	if err != nil {
		t.Fatal(err)
	}
	for room := range len(want) + 10 {
		memory := bytes.Repeat([]byte{0xc1}, len(want)+100)
		out, _, _ := e.Run(memory[:0:room], chunk)
		if !bytes.Equal(out, want) {
			t.Fatalf("room for %d bytes: another result", room)
		}
		if inPlace := &out[0] == &memory[0]; inPlace != (room >= len(want)) {
			t.Fatalf("room for %d of %d bytes: in place %v", room, len(want), inPlace)
		}
		if len(bytes.Trim(memory[room:], "\xc1")) > 0 {
			t.Fatalf("room for %d bytes: written beyond", room)
		}
	}
}

func TestIncomingKeysWithOurNamesAreLabels(t *testing.T) {
	chunk := eventOf(pair{"source", str("tcp://127.0.0.1:1")}, pair{"log", bin(wazuh)}, pair{"message", str(wazuh)},
		pair{"host", recordOf(pair{"a", msgp.AppendInt(nil, 1)})}, pair{"kept", bin("\xff")})
	out, _ := run(t, Options{EventTime: true, KeyNames: []string{"log"}}, chunk)
	got := jsonOf(t, out)
	if !strings.Contains(got, `"labels":{"source":"tcp://127.0.0.1:1","host":"{\"a\":1}"}`) {
		t.Error(got)
	}
	if !bytes.Contains(out, append(str("kept"), bin("\xff")...)) {
		t.Error("a key that is not ours was changed")
	}
}

func TestOldFormAndTimes(t *testing.T) {
	for name, at := range map[string][]byte{
		"integer": msgp.AppendInt64(nil, receivedSec), "float": msgp.AppendFloat64(nil, receivedSec+0.5),
		"ext 8": append([]byte{0xc7, 8, 0}, event.AppendTime(nil, receivedSec, 1)[2:]...),
	} {
		t.Run(name, func(t *testing.T) {
			chunk := append(append([]byte{0x92}, at...), recordOf(pair{"log", str(wazuh)})...)
			out, st := run(t, Options{EventTime: true}, chunk)
			ev, _, err := event.Next(out)
			if err != nil || st.Counts[count.Matched] != 1 || time.Unix(ev.Sec, 0).UTC().Format(time.RFC3339) != "2024-10-01T22:17:30Z" {
				t.Errorf("%v %+v %d", err, st, ev.Sec)
			}
			out, _ = run(t, Options{}, chunk)
			if !bytes.HasPrefix(out, append([]byte{0x92}, at...)) {
				t.Error("event_time off changed the time")
			}
		})
	}
}

func TestTimesAheadAreCounted(t *testing.T) {
	chunk := eventOf(pair{"log", bin(`emsserial=FCTEMS1 eventtime=1733393500 msg="x"`)})
	if _, st := run(t, Options{EventTime: true}, chunk); st.Counts[count.Ahead] != 1 {
		t.Errorf("%+v", st)
	}
}

func TestOutputIsValidUTF8(t *testing.T) {
	line := "<13>Oct  1 22:17:30 h\xff ems-vpn: emsserial=FCTEMS1 hostname=\"a\xc3\x28\" x\x80y=1 msg=\"\xf0\x9f\x98\" user=\"caf\xc3\xa9\""
	out, st := run(t, Options{PreserveOriginal: true}, eventOf(pair{"log", bin(line)}))
	if got := jsonOf(t, out); st.Counts[count.Matched] != 1 || !utf8.Valid(out[20:]) && !utf8.ValidString(got) || !strings.Contains(got, "caf\u00e9") {
		t.Errorf("%+v %s", st, got)
	}
}

func TestFlatSchema(t *testing.T) {
	out, _ := run(t, Options{Schema: option.Flat, EventTime: true}, eventOf(pair{"log", bin(wazuh)}, pair{"host_name", str("x")}, pair{"event", str("y")}))
	got := jsonOf(t, out)
	for _, want := range []string{`"event_category":"host,session"`, `"fortinet_ems_category":"ems-client"`, `"labels_host_name":"x"`, `"event":"y"`, `"host_ip":"192.168.1.102"`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
}

func TestStructuredDataWithoutNames(t *testing.T) {
	line := `<13>1 2024-10-01T22:17:30Z h ems-vpn - - [x ="a" _="b"][_ c="d"][ e="f"] emsserial=1`
	out, _ := run(t, Options{}, eventOf(pair{"log", bin(line)}))
	const want = `"structured_data":{"x":{"_":["a","b"]},"_":{"c":"d","e":"f"}}`
	if got := jsonOf(t, out); !strings.Contains(got, want) {
		t.Errorf("%s is missing in %s", want, got)
	}
}

// TestStructuredDataNamesFitAFlattenedField: Elasticsearch refuses a document with a
// name that holds NUL, or with a very long one.
func TestStructuredDataNamesFitAFlattenedField(t *testing.T) {
	long := strings.Repeat("x", 254) + "é"
	for name, c := range map[string]struct{ data, want string }{
		"control characters":      {"[a\x00b@1 c\x00=\"d\" e\x7f\x1f=\"f\"]", `{"a_b@1":{"c_":"d","e__":"f"}}`},
		"names that become one":   {"[a\x00 c\x00=\"d\" c_=\"e\"][a\x01 c\x02=\"f\"]", `{"a_":{"c_":["d","e","f"]}}`},
		"names of 255 bytes":      {"[" + long[:254] + "y " + long[:254] + `y="v"]`, `{"` + long[:254] + `y":{"` + long[:254] + `y":"v"}}`},
		"names cut at a rune":     {"[" + long + " " + long + `="v"]`, `{"` + long[:254] + `":{"` + long[:254] + `":"v"}}`},
		"long names become one":   {"[a " + strings.Repeat("x", 40_000) + `="v" ` + strings.Repeat("x", 255) + `="w"]`, `{"a":{"` + strings.Repeat("x", 255) + `":["v","w"]}}`},
		"what is no control char": {"[é\u0080 \u00a0=\"v\x00\"]", "{\"é\u0080\":{\"\u00a0\":\"v\\u0000\"}}"},
	} {
		t.Run(name, func(t *testing.T) {
			line := "<190>1 - - ems-vpn - - " + c.data + " emsserial=FCTEMS1"
			out, _ := run(t, Options{}, eventOf(pair{"log", bin(line)}))
			if got, want := jsonOf(t, out), `"structured_data":`+c.want; !strings.Contains(got, want) {
				t.Errorf("%s is missing in %s", want, got)
			}
		})
	}
}

// TestTree checks what the encoder builds on: objects are visited once and small.
func TestTree(t *testing.T) {
	children := map[int8]int{}
	within := func(o, in int8) bool {
		for ; o >= 0; o = objects[o].parent {
			if o == in {
				return true
			}
		}
		return false
	}
	closed := map[int8]bool{}
	open := int8(0)
	for f := range leaves {
		to := leaves[f].object
		children[to]++
		for o := open; !within(to, o); o = objects[o].parent {
			closed[o] = true
		}
		if open = to; closed[to] {
			t.Errorf("%s: its object is opened twice", ecs.Fields[f])
		}
	}
	for i, o := range objects {
		if i > 0 {
			children[o.parent]++
		}
	}
	if len(objects) > 64 {
		t.Errorf("%d objects do not fit templateMaker.begun", len(objects))
	}
	for o, n := range children {
		if n > 15 && o != 0 && o != emsObject {
			t.Errorf("object %d has %d pairs", o, n)
		}
	}
}

func FuzzRun(f *testing.F) {
	f.Add(eventOf(pair{"log", bin(wazuh)}), false)
	f.Add(eventOf(pair{"message", str(sekoia)}, pair{"source", str("x")}), true)
	f.Add(eventOf(pair{"log", bin(wazuh + "\n" + second + "\x00" + sshd)}, pair{"labels", recordOf(pair{"a.b", str("x")})}, pair{"host.name", str("y")}), false)
	f.Add(eventOf(pair{"log", str("x")}, pair{"message", str(second + second)}), true)
	f.Add([]byte{0x92, 0x92, 0xd7, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0x80, 0x80}, false)
	es := []*Enricher{New(Options{EventTime: true}), New(Options{Schema: option.Flat, Unmatched: option.Mark, PreserveOriginal: true})}
	f.Fuzz(func(t *testing.T, chunk []byte, flat bool) {
		e := es[0]
		if flat {
			e = es[1]
		}
		out, st, err := e.Run(nil, chunk)
		if err != nil {
			if len(out) != 0 {
				t.Fatal("an error and an output")
			}
			return
		}
		if !st.Changed {
			return
		}
		n := uint64(0)
		for ; len(out) > 0; n++ {
			_, rest, err := event.Next(out)
			if err != nil {
				t.Fatal("the output is not MessagePack")
			}
			out = rest
		}
		// An event whose messages are none of FortiEMS passes whole, and each is counted.
		if n > st.Counts[count.Records] || e.unmatched != option.Pass && n+st.Counts[count.Dropped] != st.Counts[count.Records] {
			t.Fatalf("%d records out, %+v", n, st)
		}
	})
}

func FuzzLine(f *testing.F) {
	f.Add(wazuh, "k", "v")
	f.Add(sekoia, "source", "x")
	f.Add(`<13>1 2024-10-01T22:17:30Z h ems-vpn - - [a b="c\"]" b="d"] emsserial=FCTEMS1 msg="a \"b\" c" p="C:\x\" `, "event", "y")
	f.Add(`<13>CEF:0|Fortinet|FortiClient EMS|7.4|1|ems-vpn a|5|msg=a \= b src=192.0.2.1 cs1=x`, "log2", "")
	f.Add(`{"emsserial":"FCTEMS1","a":{"b":[1,2]},"type":"event","x":null}`, "k", "")
	f.Add(`emsserial=FCTEMS1 x=<Event xmlns='a'><b c="d"/></Event> msg=end`, "k", "")
	es := []*Enricher{New(Options{EventTime: true, PreserveOriginal: true}), New(Options{Schema: option.Flat, Unmatched: option.Mark})}
	f.Fuzz(func(t *testing.T, text, key, value string) {
		if key == "log" || key == "message" || key == ecs.LabelsName {
			return
		}
		messages, found := 0, false
		var m line.Messages
		var probe parser.Event
		at := ecs.Instant{Sec: 1}
		for m.Reset([]byte(text)); m.More(); messages++ {
			found = es[0].parser.Parse(&probe, m.Next(), at) || found
		}
		if messages == 0 || !found && es[0].parser.Parse(&probe, []byte(text), at) {
			messages = 1
		}
		extra := append(str(key), bin(value)...)
		chunk := eventOf(pair{"log", bin(text)}, pair{key, bin(value)})
		for i, e := range es {
			out, st, err := e.Run(nil, chunk)
			if err != nil || st.Counts[count.Records] != uint64(messages) {
				t.Fatal(err, st, messages)
			}
			if !st.Changed {
				continue
			}
			events := 0
			for rest := out; len(rest) > 0; events++ {
				var ev event.Event
				if ev, rest, err = event.Next(rest); err != nil {
					t.Fatal(err)
				}
				raw := messages > 1 && bytes.HasPrefix(ev.Record[1:], str("log")) // it is no FortiEMS and passes
				if !isReserved([]byte(key), i == 1) && !bytes.Contains(ev.Record, extra) {
					t.Fatal("an untouched pair was changed")
				}
				if !raw {
					checkText(t, ev.Record, key)
				}
			}
			if events != messages { // an event without FortiEMS is not changed
				t.Fatalf("%d events of %d messages", events, messages)
			}
			again, _, _ := e.Run(nil, chunk)
			if !bytes.Equal(out, again) {
				t.Fatal("the second run gives another record")
			}
		}
	})
}

// checkText reports texts that are not UTF-8, but those of the untouched key.
func checkText(t *testing.T, b []byte, untouched string) []byte {
	t.Helper()
	switch msgp.NextType(b) {
	case msgp.MapType:
		n, rest, err := msgp.ReadMapHeaderBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		for ; n > 0; n-- {
			k, v, err := msgp.ReadStringZC(rest)
			if err != nil {
				t.Fatal(err)
			}
			if !utf8.Valid(k) && string(k) != untouched {
				t.Fatalf("key %q", k)
			}
			rest = checkText(t, v, untouched)
		}
		return rest
	case msgp.ArrayType:
		n, rest, err := msgp.ReadArrayHeaderBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		for ; n > 0; n-- {
			rest = checkText(t, rest, untouched)
		}
		return rest
	case msgp.StrType:
		s, rest, err := msgp.ReadStringZC(b)
		if err != nil || !utf8.Valid(s) {
			t.Fatalf("text %q %v", s, err)
		}
		return rest
	}
	rest, err := msgp.Skip(b)
	if err != nil {
		t.Fatal(err)
	}
	return rest
}
