// SPDX-License-Identifier: Apache-2.0

package command

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/dynamic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/license"
)

func newLicense(a *app) *cobra.Command {
	p := &licensePlace{app: a}
	cmd := &cobra.Command{
		Use:   "license",
		Short: "Let customers pull a vendor's private images with a license, and end it",
		Long: `Let customers pull a vendor's private images with a license, and end it.

A license is a custom resource in the namespace of the package (tap-local-source-system, or --namespace; the namespace of your
context does not count), or, with --dir, a document in the directory that "local-source-proxy serve --image-proxy-dir" reads. The
server takes a change up in less than a second.

A customer's password is the license id. It is made by "create" and "rotate", which show it once; what is kept is its hash.`,
		Example: `  # Let Acme pull the images of "shop" for a month
  kubectl lsp license create --app shop --customer Acme --expires 30d --domain proxy.example.com

  # Who has what
  kubectl lsp license list

  # End it, and take that back
  kubectl lsp license revoke acme
  kubectl lsp license revoke acme --undo`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if p.dir == "" && cmd.Flags().Changed("dir") {
				return usageError{errors.New("--dir is empty: name the directory, or leave --dir out for the cluster")}
			}
			return p.checkNamespace()
		},
	}
	cmd.PersistentFlags().StringVar(&p.dir, "dir", "", "directory of the licenses' YAML files, instead of a cluster")
	if err := cmd.MarkPersistentFlagDirname("dir"); err != nil {
		cmd.PrintErrln("completion of --dir:", err)
	}
	cmd.AddCommand(newLicenseCreate(p), newLicenseList(p), newLicenseShow(p), newLicenseRevoke(p), newLicenseExtend(p),
		newLicenseRotate(p), newLicenseDelete(p), newLicensePulls(p))
	for _, sub := range cmd.Commands() {
		do := sub.RunE
		sub.RunE = func(cmd *cobra.Command, args []string) error { return p.withHint(do(cmd, args)) }
	}
	return cmd
}

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

func (p *licensePlace) check() error {
	switch {
	case p.server != "":
		return usageError{errors.New("--server leads to a proxy; licenses are in a cluster (--context), or in a directory (--dir)")}
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

// packageNamespace is not that of the context: the server reads licenses in its own one alone.
func (a *app) packageNamespace() string { return cmp.Or(*a.kube.Namespace, apiserver.Namespace) }

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
		{"--dir", p.dir}, {"--kubeconfig", *p.kube.KubeConfig}, {"--context", *p.kube.Context}, {"--namespace", *p.kube.Namespace},
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
		return fmt.Errorf("%w; for those that there are: %s", err, p.command("list"))
	}
	return err
}

// open returns the store. A timeout of zero is none.
func (p *licensePlace) open(timeout time.Duration) (license.Store, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	var store license.Store
	if p.dir != "" {
		store = license.NewDirectory(p.dir, func(err error) { p.say("Left out: %s", apiserver.OneLine(err.Error())) })
	} else {
		config, err := p.config()
		if err != nil {
			return nil, elsewhere(err, "a directory of licenses with --dir")
		}
		if timeout > 0 {
			config.Timeout = timeout
		}
		client, err := dynamic.NewForConfig(config)
		if err != nil {
			return nil, fmt.Errorf("prepare the connection to the API server: %w", err)
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

// dryRunNote is what kubectl says behind what it did not do.
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

func (p *licensePlace) line(text string) error {
	if _, err := fmt.Fprintln(p.out, text); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

func resourceName(l *v1alpha1.License) string { return "license." + v1alpha1.Group + "/" + l.Name }
