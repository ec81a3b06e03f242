// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// rotateOptions are those of "license rotate".
type rotateOptions struct {
	*licensePlace
	name    string
	keepOld string
	keep    time.Duration
	now     bool
	handout handoutFlags
	output  format
}

func newLicenseRotate(p *licensePlace) *cobra.Command {
	o := &rotateOptions{licensePlace: p}
	cmd := &cobra.Command{
		Use:   "rotate NAME",
		Short: "Make another id for a license, and show it this once",
		Long: `Make another id for a license, and show it this once, with all that "create" shows.

The old ids stay valid for a week, so that the customer has time to replace them. --keep-old sets another
span. --now ends them at once. The command removes ids that have ended from the object.`,
		Example: `  kubectl lsp license rotate acme --domain proxy.example.com
  kubectl lsp license rotate acme --now   # the old one is in the wrong hands`,
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE:              runVerb(o),
	}
	cmd.Flags().StringVar(&o.keepOld, "keep-old", "7d",
		"how long the old ids stay valid, such as 7d, 2w or 12h")
	cmd.Flags().BoolVar(&o.now, "now", false, "end the old ids at once")
	registerCompletion(cmd, "keep-old", cobra.NoFileCompletions)
	o.handout.addTo(cmd)
	o.addDryRun(cmd)
	o.output.addTo(cmd, "", "name", "json", "yaml")
	return cmd
}

func (o *rotateOptions) validate(cmd *cobra.Command, args []string) error {
	o.name = args[0]
	if o.now && cmd.Flags().Changed("keep-old") {
		return usageError{errors.New("--now and --keep-old contradict each other: say one of them")}
	}
	if err := errors.Join(o.output.validate(), o.handout.validate(), o.licensePlace.validate()); err != nil {
		return err
	}
	if o.now {
		return nil
	}
	var err error
	if o.keep, err = license.ParseSpan(o.keepOld); err != nil {
		return usageError{fmt.Errorf("--keep-old %q: %w, or --now", o.keepOld, err)}
	}
	return nil
}

func (o *rotateOptions) run(ctx context.Context) error {
	store, err := o.open(0)
	if err != nil {
		return err
	}
	id := v1alpha1.NewID()
	return o.handOut(&o.handout, &o.output, id, "rotated", func(try attempt) (*v1alpha1.License, error) {
		return store.Update(ctx, o.name, func(l *v1alpha1.License) error {
			if err := license.Rotate(l, v1alpha1.Hash(id), o.keep, time.Now()); err != nil {
				return err
			}
			return try(l)
		})
	})
}
