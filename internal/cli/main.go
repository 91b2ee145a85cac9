// From the process to the command: arguments in, exit code out.

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"baton/internal/flow"
)

// Process is what a command sees of the process it runs in; tests make their own.
type Process struct {
	Args    []string // without the program's name
	Environ []string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	// CompleteWithin bounds how long the completion of a name waits for the server; 0: a second.
	CompleteWithin time.Duration
}

// System is the real process.
func System() Process {
	return Process{Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
}

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitNotAllowed  = 4
	exitConflict    = 5
	exitTimeout     = 124
	exitInterrupted = 130
)

// Main runs one command and returns its exit code.
func Main(p Process) int {
	ctx, stop := untilSignal()
	defer stop()
	return execute(ctx, p)
}

func execute(ctx context.Context, p Process) int {
	a := &app{Process: p, load: loadConfig}
	root := a.root() //nolint:contextcheck // commands get it by ExecuteContext
	root.SetArgs(p.Args)
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	a.report(cmd, err)
	return exitOf(err)
}

// silentError ends a command with an exit code whose reason was printed already: a run that did
// not succeed, for example.
type silentError int

func (e silentError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a command line that makes no sense.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func exitOf(err error) int {
	if silent, ok := errors.AsType[silentError](err); ok {
		return int(silent)
	}
	switch code := codeOf(err); code {
	case flow.CodeNotFound:
		return exitNotFound
	case flow.CodeNotAllowed, flow.CodeUnauthorized:
		return exitNotAllowed
	case flow.CodeConflict:
		return exitConflict
	case flow.CodeTimeout:
		return exitTimeout
	case flow.CodeInternal, flow.CodeUnavailable:
		return exitFailed
	default: // bad_request, invalid_file, not_supported, bad_cron, …
		return exitUsage
	}
}

// codeOf is the stable code of any error a command may end with.
func codeOf(err error) flow.Code {
	if _, usage := errors.AsType[usageError](err); usage {
		return flow.CodeBadRequest
	}
	return flow.CodeOf(err)
}

// report prints a command's own error: for people, or as JSON when the command was asked for it.
func (a *app) report(cmd *cobra.Command, err error) {
	if _, silent := errors.AsType[silentError](err); silent {
		return
	}
	if a.format(cmd) == formatJSON {
		printErrorJSON(a.Stderr, err)
		return
	}
	printError(a.Stderr, err)
	if _, usage := errors.AsType[usageError](err); usage {
		say(a.Stderr, "Try: %s --help\n", cmd.CommandPath())
	}
}
