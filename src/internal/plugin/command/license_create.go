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

// createFlags are what "license create" can be told.
type createFlags struct {
	request license.Request
	expires string
	handout handoutFlags
	output  format
}

func newLicenseCreate(p *licensePlace) *cobra.Command {
	f := &createFlags{}
	cmd := &cobra.Command{
		Use:   "create [NAME] --app APP --customer CUSTOMER",
		Short: "Make a license, and show its id this once",
		Long: `Make a license, and show its id this once: with the line that logs in, the pull Secret, and the customer's license file. The
object has the hash of the id alone.

Without NAME one is made of the customer's. With --dir the license gets a file of its own, license-NAME.yml.

-o name and -o yaml print the object on standard output, and what the customer gets on standard error; -o json prints one object
with "id", "license", "dockerLogin", "pullSecret" and "licenseFile". With --dry-run=client nothing is stored anywhere, but the id is a
real one: it counts once the printed object is applied.`,
		Example: `  # A trial of a month, with the file for the customer
  kubectl lsp license create --app shop --customer Acme --email ops@acme.example --expires 30d \
    --domain proxy.example.com --license-file acme-license.yml

  # Outside of a cluster
  kubectl lsp license create --dir ./licenses --app shop --customer Acme

  # Into git: the object has no secret in it
  kubectl lsp license create --app shop --customer Acme --dry-run=client -o yaml > license-acme.yml`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usageError{fmt.Errorf("argument %q is one too many", args[1])}
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				f.request.Name = args[0]
			}
			return p.create(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.request.App, "app", "", "slug of the application whose images the license opens, as in references")
	flags.StringVar(&f.request.Customer, "customer", "", "whom the license is given to")
	flags.StringVar(&f.request.Email, "email", "", "how to reach them")
	flags.StringVar(&f.expires, "expires", "never",
		"when the license ends: 30d, 2w, 12h, a date (its first moment in UTC), a time (RFC 3339), or never")
	f.handout.addTo(cmd)
	p.addDryRun(cmd)
	f.output.addTo(cmd, "", "name", "json", "yaml")
	return cmd
}

// create does everything that can fail first; the id is shown when the license is stored, and not before.
func (p *licensePlace) create(ctx context.Context, f *createFlags) error {
	switch {
	case f.request.App == "":
		return usageError{errors.New("--app is missing")}
	case f.request.Customer == "":
		return usageError{errors.New("--customer is missing")}
	}
	if err := license.CheckApp(f.request.App); err != nil {
		return usageError{fmt.Errorf("--app %q %w", f.request.App, err)}
	}
	if name := f.request.Name; name != "" && len(validation.IsDNS1123Subdomain(name)) > 0 {
		return usageError{fmt.Errorf("NAME %q is not the name of an object: write lower-case letters, digits, '-' and '.'", name)}
	}
	if err := errors.Join(f.output.check(), f.handout.check()); err != nil {
		return err
	}
	var err error
	if f.request.Expires, err = ahead(f.expires, time.Now()); err != nil {
		return err
	}
	id := v1alpha1.NewID()
	l, err := license.New(f.request, v1alpha1.Hash(id))
	if err != nil {
		return usageError{fmt.Errorf("--customer: %w", err)}
	}
	if err := l.Validate(v1alpha1.InCluster); err != nil {
		return usageError{fmt.Errorf("the license would not be valid: %w", err)}
	}
	store, err := p.open(0)
	if err != nil {
		return err
	}
	return p.handOut(&f.handout, &f.output, id, "created", func(try attempt) (*v1alpha1.License, error) {
		if err := try(l); err != nil {
			return nil, err
		}
		if p.dryRun == dryRunClient && p.dir == "" {
			l.Namespace = p.packageNamespace()
		}
		if f.request.Name != "" {
			return store.Create(ctx, l)
		}
		return createUnderFreeName(ctx, store, l)
	})
}

// createUnderFreeName puts a number behind the name where others have it.
func createUnderFreeName(ctx context.Context, store license.Store, l *v1alpha1.License) (*v1alpha1.License, error) {
	const enough = 100
	base := l.Name
	for n := 2; ; n++ {
		created, err := store.Create(ctx, l)
		if _, taken := errors.AsType[*license.ExistsError](err); !taken || n > enough {
			return created, err
		}
		l.Name = fmt.Sprintf("%s-%d", base, n)
	}
}

// ahead reads when something ends, which must not be the past.
func ahead(text string, now time.Time) (time.Time, error) {
	end, err := license.ParseEnd(text)
	if err != nil {
		return time.Time{}, usageError{fmt.Errorf("--expires %q: %w", text, err)}
	}
	at := end.From(now)
	if !at.IsZero() && !at.After(now) {
		return time.Time{}, usageError{fmt.Errorf("--expires %q lies in the past; to end a license now, revoke it", text)}
	}
	return at, nil
}
