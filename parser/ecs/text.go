package ecs

import (
	"bytes"
	"math"
	"net/netip"
	"strconv"
	"unsafe"

	"fluent-bit-fortiems/parser/ascii"
)

// isIP reports whether v is an IPv4 or IPv6 address as the ip type of Elasticsearch takes
// it: without a zone, without leading zeros.
func isIP(v []byte) bool {
	if len(v) < 2 || len(v) > 45 {
		return false
	}
	if bytes.IndexByte(v, ':') < 0 {
		return isIPv4(v)
	}
	if !ascii.IsHex(v[0]) && v[0] != ':' || bytes.IndexByte(v, '%') >= 0 {
		return false
	}
	// The string shares the memory of v for the call only: nothing keeps the address, and
	// the error is dropped. Converting would allocate for each address.
	_, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(v), len(v)))
	return err == nil
}

func isIPv4(v []byte) bool {
	octets, n, digits := 0, 0, 0
	for i, c := range v {
		switch {
		case ascii.IsDigit(c):
			if digits > 0 && n == 0 {
				return false // a leading zero
			}
			n = n*10 + int(c-'0')
			if digits++; n > 255 {
				return false
			}
		case c == '.' && digits > 0 && i+1 < len(v):
			octets++
			n, digits = 0, 0
		default:
			return false
		}
	}
	return octets == 3
}

// parseUint reads a non-negative integer that the long type takes, also one that became a
// float on the way: 443.0 or 1.5e3.
func parseUint(v []byte) (n int64, ok bool) {
	for i, c := range v {
		if !ascii.IsDigit(c) {
			return parseIntegral(v, i)
		}
		n = n*10 + int64(c-'0')
	}
	return n, len(v) > 0 && len(v) <= 18
}

// parseIntegral reads a float, whose digits end at i, that is an integer.
func parseIntegral(v []byte, i int) (n int64, ok bool) {
	if i == 0 || len(v) > 32 || v[i] != '.' && v[i]|0x20 != 'e' {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	if err != nil || f != math.Trunc(f) || f >= 1e18 {
		return 0, false
	}
	return int64(f), true
}

// parseScore reads a plain decimal number.
func parseScore(v []byte) (float64, bool) {
	if len(v) == 0 || len(v) > 8 {
		return 0, false
	}
	for _, c := range v {
		if !ascii.IsDigit(c) && c != '.' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

const macLen = len("A1-B2-C3-4D-38-A6")

// appendMAC appends a MAC address in the form of ECS: upper case, "-" between octets. It
// takes the same separator ("-", ":" or ".") between all octets, or the shorter forms with
// separators between some or none.
func appendMAC(dst, v []byte) ([]byte, bool) {
	if len(v) == macLen {
		return appendFullMAC(dst, v)
	}
	start, digits := len(dst), 0
	for i, c := range v {
		switch {
		case ascii.IsHex(c):
			if digits > 0 && digits%2 == 0 {
				dst = append(dst, '-')
			}
			if digits++; digits > 12 {
				return dst[:start], false
			}
			dst = append(dst, upperHex[c])
		case c != '-' && c != ':' && c != '.' || digits%2 != 0 || i == 0 || i == len(v)-1 || !ascii.IsHex(v[i-1]):
			return dst[:start], false
		}
	}
	return dst, digits == 12
}

// appendFullMAC appends an address with a separator between all octets.
func appendFullMAC(dst, v []byte) ([]byte, bool) {
	separator := v[2]
	valid := separator == '-' || separator == ':' || separator == '.'
	var mac [macLen]byte
	for i := 0; i < macLen; i += 3 {
		mac[i], mac[i+1] = upperHex[v[i]], upperHex[v[i+1]]
		valid = valid && mac[i] != 0 && mac[i+1] != 0
		if i+2 < macLen {
			mac[i+2] = '-'
			valid = valid && v[i+2] == separator
		}
	}
	if !valid {
		return dst, false
	}
	return append(dst, mac[:]...), true
}

// upperHex is the upper-case form of hexadecimal digits, 0 for other bytes.
var upperHex = func() (t [256]byte) {
	for _, c := range []byte("0123456789ABCDEF") {
		t[c], t[ascii.Lower(c)] = c, c
	}
	return t
}()

// hashField returns the field of a checksum by its length, and whether it is one.
func hashField(v []byte) (Field, bool) {
	for _, c := range v {
		if !ascii.IsHex(c) {
			return 0, false
		}
	}
	switch len(v) {
	case 32:
		return FileMD5, true
	case 40:
		return FileSHA1, true
	case 64:
		return FileSHA256, true
	case 128:
		return FileSHA512, true
	}
	return 0, false
}

// allOf reports whether v is a list of at most maxList parts, separated by "," or ";", for
// all of which ok holds. A separator may follow the last part.
func allOf(v []byte, ok func(part []byte) bool) bool {
	for n := 0; n < maxList; n++ {
		part, rest, more := cutPart(v)
		if !ok(part) {
			return false
		}
		if !more {
			return true
		}
		v = rest
	}
	return false
}

// eachPart calls f with the trimmed parts of a list.
func eachPart(v []byte, f func(part []byte)) {
	for more := true; more; {
		var part []byte
		part, v, more = cutPart(v)
		f(part)
	}
}

// cutPart returns the first part of a list, trimmed, and the rest, if there is one.
func cutPart(v []byte) (part, rest []byte, more bool) {
	i := bytes.IndexAny(v, ",;")
	if i < 0 {
		return bytes.TrimSpace(v), nil, false
	}
	return bytes.TrimSpace(v[:i]), v[i+1:], i+1 < len(v)
}

// cutAddress is cutPart for addresses, which blanks, "|" and quotes separate, too. split reports
// whether one of these does.
func cutAddress(v []byte) (part, rest []byte, more, split bool) {
	v = bytes.TrimSpace(v)
	part, rest, more = cutPart(v)
	if i := bytes.IndexAny(part, " \t|\"'"); i >= 0 {
		return part[:i], v[i+1:], true, true
	}
	return part, rest, more, false
}

// unframe returns what an array of JSON or a list in brackets holds, and whether v is one. The
// brackets of an address are no frame.
func unframe(v []byte) (list []byte, framed bool) {
	n := len(v)
	if n < 2 || v[0] != '[' || v[n-1] != ']' || v[1] != '"' && bytes.IndexByte(v, ',') < 0 {
		return v, false
	}
	return v[1 : n-1], true
}

// baseName returns what follows the last path separator of either kind.
func baseName(v []byte) []byte { return v[bytes.LastIndexAny(v, `/\`)+1:] }

// splitPort splits "host:443" and "[2001:db8::1]:443"; an address may be in brackets
// without a port. port is 0 without one, and v stays whole if it is anything else.
func splitPort(v []byte) (host []byte, port int64) {
	host = v
	if i := bytes.LastIndexByte(v, ':'); i > 0 && len(v)-i <= len(":65535") {
		if n, ok := parseUint(v[i+1:]); ok && n > 0 && n <= 65535 {
			host, port = v[:i], n
		}
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' {
		if address, _, zone := bytes.Cut(host[1:n-1], []byte{'%'}); isIP(address) {
			if !zone {
				return address, port
			}
			return host, port // with its zone id
		}
	}
	if port != 0 && bytes.ContainsAny(host, ":/\\ ") {
		return v, 0 // an address without brackets, a URL, a text
	}
	return host, port
}

// splitAddress splits an address from its port and its zone id: 192.0.2.1:443,
// [2001:db8::1]:443, fe80::1%eth0. host is nil if v is none.
func splitAddress(v []byte) (host []byte, port int64) {
	host, port = splitPort(v)
	if i := bytes.IndexByte(host, '%'); i > 0 && bytes.IndexByte(host[:i], ':') >= 0 {
		if n := len(host); host[0] == '[' && host[n-1] == ']' {
			host = host[1:]
			i--
		}
		host = host[:i]
	}
	if !isIP(host) {
		return nil, 0
	}
	return host, port
}
