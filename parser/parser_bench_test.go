package parser

import (
	"testing"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/test/bench"
)

// benchLines returns one line of each folder of the corpus.
func benchLines(b *testing.B) map[string][]byte {
	b.Helper()
	lines := map[string][]byte{}
	for name, folder := range map[string]string{"ems": "real-wazuh-26094", "forticlient": "real-sekoia-forticlient"} {
		text, err := bench.FirstLine("..", folder)
		if err != nil {
			b.Fatal(err)
		}
		lines[name] = text
	}
	return lines
}

// BenchmarkReadLine reads header and pairs only.
func BenchmarkReadLine(b *testing.B) {
	for name, text := range benchLines(b) {
		b.Run("line="+name, func(b *testing.B) {
			var l line.Line
			var a arena.Arena
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				a.Reset()
				l.ReadHeader(text, &a)
				l.ReadPairs()
			}
		})
	}
}

// BenchmarkParse is the whole parser.
func BenchmarkParse(b *testing.B) {
	for name, text := range benchLines(b) {
		b.Run("line="+name, func(b *testing.B) {
			p := New(Options{})
			var ev Event
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				p.Parse(&ev, text, received)
			}
		})
	}
}
