package rule

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/parser/rules"
)

var onePair = regexp.MustCompile(`([^\s=]+)=("[^"]*"|\S*)`)

// factsOf returns the facts of a line of simple pairs.
func factsOf(text string) Facts {
	f := Facts{Token: dict.NoToken, Pairs: &line.Pairs{}}
	f.Pairs.Reset(&arena.Arena{})
	for _, m := range onePair.FindAllStringSubmatch(text, -1) {
		f.Pairs.Add([]byte(m[1]), []byte(strings.Trim(m[2], `"`)))
	}
	f.ID = f.Pairs.FirstValue(dict.KeyID, dict.KeyLogid)
	f.Type, f.Subtype = bytes.ToLower(f.Pairs.Value(dict.KeyType)), bytes.ToLower(f.Pairs.Value(dict.KeySubtype))
	f.Message = f.Pairs.Value(dict.KeyMsg)
	f.Endpoint = f.Pairs.Has(dict.KeyDevid)
	f.Token = dict.FindToken(f.Subtype)
	if f.Pairs.Has(dict.KeyFctver) {
		f.Source = dict.FortiClient
	}
	return f
}

func name(k *ecs.Constant) string {
	if k == nil {
		return ""
	}
	return strings.Join(k.Texts, ",")
}

func TestUserRulesComeFirst(t *testing.T) {
	rs, err := loadText(t, `
version: 1
rules:
  - {name: own-category, when: {subtype: ems-event, words: ["policy pack*"]}, set: {category: ems-policy, action: policy-deploy}}
  - {name: first, when: {words: [alpha]}, set: {severity: 2}}
  - {name: second, when: {words: [alpha, beta]}, set: {severity: 3, action: my-own}}
  - {name: field, when: {fields: {x_y: {regex: '^a+$'}, z: {exists: false}}}, set: {kind: alert}}
  - {name: endpoint, when: {endpoint: true, not_words: [offline], all_words: [one, two]}, set: {outcome: success}}
  - {name: clean, when: {category: ems-vpn, words: [$no_threat, $own]}, set: {action: clean}}
  - {name: tried, when: {words: $cannot fly}, set: {action: fly}}
  - {name: shadow, when: {all_words: [$cannot, walk]}, set: {action: walk}}
lists:
  toys: [teddy]
  own: [all clear, $toys]
`)
	if err != nil {
		t.Fatal(err)
	}
	for name_, c := range map[string]struct {
		line, category, action, outcome, kind string
		rule                                  string // of the user
	}{
		"a rule beats the token":         {`subtype=ems-event msg="Policy package sent"`, "ems-policy", "policy-deploy", "", "event", ""},
		"first match wins":               {`subtype=ems-vpn msg="alpha beta"`, "ems-vpn", "", "", "event", "first"},
		"the second for the second word": {`subtype=ems-vpn msg="beta"`, "ems-vpn", "my-own", "", "event", "second"},
		"fields":                         {`subtype=ems-vpn X.Y=aaa msg="gamma"`, "ems-vpn", "", "", "alert", "field"},
		"fields that exist":              {`subtype=ems-vpn X.Y=aaa z=1 msg="gamma"`, "ems-vpn", "", "", "event", ""},
		"endpoint and words":             {`subtype=ems-vpn devid=FCT1 msg="two, one"`, "ems-vpn", "", "success", "event", "endpoint"},
		"endpoint and a word too many":   {`subtype=ems-vpn devid=FCT1 msg="two, one offline"`, "ems-vpn", "", "", "event", ""},
		"a list of ours":                 {`subtype=ems-vpn msg="no threats"`, "ems-vpn", "clean", "", "event", "clean"},
		"a list in a list":               {`subtype=ems-vpn msg="teddy"`, "ems-vpn", "clean", "", "event", "clean"},
		"a list with words after it":     {`subtype=ems-vpn msg="unable to fly"`, "ems-vpn", "fly", "failure", "event", "tried"},
		"one of a list and a word":       {`subtype=ems-vpn msg="walk? cannot"`, "ems-vpn", "walk", "failure", "event", "shadow"},
		"no token, no rule":              {`msg="gamma"`, "unknown", "", "", "event", ""},
	} {
		t.Run(name_, func(t *testing.T) {
			f := factsOf(c.line)
			var s Scratch
			d := rs.Decide(&f, &s)
			rule := ""
			if d.UserRule != nil {
				rule = d.UserRule.Name
			}
			got := []string{d.Category.String(), name(d.Action), name(d.Outcome), name(d.Kind), rule}
			if want := []string{c.category, c.action, c.outcome, c.kind, c.rule}; !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// outcomeOf returns the outcome of a message without fields.
func outcomeOf(msg string) string {
	f := factsOf("subtype=ems-network")
	f.Message = []byte(msg)
	var s Scratch
	return name(Builtin().Decide(&f, &s).Outcome)
}

func TestOutcomeWords(t *testing.T) {
	for msg, want := range map[string]string{
		"failed to connect": "failure", "unsuccessful": "failure", "sync completed with 0 errors": "success",
		"finished, no error": "success", "not locked, interrupted": "failure", "completed with 10 errors": "failure", "error: 0, completed": "success",
		"offline": "", "can't reach it": "failure", "CONNECTED": "success", "disconnected": "", "will be applied": "", "has not been applied": "failure",
		"a failed b failed c failed d failed e failed f failed g failed h failed i failed, no error": "failure",
	} {
		if got := outcomeOf(msg); got != want {
			t.Errorf("%q ends in %q, want %q", msg, got, want)
		}
	}
}

func TestOutcomeFields(t *testing.T) {
	for pairs, want := range map[string]string{
		"status=success msg=failed": "success", "status=FAILED msg=done": "failure", `status="Failed : bad password"`: "failure",
		"status=online": "", "status=N/A result=ok": "success", "status=" + strings.Repeat("x", 100): "", "status=" + strings.Repeat("x", 100) + ":failed": "",
		"status=:failed": "",
	} {
		f := factsOf("subtype=ems-network " + pairs)
		var s Scratch
		if got := name(Builtin().Decide(&f, &s).Outcome); got != want {
			t.Errorf("%s: %q, want %q", pairs, got, want)
		}
	}
}

// TestNegatedSuccess puts every success word after a negation.
func TestNegatedSuccess(t *testing.T) {
	text, err := rules.Files.ReadFile("outcome.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Success []string }
	if err := yaml.Unmarshal(text, &f); err != nil || len(f.Success) < 50 {
		t.Fatal(len(f.Success), err)
	}
	for _, word := range append(f.Success, "connected", "logged in", "signed out") {
		word = strings.TrimSuffix(word, "*")
		// Not what somebody did ("changed policy"), no lists, and no verbs in the present.
		if _, last, two := strings.Cut(word, " "); two && !slices.Contains([]string{"in", "on", "out", "off", "to date", "sync"}, last) ||
			word[0] == '$' || word == "succeeds" || word == "completes" {
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
			if msg := "It " + not + " " + word; outcomeOf(msg) != "failure" {
				t.Errorf("%q is no failure", msg)
			}
		}
	}
}

// TestPhrasesAgreeWithASlowSearch compares the automaton with strings.Contains.
func TestPhrasesAgreeWithASlowSearch(t *testing.T) {
	for _, phrase := range []string{"fail*", "a b", "0 errors", "b", "can t", "é*"} {
		text, err := readForm(phrase)
		if err != nil {
			t.Fatal(err)
		}
		a, err := newAutomaton(flags{text: {firstFlag}, " decoy word ": {firstFlag + 1}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, msg := range []string{"", "b", "a  b", "a-b!", "ab", "FAILED", "unfail fail", "10 errors", "x 0 errors.", "can't", "été", "B a,b"} {
			read := " "
			if form, err := readForm(msg); err == nil {
				read = form
			}
			var s Scratch
			s.begin(&Rules{flags: firstFlag + 2})
			a.scan([]byte(msg), &s)
			if got, want := s.has(firstFlag), strings.Contains(read, text); got != want {
				t.Errorf("%q in %q (%q): %v, want %v", phrase, msg, read, got, want)
			}
		}
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

// TestFlagsRuleOutNoRuleThatHolds compares the first rule of a list with that of a plain
// loop over its rules, for rules and lines made by chance.
func TestFlagsRuleOutNoRuleThatHolds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	values := func() string {
		return pick("block", "Blocked", "bl", "pass", "disk", "DISK full", "\u00e9t\u00e9", "x*", "0", "x y")
	}
	condition := func() string {
		switch pick("id", "type", "writer", "category", "words", "all_words", "not_words", "endpoint", "fields", "fields", "fields", "fields") {
		case "id":
			return fmt.Sprintf("id: [%s]", pick(`"96900"`, `"969*"`, `"*"`, `"0107*", "96900"`, `"96999", "96900"`))
		case "type":
			return pick("type: event", "subtype: [admin, 'sys*']", "type: 'ev*'", "subtype: admin", "subtype: [admin, system]")
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
			strconv.Quote(values()), fmt.Sprintf("[%q, %q]", values(), values()), `"*"`,
			fmt.Sprintf("{contains: %q}", pick("l", "IS", "\u00c9")), "{exists: true}", "{exists: false}",
			fmt.Sprintf("{regex: '%s'}", pick("^bl", "(?i)^BL", "(?i)^disk", "^(block|pass)", "ock$", "^[bd]", "(?m)^d", "^"))))
	}
	for range 60 {
		var b strings.Builder
		b.WriteString("version: 1\nrules:\n")
		for i := range 150 {
			first, second := condition(), condition()
			if key, _, _ := strings.Cut(second, ":"); strings.HasPrefix(first, key+":") {
				second = "endpoint: false"
				if key == "endpoint" {
					second = "writer: ems"
				}
			}
			set := fmt.Sprintf("severity: %d", i%8)
			if rnd.IntN(2) == 0 {
				set = "category: fct-event"
			}
			fmt.Fprintf(&b, "  - {name: r%d, when: {%s, %s}, set: {%s}}\n", i, first, second, set)
		}
		rs, err := build(fewBuiltins, "rules.yaml", []byte(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		var s Scratch
		for range 100 {
			text := "emsserial=FCTEMS1"
			for _, key := range []string{"action", "status", "user", "newkey", "msg"} {
				if rnd.IntN(2) == 0 {
					text += fmt.Sprintf(" %s=%q", key, values())
				}
			}
			text += pick("", " id=96900", " id=96999", " logid=0107045057") + pick("", " type=event", " type=Events") +
				pick("", " subtype=admin", " subtype=system", " subtype=ems-vpn") + pick("", " devid=FCT1", " fctver=7")
			f := factsOf(text)
			s.begin(rs)
			for _, cat := range []dict.Category{dict.Unknown, dict.VPN, dict.ClientTraffic} {
				for _, l := range []list{rs.userCategory, rs.userEffects} {
					got := l.first(cat, rs, &f, &s)
					var want *Rule
					for _, r := range l[0].rules {
						in := r.when.categories == 0 || r.when.categories&(1<<cat) != 0
						if want == nil && in && r.when.hold(rs, &f, &s) {
							want = r
						}
					}
					if got != want {
						t.Fatalf("%+v, not %+v, for %s\n%s", got, want, text, b.String())
					}
				}
			}
		}
	}
}
