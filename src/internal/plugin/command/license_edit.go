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
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// editOptions are those of "license edit".
type editOptions struct {
	changeOptions
	pulls            pullsFlag
	setsPulls        bool
	all              bool
	set, add, remove imagesFlag
}

func newLicenseEdit(p *licensePlace) *cobra.Command {
	o := &editOptions{changeOptions: changeOptions{licensePlace: p}}
	cmd := &cobra.Command{
		Use:   "edit NAME [--image PATTERN]... [--concurrent-pulls NUMBER]",
		Short: "Set which images a customer may pull, and how much at once",
		Long: `Set which images a customer may pull, and how much at once.

--image names what the license opens from now on, in place of what it opened before. --add-image and
--remove-image change single patterns. A pattern is repository[:tag], such as team/api:v1.*: a * stands for
any characters within a segment or tag, and ** for any number of segments. The next request is decided by it.

--concurrent-pulls counts for each replica of the server. Further pulls wait for half a minute, and are then
refused with 429. "default" is what the server has for all licenses. A change counts at once, also for pulls
that wait. Downloads under way finish.`,
		Example: `  # Two images, one of them in its first version alone
  kubectl lsp license edit acme --image 'team/api:v1.*' --image team/web

  # The customer has bought the second version, too
  kubectl lsp license edit acme --add-image 'team/api:v2.*'

  # All of the application
  kubectl lsp license edit acme --all-images

  # For a customer with a thousand nodes
  kubectl lsp license edit acme --concurrent-pulls 256`,
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE:              runVerb(o),
	}
	o.set.addTo(cmd, "image", "pattern of images that the license opens, in place of those before; can be repeated")
	o.add.addTo(cmd, "add-image", "pattern that the license opens, too")
	o.remove.addTo(cmd, "remove-image", "pattern that the license opens no more, as show prints it")
	cmd.Flags().BoolVar(&o.all, "all-images", false, "open all images of the application")
	o.pulls.addTo(cmd.Flags())
	registerCompletion(cmd, "concurrent-pulls", cobra.NoFileCompletions)
	o.addTo(cmd, "", "name", "json", "yaml")
	return cmd
}

func (o *editOptions) validate(cmd *cobra.Command, args []string) error {
	if o.setsPulls = cmd.Flags().Changed("concurrent-pulls"); !o.setsPulls && o.images().Empty() {
		return usageError{errors.New("nothing to change: write --image, --add-image, --remove-image, --all-images or --concurrent-pulls")}
	}
	ways := 0
	for _, given := range []bool{o.all, len(o.set.patterns) > 0, len(o.add.patterns)+len(o.remove.patterns) > 0} {
		if given {
			ways++
		}
	}
	if ways > 1 {
		return usageError{errors.New("--image, --all-images, and --add-image with --remove-image contradict each other: write one of them")}
	}
	if err := errors.Join(o.pulls.validate(), o.set.validate(), o.add.validate()); err != nil {
		return err
	}
	return o.changeOptions.validate(cmd, args)
}

// images are what is to change of them.
func (o *editOptions) images() license.ImageChange {
	return license.ImageChange{All: o.all, Set: o.set.patterns, Add: o.add.patterns, Remove: o.remove.patterns}
}

func (o *editOptions) run(ctx context.Context) error {
	return o.change(ctx, o.edited, func(l *v1alpha1.License) error {
		if o.setsPulls {
			l.Spec.Limits.ConcurrentPulls = o.pulls.number
		}
		return o.images().Apply(l)
	})
}

// edited says what was changed.
func (o *editOptions) edited(l *v1alpha1.License) string {
	text := "edited"
	if !o.images().Empty() {
		text += ", images: " + license.ImagesOf(l)
	}
	if o.setsPulls {
		text += ", concurrent pulls: " + pullsOf(l)
	}
	return text
}

// imagesFlag is a flag with patterns of images.
type imagesFlag struct {
	name     string
	patterns []string
}

func (f *imagesFlag) addTo(cmd *cobra.Command, name, usage string) {
	f.name = name
	cmd.Flags().StringArrayVar(&f.patterns, name, nil, usage)
	registerCompletion(cmd, name, cobra.NoFileCompletions)
}

func (f *imagesFlag) validate() error {
	for _, pattern := range f.patterns {
		if err := license.CheckImage(pattern); err != nil {
			return usageError{fmt.Errorf("--%s %q %w", f.name, pattern, err)}
		}
	}
	return nil
}

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
