// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/proxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/version"
)

// Exit codes of the command.
const (
	exitFailure = 1
	exitUsage   = 2
)

// usageError is a mistake in the command line itself.
type usageError struct{ error }

// reported is an error that the user has seen.
type reported struct{ error }

// New returns the whole tree of commands. Logs and mistakes go to stderr.
func New(stderr io.Writer) *cobra.Command {
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
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(serveCommand(stderr), checkCommand(), versionCommand())
	return root
}

// Run executes one command line and returns its exit code: 0, 1 (failure) or 2 (usage).
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := New(stderr)
	root.SetArgs(args)
	root.SetOut(stdout)
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
