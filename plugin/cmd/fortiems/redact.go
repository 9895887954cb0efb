package main

import (
	"bufio"
	"bytes"
	"fmt"

	"github.com/spf13/cobra"

	"fluent-bit-fortiems/plugin/cmd/fortiems/input"
	"fluent-bit-fortiems/plugin/cmd/fortiems/redact"
)

func newRedact(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "redact [FILE...]",
		Short: "Replace addresses, hosts, users and serial numbers in lines",
		Long: `Redact replaces private values in lines, so that they can be shared. The same value
always becomes the same made-up one. Keys, ids and wording stay.

Names inside free text can remain: read the result before you share it.`,
		Example: "  fortiems redact ems.log > shared.log",
		RunE: func(cmd *cobra.Command, files []string) error {
			out := bufio.NewWriter(a.out)
			r := redact.New()
			err := a.input().Blocks(cmd.Context(), files, func(b input.Block) error {
				for line := range bytes.Lines(b.Text) {
					text := bytes.TrimRight(line, "\r\n")
					if _, err := out.WriteString(r.Line(string(text)) + string(line[len(text):])); err != nil {
						return err
					}
				}
				return out.Flush()
			})
			if err != nil {
				return err
			}
			fmt.Fprintln(a.errs, "Read the result before you share it: names within free text may be left.")
			return nil
		},
	}
}
