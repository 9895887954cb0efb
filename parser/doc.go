// Package parser turns one line of FortiClient EMS (FortiEMS) syslog into a
// typed event of the Elastic Common Schema (ECS) with a FortiEMS category.
//
// It accepts what FortiEMS, FortiClient and FortiGate put on the wire: syslog
// headers by RFC 3164, RFC 5424, ISO 8601, broken or missing; key=value pairs
// with every kind of quoting seen from Fortinet products; CEF; JSON objects;
// XML bodies (kept as text). Time is linear in the length of the line, whatever
// the line holds.
//
// Ownership: an [Event] holds sub-slices of the line and of its own scratch
// memory. It is valid until the line changes or the Event is parsed into again.
// A [Parser] and [Rules] are immutable and safe for concurrent use; an Event
// belongs to one goroutine at a time.
//
// The package uses neither cgo nor anything of Fluent Bit.
package parser
