// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// createOptions are those of "license create".
type createOptions struct {
	*licensePlace
	request license.Request
	expires string
	images  imagesFlag
	pulls   pullsFlag
	handout handoutFlags
	output  format
}

func newLicenseCreate(p *licensePlace) *cobra.Command {
	o := &createOptions{licensePlace: p}
	cmd := &cobra.Command{
		Use:   "create [NAME] --app APP --customer CUSTOMER",
		Short: "Make a license, and show its id this once",
		Long: `Make a license, and show its id this once. The object keeps only the hash of the id.

The command also prints the line that logs in, the pull Secret, and the customer's license file.

--image opens nothing but the images that it names: repository[:tag], with * for any characters within a
segment or tag, and ** for any number of segments. A registry's host before it means that registry alone.

Without NAME the command makes one from the customer's. With --dir it writes the license into a file of its
own, license-NAME.yml.

-o name and -o yaml print the object on standard output, and what the customer gets on standard error. -o
json prints one object with "id", "license", "dockerLogin", "pullSecret" and "licenseFile".

With --dry-run=client the command stores nothing. The id is a real one all the same: it counts once you apply
the printed object.`,
		Example: `  # A trial of a month, with the file for the customer
  kubectl lsp license create --app shop --customer Acme --email ops@acme.example --expires 30d \
    --domain proxy.example.com --license-file acme-license.yml

  # Nothing but two images, one of them in its first version alone
  kubectl lsp license create --app shop --customer Acme --image 'team/api:v1.*' --image team/web

  # Outside of a cluster
  kubectl lsp license create --dir ./licenses --app shop --customer Acme

  # Into git: the object has no secret in it
  kubectl lsp license create --app shop --customer Acme --dry-run=client -o yaml > license-acme.yml`,
		Args:              atMost(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              runVerb(o),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.request.App, "app", "",
		"slug of the application whose images the license opens, as in references")
	flags.StringVar(&o.request.Customer, "customer", "", "customer who gets the license")
	flags.StringVar(&o.request.Email, "email", "", "how to reach the customer")
	flags.StringVar(&o.expires, "expires", "never",
		"when the license ends: 30d, 2w, 12h, a date (its first moment in UTC), a time (RFC 3339), or never")
	o.images.addTo(cmd, "image", "pattern of images that the license opens, such as team/api:v1.*; can be repeated (default all)")
	o.pulls.addTo(flags)
	o.handout.addTo(cmd)
	o.addDryRun(cmd)
	o.output.addTo(cmd, "", "name", "json", "yaml")
	return cmd
}

func (o *createOptions) validate(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		o.request.Name = args[0]
	}
	switch {
	case o.request.App == "":
		return usageError{errors.New("--app is missing")}
	case o.request.Customer == "":
		return usageError{errors.New("--customer is missing")}
	}
	if err := license.CheckApp(o.request.App); err != nil {
		return usageError{fmt.Errorf("--app %q %w", o.request.App, err)}
	}
	if name := o.request.Name; name != "" && len(validation.IsDNS1123Subdomain(name)) > 0 {
		return usageError{fmt.Errorf(
			"NAME %q is not the name of an object: write lower-case letters, digits, '-' and '.'", name)}
	}
	if err := errors.Join(o.output.validate(), o.images.validate(), o.pulls.validate(), o.handout.validate(), o.licensePlace.validate()); err != nil {
		return err
	}
	o.request.Images, o.request.ConcurrentPulls = o.images.patterns, o.pulls.number
	var err error
	o.request.Expires, err = ahead(o.expires, time.Now())
	return err
}

// run does everything that can fail first. It shows the id once the license is stored, and not before.
func (o *createOptions) run(ctx context.Context) error {
	id := v1alpha1.NewID()
	l, err := license.New(o.request, v1alpha1.Hash(id))
	if err != nil {
		return usageError{fmt.Errorf("--customer: %w", err)}
	}
	if err := l.Validate(v1alpha1.InCluster); err != nil {
		return usageError{fmt.Errorf("the license would not be valid: %w", err)}
	}
	store, err := o.open(0)
	if err != nil {
		return err
	}
	return o.handOut(&o.handout, &o.output, id, "created", func(try attempt) (*v1alpha1.License, error) {
		if err := try(l); err != nil {
			return nil, err
		}
		if o.dryRun == dryRunClient && o.dir == "" {
			l.Namespace = o.packageNamespace()
		}
		return license.Add(ctx, store, l, o.request.Name != "")
	})
}

// ahead reads when something ends, and refuses the past.
func ahead(text string, now time.Time) (time.Time, error) {
	end, err := license.ParseEnd(text)
	if err != nil {
		return time.Time{}, usageError{fmt.Errorf("--expires %q: %w", text, err)}
	}
	at := end.From(now)
	if !at.IsZero() && !at.After(now) {
		return time.Time{}, usageError{fmt.Errorf(
			"--expires %q lies in the past; to end a license now, revoke it", text)}
	}
	return at, nil
}
