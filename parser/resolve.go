package parser

import (
	"bytes"
	"math"
	"math/bits"
)

// Values that are the same in every line.
var (
	constECS      = constText(ECSVersionText)
	constFortinet = constText("fortinet")
	constVendor   = constText("Fortinet")
	constProducts = [numWriters]*Constant{
		byEMS: constText("FortiClient EMS"), byClient: constText("FortiClient EMS"), byGate: constText("FortiGate"),
	}
	constDatasets = [numWriters]*Constant{
		byEMS: constText("fortinet.fortiems"), byClient: constText("fortinet.forticlient"), byGate: constText("fortinet.fortigate"),
	}
	constTCP    = constText("tcp")
	constUDP    = constText("udp")
	constICMP   = constText("icmp")
	constICMPv6 = constText("ipv6-icmp")
)

// fixedValues holds the values that are the same in every line of a writer, and
// fixedSet tells their fields.
var fixedValues, fixedSet = func() (v [numWriters][NumFields]*Constant, set FieldSet) {
	for w := range v {
		v[w] = [NumFields]*Constant{
			ECSVersion: constECS, EventModule: constFortinet, EventDataset: constDatasets[w],
			ObserverVendor: constVendor, ObserverProduct: constProducts[w],
		}
	}
	for f, c := range v[0] {
		if c != nil {
			set.Add(Field(f))
		}
	}
	return v, set
}()

// FixedValue returns the value of a field that is the same in every line of w, nil
// for other fields. [Event.Values] does not hold it.
func FixedValue(w Writer, f Field) *Constant { return fixedValues[w][f] }

// severities are the words of level with their syslog numbers (RFC 5424 6.2.1),
// in the spellings of FortiClient and FortiGate.
var severities = []struct {
	word   string
	number int64
}{
	{"info", 6}, {"information", 6}, {"notice", 5}, {"warning", 4}, {"error", 3}, {"debug", 7}, {"critical", 2},
	{"alert", 1}, {"emergency", 0}, {"informational", 6}, {"warn", 4}, {"notification", 5}, {"err", 3}, {"crit", 2},
	{"emerg", 0},
}

// resolve fills the fields of the event from its pairs and its header.
func (p *Parser) resolve(ev *Event) {
	ev.Set = fixedSet
	ev.resolveHeader()
	ev.resolveMessage()
	ev.resolveObserver()
	to := &targets[ev.by]
	pairs := ev.Pairs
	for i := range pairs {
		pair := &pairs[i]
		t := to[pair.id]
		if t.how <= special || pair.state != 0 {
			continue
		}
		if t.how == asText && !ev.Set.Has(t.to) {
			ev.setText(t.to, pair.Value)
			pair.represented()
		} else if ev.assign(t, pair) {
			pair.represented()
		}
	}
	ev.resolveUser()
	ev.resolveURL()
	ev.relate()
}

// resolveHeader fills log.syslog.* and event.severity, log.level, event.code,
// type and subtype.
func (ev *Event) resolveHeader() {
	h := &ev.head
	if h.pri >= 0 {
		ev.setInt(SyslogPriority, int64(h.pri))
		ev.setInt(SyslogFacility, int64(h.pri>>3))
		ev.setInt(SyslogSeverity, int64(h.pri&7))
		ev.setInt(EventSeverity, int64(h.pri&7))
	}
	ev.setSome(SyslogHostname, h.hostname)
	ev.setSome(SyslogAppname, h.appname)
	ev.setSome(SyslogProcid, h.procid)
	ev.setSome(SyslogMsgid, h.msgid)
	if h.sdata != nil {
		ev.Values[SyslogStructuredData] = Value{Kind: SData, Text: h.sdata}
		ev.Set.Add(SyslogStructuredData)
	}
	if p := ev.pair(keyLevel); p != nil {
		v := ev.lower(p.Value)
		ev.setText(LogLevel, v)
		p.represented()
		for i := range severities {
			if severities[i].word == string(v) {
				ev.setInt(EventSeverity, severities[i].number)
				break
			}
		}
	}
	if ev.valued.hasAny(&idKeys) {
		for _, id := range [...]keyID{keyID_, keyLogid, keyLogID} {
			if p := ev.pair(id); p != nil {
				ev.setText(EventCode, p.Value)
				p.represented()
				break
			}
		}
	}
	if p := ev.pair(keyType); p != nil {
		ev.setText(EMSType, ev.lower(p.Value))
		p.represented()
	}
	if p := ev.pair(keySubtype); p != nil {
		ev.setText(EMSSubtype, ev.lower(p.Value))
		p.represented()
	}
}

// resolveMessage fills message. What stands before the first pair and is no
// header is kept when message does not hold it.
func (ev *Event) resolveMessage() {
	ev.msg = ev.text
	p := ev.pair(keyMsg)
	if p == nil {
		p = ev.pair(keyLogdesc)
	}
	if p != nil {
		ev.msg = p.Value
		p.represented()
	}
	ev.setSome(Message, ev.msg)
	if p != nil && len(ev.head.stray) > 0 {
		ev.addUnknown([]byte("header_text"), ev.head.stray)
	}
}

// resolveObserver fills observer.serial_number and observer.name from the first
// key that has one; what the others say otherwise stays under fortinet.ems.
func (ev *Event) resolveObserver() {
	ev.offerPair(ObserverSerial, ev.pair(keyEmsserial))
	ev.offerPair(ObserverName, ev.pair(keyEmshostname))
	if ev.valued.hasAny(&rareObserverKeys) {
		ev.offerPair(ObserverSerial, ev.pair(keyFctemssn))
		ev.offerPair(ObserverName, ev.pair(keyFctemsname))
		ev.offerPair(ObserverName, ev.pair(keyDevname))
	}
}

var rareObserverKeys = keySetOf(keyFctemssn, keyFctemsname, keyDevname)

// offerPair is offer for the value of a pair, if there is one.
func (ev *Event) offerPair(f Field, p *Pair) {
	if p != nil && ev.offer(f, p.Value) {
		p.represented()
	}
}

// offer sets f to v if it is free and reports whether f now holds v.
func (ev *Event) offer(f Field, v []byte) bool {
	if !ev.Set.Has(f) {
		ev.setText(f, v)
		return true
	}
	have := &ev.Values[f]
	return have.Kind == Text && string(have.Text) == string(v)
}

func (ev *Event) offerInt(f Field, n int64) bool {
	if !ev.Set.Has(f) {
		ev.setInt(f, n)
		return true
	}
	return ev.Values[f].Kind == Int && ev.Values[f].Num == n
}

// assign puts the value of a pair where the field table says. It reports whether
// the fields hold all that the value says; if not, the pair stays under
// fortinet.ems as well.
func (ev *Event) assign(t target, pair *Pair) bool {
	v := pair.Value
	switch t.how {
	case asText:
		return ev.offer(t.to, v)
	case asLower:
		return ev.offer(t.to, ev.lower(v))
	case asHost:
		return ev.setHost(v)
	case asHostIP:
		return ev.setHostIPs(v)
	case asHostMAC:
		return ev.setHostMACs(v)
	case asIP:
		return isIP(v) && ev.offer(t.to, v)
	case asPort:
		return ev.setPort(t.to, v)
	case asLong:
		n, ok := parseUint(v)
		return ok && ev.offerInt(t.to, n)
	case asMAC:
		return ev.setMAC(t.to, v)
	case asAddress:
		return ev.setAddress(v)
	case asDomain:
		return ev.setDomain(t.to, v)
	case asTransport:
		return ev.setTransport(v)
	case asDirection:
		return ev.setDirection(v)
	case asOS:
		if ev.Set.Has(HostOSFull) {
			return ev.offer(HostOSFull, v)
		}
		ev.setOS(v)
		return true
	case asURL:
		return ev.offer(URLOriginal, v)
	}
	return ev.assignByLine(t, v)
}

// assignByLine holds the conversions that look at the rest of the line.
func (ev *Event) assignByLine(t target, v []byte) bool {
	switch t.how {
	case asSerial:
		return ev.setSerial(v)
	case asWebIP:
		if ev.isWebFilter() {
			return isIP(v) && ev.offer(DestinationIP, v)
		}
		return ev.setHostIPs(v)
	case asName:
		return bytes.HasPrefix(ev.id, []byte("01070450")) && ev.setHost(v)
	case asGateHost:
		if bytes.HasPrefix(ev.id, []byte("0107")) {
			return ev.setHost(v)
		}
		kept := ev.setDomain(DestinationDomain, v)
		host, _ := splitPort(v)
		return ev.offer(URLDomain, host) && kept
	case asFile:
		return ev.setPath(FilePath, FileName, v)
	case asProcess:
		return ev.setPath(ProcessExecutable, ProcessName, v)
	case asHash:
		f, ok := hashField(v)
		if !ok {
			return false
		}
		return ev.offer(f, ev.lower(v))
	case asVulnRef:
		if hasPrefixFold(v, "cve-") {
			return ev.offer(VulnID, v)
		}
		return bytes.Contains(v, []byte("://")) && ev.offer(VulnReference, v)
	case asVulnCat:
		some := false
		if !splitList(v, func(part []byte) bool { some = some || len(part) > 0; return true }) {
			return false
		}
		splitList(v, func(part []byte) bool {
			if len(part) > 0 {
				ev.addList(VulnCategory, listVulnCategory, part)
			}
			return true
		})
		return some
	case asScore:
		f, ok := parseScore(v)
		if !ok || ev.Set.Has(VulnScore) {
			return false
		}
		ev.Values[VulnScore] = Value{Kind: Float, Num: int64(math.Float64bits(f))}
		ev.Set.Add(VulnScore)
		return true
	case asStatusCode:
		n, ok := parseUint(v)
		return ok && n >= 100 && n <= 599 && ev.offerInt(HTTPStatus, n)
	}
	return false
}

func (ev *Event) isWebFilter() bool {
	return equalFold(ev.value(keySubtype), "webfilter") || equalFold(ev.value(keyUtmevent), "webfilter") ||
		len(ev.id) == 5 && string(ev.id) >= "96500" && string(ev.id) <= "96503"
}

func (ev *Event) setHost(v []byte) bool {
	if !ev.offer(HostName, v) {
		return false
	}
	ev.setText(HostHostname, v)
	return true
}

func (ev *Event) setHostIPs(v []byte) bool {
	if isIP(v) {
		ev.addList(HostIP, listHostIP, v)
		return true
	}
	if bytes.IndexByte(v, ',') < 0 && bytes.IndexByte(v, ';') < 0 || !splitList(v, isIP) {
		return false
	}
	return splitList(v, func(part []byte) bool {
		ev.addList(HostIP, listHostIP, part)
		return true
	})
}

func (ev *Event) setHostMACs(v []byte) bool {
	if len(v) <= len("a1:b2:c3:d4:e5:f6") {
		b := ev.scratch(32)
		n := len(b)
		b, ok := appendMAC(b, v)
		if ok {
			ev.addList(HostMAC, listHostMAC, ev.keep(b, n))
		}
		if ok || bytes.IndexByte(v, ';') < 0 && bytes.IndexByte(v, ',') < 0 {
			return ok
		}
	}
	var check [32]byte
	if !splitList(v, func(part []byte) bool { _, ok := appendMAC(check[:0], part); return ok }) {
		return false
	}
	return splitList(v, func(part []byte) bool {
		b := ev.scratch(17)
		n := len(b)
		b, _ = appendMAC(b, part)
		ev.addList(HostMAC, listHostMAC, ev.keep(b, n))
		return true
	})
}

func (ev *Event) setMAC(f Field, v []byte) bool {
	b := ev.scratch(17)
	n := len(b)
	b, ok := appendMAC(b, v)
	return ok && ev.offer(f, ev.keep(b, n))
}

func (ev *Event) setPort(f Field, v []byte) bool {
	n, ok := parseUint(v)
	return ok && n <= 65535 && ev.offerInt(f, n)
}

func (ev *Event) setAddress(v []byte) bool {
	if !ev.offer(DestinationAddress, v) {
		return false
	}
	ev.setDomain(DestinationDomain, v)
	return true
}

// setDomain takes a host name for source.domain or destination.domain; an
// address goes to the ip field beside it, and a port behind either to that of ports
// when no key of its own says it. What was taken apart stays as sent as well.
func (ev *Event) setDomain(f Field, v []byte) bool {
	ip, at, keys := DestinationIP, DestinationPort, &destinationPortKeys
	if f == SourceDomain {
		ip, at, keys = SourceIP, SourcePort, &sourcePortKeys
	}
	host, port := splitPort(v)
	if isIP(host) {
		f = ip
	}
	if port != 0 && !ev.valued.hasAny(keys) {
		ev.offerInt(at, port)
	}
	return ev.offer(f, host) && len(host) == len(v)
}

func (ev *Event) setTransport(v []byte) bool {
	if n, ok := parseUint(v); ok {
		if n > 255 || !ev.offer(NetworkIANA, v) {
			return false
		}
		switch n {
		case 1:
			ev.setConst(NetworkTransport, constICMP)
		case 6:
			ev.setConst(NetworkTransport, constTCP)
		case 17:
			ev.setConst(NetworkTransport, constUDP)
		case 58:
			ev.setConst(NetworkTransport, constICMPv6)
		}
		return true
	}
	return isTagName(v) && !ev.Set.Has(NetworkTransport) && ev.offer(NetworkTransport, ev.lower(v))
}

// directions maps the words of Fortinet to those of ECS.
var directions = []struct {
	word string
	ecs  *Constant
}{
	{"outbound", constText("outbound")}, {"inbound", constText("inbound")}, {"outgoing", constText("outbound")},
	{"incoming", constText("inbound")}, {"internal", constText("internal")}, {"external", constText("external")},
	{"ingress", constText("ingress")}, {"egress", constText("egress")}, {"unknown", constText("unknown")},
}

func (ev *Event) setDirection(v []byte) bool {
	if ev.Set.Has(NetworkDirection) {
		return false
	}
	for i := range directions {
		if d := &directions[i]; equalFold(v, d.word) {
			ev.setConst(NetworkDirection, d.ecs)
			// A word that is changed is kept as sent, too.
			return d.ecs.Texts[0] == string(v)
		}
	}
	return false
}

// setSerial sorts a serial number by its prefix: FCTEMS and FG are devices that
// report, any other FCT is an endpoint.
func (ev *Event) setSerial(v []byte) bool {
	fct := hasPrefixFold(v, "fct")
	switch {
	case fct && !hasPrefixFold(v[3:], "ems"):
		return ev.offer(EMSEndpointSerial, v)
	case fct || hasPrefixFold(v, "fg"):
		return ev.offer(ObserverSerial, v)
	}
	return false
}

// setPath puts a path and its last part into two fields, a bare name into one.
func (ev *Event) setPath(path, name Field, v []byte) bool {
	base := baseName(v)
	if len(base) == len(v) {
		return ev.offer(name, v)
	}
	if !ev.offer(path, v) {
		return false
	}
	if len(base) > 0 && !ev.Set.Has(name) {
		ev.setText(name, base)
	}
	return true
}

// loginKeys are the keys that hold a login, and rareLoginKeys those beside the first.
var (
	loginKeys     = [...]keyID{keyUser, keyEapuser, keyVpnuser, keyUsername}
	rareLoginKeys = keySetOf(loginKeys[1:]...)
)

// resolveUser fills user.* from the first key that holds a login. An address is
// none: FortiGate puts one into user and the login into eapuser.
func (ev *Event) resolveUser() {
	var login []byte
	whole := true // the fields say all that login does
	keys := loginKeys[:]
	if !ev.valued.hasAny(&rareLoginKeys) {
		keys = keys[:1]
	}
	for _, id := range keys {
		p := ev.pair(id)
		if p == nil || isIP(p.Value) {
			continue
		}
		if login == nil {
			login = p.Value
			whole = ev.setUser(login)
		} else if string(p.Value) != string(login) {
			continue
		}
		if whole {
			p.represented()
		}
	}
	// domain= names the domain of username= in application control lines.
	if ev.by == byClient && ev.has(keyUsername) {
		ev.offerPair(UserDomain, ev.pair(keyDomain))
	}
}

// setUser splits DOMAIN\user and user@domain. It reports whether the fields hold all
// that v says: not the second backslash that FortiAnalyzer adds.
func (ev *Event) setUser(v []byte) bool {
	if i := bytes.IndexByte(v, '\\'); i > 0 {
		if name := bytes.TrimLeft(v[i:], `\`); len(name) > 0 {
			ev.setText(UserDomain, v[:i])
			ev.setText(UserName, name)
			return i+1+len(name) == len(v)
		}
	}
	i := bytes.LastIndexByte(v, '@')
	if i <= 0 || i+1 == len(v) {
		ev.setText(UserName, v)
		return true
	}
	ev.setText(UserName, v[:i])
	ev.setText(UserDomain, v[i+1:])
	if bytes.IndexByte(v[i:], '.') > 0 {
		ev.setText(UserEmail, v)
	}
	return true
}

// resolveURL splits url.original. FortiClient sends the path alone and the host
// in remotename.
func (ev *Event) resolveURL() {
	if !ev.Set.Has(URLOriginal) {
		return
	}
	rest := ev.Values[URLOriginal].Text
	if i := bytes.Index(rest, []byte("://")); i > 0 && i < 16 && isTagName(rest[:i]) {
		ev.setText(URLScheme, ev.lower(rest[:i]))
		rest = rest[i+3:]
		host := rest
		if j := bytes.IndexAny(rest, "/?#"); j >= 0 {
			host, rest = rest[:j], rest[j:]
		} else {
			rest = nil
		}
		if j := bytes.LastIndexByte(host, '@'); j >= 0 {
			host = host[j+1:]
		}
		if j := bytes.LastIndexByte(host, ':'); j > 0 && allDigits(host[j+1:]) {
			host = host[:j]
		}
		if len(host) > 0 {
			ev.offer(URLDomain, host)
		}
	} else if v := ev.value(keyRemotename); v != nil {
		host, _ := splitPort(v)
		ev.offer(URLDomain, host)
	}
	if j := bytes.IndexByte(rest, '#'); j >= 0 {
		rest = rest[:j]
	}
	if j := bytes.IndexByte(rest, '?'); j >= 0 {
		if j+1 < len(rest) {
			ev.setText(URLQuery, rest[j+1:])
		}
		rest = rest[:j]
	}
	if len(rest) > 0 && rest[0] == '/' {
		ev.setText(URLPath, rest)
	}
}

// related holds the lists of what an analyst pivots on, by the fields that go into
// them, and relatedSet tells these fields.
var related, relatedSet = func() (to [NumFields]struct {
	list  Field
	index int
}, set FieldSet) {
	enter := func(list Field, index int, from ...Field) {
		for _, f := range from {
			to[f].list, to[f].index = list, index
			set.Add(f)
		}
	}
	enter(RelatedIP, listRelatedIP, SourceIP, DestinationIP)
	enter(RelatedHosts, listRelatedHosts, HostName, SourceDomain, DestinationDomain)
	enter(RelatedUser, listRelatedUser, UserName)
	enter(RelatedHash, listRelatedHash, FileMD5, FileSHA1, FileSHA256, FileSHA512)
	return to, set
}()

// relate fills the lists of what an analyst pivots on.
func (ev *Event) relate() {
	if ev.Set.Has(HostIP) {
		for _, v := range ev.Lists[listHostIP] {
			ev.addList(RelatedIP, listRelatedIP, v)
		}
	}
	for i := range relatedSet {
		for fields := ev.Set[i] & relatedSet[i]; fields != 0; fields &= fields - 1 {
			f := i*64 + bits.TrailingZeros64(fields)
			to := &related[f]
			ev.addList(to.list, to.index, ev.Values[f].Text)
		}
	}
}
