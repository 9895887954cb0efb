package enrich

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
)

const second = `<134>date=2024-10-01 time=22:17:31 tz="+0000" type=event subtype=admin devid=FCT2 emsserial=FCTEMS7 hostname=PC2 msg="online"`

// TestSeveralMessages puts more messages into a record than a batch has.
func TestSeveralMessages(t *testing.T) {
	lines := []string{wazuh}
	for range 40 {
		lines = append(lines, second, sshd)
	}
	text := strings.Join(lines, "\n")
	for _, u := range []option.Unmatched{option.Pass, option.Mark, option.Drop} {
		for _, raw := range [][]byte{str(text), bin(text)} {
			chunk := append(eventOf(pair{"log", raw}, pair{"k", str("v")}), eventOf(pair{"log", str(sshd)})...)
			out, st := run(t, Options{Unmatched: u, EventTime: true}, chunk)
			want := uint64(82)
			if st.Counts[count.Records] != want || st.Counts[count.Matched] != 41 || st.Counts[count.Unmatched] != 41 {
				t.Fatalf("%s: %+v", u, st)
			}
			got := strings.Split(strings.TrimSpace(jsonOf(t, out)), "\n")
			if len(got) != int(want-st.Counts[count.Dropped]) || !strings.Contains(got[0], "offline") {
				t.Fatalf("%s: %d records, the first %s", u, len(got), got[0])
			}
			for i, r := range got[:len(got)-1] {
				matched := u == option.Drop || i == 0 || i%2 == 1
				if !strings.Contains(r, `"k":"v"`) || strings.Contains(r, "online") != (matched && i > 0) || bytes.Equal(raw, str(text)) && strings.Contains(r, "sshd") == matched {
					t.Fatalf("%s: record %d is %s", u, i+1, r)
				}
			}
		}
	}
}

// TestNoneIsFortiEMS: a record whose messages are all of other senders passes as it is.
func TestNoneIsFortiEMS(t *testing.T) {
	chunk := eventOf(pair{"log", str(sshd + "\n" + sshd)})
	if out, st := run(t, Options{}, chunk); !bytes.Equal(out, chunk) || st.Counts[count.Unmatched] != 2 || st.Counts[count.Records] != 2 {
		t.Errorf("%+v", st)
	}
	if _, st := run(t, Options{Unmatched: option.Drop}, chunk); st.Counts[count.Dropped] != 2 {
		t.Errorf("%+v", st)
	}
}

// TestFollowingLineNeverChangesTheFirst adds a second message to each line of the corpus.
func TestFollowingLineNeverChangesTheFirst(t *testing.T) {
	chunk, _ := corpusChunk(t)
	compared := 0
	for rest := chunk; len(rest) > 0; {
		var in event.Event
		pairs, next, err := in.Read(rest, nil)
		if err != nil {
			t.Fatal(err)
		}
		one := rest[:len(rest)-len(next)]
		rest = next
		text, _ := event.Text(pairs[0].Value)
		alone, st := run(t, Options{EventTime: true}, one)
		if st.Counts[count.Matched] != 1 || st.Counts[count.Records] != 1 {
			continue
		}
		compared++
		for _, more := range []string{"\n" + second, "\r\n" + second + "\n", "\x00" + second, "\n" + sshd, "\n\n126 " + second, "#012" + second, "#015#012" + second + "#012", `\n` + second} {
			out, st := run(t, Options{EventTime: true}, eventOf(pair{"message", str(string(text) + more)}, pair{"kept", str("x")}))
			if !bytes.HasPrefix(out, alone) || st.Counts[count.Records] != 2 {
				t.Errorf("%q changes %q: %d records", more[:10], text, st.Counts[count.Records])
				break
			}
		}
	}
	if compared < 300 {
		t.Errorf("%d lines", compared)
	}
}

// TestBatchesInJSON: the objects of an array, and objects one after another, are a record
// each.
func TestBatchesInJSON(t *testing.T) {
	const a, b = `{"emsserial":"FCTEMS1","type":"event","msg":"one"}`, `{"emsserial":"FCTEMS1","type":"event","msg":"two"}`
	for _, text := range []string{"[" + a + "," + b + "]", "[\n " + a + " ,\n " + b + "\n]\n", a + "\n" + b, a + b, "[" + a + "," + b, `<134>Oct  1 22:17:30 h ems-vpn: [` + a + "," + b + "]"} {
		out, st := run(t, Options{}, eventOf(pair{"log", str(text)}, pair{"k", str("v")}))
		got := strings.Split(strings.TrimSpace(jsonOf(t, out)), "\n")
		if len(got) != 2 || st.Counts[count.Matched] != 2 || !strings.Contains(got[0], `"message":"one"`) || !strings.Contains(got[1], `"message":"two"`) || !strings.Contains(got[1], `"k":"v"`) {
			t.Errorf("%q: %d records: %s", text, len(got), got)
		}
		if strings.Contains(strings.Join(got, ""), "header_text") {
			t.Errorf("%q: brackets are kept as text: %s", text, got)
		}
	}
}

// TestLogIsAMap: a map under log is no line. Without another key that holds one, the event
// passes as it is, whatever unmatched says, and is counted.
func TestLogIsAMap(t *testing.T) {
	chunk := eventOf(pair{"log", recordOf(pair{"emsserial", str("FCTEMS1")})}, pair{"k", str("v")})
	for _, u := range []option.Unmatched{option.Pass, option.Mark, option.Drop} {
		if out, st := run(t, Options{Unmatched: u}, chunk); !bytes.Equal(out, chunk) || st.Counts[count.Passed] != 1 {
			t.Errorf("%s: %+v", u, st)
		}
	}
}

func TestWhichKeyHoldsTheLine(t *testing.T) {
	for name, c := range map[string]struct {
		pairs []pair
		want  string
	}{
		"log is empty":           {[]pair{{"log", str("")}, {"message", str(wazuh)}}, `"message":"offline"`},
		"log is blank":           {[]pair{{"log", str(" \n")}, {"message", str(wazuh)}}, `"message":"offline"`},
		"log is foreign":         {[]pair{{"log", str("hello")}, {"message", str(wazuh)}}, `"labels":{"log":"hello"}`},
		"log is a map":           {[]pair{{"log", recordOf()}, {"message", str(wazuh)}}, `"message":"offline"`},
		"message is foreign":     {[]pair{{"log", str(wazuh)}, {"message", str("hello")}}, `"labels":{"message":"hello"}`},
		"several in the message": {[]pair{{"log", str("x")}, {"message", str(wazuh + "\n" + second)}}, `"message":"online"`},
	} {
		t.Run(name, func(t *testing.T) {
			out, _ := run(t, Options{}, eventOf(c.pairs...))
			got := jsonOf(t, out)
			if !strings.Contains(got, c.want) || !strings.Contains(got, `"message":"offline"`) {
				t.Error(got)
			}
			if strings.Contains(name, "empty") && strings.Contains(got, "labels") {
				t.Errorf("an empty log is kept: %s", got)
			}
		})
	}
}

func TestDottedKeysAndLabels(t *testing.T) {
	out, _ := run(t, Options{}, eventOf(pair{"log", str(wazuh)}, pair{"event.module", str("m")}, pair{"host.name.x", str("h")}, pair{"host.os", str("o")},
		pair{"fortinet.ems.any", str("a")}, pair{"host.rack", str("r")}, pair{"labels", recordOf(pair{"env", str("prod")}, pair{"event_module", msgp.AppendInt(nil, 1)}, pair{"n", recordOf(pair{"x", str("y")})})}))
	got := jsonOf(t, out)
	for _, want := range []string{`"host.rack":"r"`,
		`"labels":{"env":"prod","event_module":1,"n":"{\"x\":\"y\"}","event_module_":"m","host_name_x":"h","host_os":"o","fortinet_ems_any":"a"}`} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	out, _ = run(t, Options{Schema: option.Flat}, eventOf(pair{"log", str(wazuh)}, pair{"labels", recordOf(pair{"env", str("prod")})}))
	if got := jsonOf(t, out); !strings.Contains(got, `"labels_env":"prod"`) {
		t.Error(got)
	}
}

// TestCreated: a record time that a parser took from the line is no time of receipt.
func TestCreated(t *testing.T) {
	now := func() time.Time { return time.Date(2024, 12, 5, 11, 0, 0, 7, time.UTC) }
	const seen, given = `"created":"2024-12-05T11:00:00.000000007Z"`, `"created":"2024-`
	for name, c := range map[string]struct {
		sec  int64
		nsec int32
		line string
		seen bool
	}{
		"of the line":                  {1727821050, 0, wazuh, true},
		"of the header of the line":    {1727821050, 112143000, wazuh, true},
		"of the line, in another zone": {1727821050 + 2*3600, 0, wazuh, true},
		"with nanoseconds":             {1727821050, 123456789, wazuh, false},
		"another time":                 {1727821050 + 60, 0, wazuh, false},
		"another day":                  {1727821050 + 3*86400, 0, wazuh, false},
		"of a line without a time":     {1727821050, 0, `emsserial=FCTEMS1 msg=x`, true},
	} {
		t.Run(name, func(t *testing.T) {
			chunk := event.AppendTime([]byte{0x92, 0x92}, c.sec, c.nsec)
			chunk = append(append(chunk, 0x80), recordOf(pair{"log", str(c.line)})...)
			out, _ := run(t, Options{EventTime: true, Now: now}, chunk)
			if got := jsonOf(t, out); strings.Contains(got, seen) != c.seen || !strings.Contains(got, given) {
				t.Error(got)
			}
		})
	}
}
