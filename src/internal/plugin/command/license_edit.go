// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// editOptions are those of "license edit".
type editOptions struct {
	changeOptions
	pulls pullsFlag
}

func newLicenseEdit(p *licensePlace) *cobra.Command {
	o := &editOptions{changeOptions: changeOptions{licensePlace: p}}
	cmd := &cobra.Command{
		Use:   "edit NAME --concurrent-pulls NUMBER",
		Short: "Set how much a customer may pull at once",
		Long: `Set how much a customer may pull at once.

The number counts for each replica of the server. Further pulls wait for half a minute, and are then refused
with 429. "default" is what the server has for all licenses. A change counts at once, also for pulls that
wait; downloads under way finish.`,
		Example: `  # For a customer with a thousand nodes
  kubectl lsp license edit acme --concurrent-pulls 256

  # As all others
  kubectl lsp license edit acme --concurrent-pulls default`,
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE:              runVerb(o),
	}
	o.pulls.addTo(cmd.Flags())
	registerCompletion(cmd, "concurrent-pulls", cobra.NoFileCompletions)
	o.addTo(cmd, "", "name", "json", "yaml")
	return cmd
}

func (o *editOptions) validate(cmd *cobra.Command, args []string) error {
	if !cmd.Flags().Changed("concurrent-pulls") {
		return usageError{errors.New("--concurrent-pulls is missing")}
	}
	if err := o.pulls.validate(); err != nil {
		return err
	}
	return o.changeOptions.validate(cmd, args)
}

func (o *editOptions) run(ctx context.Context) error {
	return o.change(ctx, edited, func(l *v1alpha1.License) error {
		l.Spec.Limits.ConcurrentPulls = o.pulls.number
		return nil
	})
}

// edited says how much may be pulled.
func edited(l *v1alpha1.License) string { return "edited, concurrent pulls: " + pullsOf(l) }

// usualPulls stands for the number that a license does not name itself.
const usualPulls = "default"

// pullsOf is how many pulls a license has at once.
func pullsOf(l *v1alpha1.License) string {
	if most := l.Spec.Limits.ConcurrentPulls; most != nil {
		return strconv.FormatInt(*most, 10)
	}
	return usualPulls
}

// pullsFlag is --concurrent-pulls.
type pullsFlag struct {
	text string
	// number is nil for the usual one.
	number *int64
}

func (f *pullsFlag) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&f.text, "concurrent-pulls", usualPulls,
		"number of blobs that each replica sends the customer at once, or default: as the server has it")
}

func (f *pullsFlag) validate() error {
	if f.text == usualPulls {
		return nil
	}
	number, err := strconv.ParseInt(f.text, 10, 64)
	if err != nil || number < 1 || number > v1alpha1.MaxConcurrentPulls {
		return usageError{fmt.Errorf("--concurrent-pulls %q: write a number from 1 to %d, or %s",
			f.text, v1alpha1.MaxConcurrentPulls, usualPulls)}
	}
	f.number = &number
	return nil
}
