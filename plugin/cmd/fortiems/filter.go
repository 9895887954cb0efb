package main

import (
	"bytes"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/rule"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
)

// filterFlags are the options of the filter that commands share.
type filterFlags struct {
	rulesFile, timezone string
}

func (f *filterFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&f.rulesFile, "rules-file", "f", "", "rules that run before the built-in ones (the filter's rules_file)")
	cmd.Flags().StringVarP(&f.timezone, "timezone", "z", "UTC", "zone of times that name none (the filter's timezone)")
}

// filter is the filter with these options, and its parser.
type filter struct {
	parser   *parser.Parser
	enricher *enrich.Enricher
	rules    *rule.Rules
	location *time.Location
}

func (f *filterFlags) open() (*filter, error) {
	c, err := option.ParseFilter(func(key string) string {
		return map[string]string{"timezone": f.timezone, "rules_file": f.rulesFile}[key]
	})
	if err != nil {
		return nil, usageError{err}
	}
	rules := rule.Builtin()
	if f.rulesFile != "" {
		if rules, err = rule.Load(f.rulesFile); err != nil {
			return nil, err
		}
	}
	return &filter{
		parser:   parser.New(parser.Options{Location: c.Location, Rules: rules}),
		enricher: enrich.New(enrich.Options{Location: c.Location, EventTime: true, Rules: rules}),
		rules:    rules, location: c.Location,
	}, nil
}

// records returns what the filter makes of a line, as JSON, with its time: one record, or
// several for several messages. There is none for a line that is not of FortiEMS.
func (f *filter) records(line []byte, received ecs.Instant) (records [][]byte, err error) {
	chunk := event.AppendTime([]byte{0x92, 0x92}, received.Sec, received.Nsec)
	chunk = append(chunk, 0x80, 0x81)
	chunk = msgp.AppendBytes(msgp.AppendString(chunk, "log"), line)
	out, st, err := f.enricher.Run(nil, chunk)
	if err != nil || !st.Changed {
		return nil, err
	}
	for len(out) > 0 {
		var ev event.Event
		if ev, out, err = event.Next(out); err != nil {
			return nil, err
		}
		var js bytes.Buffer
		fmt.Fprintf(&js, `{"@timestamp":%q,`, time.Unix(ev.Sec, int64(ev.Nsec)).UTC().Format("2006-01-02T15:04:05.000000000Z"))
		var record bytes.Buffer
		if _, err := msgp.UnmarshalAsJSON(&record, ev.Record); err != nil {
			return nil, err
		}
		js.Write(record.Bytes()[1:]) // a record is never empty
		records = append(records, js.Bytes())
	}
	return records, nil
}

// now is the time at which lines are received.
func now() ecs.Instant {
	t := time.Now()
	return ecs.Instant{Sec: t.Unix(), Nsec: int32(t.Nanosecond())}
}
