// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
)

// healthOptions are those of "health".
type healthOptions struct {
	*app
	output format
	// always prints the object also where nobody answered, for scripts that named a format.
	always bool
}

func newHealth(a *app) *cobra.Command {
	o := &healthOptions{app: a}
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Say whether the proxy works for you",
		Long: `Say whether the proxy works for you, with the fields of "tanzu apps lsp health".

It also has the way in, and the target of your pushes. Through the namespaced API, it has the namespace, who
you are, and how namespaces share the registry (tenancy).

The exit code is 0 only when everything is well. "kubectl lsp doctor" finds the reason when it is not.

With -o the command prints its object whatever happens.`,
		Example: "  kubectl lsp health\n  kubectl lsp health -o json",
		Args:    exactly(),
		RunE:    runVerb(o),
	}
	a.addVia(cmd)
	o.output.addTo(cmd, "yaml", "json")
	return cmd
}

func (o *healthOptions) validate(cmd *cobra.Command, _ []string) error {
	o.always = cmd.Flags().Changed("output")
	return o.output.validate()
}

func (o *healthOptions) run(ctx context.Context) error {
	health, err := o.checkHealth(ctx, false)
	if _, mistake := errors.AsType[usageError](err); mistake || err != nil && !o.always {
		return err
	}
	if err := errors.Join(o.output.print(o.app, health), err); err != nil {
		return err
	}
	if !health.OverallHealth {
		return silent{}
	}
	return nil
}

// checkHealth returns what there is to print, with or without an error. quiet is that of [app.client].
func (a *app) checkHealth(ctx context.Context, quiet bool) (doctor.Health, error) {
	client, err := a.client(quiet)
	if err != nil {
		return doctor.Unreachable(err), err
	}
	defer client.CloseIdle()
	health, err := doctor.CheckHealth(ctx, client)
	if err != nil {
		return doctor.Unreachable(err), err
	}
	return health, nil
}
