// Package test holds the corpus as data, for programs that replay it or compare with it.
package test

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed corpus/*/lines.tsv corpus/*/options.yaml
var files embed.FS

// Case is a folder of the corpus.
type Case struct {
	Name string
	// HasOptions reports that the lines are for a filter with other options than the default.
	HasOptions bool
	Rows       []Row
}

// Row is a line of the corpus and what it means; "-" stands for none.
type Row struct {
	Category, Action, Outcome, Kind string
	Line                            string
}

// Corpus returns the cases in alphabetical order.
func Corpus() ([]Case, error) {
	names, err := fs.Glob(files, "corpus/*/lines.tsv")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var cases []Case
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		dir := path.Dir(name)
		_, err = fs.Stat(files, dir+"/options.yaml")
		c := Case{Name: path.Base(dir), HasOptions: err == nil}
		for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			f := strings.SplitN(line, "\t", 5)
			if len(f) != 5 {
				return nil, fmt.Errorf("test/%s:%d: five columns are expected", name, i+1)
			}
			c.Rows = append(c.Rows, Row{f[0], f[1], f[2], f[3], f[4]})
		}
		cases = append(cases, c)
	}
	return cases, nil
}

// Replayed reports whether a case holds lines as FortiEMS and its endpoints send them: not
// one about options, odd clocks or other senders.
func (c *Case) Replayed() bool {
	for _, p := range []string{"ems-", "fct-", "fgt-", "android", "unknown"} {
		if strings.HasPrefix(c.Name, p) {
			return true
		}
	}
	return false
}
