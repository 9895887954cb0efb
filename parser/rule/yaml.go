package rule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Error is a mistake in a rules file. Line counts from 1; 0 is the file as a whole.
type Error struct {
	File   string
	Line   int
	Reason string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Reason)
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// reader reads one rules file. It goes on after a mistake and collects all of them.
type reader struct {
	file  string
	lists map[string][]string // that a text may name
	errs  []error
}

// maxReason is the longest reason, in bytes: it quotes the file, and a long one would
// push others out of the host's log.
const maxReason = 600

// fail notes a mistake at a node, which may be nil. The middle of a long reason is cut,
// because the end says what is valid.
func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	e := &Error{File: r.file, Reason: fmt.Sprintf(format, args...)}
	if n != nil {
		e.Line = n.Line
	}
	if l := len(e.Reason); l > maxReason {
		head, tail := e.Reason[:maxReason/2], e.Reason[l-maxReason/2:]
		e.Reason = strings.ToValidUTF8(head, "") + " ... (cut) ... " + strings.ToValidUTF8(tail, "")
	}
	r.errs = append(r.errs, e)
}

// document returns the root of a file that holds one YAML document, or nil.
func (r *reader) document(text []byte) *yaml.Node {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, next yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		r.fail(&yaml.Node{Line: 1}, "the file is empty: version and rules are expected")
		return nil
	case err != nil:
		r.failYAML(err)
		return nil
	}
	switch err := dec.Decode(&next); {
	case err == nil:
		r.fail(&next, "a second YAML document: one is expected")
	case !errors.Is(err, io.EOF):
		r.failYAML(err)
	}
	return doc.Content[0]
}

// failYAML notes an error of the YAML library, "yaml: line 7: reason". It names no line for
// a mistake in the first one.
func (r *reader) failYAML(err error) {
	at, reason := 1, strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(reason, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				at, reason = n, text
			}
		}
	}
	r.fail(&yaml.Node{Line: at}, "%s", reason)
}

// key is a key that a mapping may have. It must have a value, except rules.
type key struct {
	name string
	read func(value *yaml.Node)
}

// mapping reads a mapping. what names it in a reason.
func (r *reader) mapping(n *yaml.Node, what string, keys ...key) {
	names := func() string {
		var names []string
		for _, k := range keys {
			names = append(names, k.name)
		}
		return strings.Join(names, ", ")
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s: a mapping with %s is expected", what, names())
		return
	}
	r.pairs(n, func(name, value *yaml.Node) {
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name.Value })
		switch {
		case i < 0:
			r.fail(name, "%s: unknown key %q: use %s", what, name.Value, names())
		case isNull(value) && name.Value != "rules":
			r.fail(name, "%s has no value", name.Value)
		default:
			keys[i].read(value)
		}
	})
}

// pairs calls f for each key of a mapping in its order. A duplicate key is a
// mistake.
func (r *reader) pairs(n *yaml.Node, f func(name, value *yaml.Node)) {
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		if seen[name.Value] {
			r.fail(name, "duplicate key %q", name.Value)
			continue
		}
		seen[name.Value] = true
		f(name, target(n.Content[i+1]))
	}
}

// items calls f for each item of a sequence.
func (r *reader) items(n *yaml.Node, what string, f func(item *yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "%s: a list is expected", what)
		return
	}
	for _, item := range n.Content {
		f(target(item))
	}
}

// target returns the node that an alias refers to.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// text returns a reader of a text that is not empty.
func (r *reader) text(to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Value == "" {
			r.fail(n, "a text is expected")
		}
		*to = n.Value
	}
}

// number returns a reader of a whole number.
func (r *reader) number(low, high int, what string, to *int) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Tag != "!!int" || n.Decode(to) != nil || *to < low || *to > high {
			r.fail(n, "%s is expected, not %q", what, n.Value)
		}
	}
}

// texts reads a text or a list of texts. A text "$name" is all texts of that list,
// "$name more" each of them with " more" after it.
func (r *reader) texts(n *yaml.Node) (all []string) {
	for _, item := range r.eachText(n) {
		all = append(all, item...)
	}
	return all
}

// eachText is texts, with the texts of each item apart.
func (r *reader) eachText(n *yaml.Node) (items [][]string) {
	nodes := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		if nodes = n.Content; len(nodes) == 0 {
			r.fail(n, "an empty list never matches")
		}
	}
	for _, item := range nodes {
		switch item = target(item); {
		case item.Kind != yaml.ScalarNode:
			r.fail(item, "a text or a list of texts is expected")
		case isNull(item) || item.Value == "":
			r.fail(item, "an empty text never matches")
		default:
			items = append(items, r.expand(item))
		}
	}
	return items
}

// maxTexts is the most texts that a list may expand to.
const maxTexts = 20_000

// readLists reads the section lists of a file. A list may name lists above it; a list of a
// user hides a built-in one of its name.
func (r *reader) readLists(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "lists: a mapping of names to lists is expected")
		return
	}
	r.lists = maps.Clone(r.lists)
	r.pairs(n, func(name, value *yaml.Node) {
		var texts []string
		switch {
		case !isListName(name.Value):
			r.fail(name, "list %q: lower-case letters, digits and _ are expected", name.Value)
		case isNull(value):
			r.fail(name, "list %q has no value", name.Value)
		default:
			texts = r.texts(value)
			slices.Sort(texts) // each once, so that lists of lists stay small
			texts = slices.Compact(texts)
		}
		if len(texts) > maxTexts {
			r.fail(name, "list %q has more than %d texts", name.Value, maxTexts)
			texts = nil
		}
		r.lists[name.Value] = texts
	})
}

// expand returns the texts of an item of a list: more than one if it names a list.
func (r *reader) expand(n *yaml.Node) []string {
	name, more, _ := strings.Cut(n.Value, " ")
	name, ok := strings.CutPrefix(name, "$")
	if !ok || !isListName(name) {
		return []string{n.Value}
	}
	texts, ok := r.lists[name]
	if !ok {
		r.fail(n, "unknown list $%s: use %s", name, strings.Join(slices.Sorted(maps.Keys(r.lists)), ", "))
	}
	if more == "" {
		return texts
	}
	var all []string
	for _, t := range texts {
		all = append(all, t+" "+more)
	}
	return all
}

// isListName reports whether s may name a list. Texts like "$100" and "$Recycle.Bin" are
// no references.
func isListName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !(c >= 'a' && c <= 'z' || i > 0 && (c >= '0' && c <= '9' || c == '_')) {
			return false
		}
	}
	return s != ""
}
