// Command fortiems reads FortiEMS logs on any machine, without Fluent Bit: it explains what
// the filter makes of a line, reports on log files, finds unknown wordings, checks rules,
// replaces private values, and replays lines to a collector. README.md describes it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // Windows has no zones by name

	"github.com/spf13/cobra"

	"fluent-bit-fortiems/parser/ecs"
	"fluent-bit-fortiems/plugin/cmd/fortiems/input"
	"fluent-bit-fortiems/plugin/cmd/fortiems/term"
)

// version is set by the build.
var version = "dev"

// Exit codes.
const (
	exitFine     = 0
	exitFindings = 1
	exitError    = 2 // wrong usage, or a file or host that cannot be read or written
)

// errFindings ends a command that has printed its findings.
var errFindings = errors.New("findings")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if term.Is(os.Stdin) {
		// A command that waits for the keyboard does not see the end of ctx.
		context.AfterFunc(ctx, func() {
			time.Sleep(time.Second)
			os.Exit(128 + int(syscall.SIGINT))
		})
	}
	code := run(ctx, os.Args[1:], app{in: os.Stdin, out: os.Stdout, errs: os.Stderr, env: os.Getenv, received: now})
	stop()
	os.Exit(code)
}

// app is what a command reads and writes besides its files.
type app struct {
	in        io.Reader
	out, errs io.Writer
	env       func(string) string
	received  func() ecs.Instant // when a line is received
	color     string             // auto, always or never
}

func (a *app) palette() term.Palette { return term.Colors(a.color, a.out, a.env) }

func (a *app) input() *input.Reader { return &input.Reader{Stdin: a.in} }

// run executes a command line and returns the exit code.
func run(ctx context.Context, args []string, a app) int {
	root := newRoot(&a)
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errs)
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, errFindings):
		return exitFindings
	case ctx.Err() != nil:
		return 128 + int(syscall.SIGINT)
	}
	fmt.Fprintf(a.errs, "%s: %s\n", cmd.CommandPath(), strings.TrimSpace(err.Error()))
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(a.errs, "Try: %s --help\n", cmd.CommandPath())
	}
	return exitError
}

// usageError is a command line that is wrong.
type usageError struct{ error }

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "fortiems",
		Short: "Read, explain and report FortiClient EMS logs",
		Long: `fortiems reads the syslog of FortiClient EMS (FortiEMS) as the Fluent Bit filter does.

Files may be plain or compressed with gzip; "-" or no file is standard input.
Exit code: 0 fine, 1 findings, 2 wrong usage or something that cannot be read or written.`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(*cobra.Command, []string) error {
			switch a.color {
			case "auto", "always", "never":
				return nil
			}
			return usageError{fmt.Errorf("--color %q: use auto, always or never", a.color)}
		},
	}
	root.PersistentFlags().StringVar(&a.color, "color", "auto", "colours: auto, always or never; NO_COLOR turns auto off")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(newExplain(a), newCheck(a), newReport(a), newDiscover(a), newShow(a), newRedact(a), newSend(a), newHealth(), newVersion(a))
	for _, c := range root.Commands() {
		if valid := c.Args; valid != nil {
			c.Args = func(cmd *cobra.Command, args []string) error {
				if err := valid(cmd, args); err != nil {
					return usageError{err}
				}
				return nil
			}
		}
	}
	return root
}

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(a.out, "fortiems", version)
			return err
		},
	}
}

// encode writes v as one line of JSON, with <, > and & as they are.
func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
