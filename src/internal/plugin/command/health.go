// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
)

// healthOptions are those of "health".
type healthOptions struct {
	*app
	output format
}

func newHealth(a *app) *cobra.Command {
	o := &healthOptions{app: a}
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Say whether the proxy works for you",
		Long: `Say whether the proxy works for you, with the fields of "tanzu apps lsp health".

The exit code is 0 only when everything is well. "kubectl lsp doctor" finds the reason when it is not.`,
		Example: "  kubectl lsp health\n  kubectl lsp health -o json",
		Args:    exactly(),
		RunE:    runVerb(o),
	}
	o.output.addTo(cmd, "yaml", "json")
	return cmd
}

func (o *healthOptions) validate(*cobra.Command, []string) error { return o.output.validate() }

func (o *healthOptions) run(ctx context.Context) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	health, err := doctor.CheckHealth(ctx, client)
	if err != nil {
		return err
	}
	if err := o.output.print(o.app, health); err != nil {
		return err
	}
	if !health.OverallHealth {
		return silent{}
	}
	return nil
}
