package parser

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
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
		"not YAML":           {"version: 1\nrules: [\n", "did not find", 2},
		"not YAML, line 1":   {"rules: a: b\n", "mapping values are not allowed", 1},
		"wrong version":      {"# mine\nrules: []\nversion: 2\n", "version: 1", 3},
		"no version":         {"rules: []\n", "version: 1", 1},
		"nothing but null":   {"---\n", "version: 1", 1},
		"outcome":            {"version: 1\noutcome: {failure: [x]}\nrules: []\n", "belong to the built-in rules", 2},
		"categories":         {"version: 1\nrules: []\ncategories: {}\n", "belong to the built-in rules", 3},
		"actions":            {"version: 1\n\nactions:\n  - {action: x}\nrules: []\n", "belong to the built-in rules", 3},
		"unknown section":    {"version: 1\nruls: []\n", "ruls", 2},
		"empty":              {"", "the file is empty: version and rules are expected", 1},
		"comments alone":     {"# nothing\n\n", "the file is empty: version and rules are expected", 1},
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
		"finished, no error": "success", "not locked, interrupted": "failure", "completed with 10 errors": "failure", "error: 0, completed": "success",
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

// TestNegatedSuccess puts every success word of the built-in rules behind a
// negation.
func TestNegatedSuccess(t *testing.T) {
	var f struct{ Outcome struct{ Success []string } }
	if err := yaml.Unmarshal(builtinYAML, &f); err != nil || len(f.Outcome.Success) < 50 {
		t.Fatal(len(f.Outcome.Success), err)
	}
	p := New(Options{})
	for _, word := range f.Outcome.Success {
		word = strings.TrimSuffix(word, "*")
		// Not what somebody did ("changed policy", "error resolved"), and no
		// verbs in the present.
		if _, last, two := strings.Cut(word, " "); two && !slices.Contains([]string{"in", "on", "out", "off", "to date", "sync"}, last) ||
			word == "succeeds" || word == "completes" {
			continue
		}
		negations := []string{"is not", "has not been", "is not yet", "has not yet been", "will not be", "was never", "isn't", "aren't", "wasn't", "weren't"}
		if word != "succeeded" {
			negations = append(negations, "hasn't been", "haven't been", "won't be", "has never been")
		}
		if word == "in sync" || word == "up to date" || word == "complete" || word == "succeeded" {
			negations = []string{"is not", "is not yet", "was never"}
		}
		for _, not := range negations {
			msg := "It " + not + " " + word
			var ev Event
			p.Parse(&ev, []byte(`subtype=ems-network emsserial=FCTEMS1 msg="`+msg+`"`), 1733392800, 0)
			if !ev.Set.Has(EventOutcome) || ev.Values[EventOutcome].Const != outcomeConstants[failure] {
				t.Errorf("%q is no failure", msg)
			}
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

// fewBuiltins stand in for the built-in rules, which take a hundred times as long
// to compile as the file of a user.
const fewBuiltins = `version: 1
outcome: {fields: [status], field_failure: [failed], field_success: [ok], failure: [failed], success: [done], ignore: [0 errors]}
categories: {ems-vpn: {event_category: [network], event_type: [connection]}}
actions: [{action: vpn-connect, in: [ems-vpn], event_category: [network], event_type: [connection, start]}]
rules:
  - {name: a vpn, when: {words: [vpn]}, set: {category: ems-vpn, action: vpn-connect}}
`

func TestFewBuiltinsCompile(t *testing.T) {
	if _, err := compileBoth("", nil, []byte(fewBuiltins)); err != nil {
		t.Fatal(err)
	}
}

func FuzzLoadRules(f *testing.F) {
	f.Add("version: 1\nrules:\n  - name: a\n    when: {type: x, words: [b, 'c*'], fields: {x: {regex: y}}}\n    set: {severity: 1}\n", "x=yy type=x msg=b")
	f.Add("version: 1\nrules:\n  - {name: a, when: {writer: ems, not_words: [b], all_words: [c, d]}, set: {category: ems-vpn, action: x, outcome: failure}}\n", "msg=c d")
	f.Add("version: 1\nrules:\n  - {name: a, when: {id: ['96900'], endpoint: true, fields: {x: {exists: false}, y: {contains: [z]}}}, set: {kind: alert}}\n", "id=96900 y=az")
	f.Add("a: &a [*a, *a]\nversion: 1\n", "")
	f.Fuzz(func(t *testing.T, text, line string) {
		rs, err := compileBoth("rules.yaml", []byte(text), []byte(fewBuiltins))
		if err == nil && rs == nil || err != nil && rs != nil {
			t.Fatal("neither rules nor an error")
		}
		if rs == nil {
			return
		}
		var ev Event
		if !New(Options{Rules: rs}).Parse(&ev, []byte("emsserial=1 "+line), received, 0) || !ev.Set.Has(EMSCategory) || !ev.Set.Has(EventKind) {
			t.Fatal("the line is not categorised")
		}
	})
}

// TestHostileRulesFiles holds files that cost a careless reader its memory or
// its time. Each must be refused, or accepted and harmless, at once.
func TestHostileRulesFiles(t *testing.T) {
	rule := func(regex string) string {
		return "version: 1\nrules:\n  - {name: a, when: {fields: {x: {regex: '" + regex + "'}}}, set: {severity: 1}}\n"
	}
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 10; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	inRule := "version: 1\nrules:\n  - name: a\n    set: {severity: 1}\n    when:\n      words:\n        - &b0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 10; i++ {
		inRule += fmt.Sprintf("        - &b%d [%s]\n", i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*b%d, ", i-1), 10), ", "))
	}
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"aliases of aliases":            {bomb + "version: 1\nrules: *a9\n", false},
		"aliases of aliases in a rule":  {inRule, false},
		"a rule in itself":              {"version: 1\nrules: &r [*r]\n", false},
		"deep nesting":                  {"version: 1\nrules: " + strings.Repeat("[", 100_000) + "\n", false},
		"repeats of repeats":            {rule("((((a{1000}){1000}){1000}){1000})"), false},
		"a huge class":                  {rule("(" + strings.Repeat("[a-z0-9]|", 50_000) + "x)"), true},
		"back-tracking for ever":        {rule("^(a+)+$|(x+x+)+y|(.*)*z"), true},
		"a back reference":              {rule(`(a)\1`), false},
		"a look-ahead":                  {rule(`(?=a)b`), false},
		"a long pattern with a mistake": {rule("[" + strings.Repeat("a", 50_000)), false},
		"a long name with a mistake":    {"version: 1\nrules:\n  - {name: " + strings.Repeat("é", 9_000) + ", when: {category: x}, set: {severity: 1}}\n", false},
		"ten thousand words":            {"version: 1\nrules:\n  - {name: a, when: {words: [" + strings.Repeat("w, ", 10_000) + "x]}, set: {severity: 1}}\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			rs, err := compileRules("rules.yaml", []byte(c.text))
			if (err == nil) != c.ok {
				t.Fatalf("%v", err)
			}
			if err == nil {
				var ev Event
				p := New(Options{Rules: rs})
				p.Parse(&ev, []byte("emsserial=1 x="+strings.Repeat("a", 64<<10)+"!"), received, 0)
			} else if reason := err.Error(); len(reason) > 2000 || !utf8.ValidString(reason) {
				t.Errorf("a reason of %d bytes: %q", len(reason), reason)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestPrefixOfRegex(t *testing.T) {
	for re, want := range map[string]string{
		`^/adm`: "/adm", `(?i)^Exec-7`: "exec-7", `(?i)^Disk`: "di", `^Disk x`: "disk x", `^(block|deny)`: "", `block`: "", `^ab*`: "a",
		`(?m)^a b`: "", `^a|^b`: "", `^é`: "", `(?i)^aé`: "a", `^`: "", `^a$`: "a",
	} {
		if got := prefixOf(regexp.MustCompile(re)); got != want {
			t.Errorf("%s: %q, not %q", re, got, want)
		}
	}
}

// TestRulesOnValuesOfKeys checks that rules filed under the value of a key are
// tried in their order with all others.
func TestRulesOnValuesOfKeys(t *testing.T) {
	rs, err := loadText(t, `version: 1
rules:
  - {name: a, when: {fields: {hostname: [PC-1, pc-2]}}, set: {severity: 1}}
  - {name: b, when: {fields: {usingpolicy: default}, words: [hello]}, set: {severity: 2}}
  - {name: c, when: {fields: {hostname: "pc-*"}}, set: {severity: 3}}
  - {name: d, when: {fields: {hostname: pc-3, user: {exists: true}}}, set: {severity: 4}}
  - {name: e, when: {fields: {newkey: x}}, set: {severity: 5}}
  - {name: f, when: {fields: {user: {regex: '^adm'}}}, set: {severity: 6}}
`)
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Rules: rs})
	for line, want := range map[string]int64{
		`hostname=pc-1`: 1, `hostname=Pc-2 usingpolicy=Default msg="hello"`: 1, `usingpolicy=DEFAULT msg="well, hello"`: 2,
		`hostname=pc-3 user=x`: 3, `hostname=xpc-1 newkey=X`: 5, `user=admin`: 6, `user=xadm usingpolicy=default`: -1,
		`hostname="" usingpolicy=default msg=hello`: 2,
	} {
		var ev Event
		p.Parse(&ev, []byte("emsserial=FCTEMS1 "+line), received, 0)
		got := int64(-1)
		if ev.Set.Has(EventSeverity) {
			got = ev.Values[EventSeverity].Num
		}
		if got != want {
			t.Errorf("%s: severity %d, not %d", line, got, want)
		}
	}
}

// TestFiledRulesAreTried compares the first rule that holds with that of a plain loop
// over all rules, for rules and events made by chance.
func TestFiledRulesAreTried(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	values := func() string {
		return pick("block", "Blocked", "bl", "pass", "disk", "DISK full", "\u00e9t\u00e9", "*", "a*", "0", "x y")
	}
	condition := func() string {
		switch pick("id", "type", "writer", "category", "words", "all_words", "not_words", "endpoint", "fields", "fields", "fields", "fields") {
		case "id":
			return fmt.Sprintf("id: [%s]", pick(`"96900"`, `"969*"`, `"*"`, `"0107*", "96900"`))
		case "type":
			return pick("type: event", "subtype: [admin, 'sys*']", "type: 'ev*'", "subtype: admin")
		case "writer":
			return "writer: " + pick("ems", "forticlient", "fortigate")
		case "category":
			return "category: " + pick("unknown", "ems-vpn", "[unknown, fct-traffic]")
		case "words":
			return pick("words: [block, full]", "words: ['dis*']")
		case "all_words":
			return "all_words: [disk, full]"
		case "not_words":
			return "not_words: [full]"
		case "endpoint":
			return "endpoint: " + pick("true", "false")
		}
		return fmt.Sprintf("fields: {%s: %s}", pick("action", "status", "user", "newkey", "message"), pick(
			strconv.Quote(values()), fmt.Sprintf("[%q, %q]", values(), values()), fmt.Sprintf("%q", values()+"*"), `"*"`,
			fmt.Sprintf("{contains: %q}", pick("l", "IS", "\u00c9")), "{exists: true}", "{exists: false}",
			fmt.Sprintf("{regex: '%s'}", pick("^bl", "(?i)^BL", "(?i)^disk", "^(block|pass)", "ock$", "^[bd]", "(?m)^d", "^"))))
	}
	for range 60 {
		var b strings.Builder
		b.WriteString("version: 1\nrules:\n")
		for i := range 150 {
			a, c := condition(), condition()
			if key, _, _ := strings.Cut(c, ":"); strings.HasPrefix(a, key+":") {
				c = "endpoint: false"
				if key == "endpoint" {
					c = "writer: ems"
				}
			}
			set := fmt.Sprintf("severity: %d", i%8)
			if rnd.IntN(2) == 0 {
				set = "category: fct-event"
			}
			fmt.Fprintf(&b, "  - {name: r%d, when: {%s, %s}, set: {%s}}\n", i, a, c, set)
		}
		rs, err := loadText(t, b.String())
		if err != nil {
			t.Fatal(err)
		}
		p := New(Options{Rules: rs})
		var ev Event
		for range 100 {
			line := "emsserial=FCTEMS1"
			for _, key := range []string{"action", "status", "user", "newkey", "msg"} {
				if rnd.IntN(2) == 0 {
					line += fmt.Sprintf(" %s=%q", key, values())
				}
			}
			line += pick("", " id=96900", " id=96999", " logid=0107045057") + pick("", " type=event", " type=Events") +
				pick("", " subtype=admin", " subtype=system", " subtype=ems-vpn") + pick("", " devid=FCT1", " fctver=7")
			p.Parse(&ev, []byte(line), received, 0)
			for at, l := range []*ruleList{&rs.userCategory, &rs.userEffects, &rs.builtinCategory, &rs.builtinEffects} {
				var want *rule
				for i := range l.rules {
					if l.rules[i].holds(&ev) {
						want = &l.rules[i]
						break
					}
				}
				if got := l.first(&ev); got != want {
					t.Fatalf("list %d: %+v, not %+v, for %s\n%s", at, got, want, line, b.String())
				}
			}
		}
	}
}
