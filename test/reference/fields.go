package reference

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"fluent-bit-fortiems/parser/ecs"
)

// rows is the field table: target by writer and key.
var rows = func() map[string]map[string]string {
	t := map[string]map[string]string{"ems": {}, "forticlient": {}, "fortigate": {}}
	for _, r := range ecs.FieldRows() {
		for writer, targets := range t {
			if r.WrittenBy == "any" || slices.Contains(strings.Split(r.WrittenBy, ", "), writer) {
				targets[r.Key] = r.Field
			}
		}
	}
	return t
}()

// ids are the keys of a log id, in their order.
var ids = []string{"id", "logid", "log_id"}

var (
	clientID = regexp.MustCompile(`^9[68][0-9]{3}$`)
	anyFCTID = regexp.MustCompile(`^9[0-9]{4}$`)
	gateID   = regexp.MustCompile(`^(?:0107|0112)[0-9]{6}$`)
	fct      = regexp.MustCompile(`^[fF][cC][tT]`)
	fctems   = regexp.MustCompile(`^[fF][cC][tT][eE][mM][sS]`)
	fg       = regexp.MustCompile(`^[fF][gG]`)
)

// logID is the first id that means something, else the first: a relay may add an
// id of its own.
func (l *line) logID() string {
	first := ""
	for _, k := range ids {
		v := l.first(k)
		if anyFCTID.MatchString(v) || gateID.MatchString(v) {
			return v
		}
		if first == "" {
			first = v
		}
	}
	return first
}

func (l *line) devid() string {
	if v := l.first("devid"); v != "" {
		return v
	}
	return l.first("device_id")
}

func (l *line) isFortiEMS() bool {
	for _, k := range []string{"emsserial", "emshostname", "fctver", "fctsn", "fctuid", "fctemssn"} {
		if l.has(k) {
			return true
		}
	}
	for _, k := range []string{"subtype", "type", "logtype", "log_type", "module"} {
		if emsToken.MatchString(l.first(k)) {
			return true
		}
	}
	return emsToken.MatchString(l.appname) || emsToken.MatchString(l.cefName) || l.cefEMS ||
		fct.MatchString(l.devid()) || fct.MatchString(l.first("devname")) || clientID.MatchString(l.logID()) || gateID.MatchString(l.logID())
}

func (l *line) writer() string {
	switch {
	case gateID.MatchString(l.logID()) || fg.MatchString(l.devid()):
		return "fortigate"
	case l.has("fctver") || l.has("fctsn") || anyFCTID.MatchString(l.logID()):
		return "forticlient"
	}
	return "ems"
}

// offer sets a field that is free and reports whether it now holds v.
func (l *line) offer(field string, v any) bool {
	if have, ok := l.fields[field]; ok {
		return have == v
	}
	l.fields[field] = v
	return true
}

// collect adds a value to a list field that does not have it.
func (l *line) collect(field, v string) {
	list, _ := l.fields[field].([]any)
	if !slices.Contains(list, any(v)) {
		l.fields[field] = append(list, v)
	}
}

var levels = map[string]int64{
	"emergency": 0, "emerg": 0, "alert": 1, "critical": 2, "crit": 2, "error": 3, "err": 3, "warning": 4, "warn": 4,
	"notice": 5, "notification": 5, "info": 6, "information": 6, "informational": 6, "debug": 7,
}

func (l *line) resolve() {
	by := l.writer()
	l.fields["ecs.version"] = ecs.ECSVersionText
	l.fields["event.module"] = "fortinet"
	l.fields["event.dataset"] = map[string]string{"ems": "fortinet.fortiems", "forticlient": "fortinet.forticlient", "fortigate": "fortinet.fortigate"}[by]
	l.fields["observer.vendor"] = "Fortinet"
	l.fields["observer.product"] = "FortiClient EMS"
	if by == "fortigate" {
		l.fields["observer.product"] = "FortiGate"
	}
	l.resolveSyslog()
	l.take("log.level", "level")
	if n, ok := levels[lowerASCII(l.first("level"))]; ok {
		l.fields["event.severity"] = n
	}
	for _, k := range ids {
		if v := l.first(k); v != "" {
			l.fields["event.code"] = v
			l.mapped[k] = true
			break
		}
	}
	l.take("fortinet.ems.type", "type")
	l.take("fortinet.ems.subtype", "subtype")
	l.resolveMessage()
	for field, from := range map[string][]string{
		"observer.serial_number": {"emsserial", "fctemssn"}, "observer.name": {"emshostname", "fctemsname", "devname"},
	} {
		for _, k := range from {
			if v := l.first(k); v != "" {
				l.mapped[k] = l.offer(field, v)
			}
		}
	}
	for _, k := range l.keys {
		if v := l.first(k); v != "" && rows[by][k] != "" && !l.mapped[k] {
			l.mapped[k] = l.assign(k, rows[by][k], v, by)
		}
	}
	l.resolveUser(by)
	l.resolveURL()
	l.relate()
}

// take puts the value of a key in lower case into a field.
func (l *line) take(field, key string) {
	if v := l.first(key); v != "" {
		l.fields[field] = lowerASCII(v)
		l.mapped[key] = true
	}
}

func (l *line) resolveSyslog() {
	if l.pri >= 0 {
		l.fields["log.syslog.priority"] = int64(l.pri)
		l.fields["log.syslog.facility.code"] = int64(l.pri / 8)
		l.fields["log.syslog.severity.code"] = int64(l.pri % 8)
		l.fields["event.severity"] = int64(l.pri % 8)
	}
	for field, v := range map[string]string{"hostname": l.hostname, "appname": l.appname, "procid": l.procid, "msgid": l.msgid} {
		if v != "" {
			l.fields["log.syslog."+field] = v
		}
	}
	if l.sdata != "" {
		l.fields["log.syslog.structured_data"] = structured(l.sdata)
		if l.o.Flat {
			l.fields["log.syslog.structured_data"] = l.sdata
		}
	}
}

func (l *line) resolveMessage() {
	message := l.text
	for _, k := range []string{"logdesc", "msg"} {
		if v := l.first(k); v != "" {
			message = v
		}
	}
	if message != "" {
		l.fields["message"] = message
	}
	if l.first("msg") != "" {
		l.mapped["msg"] = true
	} else if l.first("logdesc") != "" {
		l.mapped["logdesc"] = true
	}
	if l.stray != "" && (l.first("msg") != "" || l.first("logdesc") != "") {
		l.add("header_text", l.stray)
	}
}

// assign puts a value into its fields and reports whether they hold all it says.
func (l *line) assign(k, field, v, by string) bool {
	switch field {
	case "host.id", "host.domain", "rule.id", "rule.name", "rule.category", "rule.uuid", "vulnerability.description",
		"vulnerability.severity", "error.code", "event.reason":
		return l.offer(field, v)
	case "network.protocol":
		return l.offer(field, lowerASCII(v))
	case "host.name":
		return l.assignHost(k, v, by)
	case "host.ip":
		return l.assignIPs(v)
	case "destination.ip", "source.ip":
		if k == "ip" && !l.isWebFilter() {
			return l.assignIPs(v)
		}
		return isIP(v) && l.offer(field, v)
	case "source.port", "destination.port":
		n, err := strconv.ParseUint(v, 10, 16)
		return err == nil && l.offer(field, int64(n))
	case "source.bytes", "destination.bytes", "file.size":
		n, ok := number(v)
		return ok && l.offer(field, n)
	case "http.response.status_code":
		n, ok := number(v)
		return ok && n >= 100 && n <= 599 && l.offer(field, n)
	case "host.mac":
		return l.assignMACs(v)
	case "source.mac":
		mac, ok := macOf(v)
		return ok && l.offer(field, mac)
	case "process.name", "process.executable":
		return l.assignPath("process.executable", "process.name", v)
	case "file.path":
		return l.assignPath("file.path", "file.name", v)
	case "source.domain":
		return l.assignPeer("source", v)
	case "destination.domain":
		return l.assignPeer("destination", v)
	}
	return l.assignRare(k, field, v)
}

func (l *line) assignRare(k, field, v string) bool {
	switch field {
	case "destination.address":
		if !l.offer(field, v) {
			return false
		}
		l.assignPeer("destination", v)
		return true
	case "network.iana_number":
		return l.assignTransport(v)
	case "network.direction":
		ecs, ok := directions[lowerASCII(v)]
		if ok {
			l.fields[field] = ecs
		}
		return ok && ecs == v
	case "url.original":
		return l.offer(field, v)
	case "file.hash.sha256":
		name, ok := hashes[len(v)]
		return ok && hexadecimal.MatchString(v) && l.offer("file.hash."+name, lowerASCII(v))
	case "observer.serial_number", "fortinet.ems.endpoint_serial":
		switch {
		case k == "emsserial" || k == "fctemssn":
			return false
		case fctems.MatchString(v) || fg.MatchString(v):
			return l.offer("observer.serial_number", v)
		}
		return fct.MatchString(v) && l.offer("fortinet.ems.endpoint_serial", v)
	case "vulnerability.reference", "vulnerability.id":
		if strings.HasPrefix(lowerASCII(v), "cve-") {
			return l.offer("vulnerability.id", v)
		}
		return strings.Contains(v, "://") && l.offer("vulnerability.reference", v)
	case "vulnerability.category":
		return l.assignList(field, v)
	case "vulnerability.score.base":
		f, err := strconv.ParseFloat(v, 64)
		return score.MatchString(v) && err == nil && l.offer(field, f)
	case "host.os.full":
		l.fields[field] = v
		l.assignOS(v)
		return true
	}
	return false
}

var (
	score       = regexp.MustCompile(`^[0-9.]{1,8}$`)
	hexadecimal = regexp.MustCompile(`^[0-9A-Fa-f]+$`)
	hashes      = map[int]string{32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
	directions  = map[string]string{
		"inbound": "inbound", "incoming": "inbound", "outbound": "outbound", "outgoing": "outbound", "internal": "internal",
		"external": "external", "ingress": "ingress", "egress": "egress", "unknown": "unknown",
	}
)

func isIP(v string) bool {
	a, err := netip.ParseAddr(v)
	return err == nil && a.Zone() == "" && len(v) <= 45
}

// number reads a whole number that a long field takes.
func number(v string) (int64, bool) {
	n, err := strconv.ParseInt(v, 10, 64)
	return n, err == nil && digitsOnly.MatchString(v) && len(v) <= 18
}

var digitsOnly = regexp.MustCompile(`^[0-9]+$`)

// listOf splits a list at commas and semicolons; a last separator ends it.
func listOf(v string) []string {
	parts := regexp.MustCompile(`[,;]`).Split(v, -1)
	if n := len(parts); n > 1 && parts[n-1] == "" {
		parts = parts[:n-1]
	}
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}

const longestList = 64

func (l *line) assignIPs(v string) bool {
	parts := listOf(v)
	if len(parts) > longestList {
		return false
	}
	for _, p := range parts {
		if !isIP(p) {
			return false
		}
	}
	for _, p := range parts {
		l.collect("host.ip", p)
	}
	return true
}

var macForm = regexp.MustCompile(`^[0-9A-Fa-f]{2}(?:[-:.]?[0-9A-Fa-f]{2}){5}$`)

func macOf(v string) (string, bool) {
	if !macForm.MatchString(v) {
		return "", false
	}
	digits := strings.ToUpper(strings.NewReplacer("-", "", ":", "", ".", "").Replace(v))
	var octets []string
	for i := 0; i < 12; i += 2 {
		octets = append(octets, digits[i:i+2])
	}
	// Where all octets are separated, they are so in one way.
	if len(v) == 17 && strings.Count(v, v[2:3]) != 5 {
		return "", false
	}
	return strings.Join(octets, "-"), true
}

func (l *line) assignMACs(v string) bool {
	parts := listOf(v)
	if len(parts) > longestList {
		return false
	}
	var macs []string
	for _, p := range parts {
		mac, ok := macOf(p)
		if !ok {
			return false
		}
		macs = append(macs, mac)
	}
	for _, mac := range macs {
		l.collect("host.mac", mac)
	}
	return true
}

func (l *line) assignList(field, v string) bool {
	parts := slices.DeleteFunc(listOf(v), func(p string) bool { return p == "" })
	if len(parts) == 0 || len(listOf(v)) > longestList {
		return false
	}
	for _, p := range parts {
		l.collect(field, p)
	}
	return true
}

func (l *line) isWebFilter() bool {
	id := l.logID()
	return sameASCII(l.first("subtype"), "webfilter") || sameASCII(l.first("utmevent"), "webfilter") ||
		len(id) == 5 && id >= "96500" && id <= "96503"
}

func (l *line) assignHost(k, v, by string) bool {
	if by == "fortigate" {
		switch {
		case k == "name" && !strings.HasPrefix(l.logID(), "01070450"):
			return false
		case k == "hostname" && !strings.HasPrefix(l.logID(), "0107"):
			kept := l.assignPeer("destination", v)
			host, _ := peer(v)
			return l.offer("url.domain", host) && kept
		}
	}
	if !l.offer("host.name", v) {
		return false
	}
	l.fields["host.hostname"] = v
	return true
}

var (
	withPort  = regexp.MustCompile(`(?s)^([^:/\\ ]+|\[[^\]]*\]):([0-9]{1,5})$`)
	bracketed = regexp.MustCompile(`(?s)^\[(.*)\]$`)
)

// peer takes the port, 0 without one, and the brackets off a host.
func peer(v string) (host string, port int64) {
	host = v
	if m := withPort.FindStringSubmatch(v); m != nil {
		if n, _ := number(m[2]); n > 0 && n <= 65535 {
			host, port = m[1], n
		}
	}
	if m := bracketed.FindStringSubmatch(host); m != nil && isIP(m[1]) {
		return m[1], port
	}
	if strings.ContainsAny(host, ":/\\ ") {
		return v, 0
	}
	return host, port
}

// assignPeer puts a host name or an address, and the port behind it, into their fields.
func (l *line) assignPeer(side, v string) bool {
	field := side + ".domain"
	host, port := peer(v)
	if isIP(host) {
		field = side + ".ip"
	}
	own := l.first("srcport") != ""
	if side == "destination" {
		own = l.first("dstport") != "" || l.first("destport") != ""
	}
	if port != 0 && !own {
		l.offer(side+".port", port)
	}
	return l.offer(field, host) && host == v
}

func (l *line) assignTransport(v string) bool {
	if n, ok := number(v); ok {
		if n > 255 {
			return false
		}
		l.fields["network.iana_number"] = v
		if name, ok := map[int64]string{1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp"}[n]; ok {
			l.fields["network.transport"] = name
		}
		return true
	}
	return tagWord.MatchString(v) && l.offer("network.transport", lowerASCII(v))
}

// assignPath puts a path and its last part into two fields, a bare name into one.
func (l *line) assignPath(path, name, v string) bool {
	at := strings.LastIndexAny(v, `/\`)
	if at < 0 {
		return l.offer(name, v)
	}
	if !l.offer(path, v) {
		return false
	}
	if base := v[at+1:]; base != "" {
		l.offer(name, base)
	}
	return true
}

// systems are names of operating systems: name, family, type.
var systems = [][3]string{
	{"Windows Server", "windows", "windows"}, {"Windows", "windows", "windows"}, {"macOS", "darwin", "macos"},
	{"Mac OS X", "darwin", "macos"}, {"OS X", "darwin", "macos"}, {"Ubuntu", "debian", "linux"},
	{"Debian GNU/Linux", "debian", "linux"}, {"Debian", "debian", "linux"}, {"Linux Mint", "debian", "linux"},
	{"Red Hat Enterprise Linux Server", "redhat", "linux"}, {"Red Hat Enterprise Linux Workstation", "redhat", "linux"},
	{"Red Hat Enterprise Linux", "redhat", "linux"}, {"CentOS Stream", "redhat", "linux"}, {"CentOS Linux", "redhat", "linux"},
	{"CentOS", "redhat", "linux"}, {"Rocky Linux", "redhat", "linux"}, {"AlmaLinux", "redhat", "linux"},
	{"Fedora Linux", "redhat", "linux"}, {"Fedora", "redhat", "linux"}, {"openSUSE Leap", "suse", "linux"},
	{"SUSE Linux Enterprise Server", "suse", "linux"}, {"Android", "android", "android"}, {"iOS", "ios", "ios"},
	{"iPadOS", "ios", "ios"}, {"Linux", "linux", "linux"},
}

var osVersion = regexp.MustCompile(`^[0-9][^ \t\r\n\v\f]*`)

func (l *line) assignOS(v string) {
	text := lowerASCII(v)
	text = strings.TrimPrefix(text, "microsoft ")
	cut := len(v) - len(text)
	for _, s := range systems {
		name := strings.ToLower(s[0])
		if cut > 0 && s[1] != "windows" || text != name && !strings.HasPrefix(text, name+" ") {
			continue
		}
		l.fields["host.os.name"], l.fields["host.os.family"], l.fields["host.os.type"] = s[0], s[1], s[2]
		rest := strings.TrimLeft(v[cut+len(name):], spaces)
		if version := strings.TrimRight(osVersion.FindString(rest), ",;"); version != "" {
			l.fields["host.os.version"] = version
		}
		return
	}
}

func (l *line) resolveUser(by string) {
	login := ""
	for _, k := range []string{"user", "eapuser", "vpnuser", "username"} {
		v := l.first(k)
		if v == "" || isIP(v) {
			continue
		}
		if login == "" {
			login = v
		}
		l.mapped[k] = v == login
	}
	if login != "" {
		l.setUser(login)
	}
	if v := l.first("domain"); v != "" && by == "forticlient" && l.has("username") {
		l.mapped["domain"] = l.offer("user.domain", v)
	}
}

var (
	domainUser = regexp.MustCompile(`(?s)^([^\\]+)(\\+)([^\\].*)$`)
	userAt     = regexp.MustCompile(`(?s)^(.+)@([^@]+)$`)
)

func (l *line) setUser(v string) {
	if m := domainUser.FindStringSubmatch(v); m != nil {
		l.fields["user.domain"], l.fields["user.name"] = m[1], m[3]
		if len(m[2]) > 1 { // more than the fields say
			for _, k := range []string{"user", "eapuser", "vpnuser", "username"} {
				l.mapped[k] = false
			}
		}
	} else if m := userAt.FindStringSubmatch(v); m != nil {
		l.fields["user.name"], l.fields["user.domain"] = m[1], m[2]
		if strings.Contains(m[2], ".") {
			l.fields["user.email"] = v
		}
	} else {
		l.fields["user.name"] = v
	}
}

var (
	urlScheme = regexp.MustCompile(`(?s)^([A-Za-z0-9._/-]{1,15}?)://([^/?#]*)(.*)$`)
	urlHost   = regexp.MustCompile(`(?s)^(?:.*@)?(.*?)(?::[0-9]+)?$`)
	urlPath   = regexp.MustCompile(`(?s)^([^?#]*)(?:\?([^#]*))?`)
)

func (l *line) resolveURL() {
	rest, ok := l.fields["url.original"].(string)
	if !ok {
		return
	}
	if m := urlScheme.FindStringSubmatch(rest); m != nil {
		l.fields["url.scheme"] = lowerASCII(m[1])
		host := m[2][strings.LastIndex(m[2], "@")+1:]
		if h := urlHost.FindStringSubmatch(host)[1]; h != "" {
			host = h
		}
		if host != "" {
			l.offer("url.domain", host)
		}
		rest = m[3]
	} else if v := l.first("remotename"); v != "" {
		host, _ := peer(v)
		l.offer("url.domain", host)
	}
	m := urlPath.FindStringSubmatch(rest)
	if strings.HasPrefix(m[1], "/") {
		l.fields["url.path"] = m[1]
	}
	if m[2] != "" {
		l.fields["url.query"] = m[2]
	}
}

func (l *line) relate() {
	if list, ok := l.fields["host.ip"].([]any); ok {
		for _, v := range list {
			l.collect("related.ip", v.(string))
		}
	}
	for _, r := range [][2]string{
		{"related.ip", "source.ip"}, {"related.ip", "destination.ip"}, {"related.hosts", "host.name"},
		{"related.hosts", "source.domain"}, {"related.hosts", "destination.domain"}, {"related.user", "user.name"},
		{"related.hash", "file.hash.md5"}, {"related.hash", "file.hash.sha1"}, {"related.hash", "file.hash.sha256"},
		{"related.hash", "file.hash.sha512"},
	} {
		if v, ok := l.fields[r[1]].(string); ok {
			l.collect(r[0], v)
		}
	}
}
