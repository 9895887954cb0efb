package ecs

import (
	"fluent-bit-fortiems/parser/dict"
)

// sources is a set of dict.Source.
type sources uint8

const (
	ems       sources = 1 << dict.EMS
	client    sources = 1 << dict.FortiClient
	gate      sources = 1 << dict.FortiGate
	anySource         = ems | client | gate
)

func (s sources) has(source dict.Source) bool { return s&(1<<source) != 0 }

func (s sources) String() string {
	if s == anySource {
		return "any"
	}
	text := ""
	for i, name := range dict.SourceNames() {
		if s.has(dict.Source(i)) {
			if text != "" {
				text += ", "
			}
			text += name
		}
	}
	return text
}

// conversion puts the value of a pair into the field of its row, and perhaps into others.
// It reports whether the fields now say all that the value says; if not, the pair is also
// written under fortinet.ems. See convert.go.
type conversion func(r *Record, to Field, v []byte) bool

// mapping is one row of the field table.
type mapping struct {
	key     string
	source  sources
	to      Field
	convert conversion
	note    string // for the documentation
}

// elsewhere is the conversion of rows that are there for the documentation: their field
// depends on other pairs of the line, too, and Fill or SetTime sets it. It is nil, which Fill
// skips like a key without a row.
var elsewhere conversion

// fieldTable maps raw keys to ECS fields, one row per key and meaning. Keys without a row,
// and values that do not fit, are written under fortinet.ems.<key>.
//
// To add a key, enter it in package dict and add a row; a new kind of value needs a
// function in convert.go.
var fieldTable = []mapping{
	{"msg", anySource, Message, elsewhere, "`message` = msg, else logdesc, else the text after the header"},
	{"logdesc", anySource, Message, elsewhere, "when there is no msg"},
	{"level", anySource, LogLevel, asLevel, "lower case; `event.severity` = its syslog number"},
	{"id", anySource, EventCode, elsewhere, ""},
	{"logid", anySource, EventCode, elsewhere, "when there is no id"},
	{"log_id", anySource, EventCode, elsewhere, "when there is no id or logid"},
	{"type", anySource, EMSType, asLower, "lower case"},
	{"subtype", anySource, EMSSubtype, asLower, "lower case"},
	{"eventtime", anySource, EventCreated, elsewhere, "record time (s, ms, µs or ns)"},
	{"date", anySource, EventCreated, elsewhere, "record time, with time"},
	{"time", anySource, EventCreated, elsewhere, "record time, with date"},
	{"dtime", anySource, EventCreated, elsewhere, "record time"},
	{"timestamp", anySource, EventCreated, elsewhere, "record time when nothing better is there; proves the zone"},
	{"itime", anySource, EventCreated, elsewhere, "like timestamp"},
	{"itime_t", anySource, EventCreated, elsewhere, "like itime, which is local text beside it"},
	{"tz", anySource, EventTimezone, elsewhere, "±HH:MM"},
	{"timezone", anySource, EventTimezone, elsewhere, "when there is no tz (FortiWeb writes it; in FortiEMS lines inferred)"},

	{"emsserial", ems | client, ObserverSerial, elsewhere, ""},
	{"fctemssn", ems | client, ObserverSerial, elsewhere, "when there is no emsserial"},
	{"devid", anySource, ObserverSerial, asSerial, "an endpoint serial (FCT…) is `fortinet.ems.endpoint_serial`; FCTEMS… and FG… are the observer's when nothing better is there"},
	{"device_id", anySource, ObserverSerial, asSerial, "like devid"},
	{"fctsn", anySource, EMSEndpointSerial, asSerial, "like devid"},
	{"emshostname", ems | client, ObserverName, elsewhere, ""},
	{"fctemsname", ems | client, ObserverName, elsewhere, "when there is no emshostname"},
	{"devname", anySource, ObserverName, elsewhere, "when there is no emshostname or fctemsname, and devid is not that of another device"},

	{"uid", anySource, HostID, asText, ""},
	{"fctuid", anySource, HostID, asText, ""},
	{"hostname", ems | client, HostName, asHost, "and `host.hostname`"},
	{"hostname", gate, HostName, asGateHost, "the endpoint on 0107… events, else the web site: `url.domain`, `destination.domain`"},
	{"name", gate, HostName, asGateName, "the endpoint on 01070450…"},
	{"deviceip", anySource, HostIP, asHostIPs, ""},
	{"regip", anySource, HostIP, asHostIPs, ""},
	{"ip", ems, HostIP, asHostIPs, ""},
	{"ip", client, DestinationIP, asWebIP, "the remote site of web filter lines, else the host"},
	{"ip", gate, HostIP, asHostIPs, ""},
	{"devicemac", anySource, HostMAC, asHostMACs, "upper case, `-`"},
	{"pcdomain", anySource, HostDomain, asText, ""},
	{"os", anySource, HostOSFull, asOS, "and `host.os.name`, `version`, `family`, `type` when recognised"},

	{"user", anySource, UserName, elsewhere, "`DOM\\user`, `user@dom` are split; an address is no login"},
	{"eapuser", anySource, UserName, elsewhere, "when user is missing or an address"},
	{"xauthuser", anySource, UserName, elsewhere, "like eapuser"},
	{"vpnuser", anySource, UserName, elsewhere, "when there is no user"},
	{"username", anySource, UserName, elsewhere, "when there is no user"},
	{"domain", client, UserDomain, elsewhere, "with username"},

	{"srcip", anySource, SourceIP, asIP, ""},
	{"locip", anySource, SourceIP, asIP, ""},
	{"srcport", anySource, SourcePort, asPort, ""},
	{"srcmac", anySource, SourceMAC, asMAC, ""},
	{"srcname", ems | client, ProcessName, asClientSource, "a process for FortiClient; the endpoint on 45071"},
	{"srcname", gate, SourceDomain, asGateSource, "a host for FortiGate; on 45071 the endpoint: `host.name`"},
	{"sentbyte", anySource, SourceBytes, asCount, ""},
	{"dstip", anySource, DestinationIP, asDestination, "a host name is `destination.address` and `destination.domain`"},
	{"remoteip", anySource, DestinationIP, asDestination, "like dstip"},
	{"destinationip", anySource, DestinationIP, asDestination, "like dstip"},
	{"dstport", anySource, DestinationPort, asPort, ""},
	{"destport", anySource, DestinationPort, asPort, ""},
	{"remoteport", anySource, DestinationPort, asPort, ""},
	{"destinationport", anySource, DestinationPort, asPort, ""},
	{"remotename", anySource, DestinationDomain, asDomain, "and `url.domain` with url; a port after it is `destination.port`; the host of a URL"},
	{"destaddr", anySource, DestinationAddress, asAddress, "and `destination.ip` or `destination.domain`"},
	{"remotegw", anySource, DestinationAddress, asAddress, "and `destination.ip` or `destination.domain`, `destination.port`"},
	{"rcvdbyte", anySource, DestinationBytes, asCount, ""},
	{"direction", anySource, NetworkDirection, asDirection, ""},
	{"proto", anySource, NetworkIANA, asTransport, "and `network.transport`"},
	{"service", client, NetworkProtocol, asLower, ""},
	{"url", anySource, URLOriginal, asText, "and `url.scheme`, `domain`, `path`, `query`"},
	{"httpcode", gate, HTTPStatus, asStatusCode, ""},

	{"app", client, ProcessName, asProcess, "with a path also `process.executable`"},
	{"path", client, ProcessExecutable, asProcess, "and `process.name`"},
	{"file", anySource, FilePath, asFile, "and `file.name`"},
	{"filesize", anySource, FileSize, asCount, ""},
	{"checksum", anySource, FileSHA256, asHash, "md5, sha1, sha256 or sha512 by length; a CRC32 stays under `fortinet.ems`"},
	{"analyticscksum", anySource, FileSHA256, asHash, "like checksum"},
	{"virus", anySource, RuleName, asText, "the signature that fired"},
	{"vid", anySource, RuleID, asText, ""},
	{"sigid", anySource, RuleID, asText, "when there is no vid before it"},
	{"viruscat", anySource, RuleCategory, asText, ""},
	{"ruleuuid", anySource, RuleUUID, asText, ""},

	{"vulnref", anySource, VulnReference, asVulnRef, "`CVE-…` is `vulnerability.id`, a URL is `vulnerability.reference`"},
	{"cveid", anySource, VulnID, asVulnRef, "like vulnref"},
	{"vendorurl", gate, VulnReference, asVulnRef, "like vulnref"},
	{"vulnname", anySource, VulnDescription, asText, ""},
	{"vulnseverity", anySource, VulnSeverity, asText, ""},
	{"severity", anySource, VulnSeverity, asVulnSeverity, "on 45071 only"},
	{"vulncat", anySource, VulnCategory, asVulnCategories, ""},
	{"vulncvss", anySource, VulnScore, asScore, ""},

	{"error_code", anySource, ErrorCode, asText, ""},
	{"failed_reason", anySource, EventReason, asText, ""},
	{"reason", anySource, EventReason, asText, ""},
}

// row is what a key of one source becomes.
type row struct {
	to      Field
	convert conversion
}

// rows is fieldTable by source and key.
var rows = func() (t [dict.NumSources][dict.MaxKeys]row) {
	for _, m := range fieldTable {
		k := dict.Lookup([]byte(m.key))
		if k == dict.NoKey {
			panic("ecs: key " + m.key + " of the field table is not in the dictionary")
		}
		for source := range dict.NumSources {
			if m.source.has(source) {
				t[source][k] = row{m.to, m.convert}
			}
		}
	}
	return t
}()

// FieldRow is a row of the field table, for documents and index templates.
type FieldRow struct{ Key, WrittenBy, Field, Note string }

// FieldRows returns the field table in its order.
func FieldRows() []FieldRow {
	all := make([]FieldRow, 0, len(fieldTable))
	for _, m := range fieldTable {
		to := Fields[m.to]
		if m.to == EventCreated {
			to = "@timestamp"
		}
		all = append(all, FieldRow{m.key, m.source.String(), to, m.note})
	}
	return all
}
