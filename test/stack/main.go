// Command stack does what the compose stack of test/docker-compose.yml needs besides
// images: it creates passwords and certificates, prepares the search server, imports
// dashboards, probes health, and counts what arrived.
//
// It is one static binary, so that it runs inside any image of the stack.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// commands by name; each parses its own flags.
var commands = map[string]func(ctx context.Context, args []string) error{
	"env":     runEnv,
	"setup":   runSetup,
	"import":  runImport,
	"graylog": runGraylog,
	"probe":   runProbe,
	"count":   runCount,
}

const usage = `usage: stack COMMAND [flags]
  env      make test/.env with passwords, and certificates
  setup    accounts, templates and lifecycle policies on the search server
  import   dashboards into Kibana or OpenSearch Dashboards
  graylog  index set, content pack and stream in Graylog
  probe    exit 0 if a URL answers 2xx
  count    wait for the documents of the corpus, count them per category
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	err := commands[os.Args[1]](ctx, os.Args[2:])
	if errors.Is(err, flag.ErrHelp) || ctx.Err() != nil {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "stack "+os.Args[1]+":", err)
		os.Exit(1)
	}
}

// need returns the named environment variables, or an error that names all that
// are missing.
func need(names ...string) (map[string]string, error) {
	values, missing := map[string]string{}, []string{}
	for _, n := range names {
		if values[n] = os.Getenv(n); values[n] == "" {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("not set: %s", strings.Join(missing, ", "))
	}
	return values, nil
}
