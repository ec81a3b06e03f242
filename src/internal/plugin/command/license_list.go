// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// listOptions are those of "license list".
type listOptions struct {
	*licensePlace
	slug, customer string
	selector       string
	expiring       string
	sortBy         string
	noHeaders      bool
	matching       labels.Selector
	within         time.Duration
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
  kubectl lsp license list --dir ./licenses -o name

  # Whom to remind of the renewal
  kubectl lsp license list --expiring 30d --sort-by expires`,
		Args: exactly(),
		RunE: runVerb(o),
	}
	cmd.Flags().StringVar(&o.slug, "app", "", "only licenses of this application")
	cmd.Flags().StringVar(&o.customer, "customer", "", "only licenses of this customer")
	cmd.Flags().StringVarP(&o.selector, "selector", "l", "", "only licenses whose labels match, as in kubectl")
	cmd.Flags().StringVar(&o.expiring, "expiring", "", "only valid licenses that end within this time, such as 30d")
	cmd.Flags().StringVar(&o.sortBy, "sort-by", "name", "sort by "+strings.Join(slices.Sorted(maps.Keys(orders())), ", "))
	cmd.Flags().BoolVar(&o.noHeaders, "no-headers", false, "leave out the head of the table")
	o.output.addTo(cmd, "", "wide", "name", "json", "yaml")
	registerCompletion(cmd, "sort-by", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return slices.Sorted(maps.Keys(orders())), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func (o *listOptions) validate(*cobra.Command, []string) error {
	var err error
	if o.matching, err = labels.Parse(o.selector); err != nil {
		return usageError{fmt.Errorf("--selector %q: %w", o.selector, err)}
	}
	if o.expiring != "" {
		if o.within, err = license.ParseSpan(o.expiring); err != nil {
			return usageError{fmt.Errorf("--expiring %q: %w", o.expiring, err)}
		}
	}
	if orders()[o.sortBy] == nil {
		return usageError{fmt.Errorf("--sort-by %q: choose one of %s",
			o.sortBy, strings.Join(slices.Sorted(maps.Keys(orders())), ", "))}
	}
	return errors.Join(o.output.validate(), o.licensePlace.validate())
}

// orders are what licenses can be sorted by. What never ends, or was never used, comes last.
func orders() map[string]func(a, b v1alpha1.License) int {
	return map[string]func(a, b v1alpha1.License) int{
		"name":     func(a, b v1alpha1.License) int { return strings.Compare(a.Name, b.Name) },
		"app":      func(a, b v1alpha1.License) int { return strings.Compare(a.Spec.AppSlug, b.Spec.AppSlug) },
		"customer": func(a, b v1alpha1.License) int { return strings.Compare(a.Spec.CustomerName, b.Spec.CustomerName) },
		"expires":  func(a, b v1alpha1.License) int { return endOf(a).Compare(endOf(b)) },
		"pulls":    func(a, b v1alpha1.License) int { return cmp.Compare(b.Status.Pulls, a.Status.Pulls) },
	}
}

// endOf is far away for a license that does not end.
func endOf(l v1alpha1.License) time.Time {
	end, err := v1alpha1.ParseTime(l.Spec.ExpiresAt)
	if err != nil || end.IsZero() {
		return time.Unix(1<<40, 0)
	}
	return end
}

// wanted reports whether a license is to be listed.
func (o *listOptions) wanted(l *v1alpha1.License, now time.Time) bool {
	switch {
	case o.slug != "" && l.Spec.AppSlug != o.slug, o.customer != "" && l.Spec.CustomerName != o.customer:
		return false
	case !o.matching.Matches(labels.Set(l.Labels)):
		return false
	case o.within > 0:
		return license.StateOf(l, now) == license.Valid && endOf(*l).Before(now.Add(o.within))
	default:
		return true
	}
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
	now := time.Now()
	all = slices.DeleteFunc(all, func(l v1alpha1.License) bool { return !o.wanted(&l, now) })
	slices.SortStableFunc(all, orders()[o.sortBy])
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
	return o.table(o.licenseTable(all, now), printers.PrintOptions{Wide: o.output.value == "wide", NoHeaders: o.noHeaders})
}

func (p *licensePlace) licenseTable(all []v1alpha1.License, now time.Time) *metav1.Table {
	t := &metav1.Table{ColumnDefinitions: columns([]string{"Name", "App", "Customer", "State", "Expires", "Last Pulled", "Pulls"},
		"Email", "Credentials", "Expires At", "Revoked At", "Images")}
	for i := range all {
		l := &all[i]
		t.Rows = append(t.Rows, metav1.TableRow{Cells: []any{
			l.Name, l.Spec.AppSlug, l.Spec.CustomerName, string(license.StateOf(l, now)), until(l.Spec.ExpiresAt, now),
			p.counted(pulledAgo(l, now)), p.counted(strconv.FormatInt(l.Status.Pulls, 10)),
			orNone(l.Spec.CustomerEmail), strconv.Itoa(len(l.Spec.Credentials)), orNone(l.Spec.ExpiresAt), revokedAt(l), license.ImagesOf(l),
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
