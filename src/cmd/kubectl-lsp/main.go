// SPDX-License-Identifier: Apache-2.0

// Command kubectl-lsp is the developer's side of Local Source Proxy, used as "kubectl lsp".
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/apiserver"
)

// Exit codes.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// completionName is what kubectl calls to complete "kubectl lsp ..." (kubectl's documentation, "Extend kubectl with plugins").
const completionName = "kubectl_complete-lsp"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process as usual
	args := os.Args[1:]
	if strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe") == completionName {
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	os.Exit(run(ctx, args, os.Stdin, os.Stdout, os.Stderr))
}

// usageError is a mistake in the command line.
type usageError struct{ error }

// silent ends the command with exit code 1 after everything has been said.
type silent struct{}

func (silent) Error() string { return "failed" }

func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
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
