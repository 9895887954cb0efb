// Package show turns records of the filter, one JSON object a line, into lines that people
// read: time, category, action, outcome, who, where, and the message.
package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"fluent-bit-fortiems/plugin/cmd/fortiems/term"
)

// Record is one record, nested (schema ecs) or flat.
type Record map[string]any

// Parse reads a record. ok is false if the line is no JSON object.
func Parse(line []byte) (r Record, ok bool) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	return r, d.Decode(&r) == nil && r != nil
}

// get returns the value of a field by its dotted name.
func (r Record) get(name string) any {
	if v, ok := r[strings.ReplaceAll(name, ".", "_")]; ok {
		return v // schema flat
	}
	var v any = map[string]any(r)
	for part := range strings.SplitSeq(name, ".") {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

// Text returns the value of the first of the fields that has one, of a list its first text.
func (r Record) Text(names ...string) string {
	for _, name := range names {
		v := r.get(name)
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		switch v := v.(type) {
		case string:
			if v != "" {
				return v
			}
		case json.Number:
			return v.String()
		}
	}
	return ""
}

// FortiEMS reports whether the filter recognised the line.
func (r Record) FortiEMS() bool { return r.Text("fortinet.ems.category") != "" }

// Time returns the time of the record as the stand-in host or Fluent Bit writes it.
func (r Record) Time() (time.Time, bool) {
	for _, name := range []string{"@timestamp", "date", "time", "timestamp"} {
		switch v := r[name].(type) {
		case string:
			if t, err := time.Parse(time.RFC3339Nano, v); err == nil {
				return t.UTC(), true
			}
		case json.Number:
			if s, err := strconv.ParseFloat(v.String(), 64); err == nil && s >= 0 && s < 1e11 {
				return time.UnixMicro(int64(s * 1e6)).UTC(), true
			}
		}
	}
	return time.Time{}, false
}

// Columns and their widths; the message takes the rest.
const (
	timeWidth     = len("2006-01-02 15:04:05")
	categoryWidth = 18
	actionWidth   = 20
	outcomeWidth  = 7
	whoWidth      = 16
	whereWidth    = 22
	before        = timeWidth + categoryWidth + actionWidth + outcomeWidth + whoWidth + whereWidth + 6
	minMessage    = 20
)

// Header is the line of column names.
func Header(p term.Palette) string {
	return p.Bold(strings.TrimRight(columns("TIME (UTC)", "CATEGORY", "ACTION", "OUTCOME", "WHO", "WHERE")+" MESSAGE", " "))
}

func columns(at, category, action, outcome, who, where string) string {
	return strings.Join([]string{
		term.Pad(at, timeWidth), term.Pad(category, categoryWidth), term.Pad(action, actionWidth),
		term.Pad(outcome, outcomeWidth), term.Pad(who, whoWidth), term.Pad(where, whereWidth),
	}, " ")
}

// Line returns the record as one line of width characters, or of its whole message if width
// is 0. Control characters in it are escaped.
func Line(r Record, p term.Palette, width int) string {
	at := ""
	if t, ok := r.Time(); ok {
		at = t.Format(time.DateTime)
	}
	message := r.Text("message", "log")
	if width > 0 {
		message = term.Cut(message, max(width-before, minMessage)) // escape no more than needed
	}
	message = term.Safe(message)
	if width > 0 {
		message = term.Cut(message, max(width-before, minMessage))
	}
	if !r.FortiEMS() {
		return p.Dim(columns(at, "(not FortiEMS)", "", "", "", "") + " " + message)
	}
	category, outcome := r.Text("fortinet.ems.category"), r.Text("event.outcome")
	alert, colored := r.Text("event.kind") == "alert", cell(dash(outcome), outcomeWidth)
	switch outcome {
	case "failure":
		colored = p.Red(colored)
	case "success":
		colored = p.Green(colored)
	}
	if alert {
		category = "!" + category // seen without colours as well
	}
	category = cell(category, categoryWidth)
	if alert {
		category = p.Red(category)
	} else {
		category = p.Cyan(category)
	}
	return strings.Join([]string{
		p.Dim(term.Pad(at, timeWidth)), category, cell(dash(r.Text("event.action")), actionWidth), colored,
		cell(dash(Who(r)), whoWidth), cell(dash(Where(r)), whereWidth), message,
	}, " ")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// cell returns a text of a log as a column.
func cell(s string, n int) string { return term.Pad(term.Safe(term.Cut(s, n)), n) }

// Who returns the user of a record.
func Who(r Record) string {
	user, domain := r.Text("user.name"), r.Text("user.domain")
	if user != "" && domain != "" {
		return domain + `\` + user
	}
	return user
}

// Where returns the endpoint of a record, else the device that it is about.
func Where(r Record) string {
	name, ip := r.Text("host.name"), r.Text("host.ip")
	if name != "" && ip != "" {
		return name + " " + ip
	}
	return first(name, ip, r.Text("source.ip", "source.domain", "destination.domain", "destination.ip", "observer.name", "observer.serial_number"))
}

func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}

// Count is how many records have a name.
type Count struct {
	Name string
	N    int
}

// Bars returns one line for each count, with a bar of at most width characters.
func Bars(counts []Count, p term.Palette, width int) (lines []string) {
	most, name := 1, 0
	for _, c := range counts {
		most, name = max(most, c.N), max(name, utf8.RuneCountInString(c.Name))
	}
	for _, c := range counts {
		n := (c.N*width + most - 1) / most
		lines = append(lines, fmt.Sprintf("%s %7d %s", p.Cyan(term.Pad(c.Name, name)), c.N, strings.Repeat("█", n)))
	}
	return lines
}
