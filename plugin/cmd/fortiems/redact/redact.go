// Package redact replaces identities in log lines, so that they can be published.
// Addresses, hosts, users, serials and the like become invented ones; a value always gets
// the same replacement. Everything that a rule tests stays: keys, types, ids, levels and
// the wording.
//
// It recognises identities by their key and by their form. A name that occurs only in
// free text may remain, so a person must read the result before it is shared.
package redact

import (
	"cmp"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/parser/timestamp"
)

// kind is what a value identifies; each kind has its own replacement.
type kind string

const (
	host   kind = "host"
	domain kind = "domain"
	user   kind = "user"
	uid    kind = "uid"
	serial kind = "serial"
	mac    kind = "mac"
	ip     kind = "ip"
	unit   kind = "unit" // of a directory: OU=, CN=, DC=
)

// keys are the keys whose values identify somebody, by kind.
var keys = map[string]kind{
	"hostname": host, "emshostname": host, "fctemsname": host, "devname": host, "name": host, "remotename": host, "gatewayaddr": host,
	"shost": host, "dhost": host, "dvchost": host, "remotegw": host, "destaddr": host, "devicename": host,
	"pcdomain": domain, "domain": domain, "sntdom": domain, "dntdom": domain,
	"user": user, "username": user, "eapuser": user, "vpnuser": user, "suser": user, "duser": user, "unauthuser": user, "group": unit,
	"uid": uid, "fctuid": uid, "sn": serial, "fctsn": serial, "emsserial": serial, "fctemssn": serial, "devid": serial, "device_id": serial, "fgtserial": serial,
}

// kept are values that identify nobody, and words after "user" that are not a user name.
var kept = wordSet(`n/a none null (null) - default global root admin administrator administrators system local localhost unknown
	event fortigate fortigate-ems account accounts authentication credentials group groups login logins lockout lockouts logon logout log logged logging off in out
	locked unlocked lock disabled enabled created deleted removed added changed updated modified role roles session sessions password failed failure
	failures denied rejected accepted succeeded success successful successfully is was has have been and or of on for from to by with the a an at via
	sign signed signing timed timeout not name names id attempt attempts access action actions activity does no all defined due invalid settings
	signed-in exceeded registered deregistered imported synchronized portal console user users quarantined disconnected connected terminated
	initiated requested cancelled canceled stopped started enforced exists expired policy profile jan feb mar apr may jun jul aug sep oct nov dec`)

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}

// Redactor keeps the replacement of each value. Not safe for concurrent use.
type Redactor struct {
	made  map[string]string // by kind and value in lower case
	count map[kind]int
}

// New returns a redactor that knows no value yet.
func New() *Redactor { return &Redactor{made: map[string]string{}, count: map[kind]int{}} }

var (
	keyStart    = regexp.MustCompile(`(?i)(?:^|[\s,{|"])([a-z][a-z0-9_]*)"?([=:])`)
	nextKey     = regexp.MustCompile(`\s[A-Za-z_][\w./@-]*=`)
	header3164  = regexp.MustCompile(`(?:^|[> ])[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d ([A-Za-z][\w.-]*) `) // also after a relay's header
	headerISO   = regexp.MustCompile(`^(?:<\d+>)?\d{4}-\d\d-\d\dT\S+ ([A-Za-z][\w.-]*) `)
	header5424  = regexp.MustCompile(`^(?:\d+ )?<\d+>1 \S+ ([A-Za-z][\w.-]*) `)
	named       = regexp.MustCompile(`(?i)\b(?:user(?:name)?|administrator|admin|accounts?)\s+['"]?([A-Za-z][\w.-]*)`)
	emailForm   = regexp.MustCompile(`\b[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+\b`)
	winUserForm = regexp.MustCompile(`\b([A-Za-z][\w-]*)\\{1,2}([\w.-]+)`) // JSON and CEF double the backslash
	profileForm = regexp.MustCompile(`(?i)((?:[a-z]:)?[\\/]{1,2}(?:users|home)[\\/]{1,2})([^\\/"\s]+)`)
	dnForm      = regexp.MustCompile(`\b(?:(?:CN|OU)=[^,"=]+|DC=[\w-]+)`)
	xmlForm     = regexp.MustCompile(`(?i)<(?:Data Name=['"])?\w*?(user|domain|computer|workstation|host)(?:name)?(?:['"])?>([^<]+)<`)
	levelForm   = regexp.MustCompile(`(?i)^(?:kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|local[0-7])\.[a-z]+$`)
	serialForm  = regexp.MustCompile(`\b(FCTEMS|FCT|FG[A-Z0-9]{4}|FGVM|FAZ)([A-Z0-9]{6,14})\b`)
	macForm     = regexp.MustCompile(`\b[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}\b`)
	ipv4Form    = regexp.MustCompile(`\b(?:\d{1,3}\.){3}\d{1,3}\b`)
	ipv6Form    = regexp.MustCompile(`(?i)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}`)
	nameForm    = regexp.MustCompile(`\b[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+\b`)
)

// Line returns a line with its identities replaced.
func (r *Redactor) Line(text string) string {
	found := map[string]kind{}
	for v, k := range identities(text) {
		found[v] = k
	}
	// Replace by form first: the replacements hold no identity, so the later steps keep them.
	text = emailForm.ReplaceAllStringFunc(text, func(s string) string {
		name, _, _ := strings.Cut(s, "@")
		return r.value(user, name) + "@example.com"
	})
	text = macForm.ReplaceAllStringFunc(text, func(s string) string { return r.value(mac, s) })
	text = ipv4Form.ReplaceAllStringFunc(text, r.address)
	text = ipv6Form.ReplaceAllStringFunc(text, r.address)
	text = serialForm.ReplaceAllStringFunc(text, func(s string) string { return r.value(serial, s) })
	text = dnForm.ReplaceAllStringFunc(text, func(s string) string {
		k, v, _ := strings.Cut(s, "=")
		return k + "=" + r.value(unit, v)
	})
	// Longest first, so that a name inside a longer one is not replaced on its own.
	values := make([]string, 0, len(found))
	for v := range found {
		values = append(values, v)
	}
	slices.SortFunc(values, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	for _, v := range values {
		text = replaceWord(text, v, r.value(found[v], v))
	}
	text = profileForm.ReplaceAllStringFunc(text, func(s string) string {
		m := profileForm.FindStringSubmatch(s)
		if made.MatchString(m[2]) {
			return s
		}
		return m[1] + r.value(user, m[2])
	})
	return nameForm.ReplaceAllStringFunc(text, func(s string) string {
		if !hostForm(s) {
			return s
		}
		return r.value(host, s)
	})
}

// escapedTab finds a tab between pairs that a relay wrote as text.
var escapedTab = regexp.MustCompile(`(?:\\t|#011)([A-Za-z0-9_][A-Za-z0-9_.-]*=)`)

// identities finds values by their key, by the syslog header, and after words such as
// "user".
func identities(text string) map[string]kind {
	text = escapedTab.ReplaceAllString(text, "\t$1")
	found := map[string]kind{}
	add := func(k kind, v string) {
		v = strings.Trim(v, `"' `)
		if len(v) < 2 || strings.ContainsAny(v, "<>") || kept[strings.ToLower(v)] || made.MatchString(v) {
			return
		}
		if dom, name, ok := strings.Cut(v, `\`); ok && k == user {
			if len(dom) > 1 {
				found[dom] = domain
			}
			if v = strings.TrimPrefix(name, `\`); len(v) < 2 || kept[strings.ToLower(v)] {
				return
			}
		}
		if _, err := netip.ParseAddr(v); err == nil || strings.Contains(v, "@") || serialForm.MatchString(v) {
			return // replaced by its form
		}
		found[v] = k
	}
	for _, m := range keyStart.FindAllStringSubmatchIndex(text, -1) {
		k, ok := keys[strings.ToLower(text[m[2]:m[3]])]
		if ok && k != serial {
			rest := text[m[1]:]
			if t := strings.TrimLeft(rest, " "); text[m[4]:m[5]] == ":" || strings.HasPrefix(t, `"`) {
				rest = t // JSON, or user= "jane"
			}
			add(k, valueAt(rest))
		}
	}
	var l line.Line
	if l.ReadHeader([]byte(text), &arena.Arena{}); !module.Match(l.Header.Hostname) {
		add(host, string(l.Header.Hostname))
	}
	for _, re := range []*regexp.Regexp{header3164, headerISO, header5424} {
		if m := re.FindStringSubmatch(text); m != nil && !module.MatchString(m[1]) && !isHeaderWord(m[1]) {
			add(host, m[1])
		}
	}
	for _, m := range xmlForm.FindAllStringSubmatch(text, -1) {
		k := host
		if of := kind(strings.ToLower(m[1])); of == user || of == domain {
			k = of
		}
		add(k, m[2])
	}
	for _, m := range named.FindAllStringSubmatch(text, -1) {
		add(user, strings.TrimRight(m[1], ".-"))
	}
	for _, m := range winUserForm.FindAllStringSubmatch(text, -1) {
		// A path has more than one backslash or starts with a drive letter.
		if strings.Count(text, m[0]+`\`) == 0 && strings.Count(text, `\`+m[0]) == 0 && strings.Count(text, ":"+m[0]) == 0 {
			add(user, m[0])
		}
	}
	return found
}

// isHeaderWord reports whether a word where a header has its host is none: the zone of the
// stamp, facility and level, or the stream of a container.
func isHeaderWord(w string) bool {
	return timestamp.IsStampWord([]byte(w)) || levelForm.MatchString(w) || w == "stdout" || w == "stderr"
}

// module matches the name of a FortiEMS module, which decides the category. A host may
// also be called ems-something.
var module = regexp.MustCompile(`(?i)^ems$|^ems[-_](adconnector|addaemonworker|update|event|error|client|vpn|authentication|policy|network)$`)

// made matches the replacements of this package.
var made = regexp.MustCompile(`^(?:host|user|domain|unit)\d+$`)

// valueAt returns the value at the start of a text: quoted once or twice, or up to the
// next key.
func valueAt(text string) string {
	if rest, ok := strings.CutPrefix(text, `\"`); ok { // a line in JSON
		v, _, _ := strings.Cut(rest, `\"`)
		return v
	}
	rest := strings.TrimLeft(text, `"`)
	switch quotes := len(text) - len(rest); {
	case quotes == 2 && (rest == "" || strings.IndexByte(" ,}\r", rest[0]) >= 0):
		return ""
	case quotes > 0:
		v, _, _ := strings.Cut(rest, `"`)
		return v
	}
	if at := nextKey.FindStringIndex(text); at != nil {
		text = text[:at[0]]
	}
	return strings.TrimSpace(text)
}

// replaceWord replaces old, in any case, where it is a whole word and not a key.
func replaceWord(text, old, by string) string {
	lower, want := strings.ToLower(text), strings.ToLower(old)
	if len(lower) != len(text) {
		lower, want = text, old // lower case changes the length of a letter
	}
	var b strings.Builder
	at := 0
	for {
		i := strings.Index(lower[at:], want)
		if i < 0 {
			return b.String() + text[at:]
		}
		i += at
		end := i + len(want)
		alone := (i == 0 || !wordByte(text[i-1])) && (end == len(text) || !wordByte(text[end]) && text[end] != '=')
		b.WriteString(text[at:i])
		if alone {
			b.WriteString(by)
		} else {
			b.WriteString(text[i:end])
		}
		at = end
	}
}

func wordByte(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

// endings are the last labels of host names; other names with a dot may be a file or a
// version.
var endings = wordSet(`com net org local lan corp internal intern home arpa edu gov mil int info biz io de fr uk eu us ch at nl be es it pt pl se no dk
	fi ie ca au nz jp kr cn in br mx ar za ru tr gr cz hu ro bg sk si hr lt lv ee lu ad test invalid cloud app dev example`)

func hostForm(s string) bool {
	last := s[strings.LastIndexByte(s, '.')+1:]
	return endings[strings.ToLower(last)] && !levelForm.MatchString(s) && !strings.HasSuffix(s, "example.com") && strings.ContainsAny(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
}

// address replaces an IP address and keeps text that only looks like one.
func (r *Redactor) address(s string) string {
	a, err := netip.ParseAddr(s)
	if err != nil || a.IsUnspecified() || a.IsLoopback() || len(s) < 5 {
		return s
	}
	return r.value(ip, a.String())
}

// value returns the replacement of a value.
func (r *Redactor) value(k kind, v string) string {
	if kept[strings.ToLower(v)] {
		return v
	}
	name := string(k) + "\x00" + strings.ToLower(v)
	if k == mac {
		name = string(k) + strings.ToLower(strings.ReplaceAll(v, ":", "-"))
	}
	if known, ok := r.made[name]; ok && k != mac {
		return known
	}
	if k == host {
		if first, _, ok := strings.Cut(v, "."); ok {
			return r.value(host, first) + ".example.com"
		}
	}
	if k == domain && strings.Contains(v, ".") {
		return "example.com"
	}
	if k == serial && strings.Trim(v[3:], "0") == "" {
		return v
	}
	if k == mac {
		if _, ok := r.made[name]; !ok {
			r.count[k]++
			r.made[name] = fmt.Sprintf("00-00-5e-00-%02x-%02x", 0x53+r.count[k]>>8, r.count[k]&255)
		}
		if strings.Contains(v, ":") {
			return strings.ReplaceAll(r.made[name], "-", ":")
		}
		return r.made[name]
	}
	r.count[k]++
	r.made[name] = fresh(k, v, r.count[k])
	return r.made[name]
}

// documentation are the IPv4 networks reserved for documentation.
var documentation = []string{"192.0.2.", "198.51.100.", "203.0.113."}

// fresh returns the n-th replacement of a kind in the form of v.
func fresh(k kind, v string, n int) string {
	switch k {
	case ip:
		if strings.Contains(v, ":") {
			return fmt.Sprintf("2001:db8::%x", n)
		}
		if n <= 254*len(documentation) {
			return documentation[(n-1)/254] + fmt.Sprint((n-1)%254+1)
		}
		return fmt.Sprintf("198.18.%d.%d", n>>8&255, n&255) // reserved for benchmarks
	case uid:
		return fmt.Sprintf("%0*X", len(v), n)
	case serial:
		m := serialForm.FindStringSubmatch(v)
		if m == nil {
			return fmt.Sprintf("SERIAL%08d", n)
		}
		return fmt.Sprintf("%s%0*d", m[1], len(m[2]), n)
	}
	return fmt.Sprintf("%s%d", k, n)
}
