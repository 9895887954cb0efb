package option

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	// Minimal container images carry no zone files, and a timezone that is
	// valid on one host must not stop the start on another. The embedded
	// database makes the shared object about 450 KB larger.
	_ "time/tzdata"
)

const (
	validBool = "on, off, true, false, yes, no, 1, 0"
	validZone = "an IANA name such as Europe/Berlin, UTC, Z, or an offset ±hh:mm up to 14:00"
	validAddr = "host:port with a port from 1 to 65535, e.g. 127.0.0.1:2112"
)

// checkBy returns the check of values that parse reads.
func checkBy[T any](parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		_, err := parse(s)
		return err
	}
}

// parseBool accepts what Fluent Bit accepts for its own options, and 1 and 0.
func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "on", "true", "yes", "1":
		return true, nil
	case "off", "false", "no", "0":
		return false, nil
	}
	return false, errNotValid
}

// oneOf returns a check for one of words, in upper or lower case.
func oneOf(words ...string) func(string) error {
	return func(s string) error {
		for _, w := range words {
			if strings.EqualFold(s, w) {
				return nil
			}
		}
		return errNotValid
	}
}

// parseList splits at commas and trims. An empty entry is an error, because it is usually
// a typing mistake. Repeated entries count once.
func parseList(s string) ([]string, error) {
	var list []string
	for entry := range strings.SplitSeq(s, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			return nil, errors.New("an entry is empty")
		}
		if !slices.Contains(list, entry) {
			list = append(list, entry)
		}
	}
	return list, nil
}

// parseKeys refuses record accessors: they are no keys, so nothing would match.
func parseKeys(s string) ([]string, error) {
	list, err := parseList(s)
	for _, key := range list {
		if strings.Contains(key, "$") || strings.Contains(key, "['") || strings.Contains(key, `["`) {
			return nil, errors.New("a record accessor is not supported: name a key of the top level, and lift a nested one there with Fluent Bit's filter nest, operation lift")
		}
	}
	return list, err
}

// parseZone accepts an IANA name or a fixed offset. "Local" is refused: it would
// make the same configuration mean different things on different machines.
func parseZone(s string) (*time.Location, error) {
	switch strings.ToUpper(s) {
	case "UTC", "Z":
		return time.UTC, nil
	case "LOCAL":
		return nil, errNotValid
	}
	if s[0] == '+' || s[0] == '-' {
		return parseOffset(s)
	}
	zone, err := time.LoadLocation(s)
	if err != nil {
		return nil, errNotValid
	}
	return zone, nil
}

// parseOffset accepts exactly ±hh:mm.
func parseOffset(s string) (*time.Location, error) {
	t, err := time.Parse("-07:00", s)
	_, seconds := t.Zone()
	if err != nil || seconds > 14*3600 || seconds < -14*3600 || s[4] == '6' { // Parse lets 60 minutes pass
		return nil, errNotValid
	}
	return time.FixedZone(s, seconds), nil
}

func checkAddr(s string) error {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return errNotValid
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errNotValid
	}
	return nil
}

// parseSize reads bytes with the suffixes that Fluent Bit accepts: k, M, G (also KB,
// MB, GB), powers of 1000 as in Fluent Bit itself.
func parseSize(s string) (int64, error) {
	low := strings.TrimSuffix(strings.ToLower(s), "b")
	unit := int64(1)
	for suffix, factor := range map[string]int64{"k": 1e3, "m": 1e6, "g": 1e9} {
		if rest, ok := strings.CutSuffix(low, suffix); ok {
			low, unit = rest, factor
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(low), 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt32/unit {
		return 0, errNotValid
	}
	return n * unit, nil
}

func parseCount(s string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n <= 0 {
		return 0, errNotValid
	}
	return int(n), nil
}

// parseTime reads a Go duration, or whole seconds when there is no unit.
func parseTime(s string) (time.Duration, error) {
	if _, err := strconv.Atoi(s); err == nil {
		s += "s"
	}
	d, err := time.ParseDuration(strings.ToLower(s))
	if err != nil || d < time.Second || d > 24*time.Hour {
		return 0, errNotValid
	}
	return d, nil
}

// checkURLs accepts absolute http and https URLs without credentials, which would appear
// in logs.
func checkURLs(s string) error {
	list, err := parseList(s)
	if err != nil {
		return err
	}
	for _, entry := range list {
		u, err := url.Parse(entry)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
			return errNotValid
		}
		if port := u.Port(); port != "" {
			if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
				return fmt.Errorf("%s is no port", port)
			}
		}
		if u.User != nil {
			return errors.New("credentials belong into username, password or api_key")
		}
	}
	return nil
}

var login = regexp.MustCompile(`(?s)^(https?://)?.*@`)

// withoutLogin hides everything before the last @ but the scheme: it may hold a password.
func withoutLogin(s string) string { return login.ReplaceAllString(s, "${1}***@") }

// checkFingerprint accepts a SHA-256 sum in hex, with or without colons.
func checkFingerprint(s string) error {
	if sum, err := hex.DecodeString(strings.ReplaceAll(s, ":", "")); err != nil || len(sum) != 32 {
		return errNotValid
	}
	return nil
}

// checkTarget refuses names that Elasticsearch and OpenSearch accept for no data stream or
// index, whatever the placeholders (%Y, {field.path}) become.
func checkTarget(s string) error {
	if strings.ContainsAny(s, "\\/*?\"<>| ,#:") {
		return errNotValid
	}
	if strings.ContainsRune("-_+.", rune(s[0])) {
		return fmt.Errorf("a name cannot start with %q", s[0])
	}
	return nil
}

func checkDeadLetter(s string) error {
	if strings.EqualFold(s, "off") {
		return nil
	}
	kind, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" {
		return errNotValid
	}
	switch kind {
	case "index":
		return checkTarget(rest)
	case "file":
		return nil
	}
	return errNotValid
}
