// Package ecs turns the pairs and the header of a line into fields of the Elastic Common
// Schema (ECS 9.4).
package ecs

import (
	"math/bits"
	"strings"
)

// Field is one leaf of the record that the parser can fill. The constants are in the order
// in which a record is written: walking a [FieldSet] from low to high visits every nested
// object once.
type Field uint8

// The fields, by their ECS names (see [Fields]).
const (
	Message Field = iota
	ECSVersion
	EventKind
	EventCategory
	EventType
	EventAction
	EventOutcome
	EventCode
	EventSeverity
	EventReason
	EventCreated
	EventTimezone
	EventModule
	EventDataset
	EventOriginal
	ErrorCode
	ErrorMessage
	LogLevel
	SyslogPriority
	SyslogFacility
	SyslogSeverity
	SyslogHostname
	SyslogAppname
	SyslogProcid
	SyslogMsgid
	SyslogStructuredData
	ObserverVendor
	ObserverProduct
	ObserverSerial
	ObserverName
	HostID
	HostName
	HostHostname
	HostIP
	HostMAC
	HostDomain
	HostOSFull
	HostOSName
	HostOSVersion
	HostOSFamily
	HostOSType
	UserName
	UserDomain
	UserEmail
	SourceAddress
	SourceIP
	SourcePort
	SourceMAC
	SourceDomain
	SourceBytes
	DestinationAddress
	DestinationIP
	DestinationPort
	DestinationDomain
	DestinationBytes
	NetworkDirection
	NetworkTransport
	NetworkIANA
	NetworkProtocol
	URLOriginal
	URLScheme
	URLDomain
	URLPath
	URLQuery
	HTTPStatus
	ProcessName
	ProcessExecutable
	FilePath
	FileName
	FileSize
	FileMD5
	FileSHA1
	FileSHA256
	FileSHA512
	RuleID
	RuleName
	RuleCategory
	RuleUUID
	VulnID
	VulnReference
	VulnSeverity
	VulnCategory
	VulnDescription
	VulnScore
	RelatedIP
	RelatedHosts
	RelatedUser
	RelatedHash
	EMSCategory
	EMSType
	EMSSubtype
	EMSEndpointSerial

	NumFields
)

// ECSVersionText is the version of ECS that the names are taken from.
const ECSVersionText = "9.4.0"

// VendorPrefix is the object of the pairs that have no ECS field.
const VendorPrefix = "fortinet.ems"

// LabelsName is the object for incoming keys whose name the parser uses itself.
const LabelsName = "labels"

// Fields holds the dotted name of each field.
var Fields = [NumFields]string{
	Message:              "message",
	ECSVersion:           "ecs.version",
	EventKind:            "event.kind",
	EventCategory:        "event.category",
	EventType:            "event.type",
	EventAction:          "event.action",
	EventOutcome:         "event.outcome",
	EventCode:            "event.code",
	EventSeverity:        "event.severity",
	EventReason:          "event.reason",
	EventCreated:         "event.created",
	EventTimezone:        "event.timezone",
	EventModule:          "event.module",
	EventDataset:         "event.dataset",
	EventOriginal:        "event.original",
	ErrorCode:            "error.code",
	ErrorMessage:         "error.message",
	LogLevel:             "log.level",
	SyslogPriority:       "log.syslog.priority",
	SyslogFacility:       "log.syslog.facility.code",
	SyslogSeverity:       "log.syslog.severity.code",
	SyslogHostname:       "log.syslog.hostname",
	SyslogAppname:        "log.syslog.appname",
	SyslogProcid:         "log.syslog.procid",
	SyslogMsgid:          "log.syslog.msgid",
	SyslogStructuredData: "log.syslog.structured_data",
	ObserverVendor:       "observer.vendor",
	ObserverProduct:      "observer.product",
	ObserverSerial:       "observer.serial_number",
	ObserverName:         "observer.name",
	HostID:               "host.id",
	HostName:             "host.name",
	HostHostname:         "host.hostname",
	HostIP:               "host.ip",
	HostMAC:              "host.mac",
	HostDomain:           "host.domain",
	HostOSFull:           "host.os.full",
	HostOSName:           "host.os.name",
	HostOSVersion:        "host.os.version",
	HostOSFamily:         "host.os.family",
	HostOSType:           "host.os.type",
	UserName:             "user.name",
	UserDomain:           "user.domain",
	UserEmail:            "user.email",
	SourceAddress:        "source.address",
	SourceIP:             "source.ip",
	SourcePort:           "source.port",
	SourceMAC:            "source.mac",
	SourceDomain:         "source.domain",
	SourceBytes:          "source.bytes",
	DestinationAddress:   "destination.address",
	DestinationIP:        "destination.ip",
	DestinationPort:      "destination.port",
	DestinationDomain:    "destination.domain",
	DestinationBytes:     "destination.bytes",
	NetworkDirection:     "network.direction",
	NetworkTransport:     "network.transport",
	NetworkIANA:          "network.iana_number",
	NetworkProtocol:      "network.protocol",
	URLOriginal:          "url.original",
	URLScheme:            "url.scheme",
	URLDomain:            "url.domain",
	URLPath:              "url.path",
	URLQuery:             "url.query",
	HTTPStatus:           "http.response.status_code",
	ProcessName:          "process.name",
	ProcessExecutable:    "process.executable",
	FilePath:             "file.path",
	FileName:             "file.name",
	FileSize:             "file.size",
	FileMD5:              "file.hash.md5",
	FileSHA1:             "file.hash.sha1",
	FileSHA256:           "file.hash.sha256",
	FileSHA512:           "file.hash.sha512",
	RuleID:               "rule.id",
	RuleName:             "rule.name",
	RuleCategory:         "rule.category",
	RuleUUID:             "rule.uuid",
	VulnID:               "vulnerability.id",
	VulnReference:        "vulnerability.reference",
	VulnSeverity:         "vulnerability.severity",
	VulnCategory:         "vulnerability.category",
	VulnDescription:      "vulnerability.description",
	VulnScore:            "vulnerability.score.base",
	RelatedIP:            "related.ip",
	RelatedHosts:         "related.hosts",
	RelatedUser:          "related.user",
	RelatedHash:          "related.hash",
	EMSCategory:          "fortinet.ems.category",
	EMSType:              "fortinet.ems.type",
	EMSSubtype:           "fortinet.ems.subtype",
	EMSEndpointSerial:    "fortinet.ems.endpoint_serial",
}

// FieldSet is a set of fields.
type FieldSet [(NumFields + 63) / 64]uint64

// Has reports whether f is in the set.
func (s *FieldSet) Has(f Field) bool { return s[f/64]&(1<<(f%64)) != 0 }

// Add enters f.
func (s *FieldSet) Add(f Field) { s[f/64] |= 1 << (f % 64) }

// Len returns the number of fields in the set.
func (s *FieldSet) Len() int {
	n := 0
	for _, word := range s {
		n += bits.OnesCount64(word)
	}
	return n
}

// NeedsPrefix reports whether a pair with this key, in its written form, is written under
// fortinet.ems with the prefix "raw_": because the parser writes a field of that name
// itself, or because the key has the prefix already and would look like such a field.
func NeedsPrefix(key string) bool {
	for strings.HasPrefix(key, "raw_") {
		key = key[len("raw_"):]
	}
	switch key {
	case "category", "endpoint_serial", "type", "subtype":
		return true
	}
	return false
}
