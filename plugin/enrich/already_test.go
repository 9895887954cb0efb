package enrich

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/plugin/count"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
)

// corpusChunk returns a chunk with every line of the corpus.
func corpusChunk(t testing.TB) (chunk []byte, lines int) {
	t.Helper()
	files, err := filepath.Glob("../../test/corpus/*/input.log")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for l := range bytes.Lines(text) {
			chunk = append(chunk, eventOf(pair{"message", str(string(bytes.TrimSuffix(l, []byte("\n"))))}, pair{"kept", str("x")})...)
			lines++
		}
	}
	return chunk, lines
}

// optionCombinations are all that change what a filter writes or does with a line.
func optionCombinations() (list []Options) {
	for _, schema := range []option.Schema{option.ECS, option.Flat} {
		for _, unmatched := range []option.Unmatched{option.Pass, option.Mark, option.Drop} {
			for _, on := range []bool{true, false} {
				for _, original := range []bool{true, false} {
					list = append(list, Options{Schema: schema, Unmatched: unmatched, EventTime: on, PreserveOriginal: original,
						Location: time.FixedZone("", 3600), KeyNames: []string{"log", "message", "event_original"}})
				}
			}
		}
	}
	return list
}

// TestOursPassASecondFilter runs the corpus through two filters with every combination of
// options: the second one leaves each record of the first byte for byte.
func TestOursPassASecondFilter(t *testing.T) {
	chunk, _ := corpusChunk(t)
	for _, first := range optionCombinations() {
		out, st := run(t, first, chunk)
		matched, marked := st.Counts[count.Matched], st.Counts[count.Marked]
		if matched < 300 {
			t.Fatalf("%d lines matched", matched)
		}
		for _, second := range optionCombinations() {
			again, st2 := run(t, second, out)
			if st2.Counts[count.Already] != matched || st2.Counts[count.Matched] != 0 {
				t.Fatalf("%+v after %+v: %d of %d known, %d matched again", second, first, st2.Counts[count.Already], matched, st2.Counts[count.Matched])
			}
			if second.Unmatched == option.Pass || second.Unmatched == option.Mark && marked > 0 {
				if !bytes.Equal(again, out) {
					t.Fatalf("%+v after %+v: records changed", second, first)
				}
			}
			for rest := again; len(rest) > 0; {
				ev, next, err := event.Next(rest)
				if err != nil {
					t.Fatal(err)
				}
				// Chunks of one event each are slow to search; a record of ours is long.
				if bytes.Contains(ev.Record, []byte("module")) && !bytes.Contains(out, rest[:len(rest)-len(next)]) {
					t.Fatalf("%+v after %+v: a record changed", second, first)
				}
				rest = next
				if second.Unmatched == option.Pass {
					break // compared above
				}
			}
		}
	}
}

func TestWhatIsOurs(t *testing.T) {
	ems := func(category string) []byte {
		return recordOf(pair{"ems", recordOf(pair{"category", str(category)})})
	}
	module := recordOf(pair{"kind", str("event")}, pair{"module", str("fortinet")})
	line := pair{"log", str(wazuh)}
	for name, c := range map[string]struct {
		pairs []pair
		want  bool
	}{
		"nested":                       {[]pair{{"event", module}, {"fortinet", ems("ems-vpn")}}, true},
		"flat":                         {[]pair{{"event_module", str("fortinet")}, {"fortinet_ems_category", str("unknown")}}, true},
		"dotted":                       {[]pair{{"event.module", str("fortinet")}, {"fortinet.ems.category", str("fct-event")}}, true},
		"dotted in part":               {[]pair{{"event", module}, {"fortinet.ems", recordOf(pair{"category", str("ems-vpn")})}}, true},
		"below dotted":                 {[]pair{{"event", module}, {"fortinet", recordOf(pair{"ems.category", bin("ems-vpn")})}}, true},
		"with a raw line":              {[]pair{line, {"event", module}, {"fortinet", ems("ems-vpn")}}, true},
		"another category":             {[]pair{line, {"event", module}, {"fortinet", ems("ems-quux")}}, false},
		"no module":                    {[]pair{line, {"fortinet", ems("ems-vpn")}}, false},
		"another module":               {[]pair{line, {"event", recordOf(pair{"module", str("cisco")})}, {"fortinet", ems("ems-vpn")}}, false},
		"a category that is no text":   {[]pair{line, {"event", module}, {"fortinet_ems_category", msgp.AppendInt(nil, 1)}}, false},
		"Elastic's integration":        {[]pair{line, {"event", module}, {"fortinet", recordOf(pair{"firewall", recordOf()})}}, false},
		"a key that only begins alike": {[]pair{line, {"event", module}, {"fortinet_ems_category_x", str("ems-vpn")}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			chunk := eventOf(c.pairs...)
			for _, u := range []option.Unmatched{option.Pass, option.Mark, option.Drop} {
				out, st := run(t, Options{Unmatched: u}, chunk)
				if got := st.Counts[count.Already] == 1; got != c.want || st.Counts[count.Records] != 1 {
					t.Errorf("%s: %+v", u, st)
				}
				if st.Changed == c.want || c.want && !bytes.Equal(out, chunk) {
					t.Errorf("%s: changed %v", u, st.Changed)
				}
			}
		})
	}
}
