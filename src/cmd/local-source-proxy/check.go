// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/preflight"
	"github.com/local-source-proxy/local-source-proxy/src/internal/proxy"
)

func checkCommand() *cobra.Command {
	var sources proxy.Sources
	var output string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Try the way of a push step by step, and name the step that fails",
		Long: `Check reads the settings and tries the way of a push: DNS, connection, TLS, greeting, token, and an upload that it
starts and cancels. It pushes nothing. It stops at the first step that fails, says what to do, and exits with 1.`,
		Example: "  local-source-proxy check --values-file values.yml --docker-config ~/.docker/config.json",
		Args:    noArguments,
	}
	settingsFlags(cmd.Flags(), &sources)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text, or json: one object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		report, err := reporter(cmd.OutOrStdout(), output)
		if err != nil {
			return usageError{err}
		}
		err = proxy.Check(cmd.Context(), sources, report)
		if errors.Is(err, preflight.ErrFailed) {
			return reported{err}
		}
		return err
	}
	return cmd
}

// reporter writes steps for people or for machines.
func reporter(w io.Writer, output string) (func(preflight.Step), error) {
	switch output {
	case "text":
		return func(s preflight.Step) {
			fmt.Fprintf(w, "%-8s %-14s %s\n", s.Result, s.Name, s.Detail)
			if s.Remedy != "" {
				fmt.Fprintf(w, "%-8s %-14s %s\n", "", "what to do:", s.Remedy)
			}
		}, nil
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return func(s preflight.Step) { _ = encoder.Encode(s) }, nil
	default:
		return nil, fmt.Errorf("--output is %q: it can be text or json", output)
	}
}
