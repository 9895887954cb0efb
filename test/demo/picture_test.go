package main

import (
	"bytes"
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/cmd/fortiems/term"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/event"
)

var update = flag.Bool("update", false, "write the picture of the demo")

// picture is the picture of make demo in README.md.
const picture = "../../plugin/cmd/fortiems/demo.svg"

// TestPicture compares the picture of the documentation with what the demo prints now.
// TestScreen compares its text with the output of make demo.
func TestPicture(t *testing.T) {
	var out bytes.Buffer
	if err := screenOf(&out, corpusRecords(t), term.Colors("always", nil, os.Getenv), columns); err != nil {
		t.Fatal(err)
	}
	want := svg(term.Colors("always", nil, os.Getenv).Bold("$ make demo") + "\n" + out.String() + tail(t))
	if *update {
		if err := os.WriteFile(picture, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is out of date: run make golden", picture)
	}
}

// corpusRecords writes the records of the corpus as the filter makes them, and returns the file.
func corpusRecords(t *testing.T) string {
	t.Helper()
	inputs, err := filepath.Glob("../corpus/*/input.log")
	if err != nil || len(inputs) == 0 {
		t.Fatal(err)
	}
	var chunk []byte
	for _, in := range inputs {
		text, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n"), "\n") {
			chunk = append(event.AppendTime(append(chunk, 0x92, 0x92), 1727821050, 250000000), 0x80, 0x81)
			chunk = msgp.AppendString(msgp.AppendString(chunk, "message"), line)
		}
	}
	out, _, err := enrich.New(enrich.Options{EventTime: true, PreserveOriginal: true}).Run(nil, chunk)
	if err != nil {
		t.Fatal(err)
	}
	var records bytes.Buffer
	for len(out) > 0 {
		ev, rest, err := event.Next(out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := msgp.UnmarshalAsJSON(&records, ev.Record); err != nil {
			t.Fatal(err)
		}
		records.WriteByte('\n')
		out = rest
	}
	file := filepath.Join(t.TempDir(), "records.ndjson")
	if err := os.WriteFile(file, records.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// tail returns what demo.sh prints after the screen.
func tail(t *testing.T) string {
	t.Helper()
	script, err := os.ReadFile("demo.sh")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?s)cat <<EOF\n(.*)EOF\n`).FindSubmatch(script)
	if m == nil {
		t.Fatal("demo.sh has no text at its end")
	}
	return strings.ReplaceAll(string(m[1]), "$dir", "build/out/demo")
}

// Sizes of a character and of the margin of the picture.
const charWidth, lineHeight, margin = 7.8, 18, 16

var (
	styled = regexp.MustCompile("\x1b\\[(\\d+)m(.*?)\x1b\\[0m|[^\x1b]+")
	// styles are those of term.Palette, on a dark ground.
	styles = map[string]string{"1": "b", "2": "d", "31": "r", "32": "g", "33": "y", "36": "c"}
	bar    = regexp.MustCompile(`█+`)
	spaces = regexp.MustCompile(`^ *`)
)

// svg draws what a terminal shows. Every run of text has its length, so columns stay
// columns in any font; bars are drawn.
func svg(text string) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	var b strings.Builder
	longest := columns
	for _, line := range lines {
		longest = max(longest, utf8.RuneCountInString(regexp.MustCompile("\x1b\\[\\d+m").ReplaceAllString(line, "")))
	}
	width, height := float64(longest)*charWidth+2*margin, len(lines)*lineHeight+2*margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" viewBox="0 0 %.0f %d" role="img">
<title>The output of make demo</title>
<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#e6edf3;white-space:pre}.b{font-weight:bold}.d{fill:#9aa4af}.r{fill:#ff8a80}.g{fill:#7ee787}.y{fill:#e3b341}.c{fill:#79c0ff}</style>
<rect width="100%%" height="100%%" rx="8" fill="#161b22"/>
`, width, height, width, height)
	for i, line := range lines {
		column, y := 0, margin+i*lineHeight+13
		for _, run := range styled.FindAllStringSubmatch(line, -1) {
			class, s := styles[run[1]], run[2]
			if run[1] == "" {
				s = run[0]
			}
			for s != "" {
				part := s
				if at := bar.FindStringIndex(s); at != nil && at[0] == 0 {
					part = s[:at[1]]
				} else if at != nil {
					part = s[:at[0]]
				}
				s = s[len(part):]
				n := utf8.RuneCountInString(part)
				x := margin + float64(column)*charWidth
				column += n
				switch trimmed := strings.TrimRight(part, " "); {
				case strings.HasPrefix(part, "█"):
					fmt.Fprintf(&b, `<rect x="%.1f" y="%d" width="%.1f" height="12" fill="#4c8dff"/>`+"\n", x, y-10, float64(n)*charWidth)
				case trimmed != "":
					indent := len(spaces.FindString(trimmed))
					trimmed, x = trimmed[indent:], x+float64(indent)*charWidth
					fmt.Fprintf(&b, `<text x="%.1f" y="%d" textLength="%.1f" class="%s">%s</text>`+"\n",
						x, y, float64(utf8.RuneCountInString(trimmed))*charWidth, class, html.EscapeString(trimmed))
				}
			}
		}
	}
	return strings.ReplaceAll(b.String(), ` class=""`, "") + "</svg>\n"
}

// words returns the words of the picture, without bars.
func words(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile(`<text [^>]*>(.*)</text>`).FindAllStringSubmatch(string(text), -1) {
		out = append(out, strings.Fields(html.UnescapeString(m[1]))...)
	}
	return out
}
