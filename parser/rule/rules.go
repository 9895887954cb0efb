package rule

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
)

//go:embed rules.yaml
var builtinYAML []byte

// maxRulesFile is the largest rules file that is read, in bytes.
const maxRulesFile = 1 << 20

// Builtin returns the rules that come with the parser.
var Builtin = sync.OnceValue(func() *Rules {
	rs, err := compileRules("", nil)
	if err != nil {
		panic(err) // the embedded file is wrong: every test fails
	}
	return rs
})

// Load reads a rules file and puts its rules in front of the built-in ones.
// Errors name the file, the line and the reason; all that are found are joined.
func Load(file string) (*Rules, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("reading rules: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{file, 0, "not a regular file"}
	}
	if info.Size() > maxRulesFile {
		return nil, &Error{file, 0, fmt.Sprintf("larger than %d bytes", maxRulesFile)}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading rules: %w", err)
	}
	return compileRules(file, text)
}

// rulesFile is the form of a rules file. Nodes keep their line numbers.
type rulesFile struct {
	Version    int                      `yaml:"version"`
	Outcome    *outcomeSource           `yaml:"outcome"`
	Categories map[string]effectsSource `yaml:"categories"`
	Actions    []actionSource           `yaml:"actions"`
	Rules      []yaml.Node              `yaml:"rules"`
}

type outcomeSource struct {
	Fields       []string `yaml:"fields"`
	FieldFailure []string `yaml:"field_failure"`
	FieldSuccess []string `yaml:"field_success"`
	Ignore       []string `yaml:"ignore"`
	Failure      []string `yaml:"failure"`
	Success      []string `yaml:"success"`
	Negation     []string `yaml:"negation"`
	Future       []string `yaml:"future"`
}

type effectsSource struct {
	Category      string   `yaml:"category"`
	Action        string   `yaml:"action"`
	Outcome       string   `yaml:"outcome"`
	Kind          string   `yaml:"kind"`
	EventCategory []string `yaml:"event_category"`
	EventType     []string `yaml:"event_type"`
	Severity      *int     `yaml:"severity"`
}

type actionSource struct {
	Action        string   `yaml:"action"`
	In            []string `yaml:"in"`
	Kind          string   `yaml:"kind"`
	EventCategory []string `yaml:"event_category"`
	EventType     []string `yaml:"event_type"`
}

type ruleSource struct {
	Name string        `yaml:"name"`
	When whenSource    `yaml:"when"`
	Set  effectsSource `yaml:"set"`
}

type whenSource struct {
	Category stringList                 `yaml:"category"`
	Writer   stringList                 `yaml:"writer"`
	Type     stringList                 `yaml:"type"`
	Subtype  stringList                 `yaml:"subtype"`
	ID       stringList                 `yaml:"id"`
	Endpoint *bool                      `yaml:"endpoint"`
	Fields   map[string]fieldTestSource `yaml:"fields"`
	Words    stringList                 `yaml:"words"`
	AllWords stringList                 `yaml:"all_words"`
	NotWords stringList                 `yaml:"not_words"`
}

// stringList is one text or a list of texts.
type stringList []string

// UnmarshalYAML reads a scalar as a list of one.
func (l *stringList) UnmarshalYAML(n *yaml.Node) error {
	switch n.Kind {
	case yaml.ScalarNode:
		*l = stringList{n.Value}
	case yaml.SequenceNode:
		*l = stringList{}
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return lineError(item, "a text is expected")
			}
			*l = append(*l, item.Value)
		}
	default:
		return lineError(n, "a text or a list of texts is expected")
	}
	if len(*l) == 0 || slices.Contains(*l, "") {
		return lineError(n, "an empty list or text never matches")
	}
	return nil
}

// fieldTestSource is a text, a list, or one of contains, regex, exists.
type fieldTestSource struct {
	Equal    stringList
	Contains stringList
	Regex    string
	Exists   *bool
	line     int
}

// UnmarshalYAML reads the forms of a field condition.
func (t *fieldTestSource) UnmarshalYAML(n *yaml.Node) error {
	t.line = n.Line
	if n.Kind != yaml.MappingNode {
		return t.Equal.UnmarshalYAML(n)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		v := n.Content[i+1]
		var err error
		switch n.Content[i].Value {
		case "equals":
			err = t.Equal.UnmarshalYAML(v)
		case "contains":
			err = t.Contains.UnmarshalYAML(v)
		case "regex":
			t.Regex = v.Value
			if v.Kind != yaml.ScalarNode || v.Value == "" {
				err = lineError(v, "a regular expression is expected")
			}
		case "exists":
			t.Exists = new(bool)
			if v.Decode(t.Exists) != nil {
				err = lineError(v, "exists is true or false")
			}
		default:
			err = lineError(n.Content[i], fmt.Sprintf("unknown condition %q: use equals, contains, regex or exists", n.Content[i].Value))
		}
		if err != nil {
			return err
		}
	}
	if len(n.Content) != 2 {
		return lineError(n, "exactly one of equals, contains, regex, exists is expected")
	}
	return nil
}

// nodeError is a mistake at a line of a rules file.
type nodeError struct {
	line   int
	reason string
}

func (e *nodeError) Error() string { return e.reason }

func lineError(n *yaml.Node, reason string) error { return &nodeError{n.Line, reason} }

// compiler builds Rules from the built-in file and one of the user.
type compiler struct {
	rs      *Rules
	phrases phraseSet
	consts  map[string]*ecs.Constant
	file    string
	errs    []error
	names   map[string]int
}

// compileRules compiles a file of the user, if one is named, in front of the
// built-in rules, which are not even read when that file has mistakes.
func compileRules(userFile string, userText []byte) (*Rules, error) {
	return compileBoth(userFile, userText, builtinYAML)
}

func compileBoth(userFile string, userText, builtin []byte) (*Rules, error) {
	c := &compiler{rs: &Rules{actions: map[string]*action{}}, consts: map[string]*ecs.Constant{}}
	if userFile != "" {
		c.load(userFile, userText, true)
		if len(c.errs) > 0 {
			return nil, errors.Join(c.errs...)
		}
	}
	c.load("built-in rules", builtin, false)
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	for _, l := range c.lists() {
		for i := range l.rules {
			c.file = l.rules[i].file
			c.checkECS(&l.rules[i])
		}
	}
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	words, err := c.phrases.build()
	if err != nil {
		return nil, &Error{userFile, 0, err.Error()}
	}
	c.rs.words = words
	c.rs.filing = newFiling(len(words.phrases))
	for _, l := range c.lists() {
		l.index(&c.rs.filing)
	}
	return c.rs, nil
}

func (c *compiler) lists() []*ruleList {
	return []*ruleList{&c.rs.userCategory, &c.rs.builtinCategory, &c.rs.userEffects, &c.rs.builtinEffects}
}

func (c *compiler) fail(line int, format string, args ...any) {
	c.errs = append(c.errs, &Error{c.file, line, shorten(fmt.Sprintf(format, args...))})
}

// maxReason is how long a reason may be, in bytes: it quotes what the file says,
// and a long one would push the others out of the host's log.
const maxReason = 600

// shorten cuts a long reason in its middle, because it ends with what is valid.
func shorten(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	head, tail := reason[:maxReason/2], reason[len(reason)-maxReason/2:]
	return strings.ToValidUTF8(head, "") + " ... (cut) ... " + strings.ToValidUTF8(tail, "")
}

// failErr reports an error of the YAML library or of a node.
func (c *compiler) failErr(line int, err error) {
	var at *nodeError
	var types *yaml.TypeError
	switch {
	case errors.As(err, &at):
		c.fail(at.line, "%s", at.reason)
	case errors.As(err, &types):
		for _, reason := range types.Errors {
			c.failText(line, reason)
		}
	default:
		c.failText(line, strings.TrimPrefix(err.Error(), "yaml: "))
	}
}

// failText takes the line out of a message of the form "line 7: reason".
func (c *compiler) failText(line int, reason string) {
	if rest, ok := strings.CutPrefix(reason, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				line, reason = n, text
			}
		}
	}
	c.fail(line, "%s", reason)
}

func (c *compiler) load(file string, text []byte, user bool) {
	c.file, c.names = file, map[string]int{}
	var f rulesFile
	dec := yaml.NewDecoder(strings.NewReader(string(text)))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err == io.EOF {
		c.fail(1, "the file is empty: version and rules are expected")
		return
	} else if err != nil {
		c.failErr(1, err) // the library names no line for a mistake in the first one
		return
	}
	if f.Version != 1 {
		c.fail(keyLine(text, "version"), "version: 1 is expected")
	}
	if user {
		if f.Outcome != nil || f.Categories != nil || f.Actions != nil {
			c.fail(keyLine(text, "outcome", "categories", "actions"), "outcome, categories and actions belong to the built-in rules; a rules file has version and rules")
		}
	} else {
		c.loadOutcome(f.Outcome)
		c.loadDefaults(&f)
	}
	for i := range f.Rules {
		c.loadRule(&f.Rules[i], user)
	}
}

// keyLine returns the line of the first of keys at the top of a file, 1 when none of
// them is there.
func keyLine(text []byte, keys ...string) int {
	var file yaml.Node
	if yaml.Unmarshal(text, &file) != nil || len(file.Content) == 0 {
		return 1
	}
	top := file.Content[0].Content
	for i := 0; i+1 < len(top); i += 2 {
		if slices.Contains(keys, top[i].Value) {
			return top[i].Line
		}
	}
	return 1
}

func (c *compiler) loadOutcome(o *outcomeSource) {
	if o == nil {
		c.fail(0, "outcome is missing")
		return
	}
	for _, name := range o.Fields {
		id := dict.Lookup([]byte(name))
		if id == 0 {
			c.fail(0, "outcome: field %q is no key of the field dictionary", name)
		}
		c.rs.outcomeKeys = append(c.rs.outcomeKeys, id)
		c.rs.outcomeKeySet.Add(id)
	}
	c.rs.outcomeTexts = map[string]outcome{}
	for _, v := range o.FieldSuccess {
		c.rs.outcomeTexts[v] = success
	}
	for _, v := range o.FieldFailure {
		c.rs.outcomeTexts[v] = failure
	}
	for _, list := range []struct {
		words []string
		role  phraseRole
	}{{o.Ignore, roleIgnore}, {o.Failure, roleFailure}, {o.Success, roleSuccess}, {o.Negation, roleNegation}, {o.Future, roleFuture}} {
		for _, w := range list.words {
			if _, err := c.phrases.add(w, list.role); err != nil {
				c.fail(0, "outcome: %v", err)
			}
		}
	}
}

func (c *compiler) loadDefaults(f *rulesFile) {
	for name, src := range f.Categories {
		cat, ok := dict.CategoryOf(name)
		if !ok {
			c.fail(0, "categories: unknown category %q", name)
			continue
		}
		c.rs.categoryEffects[cat] = c.effects(0, &src, false)
	}
	for _, src := range f.Actions {
		a := c.action(src.Action)
		e := c.effects(0, &effectsSource{Kind: src.Kind, EventCategory: src.EventCategory, EventType: src.EventType}, false)
		for _, name := range src.In {
			cat, ok := dict.CategoryOf(name)
			if !ok || a.byCategory[cat] != nil {
				c.fail(0, "actions: %s in %q: unknown or repeated category", src.Action, name)
				continue
			}
			a.byCategory[cat] = &e
		}
	}
}

func (c *compiler) action(name string) *action {
	a, ok := c.rs.actions[name]
	if !ok {
		a = &action{name: c.text(name)}
		c.rs.actions[name] = a
	}
	return a
}

func (c *compiler) text(s string) *ecs.Constant {
	return c.intern(s, func() *ecs.Constant { return ecs.ConstText(s) })
}

func (c *compiler) list(s []string) *ecs.Constant {
	return c.intern("["+strings.Join(s, ",")+"]", func() *ecs.Constant { return ecs.ConstList(s) })
}

func (c *compiler) intern(key string, make func() *ecs.Constant) *ecs.Constant {
	k, ok := c.consts[key]
	if !ok {
		k = make()
		c.consts[key] = k
	}
	return k
}

func (c *compiler) loadRule(n *yaml.Node, user bool) {
	var src ruleSource
	// Node.Decode has no strict form, so names are checked first.
	if err := checkRuleKeys(n); err != nil {
		c.failErr(n.Line, err)
		return
	}
	if err := n.Decode(&src); err != nil {
		c.failErr(n.Line, err)
		return
	}
	if src.Name == "" {
		c.fail(n.Line, "the rule has no name")
	} else if at, ok := c.names[src.Name]; ok {
		c.fail(n.Line, "rule %q: the name stands at line %d already", src.Name, at)
	}
	c.names[src.Name] = n.Line
	before := len(c.errs)
	r := c.when(n.Line, &src)
	r.name, r.file, r.line, r.set = src.Name, c.file, n.Line, c.effects(n.Line, &src.Set, true)
	if len(c.errs) > before {
		return
	}
	list := &c.rs.builtinEffects
	switch {
	case r.set.hasCategory && user:
		list = &c.rs.userCategory
	case r.set.hasCategory:
		list = &c.rs.builtinCategory
	case user:
		list = &c.rs.userEffects
	}
	list.rules = append(list.rules, r)
}

var ruleKeys = map[string][]string{
	"":     {"name", "when", "set"},
	"when": {"category", "writer", "type", "subtype", "id", "endpoint", "fields", "words", "all_words", "not_words"},
	"set":  {"category", "action", "outcome", "kind", "event_category", "event_type", "severity"},
}

func checkRuleKeys(n *yaml.Node) error {
	check := func(n *yaml.Node, where string) error {
		if n.Kind != yaml.MappingNode {
			return lineError(n, "a mapping with "+strings.Join(ruleKeys[where], ", ")+" is expected")
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i]; !slices.Contains(ruleKeys[where], k.Value) {
				return lineError(k, fmt.Sprintf("unknown key %q: use %s", k.Value, strings.Join(ruleKeys[where], ", ")))
			}
		}
		return nil
	}
	if err := check(n, ""); err != nil {
		return err
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if where := n.Content[i].Value; where != "name" {
			if err := check(n.Content[i+1], where); err != nil {
				return err
			}
		}
	}
	return nil
}

// when compiles the conditions of a rule.
func (c *compiler) when(line int, src *ruleSource) (r rule) {
	w := &src.When
	for _, name := range w.Category {
		cat, ok := dict.CategoryOf(name)
		if !ok {
			c.fail(line, "rule %q: unknown category %q: use %s", src.Name, name, strings.Join(dict.CategoryNames(), ", "))
		}
		r.categories |= 1 << cat
	}
	for _, name := range w.Writer {
		i := slices.Index(dict.SourceNames(), name)
		if i < 0 {
			c.fail(line, "rule %q: unknown writer %q: use %s", src.Name, name, strings.Join(dict.SourceNames(), ", "))
			continue
		}
		r.sources |= 1 << i
	}
	r.types, r.subtypes, r.ids = textMatches(w.Type, true), textMatches(w.Subtype, true), textMatches(w.ID, false)
	if w.Endpoint != nil {
		r.endpoint = -1
		if *w.Endpoint {
			r.endpoint = 1
		}
	}
	r.any, r.every, r.none = c.masks(line, src.Name, w.Words), c.masks(line, src.Name, w.AllWords), c.masks(line, src.Name, w.NotWords)
	r.other = r.sources != 0 || r.endpoint != 0 || r.types != nil || r.subtypes != nil || r.ids != nil ||
		r.any != nil || r.every != nil || r.none != nil
	keys := make([]string, 0, len(w.Fields))
	for key := range w.Fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		r.fields = append(r.fields, c.fieldTest(src.Name, key, w.Fields[key]))
	}
	return r
}

func textMatches(list []string, lower bool) (m []textMatch) {
	for _, s := range list {
		if lower {
			s = strings.ToLower(s)
		}
		text, prefix := strings.CutSuffix(s, "*")
		m = append(m, textMatch{text, prefix})
	}
	return m
}

func (c *compiler) masks(line int, name string, words []string) (m []wordMask) {
	for _, w := range words {
		id, err := c.phrases.add(w, 0)
		if err != nil {
			c.fail(line, "rule %q: %v", name, err)
			continue
		}
		i := slices.IndexFunc(m, func(x wordMask) bool { return x.index == id/64 })
		if i < 0 {
			i = len(m)
			m = append(m, wordMask{index: id / 64})
		}
		m[i].bits |= 1 << (id % 64)
	}
	return m
}

func (c *compiler) fieldTest(name, key string, src fieldTestSource) fieldTest {
	written := line.AppendName(nil, []byte(key))
	t := fieldTest{key: written, id: dict.Lookup(written), message: key == "message", equal: textMatches(src.Equal, true)}
	for _, s := range src.Contains {
		t.contains = append(t.contains, strings.ToLower(s))
	}
	if src.Exists != nil {
		t.exists, t.absent = *src.Exists, !*src.Exists
	}
	if src.Regex != "" {
		re, err := regexp.Compile(src.Regex)
		if err != nil {
			c.fail(src.line, "rule %q: field %s: %v", name, key, err)
		}
		if t.regex = re; re != nil {
			t.regexPrefix = prefixOf(re)
		}
	}
	return t
}

// effects compiles what a rule sets. A rule must set something.
func (c *compiler) effects(line int, src *effectsSource, isRule bool) (e effects) {
	if src.Category != "" {
		cat, ok := dict.CategoryOf(src.Category)
		if !ok {
			c.fail(line, "unknown category %q: use %s", src.Category, strings.Join(dict.CategoryNames(), ", "))
		}
		e.category, e.hasCategory = cat, true
	}
	if src.Action != "" {
		if !isActionName(src.Action) {
			c.fail(line, "action %q: lower-case letters, digits and - are expected", src.Action)
		}
		e.action = c.action(src.Action)
	}
	switch src.Outcome {
	case "":
	case "success":
		e.outcome = success
	case "failure":
		e.outcome = failure
	case "none":
		e.outcome = noOutcome
	case "fields":
		e.outcome = fieldOutcome
	default:
		c.fail(line, "outcome %q: success, failure, none or fields is expected", src.Outcome)
	}
	switch src.Kind {
	case "":
	case "event", "alert", "state", "metric":
		e.kind = c.text(src.Kind)
	default:
		c.fail(line, "kind %q: event, alert, state or metric is expected", src.Kind)
	}
	if src.Severity != nil {
		if *src.Severity < 0 || *src.Severity > 7 {
			c.fail(line, "severity %d: 0 (emergency) to 7 (debug) is expected", *src.Severity)
		}
		e.severity, e.hasSeverity = int8(*src.Severity), true
	}
	if len(src.EventCategory) > 0 {
		e.categories = c.list(src.EventCategory)
	}
	if len(src.EventType) > 0 {
		e.types = c.list(src.EventType)
	}
	if isRule && e == (effects{}) {
		c.fail(line, "the rule sets nothing")
	}
	return e
}

func isActionName(s string) bool {
	for _, c := range s {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-') {
			return false
		}
	}
	return len(s) <= 64
}

// ecsTypes holds the event types that ECS 9.4 expects in each event category.
var ecsTypes = map[string][]string{
	"api":                 {"access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info", "start", "user"},
	"authentication":      {"start", "end", "info"},
	"configuration":       {"access", "change", "creation", "deletion", "info"},
	"database":            {"access", "change", "info", "error"},
	"driver":              {"change", "end", "info", "start"},
	"email":               {"info"},
	"file":                {"access", "change", "creation", "deletion", "info"},
	"host":                {"access", "change", "end", "info", "start"},
	"iam":                 {"admin", "change", "creation", "deletion", "group", "info", "user"},
	"intrusion_detection": {"allowed", "denied", "info"},
	"library":             {"start"},
	"malware":             {"info"},
	"network":             {"access", "allowed", "connection", "denied", "end", "info", "protocol", "start"},
	"package":             {"access", "change", "deletion", "info", "installation", "start"},
	"process":             {"access", "change", "end", "info", "start"},
	"registry":            {"access", "change", "creation", "deletion"},
	"session":             {"start", "end", "info"},
	"threat":              {"indicator"},
	"vulnerability":       {"info"},
	"web":                 {"access", "error", "info"},
}

// checkECS reports a rule whose effects, filled up with the defaults of its
// action and of a category it can meet, are no pair of ECS.
func (c *compiler) checkECS(r *rule) {
	for cat := dict.Category(0); cat < dict.NumCategories; cat++ {
		if r.set.hasCategory && r.set.category != cat || !r.set.hasCategory && r.categories != 0 && r.categories&(1<<cat) == 0 {
			continue
		}
		e := r.set
		if e.action != nil && e.action.byCategory[cat] == nil && r.categories == 0 && !r.set.hasCategory {
			continue // the action has no meaning there
		}
		c.rs.fillDefaults(&e, cat)
		if reason := ecsPair(&e); reason != "" {
			c.fail(r.line, "rule %q in category %s: %s", r.name, cat, reason)
			return
		}
	}
}

// ecsPair returns what is wrong with event.category and event.type.
func ecsPair(e *effects) string {
	if e.types == nil {
		return ""
	}
	if e.categories == nil {
		return "event_type without event_category"
	}
	for _, name := range e.categories.Texts {
		if _, ok := ecsTypes[name]; !ok {
			return fmt.Sprintf("event_category %q is none of ECS", name)
		}
	}
	for _, t := range e.types.Texts {
		if !slices.ContainsFunc(e.categories.Texts, func(name string) bool { return slices.Contains(ecsTypes[name], t) }) {
			return fmt.Sprintf("event_type %q is not expected in event_category %s", t, strings.Join(e.categories.Texts, ", "))
		}
	}
	return ""
}
