// Command demo counts records by category, type and subtype.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// record has the fields of a record that the table shows.
type record struct {
	Fortinet struct {
		EMS struct {
			Category string `json:"category"`
			Type     string `json:"type"`
			Subtype  string `json:"subtype"`
		} `json:"ems"`
	} `json:"fortinet"`
}

func main() {
	if err := count(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// count prints the table for a file of JSON lines.
func count(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	counts, total := map[[3]string]int{}, 0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "{") {
			continue
		}
		var r record
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return fmt.Errorf("record %d: %w", total+1, err)
		}
		key := [3]string{r.Fortinet.EMS.Category, r.Fortinet.EMS.Type, r.Fortinet.EMS.Subtype}
		if key[0] == "" {
			key[0] = "(not FortiEMS)"
		}
		counts[key]++
		total++
	}
	if err := lines.Err(); err != nil {
		return err
	}
	keys := make([][3]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b [3]string) int { return slices.Compare(a[:], b[:]) })
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nCOUNT\tCATEGORY\tTYPE\tSUBTYPE")
	for _, k := range keys {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\n", counts[k], k[0], k[1], k[2])
	}
	fmt.Fprintf(w, "%d\tall\t\t\n", total)
	return w.Flush()
}
