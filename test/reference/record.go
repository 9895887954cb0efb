package reference

import (
	"encoding/json"
	"regexp"
	"strings"

	"fluent-bit-fortiems/parser/ecs"
)

var (
	sdElement = regexp.MustCompile(`(?s)^\[((?:[^"\]]|"(?:[^"\\]|\\.)*")*)\]`)
	sdParam   = regexp.MustCompile(`(?s)^([^=]*)="((?:[^"\\]|\\.|\\$)*)(?:"|$)`)
	sdEscapes = strings.NewReplacer(`\"`, `"`, `\\`, `\`, `\]`, `]`)
)

var sdControl = regexp.MustCompile(`[\x00-\x1f\x7f]`)

// nameOr is a name of structured data as it may stand in a record.
func nameOr(name string) string {
	if name == "" {
		return "_"
	}
	for i, r := range name {
		if i+len(string(r)) > 255 {
			name = name[:i]
			break
		}
	}
	return sdControl.ReplaceAllString(name, "_")
}

// structured reads RFC 5424 structured data, whose form is known to be right.
func structured(s string) map[string]any {
	all := map[string]any{}
	for {
		m := sdElement.FindStringSubmatch(s)
		if m == nil {
			return all
		}
		s = s[len(m[0]):]
		id := firstWord(m[1])
		element, _ := all[nameOr(id)].(map[string]any)
		if element == nil {
			element = map[string]any{}
			all[nameOr(id)] = element
		}
		for rest := strings.TrimLeft(m[1][len(id):], spaces); rest != ""; rest = strings.TrimLeft(rest, spaces) {
			p := sdParam.FindStringSubmatch(rest)
			if p == nil {
				addParam(element, rest, "")
				break
			}
			addParam(element, p[1], sdEscapes.Replace(p[2]))
			rest = rest[len(p[0]):]
		}
	}
}

// addParam enters a parameter, in a list where its name repeats.
func addParam(element map[string]any, name, v string) {
	name = nameOr(name)
	switch have := element[name].(type) {
	case nil:
		element[name] = v
	case []any:
		element[name] = append(have, v)
	default:
		element[name] = []any{have, v}
	}
}

// topNames are the names at the top of a record by schema.
var topNames = func() (names [2]map[string]bool) {
	names = [2]map[string]bool{{"labels": true}, {}}
	for _, f := range ecs.Fields {
		top, _, _ := strings.Cut(f, ".")
		names[0][top] = true
		names[1][strings.ReplaceAll(f, ".", "_")] = true
	}
	return names
}()

func (l *line) isOurs(key string) bool {
	if l.o.Flat {
		return topNames[1][key] || strings.HasPrefix(key, "fortinet_ems_") || strings.HasPrefix(key, "labels_")
	}
	return topNames[0][key]
}

var reserved = regexp.MustCompile(`^(?:raw_)*(?:category|endpoint_serial|type|subtype)$`)

// record builds the record of the fields, the other pairs and the incoming keys.
func (l *line) record(in []Incoming, raw int) map[string]any {
	for _, k := range l.keys {
		values := l.values[k]
		if len(values) == 0 || l.mapped[k] && len(values) == 1 {
			continue
		}
		name := k
		if reserved.MatchString(k) {
			name = "raw_" + k
		}
		if len(values) == 1 {
			l.fields[ecs.VendorPrefix+"."+name] = values[0]
			continue
		}
		var list []any
		for _, v := range values {
			list = append(list, v)
		}
		l.fields[ecs.VendorPrefix+"."+name] = list
	}
	r := map[string]any{}
	for name, v := range l.fields {
		put(r, name, v, l.o.Flat)
	}
	for i, p := range in {
		switch {
		case i == raw:
		case !l.isOurs(p.Key):
			r[p.Key] = p.Value
		case isText(p.Value) && textOf(p.Value) == textOf(in[raw].Value):
		case l.o.Flat:
			r["labels_"+p.Key] = label(p.Value)
		default:
			labels, ok := r["labels"].(map[string]any)
			if !ok {
				labels = map[string]any{}
				r["labels"] = labels
			}
			labels[p.Key] = label(p.Value)
		}
	}
	return r
}

func isText(v any) bool {
	switch v.(type) {
	case string, []byte:
		return true
	}
	return false
}

// label makes text of bytes, and JSON text of anything nested.
func label(v any) any {
	switch v.(type) {
	case string, []byte:
		return toUTF8(textOf(v))
	case map[string]any, []any:
		b, err := json.Marshal(v)
		if err == nil {
			return string(b)
		}
	}
	return v
}

// put enters a value under a dotted name, nested or flat.
func put(r map[string]any, name string, v any, flat bool) {
	if flat {
		if list, ok := v.([]any); ok {
			var texts []string
			for _, x := range list {
				texts = append(texts, x.(string))
			}
			v = strings.Join(texts, ",")
		}
		r[strings.ReplaceAll(name, ".", "_")] = v
		return
	}
	for {
		object, rest, nested := strings.Cut(name, ".")
		if !nested {
			r[name] = v
			return
		}
		next, ok := r[object].(map[string]any)
		if !ok {
			next = map[string]any{}
			r[object] = next
		}
		r, name = next, rest
	}
}
