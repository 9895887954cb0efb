// Command optiongen writes the C option list for the host's help, generated from the
// option table of the filter, to the file that -header names.
package main

import (
	"flag"
	"fmt"
	"os"

	"fluent-bit-fortiems/plugin/option"
)

func main() {
	header := flag.String("header", "options_gen.h", "file to write")
	flag.Parse()
	if err := os.WriteFile(*header, []byte(option.Header(option.Filter())), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "optiongen: write the C option list:", err)
		os.Exit(1)
	}
}
