// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

// licensePlace is where licenses are, and whether changes are kept.
type licensePlace struct {
	*app
	dir    string
	dryRun string
}

// The values of --dry-run, as kubectl has them.
const (
	dryRunNone   = "none"
	dryRunClient = "client"
	dryRunServer = "server"
)

// addDryRun defines --dry-run for a command that changes something.
func (p *licensePlace) addDryRun(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.dryRun, "dry-run", dryRunNone,
		`"client" sends nothing; "server" lets the API server check everything and keep nothing; "none"`)
	registerCompletion(cmd, "dry-run", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{dryRunNone, dryRunClient, dryRunServer}, cobra.ShellCompDirectiveNoFileComp
	})
}

// validate checks the flags that all commands of licenses have.
func (p *licensePlace) validate() error {
	switch {
	case p.server != "":
		return usageError{errors.New(
			"--server names a proxy; licenses are in a cluster (--context), or in a directory (--dir)")}
	case p.dir != "" && p.dryRun == dryRunServer:
		return usageError{errors.New("--dry-run=server needs a cluster; with --dir say --dry-run=client")}
	}
	switch p.dryRun {
	case "", dryRunNone, dryRunClient, dryRunServer:
		return nil
	default:
		return usageError{fmt.Errorf("--dry-run %q: choose one of none, client, server", p.dryRun)}
	}
}

// String names the place.
func (p *licensePlace) String() string {
	if p.dir != "" {
		return p.dir
	}
	return "namespace " + p.packageNamespace()
}

// command is a command line that does something in the same place.
func (p *licensePlace) command(words ...string) string {
	line := []string{"kubectl", "lsp", "license"}
	line = append(line, words...)
	for _, flag := range []struct{ name, value string }{
		{"--dir", p.dir}, {"--kubeconfig", *p.kube.KubeConfig},
		{"--context", *p.kube.Context}, {"--namespace", *p.kube.Namespace},
	} {
		if flag.value != "" {
			line = append(line, flag.name, quoted(flag.value))
		}
	}
	return strings.Join(line, " ")
}

// withHint says where to look for the right name.
func (p *licensePlace) withHint(err error) error {
	if _, missing := errors.AsType[*license.NotFoundError](err); missing {
		return fmt.Errorf("%w; to list the others: %s", err, p.command("list"))
	}
	return err
}

// open returns the store. A timeout of zero is none.
func (p *licensePlace) open(timeout time.Duration) (license.Store, error) {
	if err := p.validate(); err != nil {
		return nil, err
	}
	var store license.Store
	if p.dir != "" {
		store = license.NewDirectory(p.dir, func(err error) { p.say("Left out: %s", apiserver.OneLine(err.Error())) })
	} else {
		config, err := p.config()
		if err != nil {
			return nil, orElse(err, "a directory of licenses with --dir")
		}
		if timeout > 0 {
			config.Timeout = timeout
		}
		client, err := dynamicClient(config)
		if err != nil {
			return nil, err
		}
		store = license.NewCluster(client, p.packageNamespace(), p.dryRun == dryRunServer)
	}
	if p.dryRun == dryRunClient {
		store = license.Preview(store)
	}
	return store, nil
}

// completeNames offers the names of licenses for the first argument; the shell has no place for errors.
func (p *licensePlace) completeNames(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	store, err := p.open(completionTimeout)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := store.List(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, 0, len(all))
	for i := range all {
		names = append(names, all[i].Name+"\t"+all[i].Spec.CustomerName)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// printChanged says in kubectl's way what happened to a license, or prints it.
func (p *licensePlace) printChanged(output *format, l *v1alpha1.License, what string) error {
	switch output.value {
	case "":
		return p.line(resourceName(l) + " " + what + p.dryRunNote())
	case "name":
		return p.line(resourceName(l))
	default:
		return p.printLicense(output, l)
	}
}

// printLicense prints the object as kubectl does.
func (p *licensePlace) printLicense(output *format, l *v1alpha1.License) error {
	l = l.DeepCopy()
	l.APIVersion, l.Kind = v1alpha1.APIVersion, v1alpha1.LicenseKind
	return output.print(p.app, l)
}

// dryRunNote is what kubectl adds when it changed nothing.
func (p *licensePlace) dryRunNote() string {
	switch p.dryRun {
	case dryRunClient:
		return " (dry run)"
	case dryRunServer:
		return " (server dry run)"
	default:
		return ""
	}
}

func resourceName(l *v1alpha1.License) string { return "license." + v1alpha1.Group + "/" + l.Name }
