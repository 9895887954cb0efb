package ecs

import (
	"bytes"
	"math"
	"strconv"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
)

// Conversions set fields with setIfUnset, setIntIfUnset and setConstIfUnset only: a field that
// has a value keeps it, and the conversion returns false unless the value is the same.

func asText(r *Record, to Field, v []byte) bool { return r.setIfUnset(to, v) }

func asLower(r *Record, to Field, v []byte) bool { return r.setIfUnset(to, r.arena.Lower(v)) }

// severities are the words of level with their syslog numbers (RFC 5424 section 6.2.1), in
// the spellings of FortiClient and FortiGate.
var severities = map[string]int64{
	"emergency": 0, "emerg": 0, "alert": 1, "critical": 2, "crit": 2, "error": 3, "err": 3, "warning": 4, "warn": 4,
	"notice": 5, "notification": 5, "information": 6, "informational": 6, "info": 6, "debug": 7,
}

// asLevel sets event.severity as well.
func asLevel(r *Record, to Field, v []byte) bool {
	v = r.arena.Lower(v)
	r.SetText(to, v)
	if n, ok := severities[string(v)]; ok {
		r.SetInt(EventSeverity, n)
	}
	return true
}

func asCount(r *Record, to Field, v []byte) bool {
	n, ok := parseUint(v)
	return ok && r.setIntIfUnset(to, n)
}

func asPort(r *Record, to Field, v []byte) bool {
	n, ok := parseUint(v)
	return ok && n <= 65535 && r.setIntIfUnset(to, n)
}

func asStatusCode(r *Record, to Field, v []byte) bool {
	n, ok := parseUint(v)
	return ok && n >= 100 && n <= 599 && r.setIntIfUnset(to, n)
}

func asScore(r *Record, to Field, v []byte) bool {
	f, ok := parseScore(v)
	if !ok || r.Set.Has(to) {
		return false
	}
	r.Values[to] = Value{Kind: Float, Num: int64(math.Float64bits(f))}
	r.Set.Add(to)
	return true
}

// asIP takes an address. One with a port or a zone id is split, and also kept as sent; of a
// list the first address counts, if it is among the first maxList parts.
func asIP(r *Record, to Field, v []byte) bool {
	if isIP(v) { // nearly always
		return r.setIfUnset(to, v)
	}
	v, framed := unframe(v)
	whole, more := !framed, true // v is one address
	for n := 0; more && n < maxList; n++ {
		var part []byte
		var split bool
		part, v, more, split = cutAddress(v)
		whole = whole && !more && !split
		if host, port := splitAddress(part); host != nil {
			if f, keys := portOf(to); port != 0 && f != 0 && !r.pairs.AnyNonEmpty(keys) {
				r.setIntIfUnset(f, port)
			}
			return r.setIfUnset(to, host) && whole && len(host) == len(part)
		}
		whole = false
	}
	return false
}

// portOf returns the field of the port of an address field, and the keys that have it.
func portOf(ip Field) (Field, *dict.KeySet) {
	switch ip {
	case SourceIP:
		return SourcePort, &sourcePortKeys
	case DestinationIP:
		return DestinationPort, &destinationPortKeys
	}
	return 0, nil
}

// asHostIPs takes one address or a list of addresses. It takes the addresses of a list that
// has other parts, too.
func asHostIPs(r *Record, to Field, v []byte) bool {
	if isIP(v) { // nearly always
		r.addToList(to, listHostIP, v)
		return true
	}
	return addParts(v, func(part []byte) bool {
		host, _ := splitAddress(part)
		if host != nil {
			r.addToList(to, listHostIP, host)
		}
		return len(host) == len(part)
	})
}

// asHostMACs takes one MAC address or a list of them, like asHostIPs.
func asHostMACs(r *Record, to Field, v []byte) bool {
	if mac, ok := appendMAC(r.arena.Start(macLen), v); ok { // nearly always
		r.addToList(to, listHostMAC, r.arena.Keep(mac))
		return true
	}
	return addParts(v, func(part []byte) bool {
		mac, ok := appendMAC(r.arena.Start(macLen), part)
		if ok {
			r.addToList(to, listHostMAC, r.arena.Keep(mac))
		}
		return ok
	})
}

// addParts calls add with at most maxList parts of a list of addresses. It reports whether add
// took all of them, and they are all parts.
func addParts(v []byte, add func(part []byte) bool) bool {
	v, framed := unframe(v)
	all, more := !framed, true
	for n := 0; more; n++ {
		if n == maxList {
			return false
		}
		var part []byte
		var split bool
		part, v, more, split = cutAddress(v)
		if !add(part) || split {
			all = false
		}
	}
	return all
}

func asMAC(r *Record, to Field, v []byte) bool {
	mac, ok := appendMAC(r.arena.Start(macLen), v)
	return ok && r.setIfUnset(to, r.arena.Keep(mac))
}

// asHost sets host.name and host.hostname.
func asHost(r *Record, to Field, v []byte) bool {
	if !r.setIfUnset(to, v) {
		return false
	}
	r.SetText(HostHostname, v)
	return true
}

// gateID returns the last five digits of an id of FortiGate: 45057 for 0107045057, for the
// same without its leading zero, as numbers of JSON have none, and for 45057.
func gateID(id []byte) []byte {
	switch {
	case len(id) == 10 && string(id[:4]) == "0107", len(id) == 9 && string(id[:3]) == "107":
		return id[len(id)-5:]
	case len(id) == 5 && string(id[:2]) == "45":
		return id
	}
	return nil
}

// isVulnerability reports whether the line is a result of FortiClient's vulnerability scan in
// the words of FortiGate, where srcname is the endpoint and severity is that of the finding.
func isVulnerability(r *Record) bool { return string(gateID(r.id)) == "45071" }

func asVulnSeverity(r *Record, to Field, v []byte) bool {
	return isVulnerability(r) && asText(r, to, v)
}

// asGateName is the endpoint on FortiGate's endpoint events.
func asGateName(r *Record, to Field, v []byte) bool {
	return bytes.HasPrefix(gateID(r.id), []byte("450")) && asHost(r, to, v)
}

func asGateSource(r *Record, to Field, v []byte) bool {
	if isVulnerability(r) && !isIP(v) {
		return asHost(r, HostName, v)
	}
	return asDomain(r, to, v)
}

func asClientSource(r *Record, to Field, v []byte) bool {
	if isVulnerability(r) {
		return asGateSource(r, SourceDomain, v)
	}
	return asProcess(r, to, v)
}

// asGateHost is the endpoint on FortiGate's endpoint events, else the web site.
func asGateHost(r *Record, to Field, v []byte) bool {
	if gateID(r.id) != nil {
		return asHost(r, to, v)
	}
	whole := asDomain(r, DestinationDomain, v)
	host, _ := splitPort(v)
	return r.setIfUnset(URLDomain, host) && whole
}

// asWebIP is the remote address of FortiClient's web filter lines, else one of the host.
func asWebIP(r *Record, to Field, v []byte) bool {
	if isWebFilter(r) {
		return asIP(r, to, v)
	}
	return asHostIPs(r, HostIP, v)
}

func isWebFilter(r *Record) bool {
	return ascii.EqualFold(r.pairs.Value(dict.KeySubtype), "webfilter") || ascii.EqualFold(r.pairs.Value(dict.KeyUtmevent), "webfilter") ||
		len(r.id) == 5 && string(r.id) >= "96500" && string(r.id) <= "96503"
}

// asAddress sets destination.address, and destination.ip or destination.domain.
func asAddress(r *Record, to Field, v []byte) bool {
	if !r.setIfUnset(to, v) {
		return false
	}
	asDomain(r, DestinationDomain, v)
	return true
}

// asDestination takes an address or, as FortiClient writes it for a VPN gateway, a host name.
func asDestination(r *Record, to Field, v []byte) bool {
	if isIP(v) { // nearly always
		return r.setIfUnset(to, v)
	}
	if host, _ := splitPort(v); isHostName(host) {
		return asAddress(r, DestinationAddress, v)
	}
	return asIP(r, to, v)
}

// isHostName reports whether v can be the name of a host: it has a letter and no other
// characters than letters, digits, "-", "_" and ".".
func isHostName(v []byte) bool {
	letter := false
	for _, c := range v {
		switch {
		case ascii.IsLetter(c):
			letter = true
		case !ascii.IsDigit(c) && c != '-' && c != '_' && c != '.':
			return false
		}
	}
	return letter && len(v) <= 253
}

var (
	sourcePortKeys      = dict.SetOf(dict.KeySrcport)
	destinationPortKeys = dict.SetOf(dict.KeyDstport, dict.KeyDestport, dict.KeyRemoteport, dict.KeyDestinationport)
)

// asDomain takes the host name of a peer, or a URL that has it. An address goes to the ip field, and a port after
// either to the port field, if no other key has the port. A value that was split is also
// kept as sent.
func asDomain(r *Record, to Field, v []byte) bool {
	ip, portField, portKeys := DestinationIP, DestinationPort, &destinationPortKeys
	if to == SourceDomain {
		ip, portField, portKeys = SourceIP, SourcePort, &sourcePortKeys
	}
	host := v
	if i := bytes.IndexByte(v, '/'); i > 1 && bytes.HasPrefix(v[i-1:], []byte("://")) {
		host = v[i+2:]
		if j := bytes.IndexAny(host, "/?#"); j >= 0 {
			host = host[:j]
		}
	}
	host, port := splitPort(host)
	if len(host) == 0 {
		return false
	}
	if isIP(host) {
		to = ip
	}
	if port != 0 && !r.pairs.AnyNonEmpty(portKeys) {
		r.setIntIfUnset(portField, port)
	}
	return r.setIfUnset(to, host) && len(host) == len(v)
}

// transports are the IP protocol numbers with a usual name (IANA).
var transports = map[int64]*Constant{
	1: ConstText("icmp"), 6: ConstText("tcp"), 17: ConstText("udp"), 58: ConstText("ipv6-icmp"),
}

// transportNames are the names of transports that network.transport takes.
var transportNames = []string{"tcp", "udp", "icmp", "icmp6", "icmpv6", "ipv6-icmp", "sctp", "igmp", "gre", "esp", "ah", "ipip", "ospf", "udplite", "dccp"}

// asTransport takes an IP protocol number or the name of a transport.
func asTransport(r *Record, to Field, v []byte) bool {
	n, ok := parseUint(v)
	if !ok {
		for _, name := range transportNames {
			if ascii.EqualFold(v, name) {
				return !r.Set.Has(NetworkTransport) && asLower(r, NetworkTransport, v)
			}
		}
		return false
	}
	if !ascii.AllDigits(v) && n <= 255 {
		v = r.arena.Keep(strconv.AppendInt(r.arena.Start(3), n, 10))
	}
	if n > 255 || !r.setIfUnset(to, v) {
		return false
	}
	if name := transports[n]; name != nil {
		r.setConstIfUnset(NetworkTransport, name)
	}
	return true
}

// directions maps the words of Fortinet to those of ECS.
var directions = []struct {
	word string
	ecs  *Constant
}{
	{"outbound", ConstText("outbound")}, {"inbound", ConstText("inbound")}, {"outgoing", ConstText("outbound")},
	{"incoming", ConstText("inbound")}, {"internal", ConstText("internal")}, {"external", ConstText("external")},
	{"ingress", ConstText("ingress")}, {"egress", ConstText("egress")}, {"unknown", ConstText("unknown")},
}

// asDirection keeps a word that it translates as sent, too.
func asDirection(r *Record, to Field, v []byte) bool {
	for i := range directions {
		if d := &directions[i]; ascii.EqualFold(v, d.word) {
			return r.setConstIfUnset(to, d.ecs) && d.ecs.Texts[0] == string(v)
		}
	}
	return false
}

// asSerial sorts a serial number by its prefix: FCTEMS and FG are devices that report, any
// other FCT is an endpoint.
func asSerial(r *Record, _ Field, v []byte) bool {
	fct := ascii.HasPrefixFold(v, "fct")
	switch {
	case fct && !ascii.HasPrefixFold(v[3:], "ems"):
		return r.setIfUnset(EMSEndpointSerial, v)
	case fct || ascii.HasPrefixFold(v, "fg"):
		return r.setIfUnset(ObserverSerial, v)
	}
	return false
}

func asFile(r *Record, _ Field, v []byte) bool { return setPath(r, FilePath, FileName, v) }

func asProcess(r *Record, _ Field, v []byte) bool {
	return setPath(r, ProcessExecutable, ProcessName, v)
}

// setPath puts a path and its last part into two fields, a bare name into one.
func setPath(r *Record, path, name Field, v []byte) bool {
	base := baseName(v)
	if len(base) == len(v) {
		return r.setIfUnset(name, v)
	}
	if !r.setIfUnset(path, v) {
		return false
	}
	if len(base) > 0 && !r.Set.Has(name) {
		r.SetText(name, base)
	}
	return true
}

// asHash takes a checksum to the field of its length.
func asHash(r *Record, _ Field, v []byte) bool {
	f, ok := hashField(v)
	return ok && asLower(r, f, v)
}

// asVulnRef takes a CVE id or a URL.
func asVulnRef(r *Record, _ Field, v []byte) bool {
	if ascii.HasPrefixFold(v, "cve-") {
		return r.setIfUnset(VulnID, v)
	}
	return bytes.Contains(v, []byte("://")) && r.setIfUnset(VulnReference, v)
}

// asVulnCategories takes a list; empty parts are left out.
func asVulnCategories(r *Record, to Field, v []byte) bool {
	some := false
	if !allOf(v, func(part []byte) bool { some = some || len(part) > 0; return true }) {
		return false
	}
	eachPart(v, func(part []byte) {
		if len(part) > 0 {
			r.addToList(to, listVulnCategory, part)
		}
	})
	return some
}
