package line

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fluent-bit-fortiems/parser/arena"
)

func messages(s string) (list []string) {
	var m Messages
	for m.Reset([]byte(s)); m.More(); {
		list = append(list, string(m.Next()))
	}
	return list
}

func TestNextMessage(t *testing.T) {
	const a = `<134>date=2024-10-01 time=22:17:30 tz="+0000" type=event emsserial=FCTEMS1 msg="offline"`
	const b = `<134>date=2024-10-01 time=22:17:31 tz="+0000" type=event emsserial=FCTEMS1 msg="online"`
	const bare = `date=2024-10-01 time=22:17:31 type=event emsserial=FCTEMS1 msg="online"`
	count := func(s string) string { return fmt.Sprintf("%d %s", len(s), s) }
	for name, c := range map[string]struct{ parts []string }{
		"line break":                   {[]string{a, "\n", b}},
		"CR LF and a last line break":  {[]string{a, "\r\n", b + "\n"}},
		"empty lines":                  {[]string{a, "\n \n\n", b}},
		"NUL":                          {[]string{a, "\x00", b}},
		"three":                        {[]string{a, "\n", b, "\n", a}},
		"no PRI":                       {[]string{bare, "\n", bare}},
		"a header, then pairs":         {[]string{`<134>Oct  1 22:17:30 h ems-vpn: up emsserial=1`, "\n", bare}},
		"octet counts":                 {[]string{count(a), "", count(b)}},
		"octet counts and line breaks": {[]string{count(a + "\n")[:len(a)+3], "\n", count(b + "\n")}},
		"a count behind a digit":       {[]string{`<134>date=2024-10-01 dstport=443`, "", count(b)}},
		"nothing between":              {[]string{a, "", b}},
		"nothing behind a bare value":  {[]string{a + " level=info", "", b}},
		"another sender":               {[]string{a, "\n", `<38>Oct  1 22:17:31 web1 sshd[7]: Failed password for "root"`}},
		"another sender without PRI":   {[]string{a, "\n", `Oct  1 22:17:31 web1 sshd[7]: Failed password`}},
		"CEF":                          {[]string{a, "\n", `CEF:0|Fortinet|FortiClient|7|1|x|5|`}},
		"JSON":                         {[]string{`{"emsserial":"a"}`, "\n", `{"emsserial":"b"}`}},
		"a value cut before it":        {[]string{`<134>date=2024-10-01 msg="offl`, "\n", b}},
		"one: a line break in a value": {[]string{`date=2024-10-01 msg="one` + "\n" + `<134>Oct  1 22:17:30 two" level=info`}},
		"one: a message in a value":    {[]string{`date=2024-10-01 msg="one` + "\n" + `<134>date=2024-10-01 type=event x" level=info`}},
		"one: pairs go on":             {[]string{"date=2024-10-01\ntime=22:17:30\ntype=event\nmsg=\"x\""}},
		"one: wrapped pairs":           {[]string{"date=2024-10-01 time=22:17:30\ntype=event level=info emsserial=1"}},
		"one: text goes on":            {[]string{"emsserial=1 msg=first\n  at second\nthird"}},
		"one: JSON over lines":         {[]string{"{\n  \"emsserial\": \"a\",\n  \"b\": [\n{\"c\":1}]\n}"}},
		"one: a second header":         {[]string{`<13>Oct  1 22:17:31 relay1 <134>Oct  1 22:17:30 ems1 ems-vpn[7]: x=1`}},
		"one: PRI in a value":          {[]string{`date=2024-10-01 msg="a<134>date=2024-10-01 b" x=<134>date=2024-10-01`}},
		"one: XML":                     {[]string{`emsserial=1 a=<Event><b c="d"/></Event>`}},
		"line break as text":           {[]string{a, "#012", b}},
		"CR LF as text":                {[]string{bare, "#015#012", bare + "#015#012"}},
		"NUL as text":                  {[]string{a, "#000", b}},
		"line break as JSON writes it": {[]string{a, `\n`, b}},
		"single quotes":                {[]string{`date=2024-10-01 type='event' emsserial=1 msg='it'`, "\n", bare}},
		"a cut single quote":           {[]string{`date=2024-10-01 msg='offl`, "\n", bare}},
		"JSON array":                   {[]string{`[{"emsserial":"a","b":[{"c":1}]}`, ", ", `{"emsserial":"b"}`, "\n]", ``}},
		"JSON array behind a header":   {[]string{`<134>Oct  1 22:17:30 h ems-vpn: [{"emsserial":"a"}`, ",", `{"emsserial":"b"}`, "]", ``}},
		"JSON array that is cut":       {[]string{`[{"emsserial":"a"}`, ",", `{"emsserial":"b","c":"d`}},
		"JSON objects, nothing":        {[]string{`{"emsserial":"a}{"}`, "", `{"emsserial":"b"}`}},
		"octet counts of CEF":          {[]string{count(`<134>CEF:0|F|E|7|1|x|5|a=b c=d`), "", count(`<134>CEF:0|F|E|7|1|x|5|a=b`)}},
		"one: line break as text":      {[]string{`date=2024-10-01 msg="one#012<134>date=2024-10-01 type=event two" level=info`}},
		"one: in single quotes":        {[]string{"date=2024-10-01 msg='one\n<134>date=2024-10-01 type=event two' level=info"}},
		"one: a path":                  {[]string{`date=2024-10-01 path=C:\new\name type=event level=info`}},
		"one: JSON with a line in it":  {[]string{`{"log":"<134>date=2024-10-01 type=event emsserial=1\n<134>date=2024-10-01 type=event"}`}},
		"one: an array as value":       {[]string{`<134>date=2024-10-01 a=[{"b":1},{"b":2}]`}},
		"one: framing alone":           {[]string{a + "\r\n\x00\n"}},
		"one: BOM and a line break":    {[]string{"\ufeff\n" + a}},
		"one: NUL behind PRI":          {[]string{"<134>\x00Oct  1 22:17:30 h ems-vpn[7]: emsserial=1"}},
		"one: line break first":        {[]string{"\n" + a}},
	} {
		t.Run(name, func(t *testing.T) {
			var want []string
			for i := 0; i < len(c.parts); i += 2 {
				if c.parts[i] != "" {
					want = append(want, c.parts[i])
				}
			}
			got := messages(strings.Join(c.parts, ""))
			for i := range got {
				if i < len(got)-1 {
					got[i] = strings.TrimRight(got[i], "\r\n")
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("\n got %q\nwant %q", got, want)
			}
		})
	}
}

// TestNextMessageIsLinear reads hostile texts and the same 16 times as long.
func TestNextMessageIsLinear(t *testing.T) {
	for _, s := range []string{"\n<1>a", "a=\"\n<1>a", "x=1<1>date=2 ", "\ntype=a b=c", "a=\"b\" \" \n1 <1>a", "<<<", `{`, `{"a":1}`, `{"a":1}{`, `[{`, "#012", "#012<1>a ", "\n'a='", "a=1<1>1 2024-10-01T22:17:30Z \""} {
		took := func(n int) time.Duration {
			best := time.Hour
			for range 3 {
				text, at := []byte("date=1 msg=\"x"+strings.Repeat(s, n)), time.Now()
				var m Messages
				for m.Reset(text); m.More(); {
					m.Next()
				}
				best = min(best, time.Since(at))
			}
			return best
		}
		// 16 times the text: quadratic time would be 256 times as long.
		var a, b time.Duration
		for range 5 { // a ratio within one run, tried again when the machine is busy
			if a, b = took(4_000), took(64_000); b <= 80*a {
				break
			}
		}
		if b > 80*a {
			t.Errorf("%q: %v, 16 times the text %v", s, a, b)
		}
	}
}

func FuzzNextMessage(f *testing.F) {
	f.Add([]byte("<134>date=1 msg=\"offline\"\n<134>date=1 tz=\"x\""))
	f.Add([]byte("105 <134>date=1 x=443105 <134>Oct  1 22:17:30 h t[1]: \x00\x00{\"a\":1}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var m Messages
		at := 0
		for m.Reset(text); m.More(); {
			part := m.Next()
			if len(part) == 0 || !bytes.HasPrefix(text[at:], part) {
				t.Fatalf("%q is not at %d", part, at)
			}
			if between := bytes.Trim(text[at+len(part):m.at], ` ,]#012`+"5\\nr\t\r\n\v\f\x00"); len(between) > 0 {
				t.Fatalf("%q is lost", between)
			}
			at = m.at
		}
		if at != len(text) {
			t.Fatalf("%d of %d bytes", at, len(text))
		}
	})
}

// isOne reports what IsOneMessage says of a text.
func isOne(l *Line, a *arena.Arena, text string) bool {
	a.Reset()
	l.ReadHeader([]byte(text), a)
	l.ReadPairs()
	return l.IsOneMessage()
}

// TestOneMessage asks IsOneMessage about every line of the corpus, alone and with another
// behind the whole of it or its beginning.
func TestOneMessage(t *testing.T) {
	files, err := filepath.Glob("../../test/corpus/*/input.log")
	if err != nil || len(files) < 50 {
		t.Fatal(len(files), err)
	}
	const second = `<134>date=2024-10-01 time=22:17:31 devname="ems" type=event emsserial=FCTEMS1 msg="online"`
	var l Line
	var a arena.Arena
	lines, ones := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimRight(line, "\n")
			lines++
			if !isOne(&l, &a, line) {
				continue
			}
			ones++
			if n := len(messages(line)); n > 1 {
				t.Errorf("%s: %d messages: %q", file, n, line)
			}
			for _, between := range []string{"\n", "\r\n", "\x00", "#012", `\n`, ""} {
				for n := len(line); n > 0; n -= 1 + n/16 {
					if both := line[:n] + between + second; isOne(&l, &a, both) {
						t.Errorf("%s: one message: %q", file, both)
					}
				}
			}
		}
	}
	if ones < lines/2 {
		t.Errorf("%d of %d lines are one message at a glance", ones, lines)
	}
}
