// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// revokeOptions are those of "license revoke".
type revokeOptions struct {
	changeOptions
	undo bool
}

func newLicenseRevoke(p *licensePlace) *cobra.Command {
	o := &revokeOptions{changeOptions: changeOptions{licensePlace: p}}
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "End a license now, until --undo takes it back",
		Long: `End a license now, until --undo takes it back. The command asks before it does; with --yes it
does not ask.

In less than a second the server refuses every new pull. Downloads under way end only where the server runs
with --terminate-on-revoke. Images that a node already has stay there.`,
		Example:           "  kubectl lsp license revoke acme\n  kubectl lsp license revoke acme --undo",
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE:              runVerb(o),
	}
	cmd.Flags().BoolVar(&o.undo, "undo", false, "let the license admit again")
	o.addTo(cmd, "", "name", "json", "yaml")
	addYes(cmd, &o.yes)
	return cmd
}

func (o *revokeOptions) run(ctx context.Context) error {
	if o.undo {
		return o.change(ctx, func(*v1alpha1.License) string { return "restored" }, func(l *v1alpha1.License) error {
			license.Restore(l)
			return nil
		})
	}
	if err := o.ask(ctx, "Revoke"); err != nil {
		return err
	}
	store, err := o.open(0)
	if err != nil {
		return err
	}
	l, err := store.Revoke(ctx, o.name, time.Now())
	if err != nil {
		return err
	}
	return o.printChanged(&o.output, l, "revoked")
}
