package parser

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"fluent-bit-fortiems/test/bench"
)

func benchLine(b *testing.B, folder string) []byte {
	b.Helper()
	line, err := bench.FirstLine("..", folder)
	if err != nil {
		b.Fatal(err)
	}
	return line
}

// BenchmarkHeader reads the header alone.
func BenchmarkHeader(b *testing.B) {
	for _, c := range []struct{ name, line string }{
		{"none", `dtime="2024-10-02 08:00:37" type=event`},
		{"rfc3164", `<38>Oct  2 08:00:00 host1 app[4242]: type=event`},
		{"rfc5424", `<134>1 2024-10-02T08:00:37.123Z ems01 FortiEMS 811 ID47 [a@1 k="v"] type=event`},
		{"iso", `2024-10-01T22:17:30.112143+00:00 Oct  1 22:17:30s dtime="2024-10-01 22:17:30"`},
	} {
		b.Run("form="+c.name, func(b *testing.B) {
			line := []byte(c.line)
			var h header
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				h = header{}
				h.parseHeader(line)
			}
		})
	}
}

var benchFolders = []struct{ name, folder string }{{"ems", "real-wazuh-26094"}, {"forticlient", "real-sekoia-forticlient"}}

// BenchmarkScan enters the pairs of a line, header included, and nothing more.
func BenchmarkScan(b *testing.B) {
	for _, c := range benchFolders {
		b.Run("line="+c.name, func(b *testing.B) {
			line := benchLine(b, c.folder)
			var ev Event
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				ev.reset()
				ev.text = ev.head.parseHeader(line)
				ev.parseBody()
			}
		})
	}
}

// BenchmarkParseLine is the whole parser.
func BenchmarkParseLine(b *testing.B) {
	for _, c := range benchFolders {
		b.Run("line="+c.name, func(b *testing.B) {
			line := benchLine(b, c.folder)
			p := New(Options{})
			var ev Event
			b.SetBytes(int64(len(line)))
			b.ReportAllocs()
			for b.Loop() {
				p.Parse(&ev, line, received, 0)
			}
		})
	}
}

// BenchmarkRules categorises a line that is parsed, with the built-in rules alone and
// with rules of a user before them.
func BenchmarkRules(b *testing.B) {
	for _, c := range benchFolders {
		for _, n := range []int{0, 10, 100} {
			b.Run(fmt.Sprintf("line=%s/user=%d", c.name, n), func(b *testing.B) {
				file := filepath.Join(b.TempDir(), "rules.yaml")
				if err := os.WriteFile(file, bench.UserRules(n), 0o600); err != nil {
					b.Fatal(err)
				}
				rules, err := LoadRules(file)
				if err != nil {
					b.Fatal(err)
				}
				p := New(Options{Rules: rules})
				var ev Event
				p.Parse(&ev, benchLine(b, c.folder), received, 0)
				b.ReportAllocs()
				for b.Loop() {
					rules.apply(&ev)
				}
			})
		}
	}
}
