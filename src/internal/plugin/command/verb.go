// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// verb is one subcommand. Its fields are its options, which flags fill.
type verb interface {
	// validate checks the command line alone: it reads no file and asks no server.
	validate(cmd *cobra.Command, args []string) error
	run(ctx context.Context) error
}

// runVerb is the RunE of every subcommand.
func runVerb(v verb) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := v.validate(cmd, args); err != nil {
			return err
		}
		return v.run(cmd.Context())
	}
}

// parent makes a command that only has others below it.
func parent(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.Args = noCommand
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.AddCommand(below...)
	return cmd
}

// noCommand refuses an argument where only a command can stand.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2 // cobra's own default, which it sets too late
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usageError{fmt.Errorf(
			"unknown command %q: did you mean %s?", args[0], strings.Join(near, " or "))}
	}
	return usageError{fmt.Errorf("unknown command %q", args[0])}
}

// exactly checks the number of arguments and names the one that is missing or too many.
func exactly(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return usageError{fmt.Errorf("%s is missing", names[len(args)])}
		}
		return atMost(len(names))(nil, args)
	}
}

// atMost refuses further arguments.
func atMost(n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > n {
			return usageError{fmt.Errorf("argument %q is one too many", args[n])}
		}
		return nil
	}
}
