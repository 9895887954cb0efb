package rule

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// FuzzRuleParts writes a rules file that is YAML, of parts: lists in lists by aliases to
// any depth, conditions, patterns of any length. What RE2 does not take is refused, a
// refusal is short, and whatever is accepted categorises a line.
func FuzzRuleParts(f *testing.F) {
	f.Add("a", "^(a+)+$", uint16(1), "words", uint8(0), uint8(0), "msg=a")
	f.Add("b*", `(a)\1`, uint16(1), "not_words", uint8(3), uint8(9), "x=b")
	f.Add("c", "(((a{1000}){1000}){1000})", uint16(9), "all_words", uint8(1), uint8(2), "")
	f.Add("d", "[a-z0-9]|", uint16(5000), "subtype", uint8(2), uint8(0), "subtype=d")
	f.Add("e", "(?=a)b", uint16(1), "id", uint8(9), uint8(1), "id=96900")
	f.Fuzz(func(t *testing.T, word, pattern string, times uint16, condition string, deep, wide uint8, line string) {
		if len(pattern)*int(times) > 1<<18 {
			t.Skip("as long as a regular expression cannot be compiled in no time")
		}
		re := string([]rune(strings.Repeat(pattern, int(times)))) // as quote writes it
		var text strings.Builder
		text.WriteString("version: 1\nrules:\n  - name: a\n    when:\n")
		fmt.Fprintf(&text, "      fields: {x: {regex: %s}}\n", quote(re))
		list := "[" + quote(word) + "]"
		for i := range int(deep % 12) { // each level holds the one below it many times
			list = fmt.Sprintf("[&a%d %s%s]", i, list, strings.Repeat(fmt.Sprintf(", *a%d", i), int(wide%12)))
		}
		fmt.Fprintf(&text, "      %s: %s\n    set: {category: ems-vpn, severity: 1}\n", quote(condition), list)
		rs, err := build(fewBuiltins, "rules.yaml", []byte(text.String()))
		if (rs == nil) == (err == nil) {
			t.Fatal("neither rules nor an error, or both")
		}
		if err != nil {
			if n := len(err.Error()); n > 8000 {
				t.Fatalf("a reason of %d bytes", n)
			}
			return
		}
		if _, err := regexp.Compile(re); err != nil {
			t.Fatalf("accepted, though %v", err)
		}
		decideAny(t, rs, line)
	})
}

// quote writes a text as YAML does, which takes what JSON takes.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f || r > 0xffff || r >= 0xd800 && r < 0xe000 || r == 0xfffd || r >= 0xfffe:
			fmt.Fprintf(&b, `\U%08X`, r)
		default:
			fmt.Fprintf(&b, `\u%04X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
