// Command dashboards writes the dashboards of Kibana, OpenSearch Dashboards and
// Grafana from conf/dashboards/dashboards.yaml.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// description is the YAML file; comments at its top describe the fields.
type description struct {
	Views   map[string]view `yaml:"views"`
	Filters []filter        `yaml:"filters"`
	Pages   []page          `yaml:"pages"`
}

type view struct {
	Pattern string `yaml:"pattern"`
	Title   string `yaml:"title"`
}

type filter struct {
	Field string `yaml:"field"`
	Title string `yaml:"title"`
}

type page struct {
	ID     string  `yaml:"id"`
	Title  string  `yaml:"title"`
	Text   string  `yaml:"text"`
	Panels []panel `yaml:"panels"`
}

type panel struct {
	Title   string            `yaml:"title"`
	Kind    string            `yaml:"kind"`
	By      []string          `yaml:"by"`
	Top     int               `yaml:"top"`
	Where   map[string]values `yaml:"where"`
	Without map[string]values `yaml:"without"`
	Exists  []string          `yaml:"exists"`
	Missing []string          `yaml:"missing"`
	Columns []string          `yaml:"columns"`
	Last    bool              `yaml:"last"`
	Size    [2]int            `yaml:"size"`
	View    string            `yaml:"view"`
}

// values is one value or a list.
type values []string

func (v *values) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*v = values{n.Value}
		return nil
	}
	return n.Decode((*[]string)(v))
}

// The kinds of panels.
const (
	kindNumber = "number"
	kindDonut  = "donut"
	kindBars   = "bars"
	kindTable  = "table"
	kindTime   = "time"
	kindEvents = "events"
)

// gridWidth is the number of columns of the grid, as in Kibana.
const gridWidth = 48

const defaultTop = 10

// read loads and checks a description and fills in defaults.
func read(file string) (*description, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var d description
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&d); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var errs []error
	for i := range d.Pages {
		p := &d.Pages[i]
		seen := map[string]bool{}
		for j := range p.Panels {
			pan := &p.Panels[j]
			if pan.View == "" {
				pan.View = "events"
			}
			if pan.Top == 0 {
				pan.Top = defaultTop
			}
			if seen[slug(pan.Title)] {
				errs = append(errs, fmt.Errorf("%s: two panels %q", p.ID, pan.Title))
			}
			seen[slug(pan.Title)] = true
			if err := pan.check(d.Views); err != nil {
				errs = append(errs, fmt.Errorf("%s, %q: %w", p.ID, pan.Title, err))
			}
		}
	}
	return &d, errors.Join(errs...)
}

func (p *panel) check(views map[string]view) error {
	if _, ok := views[p.View]; !ok {
		return fmt.Errorf("no view %q", p.View)
	}
	if p.Size[0] < 1 || p.Size[0] > gridWidth || p.Size[1] < 1 {
		return fmt.Errorf("size %v does not fit the grid", p.Size)
	}
	switch p.Kind {
	case kindNumber:
		if len(p.By) > 0 {
			return errors.New("a number has no buckets")
		}
	case kindDonut, kindBars, kindTable:
		if len(p.By) == 0 {
			return errors.New("needs by")
		}
	case kindTime:
		if len(p.By) > 1 {
			return errors.New("is split by one field at most")
		}
	case kindEvents:
		if len(p.Columns) == 0 {
			return errors.New("needs columns")
		}
	default:
		return fmt.Errorf("no kind %q", p.Kind)
	}
	return nil
}

// fields returns every field that the panel names.
func (p *panel) fields() []string {
	all := slices.Concat(p.By, p.Exists, p.Missing, p.Columns, slices.Collect(maps.Keys(p.Where)), slices.Collect(maps.Keys(p.Without)))
	slices.Sort(all)
	return slices.Compact(all)
}

// lucene returns the condition of the panel in the query language that all three
// front ends support; empty means everything.
func (p *panel) lucene() string {
	var terms []string
	for _, field := range slices.Sorted(maps.Keys(p.Where)) {
		terms = append(terms, field+":"+anyOf(p.Where[field]))
	}
	for _, field := range p.Exists {
		terms = append(terms, "_exists_:"+field)
	}
	for _, field := range p.Missing {
		terms = append(terms, "NOT _exists_:"+field)
	}
	for _, field := range slices.Sorted(maps.Keys(p.Without)) {
		terms = append(terms, "NOT "+field+":"+anyOf(p.Without[field]))
	}
	return strings.Join(terms, " AND ")
}

func anyOf(v values) string {
	quoted := make([]string, len(v))
	for i, s := range v {
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
	}
	if len(quoted) == 1 {
		return quoted[0]
	}
	return "(" + strings.Join(quoted, " OR ") + ")"
}

// place puts panels side by side until a row is full and returns x, y of each.
func place(panels []panel) [][2]int {
	at := make([][2]int, len(panels))
	x, y, rowHeight := 0, 0, 0
	for i, p := range panels {
		if x+p.Size[0] > gridWidth {
			x, y, rowHeight = 0, y+rowHeight, 0
		}
		at[i] = [2]int{x, y}
		x += p.Size[0]
		rowHeight = max(rowHeight, p.Size[1])
	}
	return at
}

// slug converts a title to a part of an id.
func slug(title string) string {
	return strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, title), "-")
}
