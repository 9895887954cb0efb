// Package ascii holds the byte tests and case-insensitive comparisons that all steps of
// the parser share. They look at ASCII only: other bytes compare as they are.
package ascii

// IsDigit reports whether c is 0 to 9.
func IsDigit(c byte) bool { return c >= '0' && c <= '9' }

// IsLetter reports whether c is an ASCII letter.
func IsLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// IsBlank reports whether c separates words: space, tab, CR, LF, VT or FF.
func IsBlank(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// IsHex reports whether c is a hexadecimal digit of either case.
func IsHex(c byte) bool { return IsDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// AllDigits reports whether v consists of digits and is not empty.
func AllDigits(v []byte) bool {
	for _, c := range v {
		if !IsDigit(c) {
			return false
		}
	}
	return len(v) > 0
}

// Lower returns the lower-case form of an ASCII letter and any other byte unchanged.
func Lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c | 0x20
	}
	return c
}

// EqualFold reports whether v equals lower, ignoring the case of ASCII letters in v.
// lower must be in lower case.
func EqualFold(v []byte, lower string) bool {
	return len(v) == len(lower) && HasPrefixFold(v, lower)
}

// HasPrefixFold reports whether v begins with lower, ignoring the case of ASCII letters
// in v. lower must be in lower case.
func HasPrefixFold(v []byte, lower string) bool {
	if len(v) < len(lower) {
		return false
	}
	for i := range len(lower) {
		if Lower(v[i]) != lower[i] {
			return false
		}
	}
	return true
}

// ContainsFold reports whether v contains lower, ignoring the case of ASCII letters in v.
// lower must be in lower case and not empty.
func ContainsFold(v []byte, lower string) bool {
	for i := 0; i+len(lower) <= len(v); i++ {
		if Lower(v[i]) == lower[0] && HasPrefixFold(v[i:], lower) {
			return true
		}
	}
	return false
}

// SkipBlanks returns the index of the first byte of s[i:] that is not blank, or len(s).
func SkipBlanks(s []byte, i int) int {
	for i < len(s) && IsBlank(s[i]) {
		i++
	}
	return i
}

// TrimLeft returns s without leading blanks.
func TrimLeft(s []byte) []byte { return s[SkipBlanks(s, 0):] }

// TrimRight returns s without trailing blanks.
func TrimRight(s []byte) []byte {
	for len(s) > 0 && IsBlank(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// WordEnd returns the length of the first word of s: up to the first blank.
func WordEnd(s []byte) int {
	for i, c := range s {
		if IsBlank(c) {
			return i
		}
	}
	return len(s)
}
