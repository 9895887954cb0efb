package enrich

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tinylib/msgp/msgp"
	"github.com/ugorji/go/codec"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/option"
	"fluent-bit-fortiems/test/bench"
)

const benchEvents = 1000

func benchRun(b *testing.B, key, line string) {
	benchChunk(b, Options{EventTime: true}, bytes.Repeat(eventOf(pair{key, bin(line)}), benchEvents))
}

// benchChunk runs the filter over a chunk of benchEvents events.
func benchChunk(b *testing.B, o Options, chunk []byte) {
	e := New(o)
	var out []byte
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		out, _, _ = e.Run(out[:0], chunk)
	}
	perEvent(b)
}

// userRules loads n rules of a user.
func userRules(t testing.TB, n int) *rule.Rules {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, bench.UserRules(n), 0o600); err != nil {
		t.Fatal(err)
	}
	rules, err := rule.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func perEvent(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEvents, "ns/event")
}

func BenchmarkRunEMS(b *testing.B)         { benchRun(b, "log", wazuh) }
func BenchmarkRunFortiClient(b *testing.B) { benchRun(b, "log", sekoia) }
func BenchmarkRunUnmatched(b *testing.B)   { benchRun(b, "log", sshd) }
func BenchmarkRunWithoutLine(b *testing.B) { benchRun(b, "other", wazuh) }

// BenchmarkRunOptions is the EMS line with options that are off by default.
func BenchmarkRunOptions(b *testing.B) {
	chunk := bytes.Repeat(eventOf(pair{"log", bin(wazuh)}), benchEvents)
	for _, c := range []struct {
		name    string
		options Options
	}{
		{"default", Options{EventTime: true}},
		{"flat", Options{EventTime: true, Schema: option.Flat}},
		{"preserve_original", Options{EventTime: true, PreserveOriginal: true}},
	} {
		b.Run("with="+c.name, func(b *testing.B) { benchChunk(b, c.options, chunk) })
	}
	unmatched := bytes.Repeat(eventOf(pair{"log", bin(sshd)}), benchEvents)
	b.Run("with=mark", func(b *testing.B) { benchChunk(b, Options{Unmatched: option.Mark}, unmatched) })
	b.Run("with=drop", func(b *testing.B) { benchChunk(b, Options{Unmatched: option.Drop}, unmatched) })
}

// BenchmarkRunUserRules is the EMS line with a hundred rules of a user.
func BenchmarkRunUserRules(b *testing.B) {
	chunk := bytes.Repeat(eventOf(pair{"log", bin(wazuh)}), benchEvents)
	benchChunk(b, Options{EventTime: true, Rules: userRules(b, 100)}, chunk)
}

// BenchmarkRunMixed is twelve lines of the corpus in turn.
func BenchmarkRunMixed(b *testing.B) {
	c, err := bench.Find("mixed")
	if err != nil {
		b.Fatal(err)
	}
	chunk, err := c.Chunk("../..", benchEvents)
	if err != nil {
		b.Fatal(err)
	}
	benchChunk(b, Options{EventTime: true}, chunk)
}

// BenchmarkRunRules is the whole filter with rules of a user before the built-in ones.
func BenchmarkRunRules(b *testing.B) {
	for _, line := range []struct{ name, text string }{{"ems", wazuh}, {"forticlient", sekoia}} {
		chunk := bytes.Repeat(eventOf(pair{"log", bin(line.text)}), benchEvents)
		for _, n := range []int{0, 10, 100, 1000} {
			b.Run(fmt.Sprintf("line=%s/user=%d", line.name, n), func(b *testing.B) {
				benchChunk(b, Options{EventTime: true, Rules: userRules(b, n)}, chunk)
			})
		}
	}
}

// BenchmarkRunLength is one event of a growing line.
func BenchmarkRunLength(b *testing.B) {
	for _, kind := range []string{"pairs", "message"} {
		for _, size := range []int{1 << 10, 4 << 10, 16 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("of=%s/bytes=%d", kind, size), func(b *testing.B) {
				line := bench.LongLine(size, kind == "pairs")
				chunk := eventOf(pair{"log", msgp.AppendBytes(nil, line)})
				e := New(Options{EventTime: true})
				var out []byte
				b.SetBytes(int64(len(line)))
				b.ReportAllocs()
				for b.Loop() {
					out, _, _ = e.Run(out[:0], chunk)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(line)), "ns/byte")
			})
		}
	}
}

// BenchmarkRunLines is a chunk of a growing number of lines.
func BenchmarkRunLines(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000, 10000} {
		b.Run(fmt.Sprintf("lines=%d", n), func(b *testing.B) {
			chunk := bytes.Repeat(eventOf(pair{"log", bin(wazuh)}), n)
			e := New(Options{EventTime: true})
			var out []byte
			b.SetBytes(int64(len(chunk)))
			b.ReportAllocs()
			for b.Loop() {
				out, _, _ = e.Run(out[:0], chunk)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
		})
	}
}

// BenchmarkUgorjiDecode is the usual way of Go plugins, decoding alone: the same
// chunk into maps.
func BenchmarkUgorjiDecode(b *testing.B) {
	chunk := bytes.Repeat(eventOf(pair{"log", bin(wazuh)}), benchEvents)
	h := &codec.MsgpackHandle{}
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		d := codec.NewDecoderBytes(chunk, h)
		for range benchEvents {
			var v any
			if err := d.Decode(&v); err != nil {
				b.Fatal(err)
			}
		}
	}
	perEvent(b)
}

// BenchmarkEncode is appendEvent alone.
func BenchmarkEncode(b *testing.B) {
	chunk := eventOf(pair{"log", bin(wazuh)})
	e := New(Options{EventTime: true})
	w := new(worker)
	it := &w.items[0]
	if _, _, err := e.read(w, chunk, 0, new(Stats)); err != nil {
		b.Fatal(err)
	}
	e.parser.ParseAll(w.lines[:1])
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = e.appendEvent(out[:0], w, it)
	}
}

// BenchmarkParse is the parser alone.
func BenchmarkParse(b *testing.B) {
	p := parser.New(parser.Options{})
	var ev parser.Event
	line := []byte(wazuh)
	b.ReportAllocs()
	for b.Loop() {
		p.Parse(&ev, line, ecs.Instant{Sec: receivedSec, Nsec: receivedNsec})
	}
}
