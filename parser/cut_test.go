package parser

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
)

// pairsByName returns the values of a line by key, in their order.
func pairsByName(text string) map[string]string {
	var ev Event
	New(Options{}).Parse(&ev, []byte(text), received)
	all := map[string]string{}
	for i := range ev.Line.Pairs.List {
		if p := &ev.Line.Pairs.List[i]; p.NonEmpty() {
			all[string(p.Name())] = string(p.Value)
		}
	}
	return all
}

// freeText are keys whose value without quotes may have any word at its end, as that of an
// unknown key: "3 ms" may be whole.
var freeText = regexp.MustCompile(`^(?:msg|logdesc|os|usingpolicy|failed_reason|reason|hostname|virus|file|app|srcproduct|threat)$`)

// isCutValue reports whether v is the beginning of a value, of which the cut line has no
// more, or a text without quotes, which ends where the next key does.
func isCutValue(text, v, whole string) bool {
	if strings.HasPrefix(v, "'") || strings.HasPrefix(v, `\`) || strings.HasPrefix(v, "&") || strings.Contains(text, "=&quot;") || strings.HasPrefix(text, "{") {
		return strings.HasSuffix(strings.TrimRight(text, " "), strings.TrimRight(v, " ")) // in quotes or a number whose end is missing
	}
	text = strings.TrimRight(text, ` \#01`)
	if whole == "" {
		whole = "N/A"
		if strings.HasPrefix(v, "(") {
			whole = "(null)"
		}
	}
	return strings.HasSuffix(text, strings.TrimRight(v, ` \#01`)) && strings.HasPrefix(whole, v)
}

// timeAndSource returns the time and zone of a line of FortiEMS, and what they are made of: the
// stamp of the header and the pairs of times.
func timeAndSource(ev *Event) (at, from string) {
	from = fmt.Sprint(ev.Line.Header.HasTime, ev.Line.Header.Time)
	for _, name := range []string{"eventtime", "timestamp", "itime", "itime_t", "dtime", "date", "time", "tz", "timezone"} {
		from += fmt.Sprintf(" %q", ev.Line.Pairs.Value(dict.Lookup([]byte(name))))
	}
	return fmt.Sprint(ev.Time, string(ev.Record.Text(ecs.EventTimezone))), from
}

// TestCutLines cuts every line of the corpus at every byte. Apart from the pair at the cut,
// which is the last one, every pair has the value that it has in the whole line; that pair as
// well, but for its missing end, in real samples and at some bytes of the others. A cut line
// with the stamp and the pairs of times of the whole line has its time and zone.
func TestCutLines(t *testing.T) {
	files, err := filepath.Glob("../test/corpus/*/input.log")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files of the corpus, %v", len(files), err)
	}
	cuts, timed, failed := 0, 0, 0
	var ev Event
	p := New(Options{})
	for _, file := range files {
		if strings.Contains(file, "/quirk-formats/") || strings.Contains(file, "/quirk-headers/") || strings.Contains(file, "/quirk-quotes/") {
			continue // nested JSON, XML, structured data, doubled quotes: their cut parts are other text
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		real := strings.Contains(file, "/real-")
		for _, whole := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			want := pairsByName(whole)
			ofEMS := p.Parse(&ev, []byte(whole), received)
			at, from := timeAndSource(&ev)
			for n := 1; n < min(len(whole), 4096) && failed < 20; n++ {
				cuts++
				if p.Parse(&ev, []byte(whole[:n]), received) && ofEMS {
					if cutAt, cutFrom := timeAndSource(&ev); cutFrom == from {
						timed++
						if cutAt != at {
							failed++
							t.Errorf("%s: %q\ntime is %s, in the whole line %s", filepath.Base(filepath.Dir(file)), whole[:n], cutAt, at)
						}
					}
				}
				pairs := ev.Line.Pairs.List
				if !real && n%7 != 1 && len(pairs) > 0 {
					pairs = pairs[:len(pairs)-1] // the pair at the cut
					if strings.Contains(whole, "LEEF:") && string(ev.Line.Pairs.List[len(pairs)].Name()) == "logid" && len(pairs) > 0 {
						pairs = pairs[:len(pairs)-1] // logid is that of the header
					}
				}
				for i := range pairs {
					pair := &ev.Line.Pairs.List[i]
					name := string(pair.Name())
					// A line of CEF without msg or a log id has those of its header; its start is
					// date and time once it is whole.
					ofHeader := strings.Contains(whole, "CEF:") && (name == "msg" || name == "logid" || name == "start" || name == "cat" || name == "type" || name == "subtype")
					if !pair.NonEmpty() || name == "header_text" || strings.HasSuffix(whole[:n], "dstip=authi") || strings.HasSuffix(whole[:n], "user=jane i/") || strings.HasSuffix(whole[:n], "hostname=error p") || ofHeader {
						continue
					}
					if want["json_"+name] == string(pair.Value) {
						continue // the line that the object wraps is too short to be seen
					}
					if w, ok := want[name]; (!ok || w != string(pair.Value)) && !((freeText.MatchString(name) || dict.Lookup([]byte(name)) == dict.NoKey) && strings.HasPrefix(string(pair.Value), w) && strings.HasSuffix(whole[:n], string(pair.Value))) && !isCutValue(whole[:n], string(pair.Value), w) {
						failed++
						t.Errorf("%s: %q\n%s is %q, in the whole line %q", filepath.Base(filepath.Dir(file)), whole[:n], name, pair.Value, w)
						break
					}
				}
			}
		}
	}
	if cuts < 10_000 || timed < 5_000 {
		t.Errorf("only %d cuts, %d with all times", cuts, timed)
	}
}
