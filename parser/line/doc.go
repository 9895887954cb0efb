// Package line takes one line apart: into the syslog header (RFC 3164, RFC 5424, ISO 8601,
// broken or none) and the key=value pairs of its body, which may also be CEF, JSON or XML.
// It knows the keys of FortiEMS by package dict, but no field of ECS.
//
// Work is linear in the length of the line, whatever the line holds. Nothing is an error:
// what is not understood stays text.
//
// Ownership: all texts point into the line or into the arena of the [Line]. They are valid
// until the line changes or the Line is read into again. A Line belongs to one goroutine at
// a time.
package line
