// SPDX-License-Identifier: Apache-2.0

package command

import (
	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/version"
)

// newRoot is the whole tree of commands. A new subcommand is added here.
func newRoot(a *app) *cobra.Command {
	root := parent(&cobra.Command{
		Use:         "kubectl-lsp",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl lsp"},
		Short:       "Push source code to your organisation's registry with nothing but a kubeconfig",
		Long: `Push source code (or any image) to your organisation's registry with nothing but a kubeconfig.

Local Source Proxy runs in the cluster and holds the registry's credential. You need no credential of your
own. Results go to standard output. Everything else goes to standard error.`,
		Example: `  # Push the current directory as the source of "web"; prints the image to build from
  kubectl lsp push --name web

  # Push and create or update the Workload in one go
  kubectl lsp workload apply web --local-path .

  # Something does not work: find out what
  kubectl lsp doctor

  # Let a customer pull private images for a month
  kubectl lsp license create --app shop --customer Acme --expires 30d --domain proxy.example.com

  # A registry on this machine for docker, ko, Tilt, Skaffold, crane, imgpkg ...
  kubectl lsp registry --port 5001`,
		Version:           version.Get().String(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return a.checkFlags(cmd) },
	},
		newPush(a), newHealth(a), newDoctor(a), newWorkload(a), newRegistry(a), newLicense(a), newRewrite(a),
		newMirror(a), newHelmValues(a), newSupportBundle(a), newVersion(a))
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	a.addKubeFlags(root)
	refuseUnknownHelp(root)
	a.completeKubeFlags(root)
	return root
}

// refuseUnknownHelp makes "help" of an unknown command an error. Cobra exits with 0 there.
func refuseUnknownHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "help" {
			continue
		}
		cmd.Args = func(_ *cobra.Command, args []string) error {
			found, rest, err := root.Find(args)
			if err != nil {
				return usageError{err}
			}
			return noCommand(found, rest)
		}
	}
}
