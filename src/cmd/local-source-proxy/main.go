// SPDX-License-Identifier: Apache-2.0

// Command local-source-proxy lets developers push to their organisation's registry with nothing but a
// kubeconfig.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/proxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/version"
)

// Exit codes of the command.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// usageError is a mistake in the command line itself.
type usageError struct{ error }

// reported is an error that the user has seen.
type reported struct{ error }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   "local-source-proxy",
		Short: "Forward pushes of source code and images to a registry, with a credential that only the operator knows",
		Long: `Local Source Proxy forwards what developers push through the Kubernetes API server to the organisation's registry.
The API server decides who may push. The proxy adds the registry's credential, which developers never see.

Try it out without anything else:  local-source-proxy serve --embedded-registry`,
		Version:       version.Get().String(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArguments,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(serveCommand(stderr), checkCommand(), versionCommand())
	switch cmd, err := root.ExecuteContextC(ctx); {
	case err == nil:
		return 0
	case isUsage(err):
		fmt.Fprintf(stderr, "local-source-proxy: %v; see '%s --help'\n", err, cmd.CommandPath())
		return exitUsage
	case !isReported(err):
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(stderr, "local-source-proxy: %s\n", strings.TrimSpace(line))
		}
		fallthrough
	default:
		return exitFailure
	}
}

func isUsage(err error) bool {
	_, typed := errors.AsType[usageError](err)
	_, together := errors.AsType[proxy.UsageError](err)
	return typed || together || strings.HasPrefix(err.Error(), "unknown command")
}

func isReported(err error) bool {
	_, ok := errors.AsType[reported](err)
	return ok
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument or unknown command %q", args[0])}
	}
	return nil
}
