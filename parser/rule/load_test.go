package rule

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf8"

	"fluent-bit-fortiems/parser/rules"
)

// loadText loads a user's rules from a text.
func loadText(t testing.TB, text string) (*Rules, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(file)
}

func TestMistakesNameFileLineAndReason(t *testing.T) {
	const head = "version: 1\nrules:\n"
	when := func(condition string) string {
		return head + "  - name: a\n    when:\n      " + condition + "\n    set: {severity: 1}\n"
	}
	set := func(effect string) string { return head + "  - name: a\n    set:\n      " + effect + "\n" }
	for name, c := range map[string]struct {
		text, reason string
		line         int
	}{
		"id without a value":        {when("id:"), "id has no value", 5},
		"words is null":             {when("words: ~"), "words has no value", 5},
		"type is null":              {when("type: null"), "type has no value", 5},
		"token is null":             {when("token:"), "token has no value", 5},
		"unknown token":             {when("token: some"), "unknown token \"some\": use none, unknown, contact", 5},
		"a list with an empty item": {when("words: [x, ~]"), "an empty text never matches", 5},
		"star inside a subtype":     {when("subtype: \"a*b\""), "a * is valid at the end only", 5},
		"star first in an id":       {when("id: \"*96900\""), "a * is valid at the end only", 5},
		"star inside all_words":     {when("all_words: [\"a* b\"]"), "a * is valid at the end only", 5},
		"field without a condition": {when("fields: {status: }"), "field status has no condition", 5},
		"endpoint is no boolean":    {when("endpoint: 1.5"), "true or false is expected", 5},
		"severity is a fraction":    {set("severity: 1.5"), "severity: 0 (emergency) to 7 (debug) is expected", 5},
		"unknown key":               {when("word: [x]"), `unknown key "word": use writer, token, type`, 5},
		"unknown effect":            {set("actions: x"), `unknown key "actions": use category, action`, 5},
		"unknown category":          {set("category: ems-foo"), `unknown category "ems-foo": use unknown, ems-adconnector`, 5},
		"unknown writer":            {when("writer: me"), `unknown writer "me": use ems, forticlient, fortigate`, 5},
		"unknown condition":         {when("fields: {x: {like: y}}"), `unknown key "like": use equals, contains, regex, exists`, 5},
		"two conditions":            {when("fields: {x: {equals: y, regex: z}}"), "exactly one of", 5},
		"field without any":         {when("fields: {x: }"), "field x has no condition", 5},
		"bad regex":                 {when("fields: {x: {regex: '('}}"), "missing closing )", 5},
		"bad exists":                {when("fields: {x: {exists: maybe}}"), "true or false is expected", 5},
		"bad severity":              {set("severity: 9"), `0 (emergency) to 7 (debug) is expected, not "9"`, 5},
		"half a severity":           {set("severity: 3.5"), `0 (emergency) to 7 (debug) is expected, not "3.5"`, 5},
		"bad kind":                  {set("kind: x"), `"x": use event, alert, state, metric`, 5},
		"bad outcome":               {set("outcome: maybe"), `"maybe": use none, fields, success, failure`, 5},
		"bad action":                {set("action: My_action"), `action "My_action": at most 64 lower-case letters`, 5},
		"sets nothing":              {head + "  - name: a\n    when: {type: event}\n", "sets nothing", 3},
		"no name":                   {head + "  - set: {severity: 1}\n", "no name", 3},
		"same name":                 {head + "  - {name: a, set: {severity: 1}}\n  - {name: a, set: {severity: 1}}\n", "used at line 3 already", 4},
		"same key":                  {head + "  - name: a\n    name: b\n    set: {severity: 1}\n", `duplicate key "name"`, 4},
		"word without text":         {when("words: ['--']"), "no letter or digit", 5},
		"word with a star":          {when("words: ['dis*connect']"), `"dis*connect": a * is valid at the end only`, 5},
		"subtype with a star":       {when("subtype: ['*vpn']"), `"*vpn": a * is valid at the end only`, 5},
		"value with a star":         {when("fields: {x: 'a*b*'}"), `"a*b*": a * is valid at the end only`, 5},
		"id without value":          {when("id:"), "id has no value", 5},
		"words without value":       {when("words: ~"), "words has no value", 5},
		"a word without value":      {when("words: [a, ~]"), "an empty text never matches", 5},
		"an empty word":             {when("words: ['']"), "an empty text never matches", 5},
		"when without value":        {head + "  - name: a\n    when:\n    set: {severity: 1}\n", "when has no value", 4},
		"empty list":                {when("type: []"), "never matches", 5},
		"list in a list":            {when("type: [[a]]"), "a text or a list of texts is expected", 5},
		"pair outside ECS":          {head + "  - name: a\n    set: {category: ems-vpn, event_category: [malware], event_type: [start]}\n", "not expected", 3},
		"type without category":     {head + "  - name: a\n    when: {category: unknown}\n    set: {event_type: [start]}\n", "event_type without event_category", 3},
		"unknown list":              {when("words: [$nothreat]"), "unknown list $nothreat: use ", 5},
		"list above itself":         {"version: 1\nlists:\n  a: [$b]\n  b: [x, $a]\n", `unknown list $b: use`, 3},
		"list in itself":            {"version: 1\nlists:\n  aa: [x, $aa]\n", `unknown list $aa: use`, 3},
		"lists without value":       {"version: 1\nlists:\n", "lists has no value", 2},
		"list without value":        {"version: 1\nlists:\n  a:\n", `list "a" has no value`, 3},
		"bad list name":             {"version: 1\nlists:\n  A-b: [x]\n", "lower-case letters", 3},
		"not YAML":                  {"version: 1\nrules: [\n", "did not find", 2},
		"not YAML, line 1":          {"rules: a: b\n", "mapping values are not allowed", 1},
		"two documents":             {"version: 1\nrules: []\n---\nversion: 1\n", "a second YAML document", 3},
		"wrong version":             {"# mine\nrules: []\nversion: 2\n", `version: 1 is expected, not "2"`, 3},
		"half a version":            {"version: 1.5\n", `version: 1 is expected, not "1.5"`, 1},
		"no version":                {"rules: []\n", "version: 1 is expected", 1},
		"nothing but null":          {"---\n", "a mapping with version, lists, rules is expected", 2},
		"outcome":                   {"version: 1\noutcome: {failure: [x]}\nrules: []\n", `unknown key "outcome": use version, lists, rules`, 2},
		"unknown section":           {"version: 1\nruls: []\n", "ruls", 2},
		"empty":                     {"", "the file is empty: version and rules are expected", 1},
		"comments alone":            {"# nothing\n\n", "the file is empty: version and rules are expected", 1},
		"rule is no mapping":        {head + "  - x\n", "mapping", 3},
		"rules are no list":         {"version: 1\nrules: {a: b}\n", "a list is expected", 2},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadText(t, c.text)
			var at *Error
			if !errors.As(err, &at) {
				t.Fatalf("error %v", err)
			}
			if !strings.Contains(at.Reason, c.reason) || at.Line != c.line || !strings.HasSuffix(at.File, "rules.yaml") {
				t.Errorf("%v, want line %d and %q", err, c.line, c.reason)
			}
		})
	}
}

// TestMistakesInBuiltinFiles changes one of fewBuiltins.
func TestMistakesInBuiltinFiles(t *testing.T) {
	for _, c := range []struct{ file, old, new, want string }{
		{"ems-vpn.yaml", "category: ems-vpn", "category: ems-vpm", `parser/rules/ems-vpn.yaml:2: unknown category "ems-vpm": use unknown`},
		{"ems-vpn.yaml", "source: inferred", "source: guessed", `parser/rules/ems-vpn.yaml:6: "guessed": use sample, doc, article, inferred`},
		{"ems-vpn.yaml", "action: vpn-connect", "action: vpn-login", `parser/rules/ems-vpn.yaml:8: action "vpn-login" is not in categories.yaml`},
		{"ems-vpn.yaml", "action: vpn-connect", "category: ems-vpn", `parser/rules/ems-vpn.yaml:5: rule "up": detect.yaml sets the category, and no other file`},
		{"ems-vpn.yaml", "        source: inferred\n", "", `parser/rules/ems-vpn.yaml:5: rule "up": source and example are expected`},
		{"ems-vpn.yaml", "name: up", "name: vpn", `parser/rules/ems-vpn.yaml:5: rule "vpn": the name is used at parser/rules/detect.yaml line 4 already`},
		{"ems-vpn.yaml", "words: up", "category: unknown", `parser/rules/ems-vpn.yaml:7: when: unknown key "category"`},
		{"detect.yaml", "groups:\n  - rules:\n", "by_id:\n", `parser/rules/detect.yaml:3: rules with words belong to groups`},
		{"outcome.yaml", "fields: [status]", "fields: [sttus]", `parser/rules/outcome.yaml:2: field "sttus" is no key of the field dictionary`},
		{"outcome.yaml", "field_success: [ok]", "field_success: [failed]", `parser/rules/outcome.yaml:4: "failed" is longer than 64 bytes or in both lists`},
		{"categories.yaml", "in: [ems-vpn]", "in: [ems-vpn, ems-vpn]", `parser/rules/categories.yaml:3: action vpn-connect: duplicate category ems-vpn`},
		{"lists.yaml", "[red, green]", "[red, $green]", `parser/rules/lists.yaml:2: unknown list $green`},
	} {
		files := maps.Clone(fewBuiltins)
		text := strings.Replace(string(files[c.file].Data), c.old, c.new, 1)
		if text == string(files[c.file].Data) {
			t.Fatalf("%s has no %q", c.file, c.old)
		}
		files[c.file] = &fstest.MapFile{Data: []byte(text)}
		if _, err := build(files, "", nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	for _, file := range []string{filepath.Join(t.TempDir(), "none"), t.TempDir()} {
		if _, err := Load(file); err == nil {
			t.Errorf("%s was loaded", file)
		}
	}
}

// fewBuiltins take the place of the built-in rules, which take a hundred times as long to
// compile as the file of a user.
var fewBuiltins = fstest.MapFS{
	"lists.yaml":   {Data: []byte("version: 1\nlists: {colours: [red, green]}\n")},
	"outcome.yaml": {Data: []byte("version: 1\nfields: [status]\nfield_failure: [failed]\nfield_success: [ok]\nfailure: [failed]\nsuccess: [done]\nignore: [0 errors]\n")},
	"categories.yaml": {Data: []byte(`version: 1
categories: {ems-vpn: {event_category: [network], event_type: [connection]}}
actions: [{action: vpn-connect, in: [ems-vpn], event_category: [network], event_type: [connection, start]}]
`)},
	"detect.yaml": {Data: []byte("version: 1\ngroups:\n  - rules:\n      - {name: vpn, source: inferred, when: {words: vpn}, set: {category: ems-vpn}, example: msg=vpn}\n")},
	"ems-vpn.yaml": {Data: []byte(`version: 1
category: ems-vpn
groups:
  - rules:
      - name: up
        source: inferred
        when: {words: up}
        set: {action: vpn-connect}
        example: vpn up
`)},
}

// decideAny decides a line of FortiEMS and checks what every decision has.
func decideAny(t *testing.T, rs *Rules, text string) {
	f := factsOf("emsserial=1 " + text)
	var s Scratch
	if d := rs.Decide(&f, &s); d.Kind == nil {
		t.Fatal("no kind")
	}
}

func FuzzLoadRules(f *testing.F) {
	f.Add("version: 1\nrules:\n  - name: a\n    when: {type: x, words: [b, 'c*'], fields: {x: {regex: y}}}\n    set: {severity: 1}\n", "x=yy type=x msg=b")
	f.Add("version: 1\nrules:\n  - {name: a, when: {writer: ems, not_words: [b], all_words: [c, d]}, set: {category: ems-vpn, action: x, outcome: failure}}\n", "msg=c d")
	f.Add("version: 1\nlists: {a: [$b x], b: [c, $colours]}\nrules:\n  - {name: a, when: {id: ['96900'], endpoint: true, words: $a}, set: {kind: alert}}\n", "id=96900 y=az")
	f.Add("a: &a [*a, *a]\nversion: 1\n", "")
	f.Fuzz(func(t *testing.T, text, line string) {
		rs, err := build(fewBuiltins, "rules.yaml", []byte(text))
		if (rs == nil) == (err == nil) {
			t.Fatal("neither rules nor an error, or both")
		}
		if rs != nil {
			decideAny(t, rs, line)
		}
	})
}

// TestHostileFiles holds files that cost a careless reader its memory or its time. Each
// must be refused, or accepted and harmless, at once.
func TestHostileFiles(t *testing.T) {
	regex := func(regex string) string {
		return "version: 1\nrules:\n  - {name: a, when: {fields: {x: {regex: '" + regex + "'}}}, set: {severity: 1}}\n"
	}
	bomb := func(indent, name string) (text string) {
		text = fmt.Sprintf("%s&%s0 [x, x, x, x, x, x, x, x, x, x]\n", indent, name)
		for i := 1; i < 10; i++ {
			text += fmt.Sprintf("%s&%s%d [%s]\n", indent, name, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%s%d, ", name, i-1), 10), ", "))
		}
		return text
	}
	lists := "version: 1\nlists:\n  a0: [x]\n"
	for i := 1; i < 40; i++ {
		lists += fmt.Sprintf("  a%d: [$a%d x, $a%d y, $a%d]\n", i, i-1, i-1, i-1)
	}
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"aliases of aliases":            {"a:\n" + bomb("  - ", "a") + "version: 1\nrules: *a9\n", false},
		"aliases of aliases in a rule":  {"version: 1\nrules:\n  - name: a\n    set: {severity: 1}\n    when:\n      words:\n" + bomb("        - ", "b"), false},
		"a rule in itself":              {"version: 1\nrules: &r [*r]\n", false},
		"a list of words in itself":     {"version: 1\nrules: [{name: a, when: {words: &r [*r]}, set: {severity: 1}}]\n", false},
		"lists that double":             {lists, false},
		"deep nesting":                  {"version: 1\nrules: " + strings.Repeat("[", 100_000) + "\n", false},
		"repeats of repeats":            {regex("((((a{1000}){1000}){1000}){1000})"), false},
		"a huge class":                  {regex("(" + strings.Repeat("[a-z0-9]|", 50_000) + "x)"), true},
		"back-tracking for ever":        {regex("^(a+)+$|(x+x+)+y|(.*)*z"), true},
		"a back reference":              {regex(`(a)\1`), false},
		"a look-ahead":                  {regex(`(?=a)b`), false},
		"a long pattern with a mistake": {regex("[" + strings.Repeat("a", 50_000)), false},
		"a long name with a mistake":    {"version: 1\nrules:\n  - {name: " + strings.Repeat("é", 9_000) + ", when: {category: x}, set: {severity: 1}}\n", false},
		"ten thousand words":            {"version: 1\nrules:\n  - {name: a, when: {words: [" + strings.Repeat("w, ", 10_000) + "x]}, set: {severity: 1}}\n", true},
		"too long words":                {"version: 1\nrules:\n  - {name: a, when: {words: " + strings.Repeat("w", 40_000) + "}, set: {severity: 1}}\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			begun := time.Now()
			rs, err := build(rules.Files, "rules.yaml", []byte(c.text))
			if (err == nil) != c.ok {
				t.Fatalf("%v", err)
			}
			if err == nil {
				decideAny(t, rs, "x="+strings.Repeat("a", 64<<10)+"!")
			} else if reason := err.Error(); len(reason) > 20_000 || !utf8.ValidString(reason) {
				t.Errorf("a reason of %d bytes: %q", len(reason), reason)
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}
