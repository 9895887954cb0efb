package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"fluent-bit-fortiems/plugin/cmd/fortiems/send"
	"fluent-bit-fortiems/plugin/cmd/fortiems/term"
	"fluent-bit-fortiems/test"
)

// sendFlags are those of the command send.
type sendFlags struct {
	send.Options
	proto, times, status string
	corpus, forever      bool
}

func newSend(a *app) *cobra.Command {
	var f sendFlags
	cmd := &cobra.Command{
		Use:   "send [FILE...]",
		Short: "Replay lines to a syslog collector",
		Long: `Send replays the lines of files, or the bundled corpus, to a syslog collector.

Lines of files keep their own times, those of the corpus get the current time, unless
--time says otherwise.`,
		Example: `  fortiems send --corpus --addr 127.0.0.1:5514
  fortiems send --proto tls --ca ca.crt --addr collector.example.com:6514 --rate 500 ems.log.gz`,
		RunE: func(cmd *cobra.Command, files []string) error {
			if f.corpus && len(files) > 0 {
				return usageError{errors.New("--corpus and files exclude each other")}
			}
			return f.run(cmd.Context(), a, files)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.Addr, "addr", "a", "127.0.0.1:5514", "host:port of the collector")
	flags.StringVarP(&f.proto, "proto", "p", "udp", "udp, tcp or tls")
	flags.StringVar(&f.CAFile, "ca", "", "authority of the collector's certificate, PEM (default: those of the system)")
	flags.BoolVar(&f.OctetCounting, "octet-counting", false, "write the length before each line (RFC 6587), not a line feed after it")
	flags.Float64VarP(&f.Rate, "rate", "r", 50, "lines per second, 0 for no limit")
	flags.StringVarP(&f.times, "time", "t", "", "own: lines as they are; now: every time in them becomes the current one")
	flags.BoolVar(&f.corpus, "corpus", false, "send the bundled corpus")
	flags.BoolVar(&f.forever, "forever", false, "start again at the end and after an error, until stopped")
	flags.StringVar(&f.status, "status", "", "serve HTTP 200 at this address while lines get through, else 503")
	return cmd
}

func (f *sendFlags) run(ctx context.Context, a *app, files []string) error {
	f.Proto = send.Proto(f.proto)
	switch f.times {
	case "":
		f.Now = f.corpus
	case "own", "now":
		f.Now = f.times == "now"
	default:
		return usageError{fmt.Errorf("--time %q: use own or now", f.times)}
	}
	s, err := send.New(f.Options)
	if err != nil {
		return usageError{err}
	}
	if f.status != "" {
		l, err := net.Listen("tcp", f.status)
		if err != nil {
			return fmt.Errorf("--status: %w", err)
		}
		defer l.Close()
		go func() { _ = http.Serve(l, s) }() // ends with l
	}
	stop := term.Progress(a.errs, func() string { return "sending to " + f.Addr })
	defer stop()
	for {
		err := f.pass(ctx, a, s, files)
		if !f.forever || ctx.Err() != nil {
			stop()
			if err == nil {
				fmt.Fprintf(a.errs, "%d lines sent to %s (%s)\n", s.Sent, f.Addr, f.Proto)
			}
			return err
		}
		if err != nil {
			fmt.Fprintln(a.errs, "fortiems send:", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// pass sends every line once.
func (f *sendFlags) pass(ctx context.Context, a *app, s *send.Sender, files []string) error {
	if err := s.Open(ctx); err != nil {
		return err
	}
	err := f.lines(ctx, a, files, func(line string) error { return s.Line(ctx, line) })
	return errors.Join(err, s.Close(ctx))
}

func (f *sendFlags) lines(ctx context.Context, a *app, files []string, each func(string) error) error {
	if !f.corpus {
		return a.input().Lines(ctx, files, func(_ string, _ int, line []byte) error { return each(string(line)) })
	}
	cases, err := test.Corpus()
	if err != nil {
		return err
	}
	for i := range cases {
		if !cases[i].Replayed() {
			continue
		}
		for _, row := range cases[i].Rows {
			if err := each(row.Line); err != nil {
				return err
			}
		}
	}
	return nil
}
