package reference

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tinylib/msgp/msgp"

	"fluent-bit-fortiems/parser"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/plugin/enrich"
	"fluent-bit-fortiems/plugin/event"
	"fluent-bit-fortiems/plugin/option"
)

// TestRecordsHoldTheirEvents decodes the records that the filter writes for random lines.
// They have what the parser returns, no more and nothing twice.
func TestRecordsHoldTheirEvents(t *testing.T) {
	corpus, p := corpusLines(t), parser.New(parser.Options{})
	filters := map[bool]*enrich.Enricher{
		false: enrich.New(enrich.Options{EventTime: true}), true: enrich.New(enrich.Options{EventTime: true, Schema: option.Flat}),
	}
	at := ecs.Instant{Sec: received.Unix(), Nsec: int32(received.Nanosecond())}
	var ev parser.Event
	for i := range uint64(10_000) {
		g := &generator{Rand: rand.New(rand.NewPCG(defaultSeed, i)), corpus: corpus}
		text, flat := g.line(), g.one(2)
		chunk := event.AppendTime([]byte{0x92, 0x92}, at.Sec, at.Nsec)
		chunk = msgp.AppendString(append(chunk, 0x80, 0x81, 0xa3, 'l', 'o', 'g'), text)
		out, st, err := filters[flat].Run(nil, chunk)
		if err != nil {
			t.Fatal(err)
		}
		if !st.Changed {
			out = chunk // no message of the event is FortiEMS: it passes whole
		}
		// Each message is a record, in order, and one that is not FortiEMS passes. When none
		// is, the text is one message.
		parts := messagesOf(p, text, at)
		for _, part := range parts {
			matched := p.Parse(&ev, part, at)
			record, rest, err := event.Next(out)
			if err != nil {
				t.Fatalf("%q, flat %v: %v", text, flat, err)
			}
			if out = rest; !matched {
				continue
			}
			if !st.Changed {
				t.Fatalf("%q, flat %v: FortiEMS passes", text, flat)
			}
			got, want := map[string]string{}, textsOf(&ev, flat)
			if _, err := flatten(record.Record, "", map[string]bool{}, got); err != nil {
				t.Fatalf("%q, flat %v: %v", text, flat, err)
			}
			if !maps.Equal(got, want) {
				t.Fatalf("%q, flat %v:\nrecord %q\nevent  %q", text, flat, got, want)
			}
		}
		if len(out) > 0 {
			t.Fatalf("%q, flat %v: %d bytes of further records", text, flat, len(out))
		}
	}
}

// messagesOf returns the messages of a text, the text itself if none of them is FortiEMS.
func messagesOf(p *parser.Parser, text string, at ecs.Instant) (parts [][]byte) {
	var m line.Messages
	var ev parser.Event
	found := false
	for m.Reset([]byte(text)); m.More(); {
		part := m.Next()
		found = p.Parse(&ev, part, at) || found
		parts = append(parts, part)
	}
	if !found || len(parts) == 1 {
		return [][]byte{[]byte(text)}
	}
	return parts
}

const structuredData = "log.syslog.structured_data"

// textsOf returns the fields and the unmapped pairs of an event by name.
func textsOf(ev *parser.Event, flat bool) map[string]string {
	all := map[string]string{"event.created": received.Format("2006-01-02T15:04:05.000000000Z")}
	for f := range ecs.NumFields {
		if v := &ev.Record.Values[f]; ev.Record.Set.Has(f) {
			all[ecs.Fields[f]] = textOf(&ev.Record, v)
		}
	}
	for i := range ev.Line.Pairs.List {
		if p := &ev.Line.Pairs.List[i]; p.Unmapped() {
			name := string(p.Name())
			if ecs.NeedsPrefix(name) {
				name = "raw_" + name
			}
			all[ecs.VendorPrefix+"."+name] = joined(ev.Line.Pairs.AppendValues(nil, p))
		}
	}
	if !flat {
		delete(all, structuredData) // nested; plugin/enrich has tests of it
		return all
	}
	names := map[string]string{}
	for name, v := range all {
		names[strings.ReplaceAll(name, ".", "_")] = v
	}
	return names
}

func textOf(r *ecs.Record, v *ecs.Value) string {
	switch v.Kind {
	case ecs.Int:
		return fmt.Sprint(v.Num)
	case ecs.Float:
		return fmt.Sprint(math.Float64frombits(uint64(v.Num)))
	case ecs.List:
		return joined(r.Lists[v.Num])
	case ecs.Const:
		return strings.Join(v.Const.Texts, ",")
	}
	return string(v.Text)
}

func joined[T []byte | any](list []T) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = fmt.Sprintf("%s", any(v))
	}
	return strings.Join(texts, ",")
}

// flatten enters the texts of a MessagePack map by dotted name. A name that is there twice
// is an error.
func flatten(b []byte, name string, seen map[string]bool, texts map[string]string) (rest []byte, err error) {
	if name == structuredData {
		return msgp.Skip(b)
	}
	if msgp.NextType(b) != msgp.MapType {
		v, rest, err := msgp.ReadIntfBytes(b)
		if list, ok := v.([]any); ok {
			v = joined(list)
		}
		texts[name] = fmt.Sprint(v)
		return rest, err
	}
	n, rest, err := msgp.ReadMapHeaderBytes(b)
	for ; n > 0 && err == nil; n-- {
		var key string
		if key, rest, err = msgp.ReadStringBytes(rest); err != nil {
			break
		}
		if name != "" {
			key = name + "." + key
		}
		if seen[key] {
			return nil, fmt.Errorf("%s is there twice", key)
		}
		seen[key] = true
		rest, err = flatten(rest, key, seen, texts)
	}
	return rest, err
}
