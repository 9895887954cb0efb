package parser

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// loadText loads rules from a text.
func loadText(t testing.TB, text string) (*Rules, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadRules(file)
}

func TestRulesFileMistakesNameLineAndReason(t *testing.T) {
	const head = "version: 1\nrules:\n"
	for name, c := range map[string]struct {
		text, reason string
		line         int
	}{
		"unknown key":        {head + "  - name: a\n    when: {word: [x]}\n    set: {severity: 1}\n", `unknown key "word"`, 4},
		"unknown effect":     {head + "  - name: a\n    set: {actions: x}\n", `unknown key "actions"`, 4},
		"unknown category":   {head + "  - name: a\n    set: {category: ems-foo}\n", `unknown category "ems-foo"`, 3},
		"unknown condition":  {head + "  - name: a\n    when: {fields: {x: {like: y}}}\n    set: {severity: 1}\n", `unknown condition "like"`, 4},
		"bad regex":          {head + "  - name: a\n    when: {fields: {x: {regex: '('}}}\n    set: {severity: 1}\n", "missing closing )", 4},
		"bad severity":       {head + "  - name: a\n    set: {severity: 9}\n", "severity 9", 3},
		"bad kind":           {head + "  - name: a\n    set: {kind: x}\n", `kind "x"`, 3},
		"bad outcome":        {head + "  - name: a\n    set: {outcome: maybe}\n", `outcome "maybe"`, 3},
		"sets nothing":       {head + "  - name: a\n    when: {type: event}\n", "sets nothing", 3},
		"no name":            {head + "  - set: {severity: 1}\n", "no name", 3},
		"same name":          {head + "  - {name: a, set: {severity: 1}}\n  - {name: a, set: {severity: 1}}\n", "stands at line 3", 4},
		"word without text":  {head + "  - name: a\n    when: {words: ['--']}\n    set: {severity: 1}\n", "no letter or digit", 3},
		"pair outside ECS":   {head + "  - name: a\n    set: {category: ems-vpn, event_category: [malware], event_type: [start]}\n", "not expected", 3},
		"not YAML":           {"version: 1\nrules: [\n", "did not find", 0},
		"wrong version":      {"version: 2\nrules: []\n", "version: 1", 0},
		"built-in sections":  {"version: 1\noutcome: {failure: [x]}\nrules: []\n", "belong to the built-in rules", 0},
		"unknown section":    {"version: 1\nruls: []\n", "ruls", 2},
		"empty":              {"", "EOF", 0},
		"rule is no mapping": {head + "  - x\n", "mapping", 3},
		"empty list":         {head + "  - name: a\n    when: {type: []}\n    set: {severity: 1}\n", "never matches", 4},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadText(t, c.text)
			var re *RulesError
			if !errors.As(err, &re) {
				t.Fatalf("error %v", err)
			}
			if !strings.Contains(re.Reason, c.reason) || c.line != 0 && re.Line != c.line || !strings.HasSuffix(re.File, "rules.yaml") {
				t.Errorf("%v, want line %d and %q", err, c.line, c.reason)
			}
		})
	}
}

func TestRulesFileThatCannotBeRead(t *testing.T) {
	for _, file := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		if _, err := LoadRules(file); err == nil {
			t.Errorf("%s was loaded", file)
		}
	}
}

func TestUserRulesComeFirst(t *testing.T) {
	rules, err := loadText(t, `
version: 1
rules:
  - {name: own-category, when: {subtype: ems-event, words: ["policy pack*"]}, set: {category: ems-policy, action: policy-deploy}}
  - {name: first, when: {words: [alpha]}, set: {severity: 2}}
  - {name: second, when: {words: [alpha, beta]}, set: {severity: 3, action: my-own}}
  - {name: field, when: {fields: {x_y: {regex: '^a+$'}, z: {exists: false}}}, set: {kind: alert}}
  - {name: endpoint, when: {endpoint: true, not_words: [offline], all_words: [one, two]}, set: {outcome: success}}
`)
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Rules: rules})
	for name, c := range map[string]struct {
		line string
		want map[Field]string
	}{
		"a rule beats the token":         {`subtype=ems-event emsserial=FCTEMS1 msg="Policy package sent"`, map[Field]string{EMSCategory: "ems-policy", EventAction: "policy-deploy"}},
		"first match wins":               {`subtype=ems-vpn msg="alpha beta"`, map[Field]string{EMSCategory: "ems-vpn", EventAction: ""}},
		"the second for the second word": {`subtype=ems-vpn msg="beta"`, map[Field]string{EventAction: "my-own"}},
		"fields":                         {`subtype=ems-vpn X.Y=aaa msg="gamma"`, map[Field]string{EventKind: "alert"}},
		"fields that exist":              {`subtype=ems-vpn X.Y=aaa z=1 msg="gamma"`, map[Field]string{EventKind: "event"}},
		"endpoint and words":             {`subtype=ems-vpn devid=FCT1 msg="two, one"`, map[Field]string{EventOutcome: "success"}},
		"endpoint and a word too many":   {`subtype=ems-vpn devid=FCT1 msg="two, one offline"`, map[Field]string{EventOutcome: ""}},
	} {
		t.Run(name, func(t *testing.T) {
			var ev Event
			if !p.Parse(&ev, []byte(c.line), 1733392800, 0) {
				t.Fatal("not FortiEMS")
			}
			for f, want := range c.want {
				got := ""
				if ev.Set.Has(f) {
					got = ev.Values[f].Const.Texts[0]
				}
				if got != want {
					t.Errorf("%s = %q, want %q", Fields[f], got, want)
				}
			}
		})
	}
}

func TestOutcomeWords(t *testing.T) {
	p := New(Options{})
	for msg, want := range map[string]string{
		"failed to connect": "failure", "unsuccessful": "failure", "sync completed with 0 errors": "success",
		"finished, no error": "success", "completed with 10 errors": "failure", "error: 0, completed": "success",
		"offline": "", "can't reach it": "failure", "CONNECTED": "success", "disconnected": "",
	} {
		var ev Event
		p.Parse(&ev, []byte(`subtype=ems-network emsserial=FCTEMS1 msg="`+msg+`"`), 1733392800, 0)
		got := ""
		if ev.Set.Has(EventOutcome) {
			got = ev.Values[EventOutcome].Const.Texts[0]
		}
		if got != want {
			t.Errorf("%q ends in %q, want %q", msg, got, want)
		}
	}
}

// TestPhrasesAgreeWithASlowSearch compares the automaton with strings.Contains.
func TestPhrasesAgreeWithASlowSearch(t *testing.T) {
	for _, phrase := range []string{"fail*", "a b", "0 errors", "b", "can t", "é*"} {
		var s phraseSet
		if _, err := s.add(phrase, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := s.add("decoy word", 0); err != nil {
			t.Fatal(err)
		}
		a, err := s.build()
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range []string{"", "b", "a  b", "a-b!", "ab", "FAILED", "unfail fail", "10 errors", "x 0 errors.", "can't", "été", "B a,b"} {
			form, err := readForm(msg + "x")
			read := " "
			if err == nil {
				read = strings.TrimSuffix(form, "x ")
				if !strings.HasSuffix(read, " ") {
					read += " "
				}
			}
			var h wordHits
			a.scan([]byte(msg), &h)
			if got, want := h.bits[0]&1 != 0, strings.Contains(read, s.texts[0]); got != want {
				t.Errorf("%q in %q (%q): %v, want %v", phrase, msg, read, got, want)
			}
		}
	}
}

func FuzzLoadRules(f *testing.F) {
	f.Add("version: 1\nrules:\n  - name: a\n    when: {type: x, words: [b, 'c*'], fields: {x: {regex: y}}}\n    set: {severity: 1}\n")
	f.Add("a: &a [*a, *a]\nversion: 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		if rs, err := compileRules("rules.yaml", []byte(text)); err == nil && rs == nil || err != nil && rs != nil {
			t.Fatal("neither rules nor an error")
		}
	})
}
