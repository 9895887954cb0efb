package bootstrap

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"fluent-bit-fortiems/conf"
	"fluent-bit-fortiems/plugin/option"
)

// Names of what is installed for the default targets. Those for other targets
// carry the prefix customName, to avoid name clashes.
const (
	dataName   = "logs-fortinet.fortiems"
	deadName   = "logs-fortinet.fortiems.dead_letter"
	managedBy  = "fluent-bit-fortiems"
	customName = managedBy + "."
)

// plan is what one output instance needs on the server. It follows from the
// options alone.
type plan struct {
	data *template
	dead *template // nil: dead letters go elsewhere
	// why the data template cannot be made, for a line; data is nil then.
	tooGeneral string
}

// template is one index template of ours.
type template struct {
	name    string
	file    string // under conf/<product>/
	pattern string
	target  string // the data stream; "" for an index pattern
}

func planFor(c option.OutputConfig) plan {
	var p plan
	switch {
	case c.Index != "":
		pattern := wildcards(c.Index)
		if tooGeneral(pattern) {
			p.tooGeneral = pattern
			break
		}
		name := customName + strings.ReplaceAll(pattern, "*", "_")
		p.data = &template{name: name, file: "index-template.json", pattern: pattern}
	default:
		p.data = stream(dataName, "index-template.json", c.DataStream)
	}
	if c.DeadLetterIndex != "" {
		p.dead = stream(deadName, "dead-letter-template.json", c.DeadLetterIndex)
	}
	return p
}

// stream is the template for a data stream: ours for its dataset in every
// namespace, or one for exactly the name that the operator chose. A wider pattern
// would take hold of data streams of others.
func stream(dataset, file, target string) *template {
	if rest, ok := strings.CutPrefix(target, dataset+"-"); ok && rest != "" {
		return &template{name: dataset, file: file, pattern: dataset + "-*", target: target}
	}
	return &template{name: customName + target, file: file, pattern: target, target: target}
}

// wildcards turns an index pattern with strftime and {field.path} into one of an
// index template.
func wildcards(index string) string {
	var b strings.Builder
	star := func() {
		if !strings.HasSuffix(b.String(), "*") {
			b.WriteByte('*')
		}
	}
	for i := 0; i < len(index); i++ {
		switch c := index[i]; {
		case c == '%' && i+1 < len(index) && index[i+1] == '%':
			b.WriteByte('%')
			i++
		case c == '%' && i+1 < len(index):
			star()
			i++
		case c == '{' && strings.IndexByte(index[i:], '}') > 0:
			star()
			i += strings.IndexByte(index[i:], '}')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// tooGeneral reports whether an index pattern could match indices and data streams
// of others: it has to begin with a name of its own.
func tooGeneral(pattern string) bool {
	prefix, _, any := strings.Cut(pattern, "*")
	if !any {
		return false
	}
	switch prefix = strings.Trim(prefix, "-_."); prefix {
	case "logs", "metrics", "traces", "synthetics", "profiling", "log", "index":
		return true
	}
	return len(prefix) < 3
}

// body is the template as it is sent: the file of conf/ with the pattern of the
// target. lifecycle false leaves out the setting that names a policy.
func (t *template) body(product string, lifecycle bool) ([]byte, int, error) {
	doc, version, err := load(product, t.file)
	if err != nil {
		return nil, 0, err
	}
	doc["index_patterns"] = []string{t.pattern}
	if t.target == "" {
		delete(doc, "data_stream")
		lifecycle = false // a dated index has nothing to roll over
	}
	if inner, ok := at(doc, "template", "settings", "index"); ok && !lifecycle {
		delete(inner, "lifecycle")
	}
	b, err := json.Marshal(doc)
	return b, version, err
}

// streams are the patterns of the plan that belong to data streams, and the name
// of the policy that rolls them over.
func (p plan) streams() (name string, patterns []string) {
	for _, t := range []*template{p.data, p.dead} {
		if t == nil || t.target == "" {
			continue
		}
		if name == "" {
			name = t.name
		}
		patterns = append(patterns, t.pattern)
	}
	return name, patterns
}

// load reads a file of conf/ and its version.
func load(product, file string) (map[string]any, int, error) {
	text, err := conf.Files.ReadFile(path.Join(product, file))
	if err != nil {
		return nil, 0, err
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, 0, fmt.Errorf("%s: %w", file, err)
	}
	meta, ok := at(doc, "_meta")
	if !ok {
		meta, _ = at(doc, "policy", "_meta")
	}
	version, _ := meta["version"].(float64)
	return doc, int(version), nil
}

// at walks into nested objects.
func at(doc map[string]any, keys ...string) (map[string]any, bool) {
	for _, k := range keys {
		inner, ok := doc[k].(map[string]any)
		if !ok {
			return nil, false
		}
		doc = inner
	}
	return doc, true
}
