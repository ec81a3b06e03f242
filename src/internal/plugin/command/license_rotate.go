// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// rotateFlags are what "license rotate" can be told.
type rotateFlags struct {
	keepOld string
	now     bool
	handout handoutFlags
	output  format
}

func newLicenseRotate(p *licensePlace) *cobra.Command {
	f := &rotateFlags{}
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Give a license another id, and show it this once",
		Long: `Give a license another id, and show it this once, with all that "create" shows.

The old ids go on for a week, so that the customer has time to put the new one everywhere; --keep-old sets another span, --now ends them
at once. Ids that have ended are removed from the object.`,
		Example: `  kubectl lsp license rotate acme --domain proxy.example.com
  kubectl lsp license rotate acme --now   # the old one is in the wrong hands`,
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE:              func(cmd *cobra.Command, args []string) error { return p.rotate(cmd, args[0], f) },
	}
	cmd.Flags().StringVar(&f.keepOld, "keep-old", "7d", "how long the old ids go on, such as 7d, 2w or 12h")
	cmd.Flags().BoolVar(&f.now, "now", false, "end the old ids at once")
	registerCompletion(cmd, "keep-old", cobra.NoFileCompletions)
	f.handout.addTo(cmd)
	p.addDryRun(cmd)
	f.output.addTo(cmd, "", "name", "json", "yaml")
	return cmd
}

func (p *licensePlace) rotate(cmd *cobra.Command, name string, f *rotateFlags) error {
	if f.now && cmd.Flags().Changed("keep-old") {
		return usageError{errors.New("--now and --keep-old contradict each other: say one of them")}
	}
	if err := errors.Join(f.output.check(), f.handout.check()); err != nil {
		return err
	}
	var keep time.Duration
	if !f.now {
		var err error
		if keep, err = license.ParseSpan(f.keepOld); err != nil {
			return usageError{fmt.Errorf("--keep-old %q: %w, or --now", f.keepOld, err)}
		}
	}
	store, err := p.open(0)
	if err != nil {
		return err
	}
	id := v1alpha1.NewID()
	return p.handOut(&f.handout, &f.output, id, "rotated", func(try attempt) (*v1alpha1.License, error) {
		return store.Update(cmd.Context(), name, func(l *v1alpha1.License) error {
			if err := license.Rotate(l, v1alpha1.Hash(id), keep, time.Now()); err != nil {
				return err
			}
			return try(l)
		})
	})
}
