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

// changeOptions are those that all commands share which change one license: "revoke", "extend", "delete".
type changeOptions struct {
	*licensePlace
	name   string
	yes    bool
	output format
}

func (o *changeOptions) addTo(cmd *cobra.Command, formats ...string) {
	o.addDryRun(cmd)
	o.output.addTo(cmd, formats...)
}

func (o *changeOptions) validate(_ *cobra.Command, args []string) error {
	o.name = args[0]
	return errors.Join(o.output.validate(), o.licensePlace.validate())
}

// ask asks the user before a license ends, and says whose it is. It looks the license up with --yes too: a
// name that does not exist is an error.
func (o *changeOptions) ask(ctx context.Context, verb string) error {
	store, err := o.open(0)
	if err != nil {
		return err
	}
	var whose string
	l, err := store.Get(ctx, o.name)
	mistake, mistaken := errors.AsType[*license.MistakeError](err)
	switch {
	case mistaken:
		o.say("License %s has a mistake: %s", o.name, strings.ReplaceAll(mistake.Error(), "\n", "; "))
	case err != nil:
		return err
	default:
		whose = fmt.Sprintf(" of %q for %s", l.Spec.CustomerName, l.Spec.AppSlug)
	}
	kept := o.dryRun == dryRunClient || o.dryRun == dryRunServer
	return o.consent(o.yes || kept, fmt.Sprintf("%s license %s%s in %s?", verb, o.name, whose, o.licensePlace))
}

// change edits a license and prints what became of it.
func (o *changeOptions) change(
	ctx context.Context, what func(*v1alpha1.License) string, edit func(*v1alpha1.License) error,
) error {
	store, err := o.open(0)
	if err != nil {
		return err
	}
	l, err := store.Update(ctx, o.name, edit)
	if err != nil {
		return err
	}
	o.remark(l)
	return o.printChanged(&o.output, l, what(l))
}

// remark warns when the changed license still admits nobody.
func (p *licensePlace) remark(l *v1alpha1.License) {
	switch state := license.StateOf(l, time.Now()); state {
	case license.Valid:
	case license.NoIDs:
		p.say("License %s has no ids, so nobody can pull with it. To make one: %s",
			l.Name, p.command("rotate", l.Name))
	default:
		p.say("License %s is %s, so nobody can pull with it. For more: %s",
			l.Name, state, p.command("show", l.Name))
	}
}
