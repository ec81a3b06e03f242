// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// extendOptions are those of "license extend".
type extendOptions struct {
	changeOptions
	expires string
	end     license.End
	now     time.Time
}

func newLicenseExtend(p *licensePlace) *cobra.Command {
	o := &extendOptions{changeOptions: changeOptions{licensePlace: p}}
	cmd := &cobra.Command{
		Use:   "extend NAME --expires WHEN",
		Short: "Set another end for a license",
		Long: `Set another end for a license.

A span of time (30d, 2w, 12h) counts from the old end, or from now if the license has ended. A customer who
pays early loses nothing. A date or a time is the new end itself, so it can also shorten a license. "never"
takes the end away.`,
		Example: `  # Another month
  kubectl lsp license extend acme --expires 30d

  # Until the new year
  kubectl lsp license extend acme --expires 2027-01-01`,
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE:              runVerb(o),
	}
	cmd.Flags().StringVar(&o.expires, "expires", "",
		"the new end: 30d, 2w, 12h, a date (its first moment in UTC), a time (RFC 3339), or never")
	registerCompletion(cmd, "expires", cobra.NoFileCompletions)
	o.addTo(cmd, "", "name", "json", "yaml")
	return cmd
}

func (o *extendOptions) validate(cmd *cobra.Command, args []string) error {
	if o.expires == "" {
		return usageError{errors.New("--expires is missing")}
	}
	o.now = time.Now()
	if _, err := ahead(o.expires, o.now); err != nil {
		return err
	}
	var err error
	if o.end, err = license.ParseEnd(o.expires); err != nil {
		return err
	}
	return o.changeOptions.validate(cmd, args)
}

func (o *extendOptions) run(ctx context.Context) error {
	return o.change(ctx, extended, func(l *v1alpha1.License) error { return license.Extend(l, o.end, o.now) })
}

// extended says until when.
func extended(l *v1alpha1.License) string {
	if l.Spec.ExpiresAt == "" {
		return "extended, does not end"
	}
	return "extended until " + l.Spec.ExpiresAt
}
