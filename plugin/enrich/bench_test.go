package enrich

import (
	"bytes"
	"testing"

	"github.com/ugorji/go/codec"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/plugin/event"
)

const benchEvents = 1000

func benchRun(b *testing.B, key, line string) {
	chunk := bytes.Repeat(eventOf(pair{key, bin(line)}), benchEvents)
	e := New(Options{EventTime: true})
	var out []byte
	b.SetBytes(int64(len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		out, _, _ = e.Run(out[:0], chunk)
	}
	perEvent(b)
}

func perEvent(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchEvents, "ns/event")
}

func BenchmarkRunEMS(b *testing.B)         { benchRun(b, "log", wazuh) }
func BenchmarkRunFortiClient(b *testing.B) { benchRun(b, "log", sekoia) }
func BenchmarkRunUnmatched(b *testing.B)   { benchRun(b, "log", sshd) }
func BenchmarkRunWithoutLine(b *testing.B) { benchRun(b, "other", wazuh) }

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
	var err error
	if w.pairs, _, err = w.in.Read(chunk, nil); err != nil {
		b.Fatal(err)
	}
	in, raw := &w.in, w.findLine(e.keys)
	line, _ := event.Text(w.pairs[raw].Value)
	e.parser.Parse(&w.ev, line, in.Sec, in.Nsec)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = e.appendEvent(out[:0], w, in, raw)
	}
}

// BenchmarkParse is the parser alone.
func BenchmarkParse(b *testing.B) {
	p := parser.New(parser.Options{})
	var ev parser.Event
	line := []byte(wazuh)
	b.ReportAllocs()
	for b.Loop() {
		p.Parse(&ev, line, receivedSec, receivedNsec)
	}
}
