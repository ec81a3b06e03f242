// SPDX-License-Identifier: Apache-2.0

package command

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

func newWorkload(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "workload",
		Short: "Create and update Workloads (carto.run/v1alpha1) from local source",
		Args:  noCommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newApply(a))
	return cmd
}

// applyFlags are what "workload apply" can be told.
type applyFlags struct {
	source              sourceFlags
	request             workload.Request
	subPath, kind, app  string
	labels, env, params []string
	registryCA          string
	yes, dryRun         bool
	output              format
}

func newApply(a *app) *cobra.Command {
	f := &applyFlags{}
	cmd := &cobra.Command{
		Use:   "apply NAME",
		Short: "Push local source and create or update the Workload that builds it",
		Long: `Push local source and create or update the Workload that builds it.

The source goes through Local Source Proxy, unless --source-image is given or the Workload has a source image that the proxy
did not set: then it goes straight to that image, with the credential of your docker config. The annotation
local-source-proxy.apps.tanzu.vmware.com says whose a source is; moving to --source-image, git or a prebuilt image removes it.

The change is shown and confirmed before anything is pushed; --yes does not ask.`,
		Example: `  # From the current directory
  kubectl lsp workload apply web --local-path .

  # With a repository of your own
  kubectl lsp workload apply web --local-path . --source-image registry.example.com/me/web

  # From git, without asking
  kubectl lsp workload apply web --git-repo https://git.example.com/web --git-branch main --yes

  # What would change
  kubectl lsp workload apply web --local-path . --dry-run`,
		Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.request.Name = args[0]
			if err := f.read(cmd); err != nil {
				return err
			}
			return a.apply(cmd, f)
		},
		ValidArgsFunction: a.completeWorkloads,
	}
	f.addTo(cmd)
	return cmd
}

func (f *applyFlags) addTo(cmd *cobra.Command) {
	f.source.addTo(cmd, "")
	flags := cmd.Flags()
	flags.StringVar(&f.request.SourceImage, "source-image", "", "image of your own to push the source to, past the proxy; without --local-path, one that holds the source already")
	flags.StringVar(&f.request.Git.URL, "git-repo", "", "git repository to build from")
	flags.StringVar(&f.request.Git.Branch, "git-branch", "", "branch to build")
	flags.StringVar(&f.request.Git.Tag, "git-tag", "", "tag to build")
	flags.StringVar(&f.request.Git.Commit, "git-commit", "", "commit to build")
	flags.StringVar(&f.request.Image, "image", "", "prebuilt image to run instead of building")
	flags.StringVar(&f.subPath, "sub-path", "", `directory of the application inside the source ("" removes it)`)
	flags.StringVar(&f.kind, "type", "", "type of the workload, such as web, server or worker (default of a new one: "+workload.DefaultType+")")
	flags.StringVar(&f.app, "app", "", "application that the workload is part of")
	flags.StringArrayVar(&f.labels, "label", nil, "label to set (name=value) or remove (name-); may be repeated")
	flags.StringArrayVar(&f.env, "env", nil, "environment variable to set (NAME=value) or remove (NAME-); may be repeated")
	flags.StringArrayVar(&f.params, "param", nil, "parameter to set (name=value) or remove (name-); may be repeated")
	flags.StringVar(&f.request.ServiceAccount, "service-account", "", "service account that the supply chain acts as")
	flags.StringVar(&f.registryCA, "registry-ca-cert", "", "file with certificates to trust when the source goes straight to a registry")
	flags.BoolVarP(&f.yes, "yes", "y", false, "do not ask")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print the Workload as it would be; push and change nothing")
	f.output.addTo(cmd, "name", "json", "yaml")
	markPath(cmd, "local-path")
}

// read turns flags into the request.
func (f *applyFlags) read(cmd *cobra.Command) error {
	if err := f.output.check(); err != nil {
		return err
	}
	f.request.LocalPath = f.source.localPath
	if cmd.Flags().Changed("local-path") && f.source.localPath == "" {
		return usageError{errors.New("--local-path is empty")}
	}
	if cmd.Flags().Changed("sub-path") {
		f.request.SubPath = &f.subPath
	}
	if f.kind != "" {
		f.request.Labels = append(f.request.Labels, workload.Change{Name: workload.TypeLabel, Value: f.kind})
	}
	if f.app != "" {
		f.request.Labels = append(f.request.Labels, workload.Change{Name: workload.PartOfLabel, Value: f.app})
	}
	for _, list := range []struct {
		flag   string
		values []string
		into   *[]workload.Change
	}{{"label", f.labels, &f.request.Labels}, {"env", f.env, &f.request.Env}, {"param", f.params, &f.request.Params}} {
		for _, text := range list.values {
			change, err := workload.ParseChange(text)
			if err != nil {
				return usageError{errors.New("--" + list.flag + " " + err.Error())}
			}
			*list.into = append(*list.into, change)
		}
	}
	return nil
}
