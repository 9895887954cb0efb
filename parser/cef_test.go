package parser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
)

// cefNames are the extension keys that FortiGate and FortiAnalyzer have for raw keys. All
// others get a prefix.
var cefNames = map[string]string{
	"srcip": "src", "srcport": "spt", "dstip": "dst", "dstport": "dpt", "user": "suser", "action": "act", "status": "outcome",
	"devid": "deviceExternalId", "devname": "dvchost", "sessionid": "externalId", "service": "app", "url": "request", "proto": "proto",
	"rcvdbyte": "in", "sentbyte": "out", "msg": "msg", "reason": "reason",
}

// asCEF writes the pairs of an event as CEF with the prefix of FortiAnalyzer or FortiGate.
func asCEF(ev *Event, prefix string) string {
	p := &ev.Line.Pairs
	product := "FortiClient"
	if ev.Source.By == dict.FortiGate {
		product = "FortiGate"
	}
	s := fmt.Sprintf("CEF:0|Fortinet|%s|7.2|%s|%s:%s|3|", product, ev.Source.ID, p.Value(dict.KeyType), p.Value(dict.KeySubtype))
	escape := strings.NewReplacer(`\`, `\\`, `=`, `\=`)
	for i := range p.List {
		name, v := string(p.List[i].Name()), escape.Replace(string(p.List[i].Value))
		switch {
		case !p.List[i].NonEmpty() || name == "header_text":
			continue
		case name == "type":
			name = "cat"
		case name == "level" && prefix == "ad.":
			name = "deviceSeverity"
		case cefNames[name] != "":
			name = cefNames[name]
		default:
			name = prefix + name
		}
		s += " " + name + "=" + v
	}
	return s
}

// fieldsAndPairs returns what a record has, without what only one of the forms can have.
func fieldsAndPairs(ev *Event) map[string]string {
	all := map[string]string{}
	r := &ev.Record
	for f := range ecs.NumFields {
		name := ecs.Fields[f]
		if !r.Set.Has(f) || strings.HasPrefix(name, "log.syslog") || name == "event.severity" {
			continue
		}
		switch v := &r.Values[f]; v.Kind {
		case ecs.Int, ecs.Float:
			all[name] = fmt.Sprint(v.Num)
		case ecs.List:
			all[name] = fmt.Sprintf("%s", r.Lists[v.Num])
		case ecs.Const:
			all[name] = strings.Join(v.Const.Texts, " ")
		default:
			all[name] = string(v.Text)
		}
	}
	for i := range ev.Line.Pairs.List {
		p := &ev.Line.Pairs.List[i]
		if name := string(p.Name()); p.Unmapped() && !strings.HasPrefix(name, "cef_") && name != "header_text" {
			all["fortinet.ems."+name] = string(p.Value)
		}
	}
	return all
}

// TestCEFAndPairs writes every line of FortiClient and FortiGate of the corpus in both forms
// of CEF and compares all fields.
func TestCEFAndPairs(t *testing.T) {
	files, err := filepath.Glob("../test/corpus/*/input.log")
	if err != nil || len(files) < 40 {
		t.Fatalf("%d files of the corpus, %v", len(files), err)
	}
	p := New(Options{})
	var ev, other Event
	compared := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			matched := p.Parse(&ev, []byte(line), received)
			pairs := &ev.Line.Pairs
			if !matched || ev.Source.By == dict.EMS || ev.Source.ID == nil || ev.Line.CEF.Name != nil || !pairs.Has(dict.KeyMsg) || ev.Line.Header.AppName != nil ||
				strings.Contains(line, "<Event") || strings.Contains(line, `\"`) || strings.Contains(line, `="""`) || hasRepeats(&ev) {
				continue
			}
			want := fieldsAndPairs(&ev)
			for _, prefix := range []string{"ad.", "FTNTFGT"} {
				compared++
				cef := asCEF(&ev, prefix)
				if !p.Parse(&other, []byte(cef), received) {
					t.Errorf("unmatched: %s", cef)
					continue
				}
				got := fieldsAndPairs(&other)
				for k, v := range want {
					if got[k] != v {
						t.Errorf("%s\n%s: %s is %q, of pairs %q", filepath.Base(filepath.Dir(file)), cef, k, got[k], v)
					}
				}
				for k, v := range got {
					if _, ok := want[k]; !ok {
						t.Errorf("%s\n%s: %s is %q, of pairs nothing", filepath.Base(filepath.Dir(file)), cef, k, v)
					}
				}
			}
		}
	}
	if compared < 100 {
		t.Errorf("only %d lines compared", compared)
	}
}

func hasRepeats(ev *Event) bool {
	for i := range ev.Line.Pairs.List {
		if ev.Line.Pairs.List[i].Repeats() {
			return true
		}
	}
	return false
}
