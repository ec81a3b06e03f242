// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// showOptions are those of "license show".
type showOptions struct {
	*licensePlace
	name   string
	output format
}

func newLicenseShow(p *licensePlace) *cobra.Command {
	o := &showOptions{licensePlace: p}
	cmd := &cobra.Command{
		Use:     "show NAME",
		Aliases: []string{"get"},
		Short:   "Show a license: its state, its credentials by name and hash, what it opens, what the server says of it",
		Example: `  kubectl lsp license show acme
  kubectl lsp license show acme -o yaml`,
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE:              runVerb(o),
	}
	o.output.addTo(cmd, "", "name", "json", "yaml")
	return cmd
}

func (o *showOptions) validate(_ *cobra.Command, args []string) error {
	o.name = args[0]
	return errors.Join(o.output.validate(), o.licensePlace.validate())
}

func (o *showOptions) run(ctx context.Context) error {
	store, err := o.open(0)
	if err != nil {
		return err
	}
	l, err := store.Get(ctx, o.name)
	if err != nil {
		return err
	}
	switch o.output.value {
	case "":
		return o.describe(l, time.Now())
	case "name":
		return o.line(resourceName(l))
	default:
		return o.printLicense(&o.output, l)
	}
}

// describe writes for people, with control characters made harmless.
func (p *licensePlace) describe(l *v1alpha1.License, now time.Time) error {
	var text strings.Builder
	row := func(name, value string) { fmt.Fprintf(&text, "%-13s %s\n", name, printers.EscapeTerminal(value)) }
	row("Name:", l.Name)
	row("Application:", l.Spec.AppSlug)
	row("Customer:", l.Spec.CustomerName)
	row("Email:", orNone(l.Spec.CustomerEmail))
	row("State:", string(license.StateOf(l, now)))
	row("Expires:", ends(l.Spec.ExpiresAt, "never", now))
	row("Images:", imagesTitle(l))
	for _, pattern := range l.Spec.Images {
		row("", pattern)
	}
	row("At once:", pullsOf(l)+" pulls for each replica")
	row("Revoked:", revokedAt(l))
	row("Last pulled:", p.counted(pulledAgo(l, now)))
	row("Pulls:", p.counted(strconv.FormatInt(l.Status.Pulls, 10)))
	row("Credentials:", strconv.Itoa(len(l.Spec.Credentials)))
	for _, c := range l.Spec.Credentials {
		row("", fmt.Sprintf("%s, sha256 %.12s..., %s, ends %s",
			c.Name, c.SHA256, license.CredentialState(c, now), ends(c.ExpiresAt, "with the license", now)))
	}
	for _, c := range l.Status.Conditions {
		row(c.Type+":", fmt.Sprintf("%s since %s: %s", c.Status, c.LastTransitionTime.UTC().Format(time.RFC3339), orNone(c.Message)))
	}
	if _, err := io.WriteString(p.out, text.String()); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

// imagesTitle says how many patterns a license has.
func imagesTitle(l *v1alpha1.License) string {
	if len(l.Spec.Images) == 0 {
		return "all of the application's"
	}
	return "nothing but these"
}

// ends is the time of an end, and how far it is.
func ends(at, without string, now time.Time) string {
	if at == "" {
		return without
	}
	return at + ", " + until(at, now)
}
