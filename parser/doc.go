// Package parser turns one line of FortiClient EMS (FortiEMS) syslog into an event of the
// Elastic Common Schema (ECS) with a FortiEMS category. It composes the steps that a line
// goes through, each in a package of its own:
//
//	line → header, pairs → source → fields, time → class → Event
//	parser/line            parser   parser/ecs     parser/rule
//
// parser/README.md follows one line through them.
//
// It accepts what FortiEMS, FortiClient and FortiGate send: syslog headers of RFC 3164, RFC
// 5424, ISO 8601, broken or missing; key=value pairs with every kind of quoting seen from
// Fortinet products; CEF; JSON objects; XML bodies (kept as text). Time is linear in the
// length of the line, whatever the line holds.
//
// Ownership: an [Event] holds sub-slices of the line and memory of its own. It is valid
// until the line changes or the Event is parsed into again. A [Parser] is immutable and
// safe for concurrent use; an Event belongs to one goroutine at a time.
//
// The package uses neither cgo nor anything of Fluent Bit.
package parser
