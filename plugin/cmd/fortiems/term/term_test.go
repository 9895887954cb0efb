package term

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestSafe(t *testing.T) {
	for in, want := range map[string]string{
		"plain ü 漢":         "plain ü 漢",
		"\x1b[31mred\a\x7f": `\x1b[31mred\x07\x7f`,
		"a\tb\r\n":          `a b\x0d\x0a`,
		"\u202eevil\u2066":  `\u202eevil\u2066`,
		"\u009b31m":         `\u009b31m`,
		"bad \xff":          "bad \uFFFD",
	} {
		if got := Safe(in); got != want {
			t.Errorf("%q becomes %q", in, got)
		}
	}
}

func TestCutAndPad(t *testing.T) {
	for _, c := range []struct {
		in, want string
		n        int
	}{{"abc", "abc", 3}, {"abcd", "ab…", 3}, {"äöüß", "äö…", 3}, {"a", "a  ", 3}, {"", "   ", 3}} {
		if got := Pad(c.in, c.n); got != c.want {
			t.Errorf("%q becomes %q", c.in, got)
		}
	}
}

func TestColors(t *testing.T) {
	env := func(set ...string) func(string) string {
		return func(name string) string {
			for _, s := range set {
				if k, v, _ := strings.Cut(s, "="); k == name {
					return v
				}
			}
			return ""
		}
	}
	if s := Colors("always", &bytes.Buffer{}, env("NO_COLOR=1")).Red("x"); s != "\x1b[31mx\x1b[0m" {
		t.Errorf("%q", s)
	}
	for _, p := range []Palette{
		Colors("never", os.Stdout, env()), Colors("auto", &bytes.Buffer{}, env()),
		Colors("auto", os.Stdout, env("NO_COLOR=1")), Colors("auto", os.Stdout, env("TERM=dumb")),
	} {
		if s := p.Red("x"); s != "x" {
			t.Errorf("%q", s)
		}
	}
}
