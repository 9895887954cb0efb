package ecs

import (
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

// TestValues compares isIP and appendMAC with netip and a regular expression, on values
// that are nearly right.
func TestValues(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	spoil := func(s string, alphabet string) []byte {
		b := []byte(s)
		for range rnd.IntN(3) {
			i := rnd.IntN(len(b))
			switch c := alphabet[rnd.IntN(len(alphabet))]; rnd.IntN(4) {
			case 0:
				b = append(b[:i], b[i+1:]...)
			case 1:
				b = append(b[:i], append([]byte{c}, b[i:]...)...)
			default:
				b[i] = c
			}
			if len(b) == 0 {
				return b
			}
		}
		return b
	}
	addresses := []string{"192.168.1.102", "0.0.0.0", "255.255.255.255", "10.20.30.249", "2001:db8::1", "::ffff:1.2.3.4", "fe80::1"}
	for range 100_000 {
		v := spoil(addresses[rnd.IntN(len(addresses))], "0123456789.:%abf/ \xb1\xff")
		a, err := netip.ParseAddr(string(v))
		if got, want := isIP(v), err == nil && a.Zone() == ""; got != want {
			t.Fatalf("isIP(%q) = %v", v, got)
		}
	}
	plain := regexp.MustCompile(`^(?i)[0-9a-f]{2}(-[0-9a-f]{2}){5}$|^[0-9a-f]{2}(:[0-9a-f]{2}){5}$|^[0-9a-f]{2}(\.[0-9a-f]{2}){5}$`)
	for range 100_000 {
		v := spoil([]string{"a1-b2-c3-4d-38-a6", "0A:9f:C3:4D:00:99", "aa.bb.cc.dd.ee.ff"}[rnd.IntN(3)], "09afAFgG:-.@/\x00\x10\x1a\xb0\xe1\xff")
		got, ok := appendMAC([]byte("before"), v)
		if len(v) != 17 {
			continue
		}
		if ok != plain.Match(v) {
			t.Fatalf("appendMAC(%q): %v", v, ok)
		}
		want := "before"
		if ok {
			want += strings.ToUpper(strings.NewReplacer(":", "-", ".", "-").Replace(string(v)))
		}
		if string(got) != want {
			t.Fatalf("appendMAC(%q) = %q", v, got)
		}
	}
}

// TestAllOctets reads every number of up to four digits as every octet.
func TestAllOctets(t *testing.T) {
	for n := range 10_000 {
		digits := []byte{byte('0' + n/1000), byte('0' + n/100%10), byte('0' + n/10%10), byte('0' + n%10)}
		for i := range 5 {
			for at := range 4 {
				octets := []string{"0", "19", "255", "7"}
				octets[at] = string(digits[i:])
				v := strings.Join(octets, ".")
				_, err := netip.ParseAddr(v)
				if got := isIP([]byte(v)); got != (err == nil) {
					t.Fatalf("isIP(%q) = %v", v, got)
				}
			}
		}
	}
}

func TestMAC(t *testing.T) {
	for v, want := range map[string]string{
		"a1-b2-c3-4d-38-a6": "A1-B2-C3-4D-38-A6", "A1:B2:C3:4D:38:A6": "A1-B2-C3-4D-38-A6", "a1b2c34d38a6": "A1-B2-C3-4D-38-A6",
		"a1b2.c34d.38a6": "A1-B2-C3-4D-38-A6", "": "", "a1-b2": "", "a1-b2-c3-4d-38-g6": "", "a1--b2c34d38a6": "", "a1b2c34d38a6ff": "",
		"a1:-b2c34d38a6": "",
	} {
		got, ok := appendMAC(nil, []byte(v))
		if ok != (want != "") || ok && string(got) != want {
			t.Errorf("%q: %q %v", v, got, ok)
		}
	}
}

func TestIP(t *testing.T) {
	for v, want := range map[string]bool{
		"1.2.3.4": true, "255.255.255.255": true, "2001:db8::1": true, "::": true, "1.2.3": false, "1.2.3.256": false, "01.2.3.4": false,
		"1.2.3.4.5": false, "fe80::1%eth0": false, "host": false, "": false, "1..2.3": false, "1.2.3.": false,
	} {
		if got := isIP([]byte(v)); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}
