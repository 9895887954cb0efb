package parser

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"unicode/utf8"
)

// isIP reports whether v is an IPv4 or IPv6 address as Elasticsearch's ip type
// takes it: no zone, no leading zeros.
func isIP(v []byte) bool {
	if len(v) < 2 || len(v) > 45 {
		return false
	}
	if isDigit(v[0]) && isIPv4(v) {
		return true
	}
	if upperHex[v[0]] == 0 && v[0] != ':' || bytes.IndexByte(v, ':') < 0 || bytes.IndexByte(v, '%') >= 0 {
		return false
	}
	_, err := netip.ParseAddr(string(v))
	return err == nil
}

func isIPv4(v []byte) bool {
	state := uint8(ipv4Start)
	for _, c := range v {
		state = ipv4Next[state|ipv4Class[c]]
	}
	return state > ipv4Start+3*ipv4Octet
}

// A state of the machine that reads IPv4 addresses tells the octet and what of it
// has been read; 0 is that of anything else. The low three bits are free for the
// class of the next byte.
const (
	ipv4Start   = (iota + 1) << 3 // nothing of the octet
	ipv4Full                      // a digit more would be too much
	ipv4Short                     // a digit more may follow, as behind 9 or 24
	ipv4One                       // 1
	ipv4Two                       // 2
	ipv4TwoFive                   // 25
	ipv4Octet   = iota << 3
)

// ipv4Class holds the classes of bytes, and ipv4Next what follows a state and a class.
var ipv4Class, ipv4Next = func() (class, next [256]uint8) {
	const dot = 7
	for digit, k := range [...]uint8{1, 2, 3, 4, 4, 5, 6, 6, 6, 6} {
		class['0'+digit] = k
	}
	class['.'] = dot
	follows := map[uint8][7]uint8{
		// by class: other bytes, 0, 1, 2, 3 and 4, 5, from 6 on
		ipv4Start:   {0, ipv4Full, ipv4One, ipv4Two, ipv4Short, ipv4Short, ipv4Short},
		ipv4Full:    {},
		ipv4Short:   {0, ipv4Full, ipv4Full, ipv4Full, ipv4Full, ipv4Full, ipv4Full},
		ipv4One:     {0, ipv4Short, ipv4Short, ipv4Short, ipv4Short, ipv4Short, ipv4Short},
		ipv4Two:     {0, ipv4Short, ipv4Short, ipv4Short, ipv4Short, ipv4TwoFive, ipv4Full},
		ipv4TwoFive: {0, ipv4Full, ipv4Full, ipv4Full, ipv4Full, ipv4Full, 0},
	}
	for octet := uint8(0); octet < 4*ipv4Octet; octet += ipv4Octet {
		for state, row := range follows {
			for k, to := range row {
				if to != 0 {
					next[octet+state|uint8(k)] = octet + to
				}
			}
			if state != ipv4Start && octet < 3*ipv4Octet {
				next[octet+state|dot] = octet + ipv4Octet + ipv4Start
			}
		}
	}
	return class, next
}()

// splitPort takes "host:443" and "[2001:db8::1]:443" apart; an address may stand in
// its brackets alone. Without a port it is 0, and whatever else v is stays whole.
func splitPort(v []byte) (host []byte, port int64) {
	host = v
	if i := bytes.LastIndexByte(v, ':'); i > 0 && len(v)-i <= len(":65535") {
		if n, ok := parseUint(v[i+1:]); ok && n > 0 && n <= 65535 {
			host, port = v[:i], n
		}
	}
	if n := len(host); n > 1 && host[0] == '[' && host[n-1] == ']' && isIP(host[1:n-1]) {
		return host[1 : n-1], port
	}
	if port != 0 && bytes.ContainsAny(host, ":/\\ ") {
		return v, 0 // an address without brackets, a URL, a text
	}
	return host, port
}

// parseUint reads a non-negative integer that a long field takes.
func parseUint(v []byte) (int64, bool) {
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	n := int64(0)
	for _, c := range v {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	return n, true
}

// parseScore reads a plain decimal number.
func parseScore(v []byte) (float64, bool) {
	if len(v) == 0 || len(v) > 8 {
		return 0, false
	}
	for _, c := range v {
		if !isDigit(c) && c != '.' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

// appendMAC appends a MAC address in ECS form: upper case, "-" between octets.
// It takes "-", ":", "." or nothing between octets.
func appendMAC(dst, v []byte) ([]byte, bool) {
	n := len(dst)
	if len(v) == 17 {
		return appendPlainMAC(dst, v)
	}
	hex := 0
	for i, c := range v {
		switch {
		case isDigit(c) || c|0x20 >= 'a' && c|0x20 <= 'f':
			if hex > 0 && hex%2 == 0 {
				dst = append(dst, '-')
			}
			if c >= 'a' {
				c -= 0x20
			}
			dst = append(dst, c)
			if hex++; hex > 12 {
				return dst[:n], false
			}
		case (c == '-' || c == ':' || c == '.') && hex%2 == 0 && i > 0 && i < len(v)-1 && upperHex[v[i-1]] != 0:
		default:
			return dst[:n], false
		}
	}
	return dst, hex == 12
}

// upperHex holds the upper-case form of hexadecimal digits, 0 for other bytes.
var upperHex = func() (t [256]byte) {
	for _, c := range []byte("0123456789ABCDEF") {
		t[c] = c
		if c >= 'A' {
			t[c|0x20] = c
		}
	}
	return t
}()

// appendPlainMAC appends an address with a separator between all octets, the
// form of nearly all lines. v has 17 bytes.
func appendPlainMAC(dst, v []byte) ([]byte, bool) {
	s := (*[17]byte)(v)
	sep := s[2]
	head, ok := upperOctets(binary.LittleEndian.Uint64(s[:8]), sep)
	tail, ok2 := upperOctets(binary.LittleEndian.Uint64(s[9:]), sep)
	if !ok || !ok2 || s[8] != sep || sep != '-' && sep != ':' && sep != '.' {
		return dst, false
	}
	dst = binary.LittleEndian.AppendUint64(dst, head)
	dst = append(dst, '-')
	return binary.LittleEndian.AppendUint64(dst, tail), true
}

// upperOctets takes three octets with sep between them and returns them in upper
// case with "-", and whether they are such.
func upperOctets(w uint64, sep byte) (uint64, bool) {
	const (
		ones, highs = 0x0101010101010101, 0x8080808080808080
		gaps        = 0xff<<16 | 0xff<<40
	)
	ok := w&gaps == uint64(sep)<<16|uint64(sep)<<40
	w = w&^gaps | ('0'<<16 | '0'<<40)
	// Adding sets the high bit of a byte from the first one on, and of one behind
	// the last.
	folded := w&^highs | 0x20*ones
	digits := (w&^highs + (0x80-'0')*ones) &^ (w&^highs + (0x7f-'9')*ones)
	letters := (folded + (0x80-'a')*ones) &^ (folded + (0x7f-'f')*ones) & highs
	ok = ok && (digits|letters)&^w&highs == highs
	return w&^(letters>>2)&^gaps | ('-'<<16 | '-'<<40), ok
}

// hashField returns the field of a checksum by its length, and whether it is one.
func hashField(v []byte) (Field, bool) {
	for _, c := range v {
		if !isDigit(c) && !(c|0x20 >= 'a' && c|0x20 <= 'f') {
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

// lower returns v in lower case, v itself when it is already.
func (ev *Event) lower(v []byte) []byte {
	if !hasUpper(v) {
		return v
	}
	b := ev.scratch(len(v))
	n := len(b)
	b = append(b, v...)
	for i, c := range b[n:] {
		if c >= 'A' && c <= 'Z' {
			b[n+i] = c | 0x20
		}
	}
	return ev.keep(b, n)
}

// hasUpper reports whether an upper-case letter of ASCII stands in v.
func hasUpper(v []byte) bool {
	if len(v) <= 8 && cap(v) >= 8 {
		// Adding sets the high bit of a byte from "A" on, and of one behind "Z".
		const ones, highs = 0x0101010101010101, 0x8080808080808080
		w := binary.LittleEndian.Uint64(v[:8]) & lowMask[len(v)]
		seven := w &^ highs
		return (seven+(0x80-'A')*ones)&^(seven+(0x7f-'Z')*ones)&^w&highs != 0
	}
	for _, c := range v {
		if c >= 'A' && c <= 'Z' {
			return true
		}
	}
	return false
}

// splitList calls f with the trimmed parts of v between "," or ";" until f
// returns false. It reports whether f took every part.
func splitList(v []byte, f func(part []byte) bool) bool {
	for n := 0; ; n++ {
		i := bytes.IndexAny(v, ",;")
		part := v
		if i >= 0 {
			part = v[:i]
		}
		if n >= maxList || !f(bytes.TrimSpace(part)) {
			return false
		}
		if i < 0 || i+1 == len(v) {
			return true
		}
		v = v[i+1:]
	}
}

// baseName returns what follows the last path separator of either kind.
func baseName(v []byte) []byte {
	if i := bytes.LastIndexAny(v, `/\`); i >= 0 {
		return v[i+1:]
	}
	return v
}

// AppendValid appends s with every byte that is not UTF-8 replaced by U+FFFD.
func AppendValid(dst, s []byte) []byte {
	for len(s) > 0 {
		r, n := utf8.DecodeRune(s)
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, "\uFFFD"...)
		} else {
			dst = append(dst, s[:n]...)
		}
		s = s[n:]
	}
	return dst
}

// osName is what an operating system text starts with and what it says.
type osName struct {
	prefix, name, family, kind string
}

// osNames is looked through in order, ignoring case. The text is FortiClient's
// own, as in real lines: "macOS 14.1.1", "Microsoft Windows 11 Professional
// Edition, 64-bit (build 22000)"; the Linux names are those of os-release.
var osNames = []osName{
	{"microsoft windows server", "Windows Server", "windows", "windows"},
	{"windows server", "Windows Server", "windows", "windows"},
	{"microsoft windows", "Windows", "windows", "windows"},
	{"windows", "Windows", "windows", "windows"},
	{"macos", "macOS", "darwin", "macos"},
	{"mac os x", "Mac OS X", "darwin", "macos"},
	{"os x", "OS X", "darwin", "macos"},
	{"ubuntu", "Ubuntu", "debian", "linux"},
	{"debian gnu/linux", "Debian GNU/Linux", "debian", "linux"},
	{"debian", "Debian", "debian", "linux"},
	{"linux mint", "Linux Mint", "debian", "linux"},
	{"red hat enterprise linux server", "Red Hat Enterprise Linux Server", "redhat", "linux"},
	{"red hat enterprise linux workstation", "Red Hat Enterprise Linux Workstation", "redhat", "linux"},
	{"red hat enterprise linux", "Red Hat Enterprise Linux", "redhat", "linux"},
	{"centos stream", "CentOS Stream", "redhat", "linux"},
	{"centos linux", "CentOS Linux", "redhat", "linux"},
	{"centos", "CentOS", "redhat", "linux"},
	{"rocky linux", "Rocky Linux", "redhat", "linux"},
	{"almalinux", "AlmaLinux", "redhat", "linux"},
	{"fedora linux", "Fedora Linux", "redhat", "linux"},
	{"fedora", "Fedora", "redhat", "linux"},
	{"opensuse leap", "openSUSE Leap", "suse", "linux"},
	{"suse linux enterprise server", "SUSE Linux Enterprise Server", "suse", "linux"},
	{"android", "Android", "android", "android"},
	{"ios", "iOS", "ios", "ios"},
	{"ipados", "iPadOS", "ios", "ios"},
	{"linux", "Linux", "linux", "linux"},
}

// osConstants are the interned texts of osNames.
var osConstants = func() (c [][3]*Constant) {
	for _, o := range osNames {
		c = append(c, [3]*Constant{constText(o.name), constText(o.family), constText(o.kind)})
	}
	return c
}()

// osByLetter holds the positions in osNames by the low bits of the first letter.
var osByLetter = func() (x [32][]int) {
	for i, o := range osNames {
		x[o.prefix[0]&0x1f] = append(x[o.prefix[0]&0x1f], i)
	}
	return x
}()

// osText is an os text and what it says.
type osText struct {
	text    []byte
	known   *[3]*Constant // name, family and type, nil for an unknown system
	version [2]int        // where it begins and ends in text
}

// read reads another text.
func (o *osText) read(v []byte) {
	o.text, o.known = append(o.text[:0], v...), nil
	for _, i := range osByLetter[v[0]&0x1f] {
		prefix := osNames[i].prefix
		n := len(prefix)
		if len(v) < n || !equalFold(v[:n], prefix) || n < len(v) && v[n] != ' ' {
			continue
		}
		n = skipBlanks(v, n)
		o.known, o.version = &osConstants[i], [2]int{n, n + osVersion(v[n:])}
		return
	}
}

// setOS fills host.os from the os text. The clients of an organisation have few of them,
// so the last one is kept.
func (ev *Event) setOS(v []byte) {
	o := &ev.os
	if string(o.text) != string(v) {
		o.read(v)
	}
	ev.setText(HostOSFull, v)
	if o.known == nil {
		return
	}
	ev.setConst(HostOSName, o.known[0])
	ev.setConst(HostOSFamily, o.known[1])
	ev.setConst(HostOSType, o.known[2])
	ev.setSome(HostOSVersion, v[o.version[0]:o.version[1]])
}

// osVersion returns the length of the first word when it begins with a digit: "11",
// "14.1.1", "2019", "22.04.3".
func osVersion(v []byte) int {
	if len(v) == 0 || !isDigit(v[0]) {
		return 0
	}
	n := wordEnd(v)
	for v[n-1] == ',' || v[n-1] == ';' {
		n--
	}
	return n
}

// equalFold compares ASCII text; lower must be in lower case.
func equalFold(v []byte, lower string) bool {
	if len(v) != len(lower) {
		return false
	}
	for i, c := range v {
		if lowerCase[c] != lower[i] {
			return false
		}
	}
	return true
}

// lowerCase holds the lower-case form of letters, other bytes as they are.
var lowerCase = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
		if c >= 'A' && c <= 'Z' {
			t[c] |= 0x20
		}
	}
	return t
}()
