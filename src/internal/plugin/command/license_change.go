// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// changeFlags are what all commands that change a license can be told.
type changeFlags struct {
	yes    bool
	output format
}

func (f *changeFlags) addTo(p *licensePlace, cmd *cobra.Command) {
	p.addDryRun(cmd)
	f.output.addTo(cmd, "", "name", "json", "yaml")
}

func (f *changeFlags) addYes(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
}

func newLicenseRevoke(p *licensePlace) *cobra.Command {
	f := &changeFlags{}
	var undo bool
	cmd := &cobra.Command{
		Use:   "revoke NAME",
		Short: "End a license now, until --undo takes it back",
		Long: `End a license now, until --undo takes it back. It is asked for confirmation; --yes does not ask.

From the next request on every pull is refused, in less than a second. Downloads under way end only where the server runs with
--terminate-on-revoke. Images that a node has already stay there.`,
		Example:           "  kubectl lsp license revoke acme\n  kubectl lsp license revoke acme --undo",
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if undo {
				return p.change(cmd.Context(), args[0], f, "restored", func(l *v1alpha1.License) error {
					license.Restore(l)
					return nil
				})
			}
			if err := p.askAbout(cmd.Context(), args[0], f, "Revoke"); err != nil {
				return err
			}
			store, err := p.open(0)
			if err != nil {
				return err
			}
			l, err := store.Revoke(cmd.Context(), args[0], time.Now())
			if err != nil {
				return err
			}
			return p.printChanged(&f.output, l, "revoked")
		},
	}
	cmd.Flags().BoolVar(&undo, "undo", false, "let the license admit again")
	f.addTo(p, cmd)
	f.addYes(cmd)
	return cmd
}

func newLicenseExtend(p *licensePlace) *cobra.Command {
	f := &changeFlags{}
	var expires string
	cmd := &cobra.Command{
		Use:   "extend NAME --expires WHEN",
		Short: "Give a license another end",
		Long: `Give a license another end.

A span of time (30d, 2w, 12h) counts from the old end where that lies ahead, else from now: a customer who pays early loses
nothing. A date or a time is meant as it is, so that it can also shorten; "never" takes the end away.`,
		Example: `  # Another month
  kubectl lsp license extend acme --expires 30d

  # Until the new year
  kubectl lsp license extend acme --expires 2027-01-01`,
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if expires == "" {
				return usageError{errors.New("--expires is missing")}
			}
			now := time.Now()
			if _, err := ahead(expires, now); err != nil {
				return err
			}
			end, err := license.ParseEnd(expires)
			if err != nil {
				return err
			}
			return p.change(cmd.Context(), args[0], f, "extended", func(l *v1alpha1.License) error {
				return license.Extend(l, end, now)
			})
		},
	}
	cmd.Flags().StringVar(&expires, "expires", "", "the new end: 30d, 2w, 12h, a date (its first moment in UTC), a time (RFC 3339), or never")
	registerCompletion(cmd, "expires", cobra.NoFileCompletions)
	f.addTo(p, cmd)
	return cmd
}

func newLicenseDelete(p *licensePlace) *cobra.Command {
	f := &changeFlags{}
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a license, after which its id is unknown",
		Long: `Delete a license, after which its id is unknown. It is asked for confirmation; --yes does not ask.

A revoked license tells its customer so; a deleted one is not told from a wrong password. With --dir a file in which nothing else is goes
with it.`,
		Example:           "  kubectl lsp license delete acme",
		Args:              exactly("NAME"),
		ValidArgsFunction: p.completeNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.output.check(); err != nil {
				return err
			}
			store, err := p.open(0)
			if err != nil {
				return err
			}
			if err := p.askAbout(cmd.Context(), args[0], f, "Delete"); err != nil {
				return err
			}
			if err := store.Delete(cmd.Context(), args[0]); err != nil {
				return err
			}
			l := &v1alpha1.License{}
			l.Name = args[0]
			return p.printChanged(&f.output, l, "deleted")
		},
	}
	p.addDryRun(cmd)
	f.addYes(cmd)
	f.output.addTo(cmd, "", "name")
	return cmd
}

// askAbout shows whose license it is. It is looked up in any case: what is not there is not asked about.
func (p *licensePlace) askAbout(ctx context.Context, name string, f *changeFlags, verb string) error {
	if err := f.output.check(); err != nil {
		return err
	}
	store, err := p.open(0)
	if err != nil {
		return err
	}
	var whose string
	l, err := store.Get(ctx, name)
	mistake, mistaken := errors.AsType[*license.MistakeError](err)
	switch {
	case mistaken:
		p.say("License %s has a mistake: %s", name, strings.ReplaceAll(mistake.Error(), "\n", "; "))
	case err != nil:
		return err
	default:
		whose = fmt.Sprintf(" of %q for %s", l.Spec.CustomerName, l.Spec.AppSlug)
	}
	kept := p.dryRun == dryRunClient || p.dryRun == dryRunServer
	return p.consent(f.yes || kept, fmt.Sprintf("%s license %s%s in %s?", verb, name, whose, p))
}

// change edits a license and prints what became of it.
func (p *licensePlace) change(ctx context.Context, name string, f *changeFlags, what string, edit func(*v1alpha1.License) error) error {
	if err := f.output.check(); err != nil {
		return err
	}
	store, err := p.open(0)
	if err != nil {
		return err
	}
	l, err := store.Update(ctx, name, edit)
	if err != nil {
		return err
	}
	p.remark(l)
	return p.printChanged(&f.output, l, what)
}

// remark warns where a license admits nobody in spite of what was done.
func (p *licensePlace) remark(l *v1alpha1.License) {
	switch state := license.StateOf(l, time.Now()); state {
	case license.Valid:
	case license.NoIDs:
		p.say("License %s has no ids, so nobody can pull with it. To make one: %s", l.Name, p.command("rotate", l.Name))
	default:
		p.say("License %s is %s, so nobody can pull with it. For more: %s", l.Name, state, p.command("show", l.Name))
	}
}
