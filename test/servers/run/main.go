// Command run starts a search server of the tests and keeps it until it is
// interrupted: run opensearch|elasticsearch [port] [key=value...]. With NODES=n in the
// environment it starts a cluster of n nodes on free ports.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
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
	kind, o := servers.OpenSearch, servers.Options{Port: 9200, Log: os.Stderr}
	if len(args) > 0 {
		kind = servers.Kind(args[0])
	}
	if len(args) > 1 {
		port, err := strconv.Atoi(args[1])
		if err != nil {
			return fmt.Errorf("port %q is not a number", args[1])
		}
		o.Port, o.Settings = port, args[2:]
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if n, _ := strconv.Atoi(os.Getenv("NODES")); n > 1 {
		c, err := servers.StartCluster(ctx, kind, n, o.Settings...)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		fmt.Printf("hosts %s; end it with Ctrl-C (its data go with it)\n", c.URLs())
		<-ctx.Done()
		return c.Close()
	}
	s, err := servers.Start(ctx, kind, o)
	if err != nil {
		return fmt.Errorf("%s: %w", kind, err)
	}
	fmt.Printf("%s answers on %s; end it with Ctrl-C (its data go with it)\n", kind, s.URL())
	<-ctx.Done()
	return s.Close()
}
