package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// healthURL is where Fluent Bit answers with http_server and health_check on.
const healthURL = "http://127.0.0.1:2020/api/v1/health"

// newHealth returns the command that the health check of the image runs: the image has
// neither a shell nor curl.
func newHealth() *cobra.Command {
	return &cobra.Command{
		Use:   "health [URL]",
		Short: "Exit with 0 if Fluent Bit is healthy (" + healthURL + ")",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			url := healthURL
			if len(args) > 0 {
				url = args[0]
			}
			client := http.Client{Timeout: 5 * time.Second}
			resp, err := client.Get(url)
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				return fmt.Errorf("%s: HTTP status %d", url, resp.StatusCode)
			}
			return nil
		},
	}
}
