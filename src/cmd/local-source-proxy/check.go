// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
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
starts and cancels. It pushes nothing. It stops at the first step that fails, says what to do, and exits with 1.

In the container of a server, and without flags that say otherwise, it takes the settings that the server was given.`,
		Example: `  local-source-proxy check --values-file values.yml --docker-config ~/.docker/config.json

  # in a cluster
  kubectl exec -n tap-local-source-system deploy/local-source-proxy -- /ko-app/local-source-proxy check`,
		Args: noArguments,
	}
	settingsFlags(cmd.Flags(), &sources)
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text, or json: one object a line")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		report, err := reporter(cmd.OutOrStdout(), output)
		if err != nil {
			return usageError{err}
		}
		if !given(cmd.Flags()) {
			if found, ok := served(os.DirFS("/")); ok {
				sources = found
			}
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
func reporter(w io.Writer, output string) (func(diagnosis.Step), error) {
	switch output {
	case "text":
		return func(s diagnosis.Step) {
			_ = s.Print(w) // nobody is left to tell that the output is closed
		}, nil
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return func(s diagnosis.Step) { _ = encoder.Encode(s) }, nil
	default:
		return nil, fmt.Errorf("--output is %q: it can be text or json", output)
	}
}
