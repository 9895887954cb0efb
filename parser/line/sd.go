package line

import (
	"bytes"

	"fluent-bit-fortiems/parser/ascii"
)

// structuredDataEnd returns the length of the RFC 5424 structured data at the start of s,
// or 0 if it is not well formed. A "]" in quotes is text. The blank after the structured
// data may be missing before a pair.
func structuredDataEnd(s []byte) int {
	i := 0
	for i < len(s) && s[i] == '[' {
		n := elementEnd(s[i:])
		if n == 0 {
			return 0
		}
		i += n
	}
	if i < len(s) && s[i] != ' ' && keyEnd(s, i) < 0 {
		return 0
	}
	return i
}

// elementEnd returns the length of the SD-ELEMENT at the start of s, or 0.
func elementEnd(s []byte) int {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == ']' && !quoted:
			return i + 1
		}
	}
	return 0
}

// EachSD calls element with the id of every SD-ELEMENT of RFC 5424 structured data, and
// then param with each of its parameters. Values keep their escapes; see UnescapeSD.
// Senders break the grammar: an id or a name may be empty.
func EachSD(s []byte, element func(id []byte), param func(name, value []byte)) {
	for len(s) > 0 && s[0] == '[' {
		n := elementEnd(s)
		if n == 0 {
			return
		}
		e := s[1 : n-1]
		s = s[n:]
		w := ascii.WordEnd(e)
		element(e[:w])
		eachParam(e[w:], param)
	}
}

func eachParam(e []byte, param func(name, value []byte)) {
	for {
		e = ascii.TrimLeft(e)
		n := bytes.IndexByte(e, '=')
		if n < 0 || n+1 >= len(e) || e[n+1] != '"' {
			if len(e) > 0 {
				param(e, nil)
			}
			return
		}
		name := e[:n]
		v := e[n+2:]
		i := 0
		for i < len(v) && v[i] != '"' {
			if v[i] == '\\' {
				i++
			}
			i++
		}
		i = min(i, len(v))
		param(name, v[:i])
		e = v[min(i+1, len(v)):]
	}
}

// UnescapeSD appends the value of a parameter with \" \\ \] unescaped.
func UnescapeSD(dst, v []byte) []byte {
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) && (v[i+1] == '"' || v[i+1] == '\\' || v[i+1] == ']') {
			i++
		}
		dst = append(dst, v[i])
	}
	return dst
}
