// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// listFlags are what "license list" can be told.
type listFlags struct {
	app, customer string
	output        format
}

func newLicenseList(p *licensePlace) *cobra.Command {
	f := &listFlags{}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List licenses: whose, until when, and when they were last used",
		Long: `List licenses: whose, until when, and when they were last used.

When and how often a license was used is in the cluster's object; with --dir these columns show "-", and "pulls" reads the log. What the
server leaves out of a directory, such as a license whose name or id another one has, is told on standard error.`,
		Example: `  kubectl lsp license list
  kubectl lsp license list --app shop -o wide
  kubectl lsp license list --dir ./licenses -o name`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return p.list(cmd.Context(), f) },
	}
	cmd.Flags().StringVar(&f.app, "app", "", "only those of this application")
	cmd.Flags().StringVar(&f.customer, "customer", "", "only those of this customer")
	f.output.addTo(cmd, "", "wide", "name", "json", "yaml")
	return cmd
}

func (p *licensePlace) list(ctx context.Context, f *listFlags) error {
	if err := f.output.check(); err != nil {
		return err
	}
	store, err := p.open(0)
	if err != nil {
		return err
	}
	all, err := store.List(ctx)
	if err != nil {
		return err
	}
	all = slices.DeleteFunc(all, func(l v1alpha1.License) bool {
		return f.app != "" && l.Spec.AppSlug != f.app || f.customer != "" && l.Spec.CustomerName != f.customer
	})
	switch f.output.value {
	case "json", "yaml":
		return f.output.print(p.app, v1alpha1.LicenseList{
			TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.APIVersion, Kind: v1alpha1.LicenseKind + "List"}, Items: all,
		})
	case "name":
		for i := range all {
			if err := p.line(resourceName(&all[i])); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		p.say("No licenses in %s.", p)
		return nil
	}
	return p.table(p.licenseTable(all, time.Now()), f.output.value == "wide")
}

// table prints in kubectl's way, with control characters made harmless.
func (a *app) table(t *metav1.Table, wide bool) error {
	if err := printers.NewTablePrinter(printers.PrintOptions{Wide: wide}).PrintObj(t, a.out); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

// columns makes the head of a table; those in wide are for -o wide.
func columns(names []string, wide ...string) []metav1.TableColumnDefinition {
	var all []metav1.TableColumnDefinition
	for _, name := range names {
		all = append(all, metav1.TableColumnDefinition{Name: name, Type: "string"})
	}
	for _, name := range wide {
		all = append(all, metav1.TableColumnDefinition{Name: name, Type: "string", Priority: 1})
	}
	return all
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

// counted is for what the server writes into the objects of a cluster, and has no place for in a directory.
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

// none is what kubectl shows for nothing.
const none = "<none>"

func orNone(text string) string {
	if text == "" {
		return none
	}
	return text
}
