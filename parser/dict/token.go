package dict

import "fluent-bit-fortiems/parser/ascii"

// Token is what an ems- token in a line says: the Category that it names, or one of the
// values below. A larger Token says more.
type Token int8

// Tokens that name no category.
const (
	NoToken      Token = -3 // no token
	AnyToken     Token = -2 // ems-x with an x that is no log type and no service, or one of which nothing is known
	ContactToken Token = -1 // a service that speaks with endpoints: rules tell its two categories apart
)

// Category returns the category that the token names, and whether it names one.
func (t Token) Category() (Category, bool) {
	if t < 0 {
		return Unknown, false
	}
	return Category(t), true
}

// FindToken looks for ems-x, ems_x, fcems-x or fcems_x in any case, delimited by bytes that
// are not letters or digits. The first token whose x is a log type or a service wins over
// others.
func FindToken(v []byte) Token {
	found := NoToken
	for i := 0; i+len("ems-x") <= len(v); i++ {
		if c := v[i] | 0x20; c != 'e' && c != 'f' {
			continue
		}
		n := prefixLength(v[i:])
		if n == 0 || i > 0 && IsWordByte(v[i-1]) {
			continue
		}
		rest := v[i+n:]
		end := 0
		for end < len(rest) && IsWordByte(rest[end]) {
			end++
		}
		if name, ok := findName(rest[:end]); ok && name.token > AnyToken {
			return name.token
		}
		if end > 0 {
			found = AnyToken
		}
	}
	return found
}

// IsToken reports whether w as a whole is the token of a log type or a service: "ems-vpn", not
// "ems-vpn-01", which is a host.
func IsToken(w []byte) bool {
	n := prefixLength(w)
	if n == 0 {
		return false
	}
	_, ok := findName(w[n:])
	return ok
}

// BareToken returns the token that v as a whole is without its prefix, for type and subtype of
// a line that EMS wrote. Words that have other meanings there are none: event, error, client,
// and the names of most services.
func BareToken(v []byte) Token {
	if n, ok := findName(v); ok && n.bare {
		return n.token
	}
	return NoToken
}

// prefixLength returns the length of "ems-" or "fcems-" at the start of v, with "-" or "_" and
// in any case; 0 without one or with nothing behind it.
func prefixLength(v []byte) int {
	prefix := "ems"
	if len(v) > 0 && ascii.Lower(v[0]) == 'f' {
		prefix = "fcems"
	}
	n := len(prefix)
	if len(v) <= n+1 || v[n] != '-' && v[n] != '_' || !ascii.HasPrefixFold(v, prefix) {
		return 0
	}
	return n + 1
}

// IsWordByte reports whether c is a letter or a digit; bytes above 0x7F count as letters.
func IsWordByte(c byte) bool { return ascii.IsLetter(c) || ascii.IsDigit(c) || c >= 0x80 }
