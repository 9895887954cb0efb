package rule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"fluent-bit-fortiems/parser/arena"
	"fluent-bit-fortiems/parser/dict"
	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/parser/line"
	"fluent-bit-fortiems/parser/rules"
)

// maxFile is the largest rules file that is read, in bytes.
const maxFile = 1 << 20

// Builtin returns the rules that come with the parser.
var Builtin = sync.OnceValue(func() *Rules {
	rs, err := build(rules.Files, "", nil)
	if err != nil {
		panic(err) // an embedded file is wrong: every test fails
	}
	return rs
})

// Load reads a rules file and puts its rules in front of the built-in ones. All mistakes
// are joined, each an [*Error].
func Load(file string) (*Rules, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("reading rules: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{file, 0, "not a regular file"}
	}
	if info.Size() > maxFile {
		return nil, &Error{file, 0, fmt.Sprintf("larger than %d bytes", maxFile)}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading rules: %w", err)
	}
	return build(rules.Files, file, text)
}

// compiler makes Rules of the built-in files and one of the user.
type compiler struct {
	reader
	rs        *Rules
	phrases   flags                  // of phrases in read form
	outcome   map[string]outcomeRole // of phrases in read form
	constants map[string]*ecs.Constant
	names     map[string]string // where each rule is
	user      bool              // the file is the user's
	userRules []*Rule
}

// build compiles the built-in files and one of the user, if it is named. With mistakes in
// that file the rules of the others are not even read.
func build(builtin fs.FS, userFile string, userText []byte) (*Rules, error) {
	c := &compiler{
		rs:      &Rules{flags: firstFlag, ids: values{exact: flags{}}, types: values{exact: flags{}}, subtypes: values{exact: flags{}}},
		phrases: flags{}, outcome: map[string]outcomeRole{}, constants: map[string]*ecs.Constant{},
		reader: reader{lists: map[string][]string{}},
	}
	files, err := fs.Glob(builtin, "*.yaml")
	if err != nil {
		return nil, err
	}
	// Lists and actions first; then a category file can name what it needs.
	first := []string{"lists.yaml", "categories.yaml", "outcome.yaml", "detect.yaml"}
	files = append(first, slices.DeleteFunc(files, func(f string) bool { return slices.Contains(first, f) })...)
	names := map[string]string{}
	for _, f := range files {
		text, err := fs.ReadFile(builtin, f)
		if err != nil {
			return nil, err
		}
		c.file, c.names = "parser/rules/"+f, names
		c.builtinFile(f, text)
		if f == "categories.yaml" && userFile != "" {
			builtinLists := c.lists
			c.file, c.names, c.user = userFile, map[string]string{}, true
			c.userFile(userText)
			c.lists, c.user = builtinLists, false
			if len(c.errs) > 0 {
				return nil, errors.Join(c.errs...)
			}
		}
	}
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	c.rs.all = append(c.rs.all, c.userRules...)
	for _, l := range append(c.rs.effects[:], c.rs.userCategory, c.rs.userEffects, c.rs.detect) {
		c.giveFlags(l)
	}
	if c.rs.phrases, err = newAutomaton(c.phrases, c.outcome); err != nil || c.rs.flags >= maxFlags {
		return nil, &Error{userFile, 0, errTooManyPhrases.Error()}
	}
	return c.rs, nil
}

// readFile reads a file with a version and other sections.
func (c *compiler) readFile(text []byte, sections ...key) {
	root, mistakes := c.document(text), len(c.errs)
	if root == nil {
		return
	}
	version := 0
	c.mapping(root, "the file", append([]key{{"version", c.number(1, 1, "version: 1", &version)}}, sections...)...)
	if version == 0 && len(c.errs) == mistakes {
		c.fail(root, "version: 1 is expected")
	}
}

// userFile reads the file of a user. Its rules may name its lists, whichever section is first.
func (c *compiler) userFile(text []byte) {
	var rules *yaml.Node
	c.readFile(text,
		key{"lists", c.readLists},
		key{"rules", func(n *yaml.Node) { rules = n }})
	if rules == nil || isNull(rules) {
		return
	}
	categories, effects := newGroup(), newGroup()
	c.items(rules, "rules", func(n *yaml.Node) {
		switch r, sets := c.rule(n, dict.Unknown); {
		case r == nil:
			return
		case sets:
			categories.rules = append(categories.rules, r)
		default:
			effects.rules = append(effects.rules, r)
		}
	})
	c.userRules = append(slices.Clone(categories.rules), effects.rules...)
	for _, g := range []*group{&categories, &effects} {
		g.only = &[dict.NumCategories][]uint64{}
		for cat := range g.only {
			g.only[cat] = make([]uint64, (len(g.rules)+63)/64)
			for i, r := range g.rules {
				if r.when.categories == 0 || r.when.categories&(1<<cat) != 0 {
					g.only[cat][i/64] |= 1 << (i % 64)
				}
			}
		}
	}
	c.rs.userCategory, c.rs.userEffects = list{categories}, list{effects}
}

func (c *compiler) builtinFile(name string, text []byte) {
	switch name {
	case "lists.yaml":
		c.readFile(text, key{"lists", c.readLists})
	case "outcome.yaml":
		c.readFile(text, c.outcomeSections()...)
	case "categories.yaml":
		c.readFile(text, key{"categories", c.categories}, key{"actions", c.actions})
	case "detect.yaml":
		c.readFile(text,
			key{"by_token", func(n *yaml.Node) { c.groups(n, dict.Unknown, &c.rs.detect) }},
			key{"by_id", c.lookups},
			key{"by_type", c.lookups},
			key{"by_subtype", c.lookups},
			key{"groups", func(n *yaml.Node) { c.groups(n, dict.Unknown, &c.rs.detect) }})
	default:
		c.categoryFile(text)
	}
}

// categoryFile reads the rules of one category.
func (c *compiler) categoryFile(text []byte) {
	var category dict.Category
	c.readFile(text,
		key{"category", func(n *yaml.Node) { category = c.category(n) }},
		key{"groups", func(n *yaml.Node) { c.groups(n, category, &c.rs.effects[category]) }})
}

// groups reads groups of rules of a category, or of detect.yaml for Unknown.
func (c *compiler) groups(n *yaml.Node, category dict.Category, to *list) {
	c.items(n, "groups", func(n *yaml.Node) {
		g := newGroup()
		c.mapping(n, "group",
			key{"when", func(n *yaml.Node) { c.conditions(n, &g.when); g.bare = false }},
			key{"rules", func(n *yaml.Node) { c.rules(n, category, &g) }})
		to.add(g)
	})
}

func (c *compiler) rules(n *yaml.Node, category dict.Category, to *group) {
	c.items(n, "rules", func(n *yaml.Node) {
		r, sets := c.rule(n, category)
		if r == nil {
			return
		}
		if sets != (category == dict.Unknown) {
			c.fail(n, "rule %q: detect.yaml sets the category, and no other file", r.Name)
		}
		to.rules = append(to.rules, r)
	})
}

// lookups reads rules that need no words.
func (c *compiler) lookups(n *yaml.Node) {
	g := newGroup()
	c.rules(n, dict.Unknown, &g)
	if slices.ContainsFunc(g.rules, func(r *Rule) bool { return r.when.phrases != nil }) {
		c.fail(n, "rules with words belong to groups")
	}
	c.rs.detect.add(g)
}

var evidence = []string{"sample", "doc", "article", "inferred"}

// rule reads a rule and reports whether it sets the category. It returns nil after a
// mistake.
func (c *compiler) rule(n *yaml.Node, category dict.Category) (r *Rule, setsCategory bool) {
	r = &Rule{File: c.file, Line: n.Line, Category: category, when: newConditions()}
	mistakes := len(c.errs)
	c.mapping(n, "rule",
		key{"name", c.text(&r.Name)},
		key{"source", c.oneOf(&r.Evidence, evidence)},
		key{"when", func(n *yaml.Node) { c.conditions(n, &r.when) }},
		key{"set", func(n *yaml.Node) { setsCategory = c.effects(n, &r.set, &r.Category) }},
		key{"example", c.text(&r.Example)})
	if len(c.errs) > mistakes {
		return nil, false
	}
	switch at, used := c.names[r.Name]; {
	case r.Name == "":
		c.fail(n, "the rule has no name")
	case used:
		c.fail(n, "rule %q: the name is used at %s already", r.Name, at)
	case !setsCategory && r.set == (effects{}):
		c.fail(n, "rule %q sets nothing: set is expected", r.Name)
	case !c.user && (r.Evidence == "" || r.Example == ""):
		c.fail(n, "rule %q: source and example are expected", r.Name)
	}
	c.names[r.Name] = fmt.Sprintf("line %d", n.Line)
	if !c.user {
		c.names[r.Name] = c.file + " " + c.names[r.Name]
		if !isPairs.MatchString(r.Example) {
			r.Example = `type=event subtype=` + category.String() + ` emsserial="FCTEMS0000000001" msg="` + r.Example + `"`
		}
		c.rs.all = append(c.rs.all, r)
	}
	if len(c.errs) == mistakes {
		c.checkECS(n, r, setsCategory)
	}
	if len(c.errs) > mistakes {
		return nil, false
	}
	return r, setsCategory
}

// isPairs matches a line in contrast to a message alone.
var isPairs = regexp.MustCompile(`^[a-z_]+=`)

// conditions reads the conditions of a rule or a group.
func (c *compiler) conditions(n *yaml.Node, to *conditions) {
	keys := []key{
		{"writer", func(n *yaml.Node) { c.sources(n, to) }},
		{"token", func(n *yaml.Node) { c.tokens(n, to) }},
		{"type", func(n *yaml.Node) { to.types = c.matches(n, true) }},
		{"subtype", func(n *yaml.Node) { to.subtypes = c.matches(n, true) }},
		{"id", func(n *yaml.Node) { to.ids = withShortIDs(c.matches(n, false)) }},
		{"endpoint", func(n *yaml.Node) {
			to.endpoint = -1
			if c.boolean(n) {
				to.endpoint = 1
			}
		}},
		{"fields", func(n *yaml.Node) { c.fields(n, to) }},
		{"words", func(n *yaml.Node) { to.phrases = c.readForms(n, c.texts(n)) }},
		{"all_words", func(n *yaml.Node) {
			for _, item := range c.eachText(n) {
				texts := c.readForms(n, item)
				to.allWords = append(to.allWords, c.flag(c.phrases, texts))
				to.allTexts = append(to.allTexts, texts)
			}
		}},
		{"not_words", func(n *yaml.Node) { to.notWords = c.flag(c.phrases, c.readForms(n, c.texts(n))) }},
	}
	if c.user { // the category of a built-in rule is that of its file
		keys = append(keys, key{"category", func(n *yaml.Node) {
			for _, name := range c.texts(n) {
				to.categories |= 1 << c.categoryNamed(n, name)
			}
		}})
	}
	c.mapping(n, "when", keys...)
}

func (c *compiler) sources(n *yaml.Node, to *conditions) {
	for _, name := range c.texts(n) {
		s, ok := dict.SourceOf(name)
		if !ok {
			c.fail(n, "unknown writer %q: use %s", name, strings.Join(dict.SourceNames(), ", "))
		}
		to.sources |= 1 << s
	}
}

// tokenKinds are the values of the condition token, for dict.NoToken and those after it.
var tokenKinds = []string{"none", "unknown", "contact"}

func (c *compiler) tokens(n *yaml.Node, to *conditions) {
	for _, name := range c.texts(n) {
		i := slices.Index(tokenKinds, name)
		if i < 0 {
			c.fail(n, "unknown token %q: use %s", name, strings.Join(tokenKinds, ", "))
			continue
		}
		to.tokens |= 1 << i
	}
}

// withShortIDs adds to ids of FortiGate the same id without its leading zero, which numbers of
// JSON do not have, and its last five digits, which FortiAnalyzer's CEF has.
func withShortIDs(ids []text) []text {
	for _, id := range ids {
		if !id.prefix && len(id.text) == 10 && (strings.HasPrefix(id.text, "0107") || strings.HasPrefix(id.text, "0112")) {
			ids = append(ids, text{text: id.text[1:]}, text{text: id.text[5:]})
		}
	}
	return ids
}

// matches reads texts of which a trailing * makes a prefix.
func (c *compiler) matches(n *yaml.Node, lower bool) (all []text) {
	for _, s := range c.texts(n) {
		if lower {
			s = strings.ToLower(s)
		}
		c.checkStar(n, s)
		s, prefix := strings.CutSuffix(s, "*")
		all = append(all, text{s, prefix})
	}
	return all
}

func (c *compiler) checkStar(n *yaml.Node, s string) {
	if i := strings.IndexByte(s, '*'); i >= 0 && i < len(s)-1 {
		c.fail(n, "%q: a * is valid at the end only", s)
	}
}

func (c *compiler) boolean(n *yaml.Node) (b bool) {
	if n.Decode(&b) != nil {
		c.fail(n, "true or false is expected, not %q", n.Value)
	}
	return b
}

func (c *compiler) readForms(n *yaml.Node, phrases []string) (texts []string) {
	for _, p := range phrases {
		c.checkStar(n, p)
		text, err := readForm(p)
		if err != nil {
			c.fail(n, "%v", err)
		}
		texts = append(texts, text)
	}
	return texts
}

// fields reads conditions on raw keys, in their order, and on the message.
func (c *compiler) fields(n *yaml.Node, to *conditions) {
	if n.Kind != yaml.MappingNode {
		c.fail(n, "fields: a mapping of keys to conditions is expected")
		return
	}
	c.pairs(n, func(name, value *yaml.Node) {
		var p line.Pairs
		p.Reset(&arena.Arena{})
		p.Add([]byte(name.Value), []byte("x"))
		t := fieldTest{name: p.List[0].Name(), key: p.List[0].Key()}
		if isNull(value) {
			c.fail(name, "field %s has no condition", name.Value)
			return
		}
		c.fieldTest(value, &t)
		if name.Value == "message" {
			to.message = append(to.message, t)
		} else {
			to.fields = append(to.fields, t)
		}
	})
}

func (c *compiler) fieldTest(n *yaml.Node, to *fieldTest) {
	if n.Kind != yaml.MappingNode {
		to.equal = c.matches(n, true)
		return
	}
	c.mapping(n, "condition",
		key{"equals", func(n *yaml.Node) { to.equal = c.matches(n, true) }},
		key{"contains", func(n *yaml.Node) {
			for _, s := range c.texts(n) {
				to.contains = append(to.contains, strings.ToLower(s))
			}
		}},
		key{"regex", func(n *yaml.Node) {
			for _, s := range c.texts(n) {
				re, err := regexp.Compile(s)
				if err != nil {
					c.fail(n, "%v", err)
					continue
				}
				to.regex = append(to.regex, regexTest{re, prefixOf(re)})
			}
		}},
		key{"exists", func(n *yaml.Node) {
			to.exists = c.boolean(n)
			to.absent = !to.exists
		}})
	if len(n.Content) != 2 {
		c.fail(n, "exactly one of equals, contains, regex, exists is expected")
	}
}

// effects reads what a rule sets, and reports whether the category is among it.
func (c *compiler) effects(n *yaml.Node, to *effects, category *dict.Category) (setsCategory bool) {
	var action string
	keys := append([]key{
		{"category", func(n *yaml.Node) { *category, setsCategory = c.category(n), true }},
		{"action", c.text(&action)},
		{"outcome", func(n *yaml.Node) {
			var name string
			c.oneOf(&name, outcomeNames)(n)
			to.outcome = outcome(1 + slices.Index(outcomeNames, name))
		}},
		{"severity", func(n *yaml.Node) {
			severity := 0
			c.number(0, 7, "severity: 0 (emergency) to 7 (debug)", &severity)(n)
			to.severity, to.hasSeverity = int8(severity), true
		}},
	}, c.defaultKeys(to)...)
	c.mapping(n, "set", keys...)
	if action != "" {
		to.action = c.action(n, action)
	}
	return setsCategory
}

var outcomeNames = []string{none - 1: "none", fieldsAlone - 1: "fields", success - 1: "success", failure - 1: "failure"}

// defaultKeys are the effects that rules, actions and categories share.
func (c *compiler) defaultKeys(to *effects) []key {
	return []key{
		{"kind", func(n *yaml.Node) {
			var kind string
			c.oneOf(&kind, []string{"event", "alert", "state", "metric"})(n)
			to.kind = c.constant(kind, false)
		}},
		{"event_category", func(n *yaml.Node) { to.categories = c.constant(strings.Join(c.texts(n), ","), true) }},
		{"event_type", func(n *yaml.Node) { to.types = c.constant(strings.Join(c.texts(n), ","), true) }},
	}
}

// constant returns a text, or a list of texts joined by commas, as one shared value.
func (c *compiler) constant(s string, isList bool) *ecs.Constant {
	id := strconv.FormatBool(isList) + s
	k, ok := c.constants[id]
	if !ok {
		if k = ecs.ConstText(s); isList {
			k = ecs.ConstList(strings.Split(s, ","))
		}
		c.constants[id] = k
	}
	return k
}

// oneOf returns a reader of one of the names.
func (c *compiler) oneOf(to *string, names []string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if *to = n.Value; n.Kind != yaml.ScalarNode || !slices.Contains(names, n.Value) {
			c.fail(n, "%q: use %s", n.Value, strings.Join(names, ", "))
		}
	}
}

func (c *compiler) category(n *yaml.Node) dict.Category { return c.categoryNamed(n, n.Value) }

func (c *compiler) categoryNamed(n *yaml.Node, name string) dict.Category {
	cat, ok := dict.CategoryOf(name)
	if !ok {
		c.fail(n, "unknown category %q: use %s", name, strings.Join(dict.CategoryNames(), ", "))
	}
	return cat
}

// action returns the action of a name. Users may add some; built-in rules use those of
// categories.yaml.
func (c *compiler) action(n *yaml.Node, name string) *action {
	i := slices.IndexFunc(c.rs.actions, func(a *action) bool { return a.name.Texts[0] == name })
	if i >= 0 {
		return c.rs.actions[i]
	}
	if !isActionName.MatchString(name) {
		c.fail(n, "action %q: at most 64 lower-case letters, digits and - are expected", name)
	} else if !c.user {
		c.fail(n, "action %q is not in categories.yaml", name)
	}
	return &action{name: c.constant(name, false)}
}

var isActionName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// categories reads the defaults of the categories.
func (c *compiler) categories(n *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		row := &c.rs.categories[c.category(n.Content[i])]
		c.mapping(n.Content[i+1], "category", append(c.defaultKeys(&row.effects), key{"covers", c.text(&row.covers)})...)
	}
}

// actions reads the closed list of actions with their defaults by category.
func (c *compiler) actions(n *yaml.Node) {
	c.items(n, "actions", func(n *yaml.Node) {
		var name string
		var in []string
		e := &effects{}
		c.mapping(n, "action", append([]key{
			{"action", c.text(&name)},
			{"in", func(n *yaml.Node) { in = c.texts(n) }},
		}, c.defaultKeys(e)...)...)
		i := slices.IndexFunc(c.rs.actions, func(a *action) bool { return a.name.Texts[0] == name })
		if i < 0 {
			i = len(c.rs.actions)
			c.rs.actions = append(c.rs.actions, &action{name: c.constant(name, false)})
		}
		for _, cat := range in {
			row := &c.rs.actions[i].byCategory[c.categoryNamed(n, cat)]
			if *row != nil {
				c.fail(n, "action %s: duplicate category %s", name, cat)
			}
			*row = e
		}
	})
}

// outcomeSections reads outcome.yaml.
func (c *compiler) outcomeSections() []key {
	o := &c.rs.outcome
	o.values = map[string]outcome{}
	values := func(of outcome) func(*yaml.Node) {
		return func(n *yaml.Node) {
			for _, s := range c.texts(n) {
				if len(s) > maxValue || o.values[s] != 0 && o.values[s] != of {
					c.fail(n, "%q is longer than %d bytes or in both lists", s, maxValue)
				}
				o.values[s] = of
			}
		}
	}
	sections := []key{
		{"fields", func(n *yaml.Node) {
			for _, name := range c.texts(n) {
				k := dict.Lookup([]byte(name))
				if k == dict.NoKey {
					c.fail(n, "field %q is no key of the field dictionary", name)
				}
				o.keys = append(o.keys, k)
				o.keySet.Add(k)
			}
		}},
		{"field_failure", values(failure)},
		{"field_success", values(success)},
	}
	for _, words := range []struct {
		name string
		role outcomeRole
	}{{"ignore", roleIgnore}, {"failure", roleFailure}, {"success", roleSuccess}, {"negation", roleNegation}, {"future", roleFuture}} {
		sections = append(sections, key{words.name, func(n *yaml.Node) {
			for _, p := range c.texts(n) {
				c.checkStar(n, p)
				text, err := readForm(p)
				if err != nil {
					c.fail(n, "%v", err)
				}
				c.outcome[text] |= words.role
			}
		}})
	}
	return sections
}
