// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// Exit codes.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// usageError is a mistake in the command line.
type usageError struct{ error }

// silent ends the command with exit code 1 after everything has been said.
type silent struct{}

func (silent) Error() string { return "failed" }

// New returns the whole tree of commands, for the reference pages.
func New() *cobra.Command { return newRoot(newApp(nil, nil, nil, nil)) }

// Run executes one command line and returns its exit code: 0, 1 (failure), 2 (usage) or 130 (interrupted).
func Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	root := newRoot(newApp(in, out, errOut, args))
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	_, said := errors.AsType[silent](err)
	_, usage := errors.AsType[usageError](err)
	switch {
	case err == nil:
		return 0
	case said && ctx.Err() != nil:
		return exitInterrupted
	case said:
		return exitFailure
	case ctx.Err() != nil:
		fmt.Fprintln(errOut, "kubectl lsp: interrupted")
		return exitInterrupted
	case usage || strings.HasPrefix(err.Error(), "unknown command") || strings.HasPrefix(err.Error(), "required flag"):
		fmt.Fprintf(errOut, "kubectl lsp: %s; see '%s --help'\n", apiserver.OneLine(err.Error()), cmd.CommandPath())
		return exitUsage
	default:
		fmt.Fprintf(errOut, "kubectl lsp: %s\n", apiserver.OneLine(err.Error()))
		return exitFailure
	}
}
