package enrich

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/event"
)

// wazuh is the real FortiEMS line of wazuh/wazuh#26094.
const wazuh = `2024-10-01T22:17:30.112143+00:00 Oct  1 22:17:30s dtime="2024-10-01 22:17:30" type=event subtype=admin devid=FCT0000000000000 uid=A10B23C53766789D8B95D4EAC96B1921 hostname="user_test" user="usertest" deviceip=192.168.1.102 devicemac=a1-b2-c3-4d-38-a6 emsserial=FCTEMS9916065432 os="macOS 14.1.1" msg="offline" usingpolicy="Global" emshostname="" vd="default"`

const receivedSec, receivedNsec = 1733392800, 123456789 // 2024-12-05T10:00:00.123456789Z

// chunkOf builds a chunk as in_syslog does: bin for log, str for other keys,
// metadata as a map 32.
func chunkOf(key string, lines ...string) []byte {
	var b []byte
	for _, line := range lines {
		b = append(b, 0x92, 0x92)
		b = event.AppendTime(b, receivedSec, receivedNsec)
		b = append(b, 0xdf, 0, 0, 0, 0, 0x81)
		b = msgp.AppendString(b, key)
		if key == "log" {
			b = msgp.AppendBytes(b, []byte(line))
		} else {
			b = msgp.AppendString(b, line)
		}
	}
	return b
}

// jsonOf returns the chunk as JSON, one object per line, for reading.
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

func TestTry(t *testing.T) {
	e := New(Options{EventTime: true})
	out, st, err := e.Run(nil, chunkOf("log", wazuh))
	if err != nil {
		t.Fatal(err)
	}
	var v any
	json.Unmarshal([]byte(jsonOf(t, out)), &v)
	j, _ := json.MarshalIndent(v, "", " ")
	t.Logf("%+v\n%s", st, j)
}
func BenchmarkRun(b *testing.B) {
	e := New(Options{EventTime: true})
	lines := make([]string, 1000)
	for i := range lines {
		lines[i] = wazuh
	}
	chunk := chunkOf("log", lines...)
	var out []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		out, _, _ = e.Run(out[:0], chunk)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/event")
}
