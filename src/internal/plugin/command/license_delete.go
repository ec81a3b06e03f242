// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// deleteOptions are those of "license delete".
type deleteOptions struct{ changeOptions }

func newLicenseDelete(p *licensePlace) *cobra.Command {
	o := &deleteOptions{changeOptions{licensePlace: p}}
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a license, after which its id is unknown",
		Long: `Delete a license, after which its id is unknown. The command asks before it does; with --yes
it does not ask.

The server tells a customer when a license is revoked. It cannot tell a deleted license from a wrong password.
With --dir, the command also removes the license's file if nothing else is in it.`,
		Example:           "  kubectl lsp license delete acme",
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE:              runVerb(o),
	}
	o.addTo(cmd, "", "name")
	addYes(cmd, &o.yes)
	return cmd
}

func (o *deleteOptions) run(ctx context.Context) error {
	store, err := o.open(0)
	if err != nil {
		return err
	}
	if err := o.ask(ctx, "Delete"); err != nil {
		return err
	}
	if err := store.Delete(ctx, o.name); err != nil {
		return err
	}
	l := &v1alpha1.License{}
	l.Name = o.name
	return o.printChanged(&o.output, l, "deleted")
}
