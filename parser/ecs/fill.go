package ecs

import (
	"bytes"
	"math/bits"

	"fluent-bit-fortiems/parser/ascii"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/line"
)

// Fill fills the record from a line, except its time and what rules decide. source wrote
// the line; id is its log id, if any. Pairs whose value a field holds are consumed. It
// returns the text that says in words what happened, see setMessage.
func Fill(r *Record, l *line.Line, source dict.Source, id []byte) (said []byte) {
	r.pairs, r.source, r.id = &l.Pairs, source, id
	r.setConstants()
	r.setHeader(&l.Header)
	said = r.setMessage(l)
	r.setCode()
	r.setObserver()
	table := &rows[source]
	for i := range l.Pairs.List {
		pair := &l.Pairs.List[i]
		if !pair.Unmapped() {
			continue
		}
		if row := &table[pair.Key()]; row.convert != nil && row.convert(r, row.to, pair.Value) {
			pair.Consume()
		}
	}
	r.setUser()
	r.setURL()
	r.setRelated()
	return said
}

// The fields that are the same in every line of a source.
var (
	constECSVersion = ConstText(ECSVersionText)
	constModule     = ConstText("fortinet")
	constVendor     = ConstText("Fortinet")
	constProducts   = [dict.NumSources]*Constant{
		dict.EMS: ConstText("FortiClient EMS"), dict.FortiClient: ConstText("FortiClient EMS"), dict.FortiGate: ConstText("FortiGate"),
	}
	constDatasets = [dict.NumSources]*Constant{
		dict.EMS: ConstText("fortinet.fortiems"), dict.FortiClient: ConstText("fortinet.forticlient"), dict.FortiGate: ConstText("fortinet.fortigate"),
	}
)

func (r *Record) setConstants() {
	r.SetConst(ECSVersion, constECSVersion)
	r.SetConst(EventModule, constModule)
	r.SetConst(EventDataset, constDatasets[r.source])
	r.SetConst(ObserverVendor, constVendor)
	r.SetConst(ObserverProduct, constProducts[r.source])
}

// setHeader sets log.syslog.*, and event.severity to that of the PRI.
func (r *Record) setHeader(h *line.Header) {
	if n := int64(h.Priority); n >= 0 {
		r.SetInt(SyslogPriority, n)
		r.SetInt(SyslogFacility, n>>3)
		r.SetInt(SyslogSeverity, n&7)
		r.SetInt(EventSeverity, n&7)
	}
	r.setNonEmpty(SyslogHostname, h.Hostname)
	r.setNonEmpty(SyslogAppname, h.AppName)
	r.setNonEmpty(SyslogProcid, h.ProcID)
	r.setNonEmpty(SyslogMsgid, h.MsgID)
	if h.StructuredData != nil {
		r.SetText(SyslogStructuredData, h.StructuredData)
		r.Values[SyslogStructuredData].Kind = SData
	}
}

// setMessage sets message: msg, else logdesc, else the text after the header. It returns what
// the line says in words: msg or logdesc, or without them the text before the first pair, so
// that level=error or the name of a host is none. Text before the first pair is kept as a pair
// if message does not hold it.
func (r *Record) setMessage(l *line.Line) (said []byte) {
	if p := r.firstPair(dict.KeyMsg, dict.KeyLogdesc); p != nil {
		p.Consume()
		r.setNonEmpty(Message, p.Value)
		if len(l.Stray) > 0 {
			l.Pairs.AddName([]byte("header_text"), l.Stray)
		}
		return p.Value
	}
	r.setNonEmpty(Message, l.Body)
	switch {
	case len(l.Pairs.List) == 0, bytes.Contains(l.Body, msgSign): // a value without its closing quote holds msg
		return l.Body
	case len(l.Stray) > 0:
		return l.Stray
	}
	for _, name := range textNames {
		if v, ok := l.Pairs.Lookup(name, dict.Lookup(name)); ok {
			return v
		}
	}
	if last := l.Pairs.List[len(l.Pairs.List)-1].Value; bytes.IndexByte(last, '"') >= 0 {
		return last // with text behind its closing quote
	}
	return nil
}

var msgSign = []byte("msg=")

// textNames are keys of a text where a line has neither msg nor logdesc.
var textNames = [...][]byte{[]byte("message"), []byte("description"), []byte("desc"), []byte("details"), []byte("text")}

func (r *Record) setCode() {
	if p := r.firstPair(dict.KeyID, dict.KeyLogid, dict.KeyLogID); p != nil {
		r.SetText(EventCode, p.Value)
		p.Consume()
	}
}

// setObserver sets the serial number and the name of one device, the one that wrote the line.
// Of a FortiGate that is devid and devname; its EMS stays under fortinet.ems. Else the order of
// the keys decides, and devname counts unless devid says that it is another device.
func (r *Record) setObserver() {
	if r.source == dict.FortiGate {
		r.setFirst(ObserverName, dict.KeyDevname)
		return // the table has devid
	}
	r.setFirst(ObserverSerial, dict.KeyEmsserial, dict.KeyFctemssn)
	r.setFirst(ObserverName, dict.KeyEmshostname, dict.KeyFctemsname)
	if r.Set.Has(ObserverName) {
		return
	}
	device := r.firstPair(dict.KeyDevid, dict.KeyDeviceID)
	if device == nil || !r.Set.Has(ObserverSerial) || bytes.EqualFold(device.Value, r.Values[ObserverSerial].Text) {
		r.setFirst(ObserverName, dict.KeyDevname)
	}
}

// firstPair returns the pair of the first of keys that has a value, or nil.
func (r *Record) firstPair(keys ...dict.Key) *line.Pair {
	for _, k := range keys {
		if p := r.pairs.Pair(k); p != nil {
			return p
		}
	}
	return nil
}

// setFirst sets a field to the value of the first of keys that has one. Other values stay
// under fortinet.ems.
func (r *Record) setFirst(to Field, keys ...dict.Key) {
	for _, k := range keys {
		if p := r.pairs.Pair(k); p != nil && r.setIfUnset(to, p.Value) {
			p.Consume()
		}
	}
}

// loginKeys hold a login, in the order in which they count.
var loginKeys = [...]dict.Key{dict.KeyUser, dict.KeyEapuser, dict.KeyXauthuser, dict.KeyVpnuser, dict.KeyUsername}

// peerLoginKeys hold the login of a VPN peer beside user, which may then be a number.
var peerLoginKeys = dict.SetOf(dict.KeyEapuser, dict.KeyXauthuser)

// logSource begins what FortiClient writes into user for a log of its own, like
// DBLOG_SOURCE_SYSTEM.
const logSource = "dblog_source_"

// setUser sets user.* from the first key that holds a login. An address is none: FortiGate
// puts one into user and the login into eapuser.
func (r *Record) setUser() {
	var login []byte
	whole := false // the fields say all that login says
	for _, k := range loginKeys {
		p := r.pairs.Pair(k)
		if p == nil || isIP(p.Value) || ascii.HasPrefixFold(p.Value, logSource) {
			continue
		}
		if k == dict.KeyUser && ascii.AllDigits(p.Value) && r.pairs.AnyNonEmpty(&peerLoginKeys) {
			continue // the number of a peer
		}
		if login == nil {
			login = p.Value
			whole = r.setLogin(login)
		}
		if whole && string(p.Value) == string(login) {
			p.Consume()
		}
	}
	// domain= is the domain of username= in application control lines.
	if r.source == dict.FortiClient && r.pairs.Has(dict.KeyUsername) {
		r.setFirst(UserDomain, dict.KeyDomain)
	}
}

// setLogin splits DOMAIN\user and user@domain. It reports whether the fields hold all that
// v says: not the second backslash that FortiAnalyzer adds.
func (r *Record) setLogin(v []byte) bool {
	if i := bytes.IndexByte(v, '\\'); i > 0 {
		if name := bytes.TrimLeft(v[i:], `\`); len(name) > 0 {
			r.SetText(UserDomain, v[:i])
			r.SetText(UserName, name)
			if isEmail(name) {
				r.SetText(UserEmail, name)
			}
			return i+1+len(name) == len(v)
		}
	}
	i := bytes.LastIndexByte(v, '@')
	if i <= 0 || i+1 == len(v) {
		r.SetText(UserName, v)
		return true
	}
	r.SetText(UserName, v[:i])
	r.SetText(UserDomain, v[i+1:])
	if isEmail(v) {
		r.SetText(UserEmail, v)
	}
	return true
}

// isEmail reports whether a login has the form of an address: user@example.com.
func isEmail(v []byte) bool {
	i := bytes.LastIndexByte(v, '@')
	return i > 0 && bytes.IndexByte(v[i:], '.') > 0
}

// setURL splits url.original. FortiClient sends the path only, and the host in remotename.
func (r *Record) setURL() {
	if !r.Set.Has(URLOriginal) {
		return
	}
	rest := r.Values[URLOriginal].Text
	if i := bytes.Index(rest, []byte("://")); i > 0 && i < 16 && line.IsTagName(rest[:i]) {
		r.SetText(URLScheme, r.arena.Lower(rest[:i]))
		host := rest[i+3:]
		rest = nil
		if j := bytes.IndexAny(host, "/?#"); j >= 0 {
			host, rest = host[:j], host[j:]
		}
		host = host[bytes.LastIndexByte(host, '@')+1:]
		if j := bytes.LastIndexByte(host, ':'); j > 0 && ascii.AllDigits(host[j+1:]) {
			host = host[:j]
		}
		if len(host) > 0 {
			r.setIfUnset(URLDomain, host)
		}
	} else if v := r.pairs.Value(dict.KeyRemotename); v != nil {
		host, _ := splitPort(v)
		r.setIfUnset(URLDomain, host)
	}
	rest, _, _ = bytes.Cut(rest, []byte{'#'})
	path, query, _ := bytes.Cut(rest, []byte{'?'})
	r.setNonEmpty(URLQuery, query)
	if len(path) > 0 && path[0] == '/' {
		r.SetText(URLPath, path)
	}
}

// related are the fields that are copied to the lists of related.*. The order of the
// fields is that of the lists.
var related, relatedSet = func() (to [NumFields]struct {
	field Field
	list  int
}, set FieldSet) {
	enter := func(field Field, list int, from ...Field) {
		for _, f := range from {
			to[f].field, to[f].list = field, list
			set.Add(f)
		}
	}
	enter(RelatedIP, listRelatedIP, SourceIP, DestinationIP)
	enter(RelatedHosts, listRelatedHosts, HostName, SourceDomain, DestinationDomain)
	enter(RelatedUser, listRelatedUser, UserName)
	enter(RelatedHash, listRelatedHash, FileMD5, FileSHA1, FileSHA256, FileSHA512)
	return to, set
}()

func (r *Record) setRelated() {
	if r.Set.Has(HostIP) {
		for _, v := range r.Lists[listHostIP] {
			r.addToList(RelatedIP, listRelatedIP, v)
		}
	}
	for i := range relatedSet {
		for fields := r.Set[i] & relatedSet[i]; fields != 0; fields &= fields - 1 {
			f := i*64 + bits.TrailingZeros64(fields)
			r.addToList(related[f].field, related[f].list, r.Values[f].Text)
		}
	}
}
