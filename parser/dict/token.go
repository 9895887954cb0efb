package dict

import "fluent-bit-fortiems/parser/ascii"

// Token is what an ems- token in a line says: the Category that it names, AnyToken or
// NoToken.
type Token int8

// Tokens that name no category.
const (
	NoToken  Token = -2 // no text of the form ems-x or ems_x
	AnyToken Token = -1 // ems-x with an x that is none of the ten log types
)

// Category returns the category that the token names, and whether it names one.
func (t Token) Category() (Category, bool) {
	if t < 0 {
		return Unknown, false
	}
	return Category(t), true
}

const tokenPrefix = "ems-"

// FindToken looks for ems-x or ems_x in any case, delimited by bytes that are not letters
// or digits. The first token that names a category wins over others.
func FindToken(v []byte) Token {
	found := NoToken
	for i := 0; i+len(tokenPrefix) < len(v); i++ {
		if i > 0 && IsWordByte(v[i-1]) || !hasTokenPrefix(v[i:]) {
			continue
		}
		name := v[i+len(tokenPrefix):]
		n := 0
		for n < len(name) && IsWordByte(name[n]) {
			n++
		}
		if c := named(name[:n]); c != NoToken {
			return c
		}
		if n > 0 {
			found = AnyToken
		}
	}
	return found
}

// IsToken reports whether w as a whole is the token of a category: "ems-vpn", not
// "ems-vpn-01", which is a host.
func IsToken(w []byte) bool {
	return hasTokenPrefix(w) && named(w[len(tokenPrefix):]) != NoToken
}

// BareToken returns the token that v as a whole is without its prefix. The words event,
// error and client have other meanings and are none.
func BareToken(v []byte) Token {
	t := named(v)
	switch c, _ := t.Category(); c {
	case SystemEvent, SystemError, Client:
		return NoToken
	}
	return t
}

func hasTokenPrefix(v []byte) bool {
	return len(v) > len(tokenPrefix) && (v[3] == '-' || v[3] == '_') && ascii.HasPrefixFold(v, tokenPrefix[:3])
}

// named returns the log type of FortiEMS whose name without "ems-" is v.
func named(v []byte) Token {
	if len(v) < len(byLength) {
		for _, c := range byLength[len(v)] {
			if ascii.EqualFold(v, categoryNames[c][len(tokenPrefix):]) {
				return Token(c)
			}
		}
	}
	return NoToken
}

// byLength holds the log types of FortiEMS by the length of their names without "ems-".
var byLength = func() (t [16][]Category) {
	for c := ADConnector; c <= Network; c++ {
		n := len(categoryNames[c]) - len(tokenPrefix)
		t[n] = append(t[n], c)
	}
	return t
}()

// IsWordByte reports whether c is a letter or a digit; bytes above 0x7F count as letters.
func IsWordByte(c byte) bool { return ascii.IsLetter(c) || ascii.IsDigit(c) || c >= 0x80 }
