// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"

	"github.com/spf13/cobra"
)

func newLicense(a *app) *cobra.Command {
	p := &licensePlace{app: a}
	cmd := parent(&cobra.Command{
		Use:   "license",
		Short: "Let customers pull a vendor's private images with a license, and end it",
		Long: `Let customers pull a vendor's private images with a license, and end it.

In a cluster, a license is a custom resource in the package's namespace: tap-local-source-system, or
--namespace. The namespace of your context does not count. With --dir, a license is a document in the
directory that "local-source-proxy serve --image-proxy-dir" reads. The server uses a change in less than a
second.

A customer's password is the license id. "create" and "rotate" make one and show it once. The object keeps
its hash.`,
		Example: `  # Let Acme pull the images of "shop" for a month
  kubectl lsp license create --app shop --customer Acme --expires 30d --domain proxy.example.com

  # Who has what
  kubectl lsp license list

  # End it, and take that back
  kubectl lsp license revoke acme
  kubectl lsp license revoke acme --undo`,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if p.dir == "" && cmd.Flags().Changed("dir") {
				return usageError{errors.New(
					"--dir is empty: name the directory, or leave --dir out for the cluster")}
			}
			return p.checkNamespace()
		},
	},
		newLicenseCreate(p), newLicenseList(p), newLicenseShow(p), newLicenseRevoke(p), newLicenseExtend(p),
		newLicenseEdit(p),
		newLicenseRotate(p), newLicenseDelete(p), newLicensePulls(p))
	cmd.PersistentFlags().StringVar(&p.dir, "dir", "",
		"directory of the licenses' YAML files, instead of a cluster")
	if err := cmd.MarkPersistentFlagDirname("dir"); err != nil {
		cmd.PrintErrln("completion of --dir:", err)
	}
	for _, sub := range cmd.Commands() {
		do := sub.RunE
		sub.RunE = func(cmd *cobra.Command, args []string) error { return p.withHint(do(cmd, args)) }
	}
	return cmd
}
