// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// listOptions are those of "license list".
type listOptions struct {
	*licensePlace
	slug, customer string
	output         format
}

func newLicenseList(p *licensePlace) *cobra.Command {
	o := &listOptions{licensePlace: p}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List licenses: whose, until when, and when they were last used",
		Long: `List licenses: whose, until when, and when they were last used.

In a cluster the object says when and how often a license was used. With --dir these columns show "-";
"pulls" reads the log instead. The command names on standard error what the server leaves out of a directory,
such as a license whose name or id another one has.`,
		Example: `  kubectl lsp license list
  kubectl lsp license list --app shop -o wide
  kubectl lsp license list --dir ./licenses -o name`,
		Args: exactly(),
		RunE: runVerb(o),
	}
	cmd.Flags().StringVar(&o.slug, "app", "", "only licenses of this application")
	cmd.Flags().StringVar(&o.customer, "customer", "", "only licenses of this customer")
	o.output.addTo(cmd, "", "wide", "name", "json", "yaml")
	return cmd
}

func (o *listOptions) validate(*cobra.Command, []string) error {
	return errors.Join(o.output.validate(), o.licensePlace.validate())
}

func (o *listOptions) run(ctx context.Context) error {
	store, err := o.open(0)
	if err != nil {
		return err
	}
	all, err := store.List(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(l v1alpha1.License) bool {
		return o.slug != "" && l.Spec.AppSlug != o.slug || o.customer != "" && l.Spec.CustomerName != o.customer
	})
	switch o.output.value {
	case "json", "yaml":
		return o.output.print(o.app, v1alpha1.LicenseList{
			TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.LicenseKind + "List"}, Items: all,
		})
	case "name":
		for i := range all {
			if err := o.line(resourceName(&all[i])); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		o.say("No licenses in %s.", o.licensePlace)
		return nil
	}
	return o.table(o.licenseTable(all, time.Now()), o.output.value == "wide")
}

func (p *licensePlace) licenseTable(all []v1alpha1.License, now time.Time) *metav1.Table {
	t := &metav1.Table{ColumnDefinitions: columns([]string{"Name", "App", "Customer", "State", "Expires", "Last Pulled", "Pulls"},
		"Email", "Credentials", "Expires At", "Revoked At")}
	for i := range all {
		l := &all[i]
		t.Rows = append(t.Rows, metav1.TableRow{Cells: []any{
			l.Name, l.Spec.AppSlug, l.Spec.CustomerName, string(license.StateOf(l, now)), until(l.Spec.ExpiresAt, now),
			p.counted(pulledAgo(l, now)), p.counted(strconv.FormatInt(l.Status.Pulls, 10)),
			orNone(l.Spec.CustomerEmail), strconv.Itoa(len(l.Spec.Credentials)), orNone(l.Spec.ExpiresAt), revokedAt(l),
		}})
	}
	return t
}

// until tells people when something ends.
func until(text string, now time.Time) string {
	switch end, err := v1alpha1.ParseTime(text); {
	case err != nil:
		return "<invalid>"
	case end.IsZero():
		return "never"
	case end.After(now):
		return "in " + duration.HumanDuration(end.Sub(now))
	default:
		return duration.HumanDuration(now.Sub(end)) + " ago"
	}
}

// counted is text that the server writes into a cluster's object. In a directory it writes nothing.
func (p *licensePlace) counted(text string) string {
	if p.dir != "" {
		return "-"
	}
	return text
}

func pulledAgo(l *v1alpha1.License, now time.Time) string {
	if l.Status.LastPulled == nil {
		return none
	}
	return duration.HumanDuration(now.Sub(l.Status.LastPulled.Time)) + " ago"
}

func revokedAt(l *v1alpha1.License) string {
	switch since := license.RevokedSince(l); {
	case !l.Spec.Revoked:
		return none
	case since.IsZero():
		return "<unknown>"
	default:
		return since.UTC().Format(time.RFC3339)
	}
}
