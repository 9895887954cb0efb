// Command optiongen writes what is generated from the option tables: the C list
// for the host's help (-header FILE), or a Markdown table on standard output
// (-table filter|output).
package main

import (
	"flag"
	"fmt"
	"os"

	"fluent-bit-fortiems/plugin/option"
)

func main() {
	header := flag.String("header", "", "write the C option list to this file")
	table := flag.String("table", "", "print the Markdown table of filter or output")
	flag.Parse()
	if err := run(*header, *table); err != nil {
		fmt.Fprintln(os.Stderr, "optiongen:", err)
		os.Exit(1)
	}
}

func run(header, table string) error {
	if header != "" {
		if err := os.WriteFile(header, []byte(option.Header(option.Filter())), 0o644); err != nil {
			return fmt.Errorf("write the C option list: %w", err)
		}
	}
	switch table {
	case "":
	case "filter":
		fmt.Print(option.Markdown(option.Filter()))
	case "output":
		fmt.Print(option.Markdown(option.Output()))
	default:
		return fmt.Errorf("-table: %q is not filter or output", table)
	}
	return nil
}
