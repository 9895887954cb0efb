// Command run starts a search server of the tests and keeps it until it is interrupted:
// run opensearch|opensearch3|elasticsearch|elasticsearch9 [port] [key=value...]. With
// NODES=n in the environment it starts a cluster of n nodes on free ports, with
// SECURITY=on one that wants HTTPS and a login.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"fluent-bit-fortiems/test/servers"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	kind, o, nodes := servers.OpenSearch, servers.Options{Port: 9200, Log: os.Stderr}, 1
	if len(args) > 0 {
		kind = servers.Kind(args[0])
	}
	var err error
	if len(args) > 1 {
		if o.Port, err = strconv.Atoi(args[1]); err != nil {
			return fmt.Errorf("port %q is not a number", args[1])
		}
		o.Settings = args[2:]
	}
	if n := os.Getenv("NODES"); n != "" {
		if nodes, err = strconv.Atoi(n); err != nil || nodes < 1 {
			return fmt.Errorf("NODES=%q is not a number of nodes", n)
		}
	}
	switch security := os.Getenv("SECURITY"); security {
	case "", "off":
	case "on":
		o.Security = true
	default:
		return fmt.Errorf("SECURITY=%q is neither on nor off", security)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if nodes > 1 {
		c, err := servers.StartCluster(ctx, kind, nodes, o)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		return keep(ctx, kind, c.URLs(), c.Nodes[0].Access(), c.Close)
	}
	s, err := servers.Start(ctx, kind, o)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	return keep(ctx, kind, s.URL(), s.Access(), s.Close)
}

// keep says how to reach the server, and ends it when ctx ends.
func keep(ctx context.Context, kind servers.Kind, urls string, a *servers.Access, end func() error) (err error) {
	defer func() { err = errors.Join(err, end()) }()
	fmt.Printf("%s, until Ctrl-C (its data go with it). In another terminal:\nES_HOSTS=%s", kind, urls)
	if a != nil {
		dir, err := os.MkdirTemp("", "opensearch-ca")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		ca := filepath.Join(dir, "ca.crt")
		if err := os.WriteFile(ca, a.CA, 0o600); err != nil {
			return err
		}
		fmt.Printf(" ES_CA_FILE=%s ES_USERNAME=%s ES_PASSWORD=%s", ca, a.User, a.Password)
	}
	fmt.Println(" make run")
	<-ctx.Done()
	return nil
}
