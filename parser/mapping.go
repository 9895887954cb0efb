package parser

// Writer tells who wrote a line; the meaning of a key depends on it.
type Writer uint8

const (
	byEMS Writer = iota
	byClient
	byGate

	numWriters
)

var writerNames = [numWriters]string{byEMS: "ems", byClient: "forticlient", byGate: "fortigate"}

// writers is a set of writers.
type writers uint8

const (
	ems    writers = 1 << byEMS
	client writers = 1 << byClient
	gate   writers = 1 << byGate
	anyone         = ems | client | gate
)

func (w writers) String() string {
	if w == anyone {
		return "any"
	}
	s := ""
	for i, name := range writerNames {
		if w&(1<<i) != 0 {
			if s != "" {
				s += ", "
			}
			s += name
		}
	}
	return s
}

// convert names the way from a raw value to a field.
type convert uint8

const (
	asExtra convert = iota // no field: kept under fortinet.ems
	special                // looks at other pairs too, code of its own in resolve.go
	asText
	asLower
	asHost       // host.name and host.hostname
	asIP         // one address
	asHostIP     // list of addresses
	asHostMAC    // list of MAC addresses
	asMAC        // one MAC address
	asPort       // 0 is a null marker
	asLong       // non-negative integer
	asAddress    // address, then ip or domain
	asDomain     // host name of the peer
	asTransport  // IANA number or transport name
	asDirection  // inbound, outbound, ...
	asOS         // host.os.*
	asUser       // name and domain
	asURL        // url.*
	asFile       // file.path and file.name
	asProcess    // process.executable and process.name
	asHash       // file.hash.* by length
	asSerial     // endpoint serial or observer serial
	asVulnRef    // CVE or URL
	asScore      // decimal number
	asVulnCat    // list
	asWebIP      // remote address of a web filter line
	asName       // endpoint on FortiGate endpoint events
	asGateHost   // endpoint, or web site on FortiGate web filter lines
	asStatusCode // HTTP status
)

// mapping is one row of the field table.
type mapping struct {
	key  string
	by   writers
	to   Field
	how  convert
	note string // for the README
}

// fieldTable is the mapping of raw keys to ECS fields: one row per key and
// meaning. Keys without a row, and values that do not fit, are kept under
// fortinet.ems.<key>.
var fieldTable = []mapping{
	{"msg", anyone, Message, special, "`message` = msg, else logdesc, else the text after the header"},
	{"logdesc", anyone, Message, special, "when there is no msg"},
	{"level", anyone, LogLevel, special, "lower case; `event.severity` = its syslog number"},
	{"id", anyone, EventCode, special, ""},
	{"logid", anyone, EventCode, special, "when there is no id"},
	{"log_id", anyone, EventCode, special, "when there is no id or logid"},
	{"type", anyone, EMSType, special, "lower case"},
	{"subtype", anyone, EMSSubtype, special, "lower case"},
	{"eventtime", anyone, EventCreated, special, "record time (s, ms, µs or ns)"},
	{"date", anyone, EventCreated, special, "record time, with time"},
	{"time", anyone, EventCreated, special, "record time, with date"},
	{"dtime", anyone, EventCreated, special, "record time"},
	{"timestamp", anyone, EventCreated, special, "record time when nothing better is there; proves the zone"},
	{"itime", anyone, EventCreated, special, "like timestamp"},
	{"tz", anyone, EventTimezone, special, "±HH:MM"},

	{"emsserial", anyone, ObserverSerial, special, ""},
	{"fctemssn", anyone, ObserverSerial, special, "when there is no emsserial"},
	{"devid", anyone, ObserverSerial, asSerial, "an endpoint serial (FCT…) is `fortinet.ems.endpoint_serial`; FCTEMS… and FG… are the observer's when nothing better is there"},
	{"device_id", anyone, ObserverSerial, asSerial, "like devid"},
	{"fctsn", anyone, EMSEndpointSerial, asSerial, "like devid"},
	{"emshostname", anyone, ObserverName, special, ""},
	{"fctemsname", anyone, ObserverName, special, "when there is no emshostname"},
	{"devname", anyone, ObserverName, special, "when there is no emshostname or fctemsname"},

	{"uid", anyone, HostID, asText, ""},
	{"fctuid", anyone, HostID, asText, ""},
	{"hostname", ems | client, HostName, asHost, "and `host.hostname`"},
	{"hostname", gate, HostName, asGateHost, "the endpoint on 0107… events, else the web site: `url.domain`, `destination.domain`"},
	{"name", gate, HostName, asName, "the endpoint on 01070450…"},
	{"deviceip", anyone, HostIP, asHostIP, ""},
	{"regip", anyone, HostIP, asHostIP, ""},
	{"ip", ems, HostIP, asHostIP, ""},
	{"ip", client, DestinationIP, asWebIP, "the remote site of web filter lines, else the host"},
	{"ip", gate, HostIP, asHostIP, ""},
	{"devicemac", anyone, HostMAC, asHostMAC, "upper case, `-`"},
	{"pcdomain", anyone, HostDomain, asText, ""},
	{"os", anyone, HostOSFull, asOS, "and `host.os.name`, `version`, `family`, `type` when recognised"},

	{"user", anyone, UserName, special, "`DOM\\user`, `user@dom` are split; an address is no login"},
	{"eapuser", anyone, UserName, special, "when user is missing or an address"},
	{"vpnuser", anyone, UserName, special, "when there is no user"},
	{"username", anyone, UserName, special, "when there is no user"},
	{"domain", client, UserDomain, special, "with username"},

	{"srcip", anyone, SourceIP, asIP, ""},
	{"locip", anyone, SourceIP, asIP, ""},
	{"srcport", anyone, SourcePort, asPort, ""},
	{"srcmac", anyone, SourceMAC, asMAC, ""},
	{"srcname", ems | client, ProcessName, asProcess, "a process for FortiClient"},
	{"srcname", gate, SourceDomain, asDomain, "a host for FortiGate"},
	{"sentbyte", anyone, SourceBytes, asLong, ""},
	{"dstip", anyone, DestinationIP, asIP, ""},
	{"dstport", anyone, DestinationPort, asPort, ""},
	{"destport", anyone, DestinationPort, asPort, ""},
	{"remotename", anyone, DestinationDomain, asDomain, "and `url.domain` with url; a port behind it is `destination.port`"},
	{"destaddr", anyone, DestinationAddress, asAddress, "and `destination.ip` or `destination.domain`"},
	{"remotegw", anyone, DestinationAddress, asAddress, "and `destination.ip` or `destination.domain`, `destination.port`"},
	{"rcvdbyte", anyone, DestinationBytes, asLong, ""},
	{"direction", anyone, NetworkDirection, asDirection, ""},
	{"proto", anyone, NetworkIANA, asTransport, "and `network.transport`"},
	{"service", client, NetworkProtocol, asLower, ""},
	{"url", anyone, URLOriginal, asURL, "and `url.scheme`, `domain`, `path`, `query`"},
	{"httpcode", gate, HTTPStatus, asStatusCode, ""},

	{"app", client, ProcessName, asProcess, "with a path also `process.executable`"},
	{"path", client, ProcessExecutable, asProcess, "and `process.name`"},
	{"file", anyone, FilePath, asFile, "and `file.name`"},
	{"filesize", anyone, FileSize, asLong, ""},
	{"checksum", anyone, FileSHA256, asHash, "md5, sha1, sha256 or sha512 by length; a CRC32 stays under `fortinet.ems`"},
	{"analyticscksum", anyone, FileSHA256, asHash, "like checksum"},
	{"virus", anyone, RuleName, asText, "the signature that fired"},
	{"vid", anyone, RuleID, asText, ""},
	{"sigid", anyone, RuleID, asText, "when there is no vid before it"},
	{"viruscat", anyone, RuleCategory, asText, ""},
	{"ruleuuid", anyone, RuleUUID, asText, ""},

	{"vulnref", anyone, VulnReference, asVulnRef, "`CVE-…` is `vulnerability.id`, a URL is `vulnerability.reference`"},
	{"cveid", anyone, VulnID, asVulnRef, "like vulnref"},
	{"vendorurl", gate, VulnReference, asVulnRef, "like vulnref"},
	{"vulnname", anyone, VulnDescription, asText, ""},
	{"vulnseverity", anyone, VulnSeverity, asText, ""},
	{"vulncat", anyone, VulnCategory, asVulnCat, ""},
	{"vulncvss", anyone, VulnScore, asScore, ""},

	{"error_code", anyone, ErrorCode, asText, ""},
	{"failed_reason", anyone, EventReason, asText, ""},
	{"reason", anyone, EventReason, asText, ""},
}

// vendorKeys are the keys of the FortiEMS field dictionary that have no ECS
// field of their meaning. They need no row above; they are listed for the index
// template and so that rules and repeats find them at the price of a known key.
var vendorKeys = []string{
	"action", "activity", "addr", "ae_api", "ae_reason", "affected_prod_list", "appid", "apppath", "appvendor",
	"appversion", "avengine", "avsig", "avsigext", "avsiglastupdate", "avsigpallas", "browsetime", "cat", "category",
	"client_ip", "clientfeature", "connection_type", "count", "default_used", "description", "detectedby", "detectedin",
	"detectedpath", "ems_service_info", "endpoint_features_info", "endpoint_serial", "endpoint_status", "epenfeatures",
	"eplace", "epmgmtst", "eponlinest", "epplace", "event_id", "eventtype", "fctver", "fgtserial", "from",
	"gatewayaddr", "gatewayport", "interface", "intf", "license_limit", "log_type", "logtype", "logver", "method",
	"module", "policyname", "ref", "result", "ruleid", "scantime", "score", "sessionid", "severity", "site", "sn",
	"social_srvc", "source", "source_type", "source_ver", "srcproduct", "status", "threat", "to", "ui",
	"used_for_type", "userinitiated", "usingpolicy", "utmaction", "utmevent", "vd", "vpn", "vpnstate", "vpntunnel",
	"vpntype", "vulnengine", "vulnid", "vulnproducts", "vulnsignature", "devtype",
}

// The known keys that code refers to. Their order is that of namedKeys; the keys
// of the tables above that need no constant follow.
const (
	noKey keyID = iota
	keyMsg
	keyLogdesc
	keyLevel
	keyID_
	keyLogid
	keyLogID
	keyType
	keySubtype
	keyEventtime
	keyDate
	keyTime
	keyDtime
	keyTimestamp
	keyItime
	keyTz
	keyEmsserial
	keyFctemssn
	keyDevid
	keyDeviceID
	keyFctsn
	keyEmshostname
	keyFctemsname
	keyDevname
	keyFctver
	keyFctuid
	keyUser
	keyEapuser
	keyVpnuser
	keyUsername
	keyDomain
	keyURL
	keyRemotename
	keyLogtype
	keyLogType
	keyModule
	keyCategory
	keyEndpointSerial
	keyUtmevent
	keyGatewayport

	numNamedKeys
)

var namedKeys = [numNamedKeys]string{
	"", "msg", "logdesc", "level", "id", "logid", "log_id", "type", "subtype", "eventtime", "date", "time", "dtime",
	"timestamp", "itime", "tz", "emsserial", "fctemssn", "devid", "device_id", "fctsn", "emshostname", "fctemsname",
	"devname", "fctver", "fctuid", "user", "eapuser", "vpnuser", "username", "domain", "url", "remotename", "logtype",
	"log_type", "module", "category", "endpoint_serial", "utmevent", "gatewayport",
}

// keyNames holds the name of every known key by id.
var keyNames = func() []string {
	names := append([]string(nil), namedKeys[:]...)
	seen := map[string]bool{}
	for _, n := range names {
		seen[n] = true
	}
	add := func(n string) {
		if !seen[n] {
			seen[n] = true
			names = append(names, n)
		}
	}
	for _, m := range fieldTable {
		add(m.key)
	}
	for _, n := range vendorKeys {
		add(n)
	}
	if len(names) > 256 {
		panic("parser: more known keys than a keyID can hold")
	}
	return names
}()

// keyBytes is keyNames to be read without a conversion.
var keyBytes = func() (b [256][]byte) {
	for id, n := range keyNames {
		b[id] = []byte(n)
	}
	return b
}()

// target is what one key of one writer becomes.
type target struct {
	to  Field
	how convert
}

// targets is fieldTable by writer and key.
var targets = func() (t [numWriters][256]target) {
	ids := map[string]keyID{}
	for id, n := range keyNames {
		ids[n] = keyID(id)
	}
	for _, m := range fieldTable {
		for w := Writer(0); w < numWriters; w++ {
			if m.by&(1<<w) != 0 {
				t[w][ids[m.key]] = target{m.to, m.how}
			}
		}
	}
	return t
}()

// portKeys are the keys of ports, where 0 is a null marker; the others those of
// them that become one field.
var portKeys, sourcePortKeys, destinationPortKeys = func() (all, source, destination keySet) {
	for id, t := range targets[byEMS] {
		if t.how != asPort {
			continue
		}
		all.add(keyID(id))
		switch t.to {
		case SourcePort:
			source.add(keyID(id))
		case DestinationPort:
			destination.add(keyID(id))
		}
	}
	all.add(keyGatewayport)
	return all, source, destination
}()

// FieldRow is a row of the field table, for documents and index templates.
type FieldRow struct{ Key, WrittenBy, Field, Note string }

// FieldRows returns the field table in its order.
func FieldRows() []FieldRow {
	rows := make([]FieldRow, 0, len(fieldTable))
	for _, m := range fieldTable {
		to := Fields[m.to]
		if m.to == EventCreated {
			to = "@timestamp"
		}
		rows = append(rows, FieldRow{m.key, m.by.String(), to, m.note})
	}
	return rows
}

// KnownKeys returns the keys that the parser knows by [Pair.KnownKey]. The first
// is none.
func KnownKeys() []string { return append([]string(nil), keyNames...) }

// VendorKeys returns every key of the FortiEMS field dictionary. Any of them can
// stand under fortinet.ems: those of the field table when a value does not fit or
// a key repeats.
func VendorKeys() []string { return append([]string(nil), keyNames[1:]...) }
