package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"fluent-bit-fortiems/test"
)

// runCount waits until one pass of the corpus is stored and prints the number of
// documents per category.
func runCount(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("count", flag.ContinueOnError)
	file := fs.String("env", "test/.env", "file with the passwords")
	product := fs.String("product", "elasticsearch", "elasticsearch, opensearch or graylog")
	url := fs.String("url", "", "the search server (default: the published port of the stack)")
	ca := fs.String("ca", "build/out/stack/tls/ca.crt", "authority of the server")
	limit := fs.Duration("limit", 2*time.Minute, "how long to wait for them")
	if err := fs.Parse(args); err != nil {
		return err
	}
	want, err := corpusCategories()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(*file)
	if err != nil {
		return fmt.Errorf("%w (made by make stack)", err)
	}
	env := parseEnv(string(text))
	login := map[string][3]string{ // URL, user, password
		"elasticsearch": {"http://127.0.0.1:9200", "elastic", env["ELASTIC_PASSWORD"]},
		"opensearch":    {"https://127.0.0.1:9201", "admin", env["OPENSEARCH_ADMIN_PASSWORD"]},
		"graylog":       {"http://127.0.0.1:9000", "admin", env["GRAYLOG_PASSWORD"]},
	}[*product]
	if *url != "" {
		login[0] = *url
	}
	c, err := newClient(login[0], login[1], login[2], *ca)
	if err != nil {
		return err
	}
	stored := func(ctx context.Context) (map[string]int, error) { return storedCategories(ctx, c) }
	if *product == "graylog" {
		stored = graylog{c}.categories
	}
	var got map[string]int
	err = eventually(ctx, *limit, pollPause, func(ctx context.Context) error {
		if got, err = stored(ctx); err != nil {
			return err
		}
		return lacking(want, got)
	})
	printCounts(os.Stdout, want, got)
	return err
}

// lacking returns an error that names the categories with fewer documents than one pass.
func lacking(want, got map[string]int) error {
	var few []string
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] < want[name] {
			few = append(few, fmt.Sprintf("%s %d of %d", name, got[name], want[name]))
		}
	}
	if few != nil {
		return fmt.Errorf("too few documents: %s", strings.Join(few, ", "))
	}
	return nil
}

func printCounts(w io.Writer, want, got map[string]int) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CATEGORY\tDOCUMENTS\tONE PASS")
	all := maps.Clone(want)
	maps.Copy(all, got)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(t, "%s\t%d\t%d\n", name, got[name], want[name])
	}
	t.Flush()
}

// storedCategories counts the documents of the data stream per category.
func storedCategories(ctx context.Context, c *client) (map[string]int, error) {
	var got struct {
		Aggregations struct {
			Categories struct {
				Buckets []struct {
					Key   string
					Count int `json:"doc_count"`
				}
			}
		}
	}
	err := c.call(ctx, http.MethodPost, "/logs-fortinet.fortiems-*/_search?size=0", map[string]any{
		// A document without a category is "unmatched", as lines.tsv calls a line of another sender.
		"aggs": map[string]any{"categories": map[string]any{"terms": map[string]any{"field": "fortinet.ems.category", "size": 100, "missing": "unmatched"}}},
	}, &got)
	counts := map[string]int{}
	for _, b := range got.Aggregations.Categories.Buckets {
		counts[b.Key] = b.Count
	}
	return counts, err
}

// corpusCategories counts the lines of the replayed cases by category.
func corpusCategories() (map[string]int, error) {
	cases, err := test.Corpus()
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for i := range cases {
		if cases[i].Replayed() {
			for _, row := range cases[i].Rows {
				if row.Category != "unmatched" {
					counts[row.Category]++
				}
			}
		}
	}
	return counts, nil
}
