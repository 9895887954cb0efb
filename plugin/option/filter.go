package option

import (
	"slices"
	"strings"
	"time"
)

// Schema is the form of the records that the filter writes.
type Schema string

// The schemas.
const (
	ECS  Schema = "ecs"  // nested maps
	Flat Schema = "flat" // names joined by "_", lists as comma-joined text
)

// Unmatched is what the filter does with a line that is not FortiEMS.
type Unmatched string

// What to do with unmatched lines.
const (
	Pass Unmatched = "pass" // leave the event byte for byte
	Mark Unmatched = "mark" // keep the line, with event.kind pipeline_error
	Drop Unmatched = "drop"
)

// FilterConfig is the decoded configuration of one filter instance. Location is
// never nil and KeyNames never empty after ParseFilter returned without error.
type FilterConfig struct {
	KeyNames         []string
	Schema           Schema
	Location         *time.Location
	EventTime        bool
	PreserveOriginal bool
	RulesFile        string // "" for the built-in rules alone; not opened here
	Unmatched        Unmatched
	MetricsListen    string // "" for no metrics; not opened here
}

var filterTable = []Option{
	{Key: "key_name", Type: List, Default: "log,message", check: checkBy(parseKeys),
		Valid: "record keys separated by commas, none of them empty",
		Text:  "Record keys tried in this order for the raw line, which may be str or bin."},
	{Key: "schema", Type: Text, Default: "ecs", check: oneOf("ecs", "flat"), Valid: "ecs, flat",
		Text: "Shape of the records: ecs writes nested maps, flat the same names joined by _ with arrays as comma-joined text."},
	{Key: "timezone", Type: Text, Default: "UTC", check: checkBy(parseZone), Valid: validZone,
		Text: "Zone of times that carry none: an IANA name or an offset such as +02:00."},
	{Key: "event_time", Type: Bool, Default: "on", check: checkBy(parseBool), Valid: validBool,
		Text: "Put the event's own time into the record timestamp; off keeps the time of receipt."},
	{Key: "preserve_original", Type: Bool, Default: "off", check: checkBy(parseBool), Valid: validBool,
		Text: "Keep the raw line in event.original."},
	{Key: "rules_file", Type: Text, Valid: "the path of a readable YAML rules file",
		Text: "YAML file with rules that run before the built-in ones and have the same format."},
	{Key: "unmatched", Type: Text, Default: "pass", check: oneOf("pass", "mark", "drop"), Valid: "pass, mark, drop",
		Text: "What happens to a line that is not FortiEMS: pass leaves it byte for byte, mark turns it into a pipeline_error event, drop removes it."},
	{Key: "metrics_listen", Type: Text, check: checkAddr, Valid: validAddr,
		Text: "Address to serve Prometheus metrics on, e.g. 127.0.0.1:2112; unset serves none. Plugins that name the same address share it."},
}

// Filter returns the options of the filter in the order of the documentation.
// The slice is the caller's.
func Filter() []Option { return slices.Clone(filterTable) }

// ParseFilter decodes and checks the options of one filter instance. get returns
// the text of an option, "" when it is not set. On error the configuration holds
// what could be decoded, so that a caller can look for further mistakes, for example in
// the rules file, before it gives up.
func ParseFilter(get func(key string) string) (FilterConfig, error) {
	v, err := values(filterTable, get)
	c := FilterConfig{
		Schema:    Schema(strings.ToLower(v["schema"])),
		Location:  time.UTC,
		RulesFile: v["rules_file"],
		Unmatched: Unmatched(strings.ToLower(v["unmatched"])),

		MetricsListen: v["metrics_listen"],
	}
	// A value that its check refused, which err reports, decodes to its zero value.
	c.KeyNames, _ = parseList(v["key_name"])
	if zone, err := parseZone(v["timezone"]); err == nil {
		c.Location = zone
	}
	c.EventTime, _ = parseBool(v["event_time"])
	c.PreserveOriginal, _ = parseBool(v["preserve_original"])
	return c, err
}
