package ascii

import (
	"bytes"
	"testing"
)

func TestFoldingIsThatOfASCII(t *testing.T) {
	for c := range 256 {
		v := []byte{byte(c)}
		for _, lower := range []string{"a", "k", "s", "z", "0", " ", "-", "/", "_", ".", ":"} {
			want := c < 0x80 && bytes.EqualFold(v, []byte(lower))
			if EqualFold(v, lower) != want || HasPrefixFold(append(v, 'x'), lower) != want || ContainsFold(append([]byte{'x'}, v...), lower) != want {
				t.Errorf("%#x and %q: want %v", c, lower, want)
			}
		}
		if want := c < 0x80 && bytes.ContainsAny(v, " \t\r\n\v\f"); IsBlank(byte(c)) != want {
			t.Errorf("IsBlank(%#x), want %v", c, want)
		}
		if want := c >= 'A' && c <= 'Z'; (Lower(byte(c)) != byte(c)) != want {
			t.Errorf("Lower(%#x) changes it: %v", c, !want)
		}
	}
	for v, want := range map[string]bool{"": false, "ab": false, "xAbC": true, "abab": false, "ababc": true, "aabc": true} {
		if ContainsFold([]byte(v), "abc") != want {
			t.Errorf("ContainsFold(%q), want %v", v, want)
		}
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		s         string
		left, end string
	}{
		{"", "", ""}, {"  ", "", ""}, {" a b ", "a b ", "a"}, {"\t\nab", "ab", "ab"}, {"a\x00b c", "a\x00b c", "a\x00b"},
	} {
		left := TrimLeft([]byte(c.s))
		if string(left) != c.left || string(left[:WordEnd(left)]) != c.end {
			t.Errorf("%q: %q, %q", c.s, left, left[:WordEnd(left)])
		}
	}
	if got := TrimRight([]byte(" a \t\r\n")); string(got) != " a" {
		t.Errorf("%q", got)
	}
}
