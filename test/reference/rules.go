package reference

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Rules are category rules as their file describes them, tried one by one.
type Rules struct {
	Outcome struct {
		Fields       []string
		FieldFailure []string `yaml:"field_failure"`
		FieldSuccess []string `yaml:"field_success"`
		Ignore       phrases
		Failure      phrases
		Success      phrases
		Negation     phrases
		Future       phrases
	}
	Categories map[string]effects
	Actions    []struct {
		Action  string
		In      []string
		effects `yaml:",inline"`
	}
	Rules []struct {
		When conditions
		Set  struct {
			Category, Action string
			effects          `yaml:",inline"`
		}
	}
}

type effects struct {
	Outcome, Kind string
	EventCategory []string `yaml:"event_category"`
	EventType     []string `yaml:"event_type"`
	Severity      *int64
}

type conditions struct {
	Category, Writer, Type, Subtype, ID oneOrMore
	Words                               phrases
	AllWords                            phrases `yaml:"all_words"`
	NotWords                            phrases `yaml:"not_words"`
	Endpoint                            *bool
	Fields                              map[string]fieldCondition
}

// oneOrMore is a text or a list of texts.
type oneOrMore []string

func (l *oneOrMore) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = oneOrMore{n.Value}
		return nil
	}
	return n.Decode((*[]string)(l))
}

// phrases are what to look for in words.
type phrases []string

func (l *phrases) UnmarshalYAML(n *yaml.Node) error {
	err := (*oneOrMore)(l).UnmarshalYAML(n)
	for i, p := range *l {
		(*l)[i] = phrase(p)
	}
	return err
}

type fieldCondition struct {
	Equals, Contains oneOrMore
	Regex            string
	Exists           *bool

	regex *regexp.Regexp
}

func (f *fieldCondition) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return f.Equals.UnmarshalYAML(n)
	}
	type plain fieldCondition
	err := n.Decode((*plain)(f))
	if err == nil && f.Regex != "" {
		f.regex, err = regexp.Compile(f.Regex)
	}
	return err
}

// ReadRules reads a file of built-in rules.
func ReadRules(file string) (*Rules, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	rs := &Rules{}
	return rs, yaml.Unmarshal(text, rs)
}

// fill takes over what is not set yet.
func (e *effects) fill(o effects) {
	if e.Outcome == "" {
		e.Outcome = o.Outcome
	}
	if e.Kind == "" {
		e.Kind = o.Kind
	}
	if e.EventCategory == nil {
		e.EventCategory = o.EventCategory
	}
	if e.EventType == nil {
		e.EventType = o.EventType
	}
	if e.Severity == nil {
		e.Severity = o.Severity
	}
}

// categorise fills what rules fill.
func (l *line) categorise(rs *Rules) {
	l.by, l.id, l.said = l.writer(), l.logID(), words(l.message())
	category, action, e := l.token(), "", effects{}
	l.fields["fortinet.ems.category"] = "unknown"
	for _, r := range rs.Rules {
		if category == "" && r.Set.Category != "" && l.holds(r.When) {
			category, action, e = r.Set.Category, r.Set.Action, r.Set.effects
		}
	}
	if category == "" {
		category = "unknown"
	}
	l.fields["fortinet.ems.category"] = category
	for _, r := range rs.Rules {
		if r.Set.Category == "" && l.holds(r.When) {
			if action == "" {
				action = r.Set.Action
			}
			e.fill(r.Set.effects)
			break
		}
	}
	for _, a := range rs.Actions {
		if a.Action == action && slices.Contains(a.In, category) {
			e.fill(a.effects)
		}
	}
	e.fill(rs.Categories[category])
	if e.Kind == "" {
		e.Kind = "event"
	}
	l.fields["event.kind"] = e.Kind
	if action != "" {
		l.fields["event.action"] = action
	}
	if e.EventCategory != nil {
		l.fields["event.category"] = anyList(e.EventCategory)
	}
	if e.EventType != nil {
		l.fields["event.type"] = anyList(e.EventType)
	}
	if e.Severity != nil {
		l.fields["event.severity"] = *e.Severity
	}
	// Fields come first, whatever a rule says, unless it keeps the outcome out.
	if said := l.outcome(rs, e.Outcome == ""); e.Outcome != "none" && (said != "" || e.Outcome == "fields") {
		e.Outcome = said
	}
	if e.Outcome == "success" || e.Outcome == "failure" {
		l.fields["event.outcome"] = e.Outcome
	}
}

func anyList(texts []string) (l []any) {
	for _, s := range texts {
		l = append(l, s)
	}
	return l
}

// logTypes are the ten of FortiEMS; three of them mean other things when bare.
var logTypes = map[string]bool{
	"adconnector": true, "addaemonworker": true, "update": true, "event": false, "error": false, "client": false, "vpn": true,
	"authentication": true, "policy": true, "network": true,
}

// emsTokens returns what stands behind "ems-" in v, each time: "vpn" in "ems_ems-vpn".
func emsTokens(v string) (names []string) {
	for {
		m := emsToken.FindStringSubmatchIndex(v)
		if m == nil {
			return names
		}
		names = append(names, v[m[2]:m[3]])
		v = v[m[2]-1:] // the delimiter before this name may be that of another
	}
}

// token returns the category that a token of the line names, or "".
func (l *line) token() string {
	bare := ""
	for i, v := range []string{l.first("subtype"), l.first("type"), l.first("logtype"), l.first("log_type"), l.first("module"), l.appname, l.cefName} {
		tokens := emsTokens(v)
		for _, token := range tokens {
			name := lowerASCII(token)
			if _, ok := logTypes[name]; ok {
				return "ems-" + name
			}
		}
		if name := lowerASCII(v); i < 2 && bare == "" && l.writer() == "ems" && logTypes[name] && len(tokens) == 0 {
			bare = "ems-" + name
		}
	}
	return bare
}

func (l *line) message() string {
	s, _ := l.fields["message"].(string)
	return s
}

var notWord = regexp.MustCompile(`[^0-9A-Za-z\x{80}-\x{10FFFF}]+`)

// words returns a text in lower case with one space around every word.
func words(s string) string {
	if s = strings.Trim(notWord.ReplaceAllString(lowerASCII(s), " "), " "); s == "" {
		return " "
	}
	return " " + s + " "
}

// phrase returns what to look for in words.
func phrase(p string) string {
	if before, ok := strings.CutSuffix(p, "*"); ok {
		return strings.TrimSuffix(words(before), " ")
	}
	return words(p)
}

func (l *line) says(p string) bool { return strings.Contains(l.said, p) }

func matches(forms []string, v string) bool {
	return len(forms) == 0 || slices.ContainsFunc(forms, func(f string) bool {
		prefix, ok := strings.CutSuffix(f, "*")
		return f == v || ok && strings.HasPrefix(v, prefix)
	})
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

func (l *line) holds(c conditions) bool {
	_, endpoint := l.fields["fortinet.ems.endpoint_serial"]
	switch {
	case !matches(c.Category, text(l.fields["fortinet.ems.category"])), !matches(c.Writer, l.by), !matches(c.ID, l.id),
		!matches(c.Type, text(l.fields["fortinet.ems.type"])), !matches(c.Subtype, text(l.fields["fortinet.ems.subtype"])),
		c.Endpoint != nil && *c.Endpoint != endpoint,
		len(c.Words) > 0 && !slices.ContainsFunc(c.Words, l.says),
		slices.ContainsFunc(c.NotWords, l.says):
		return false
	}
	for _, p := range c.AllWords {
		if !l.says(p) {
			return false
		}
	}
	for k, f := range c.Fields {
		v := l.first(k)
		if k == "message" {
			v = l.message()
		}
		if !f.holds(v) {
			return false
		}
	}
	return true
}

func (f fieldCondition) holds(v string) bool {
	if f.Exists != nil {
		return *f.Exists == (v != "")
	}
	if v == "" {
		return false
	}
	low := lowerASCII(v)
	return f.regex != nil && f.regex.MatchString(v) ||
		len(f.Equals) > 0 && matches(f.Equals, low) ||
		slices.ContainsFunc(f.Contains, func(s string) bool { return strings.Contains(low, strings.ToLower(s)) })
}

// outcome reads how something ended: fields, then words, failure before success.
func (l *line) outcome(rs *Rules, readWords bool) string {
	for _, k := range rs.Outcome.Fields {
		v := lowerASCII(l.first(k))
		if before, _, ok := strings.Cut(v, ":"); ok && !slices.Contains(rs.Outcome.FieldFailure, v) && !slices.Contains(rs.Outcome.FieldSuccess, v) {
			v = strings.TrimRight(before, spaces)
		}
		if slices.Contains(rs.Outcome.FieldFailure, v) {
			return "failure"
		}
		if slices.Contains(rs.Outcome.FieldSuccess, v) {
			return "success"
		}
	}
	if !readWords {
		return ""
	}
	ignored := make([]bool, len(l.said))
	for _, p := range rs.Outcome.Ignore {
		for _, at := range occurrences(l.said, p) {
			for i := range []byte(strings.TrimSuffix(p, " ")) {
				ignored[at+i] = true
			}
		}
	}
	for _, p := range rs.Outcome.Failure {
		for _, at := range occurrences(l.said, p) {
			if !ignored[at] {
				return "failure"
			}
		}
	}
	success := ""
	for _, p := range rs.Outcome.Success {
		for _, at := range occurrences(l.said, p) {
			behind := func(p string) bool { return strings.HasSuffix(l.said[:at+1], p) }
			switch {
			case slices.ContainsFunc(rs.Outcome.Negation, behind):
				if !ignored[at] {
					return "failure"
				}
			case !slices.ContainsFunc(rs.Outcome.Future, behind):
				success = "success"
			}
		}
	}
	return success
}

// occurrences returns where p begins in s, also where occurrences overlap.
func occurrences(s, p string) (at []int) {
	for i := 0; ; i++ {
		n := strings.Index(s[i:], p)
		if n < 0 {
			return at
		}
		i += n
		at = append(at, i)
	}
}
