// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
)

// pushOptions are those of "push".
type pushOptions struct {
	*app
	name   string
	source sourceFlags
	output format
}

// pushed is the result of "push" for programs.
type pushed struct {
	Reference string `json:"reference"`
	push.Result
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
}

func newPush(a *app) *cobra.Command {
	o := &pushOptions{app: a}
	cmd := &cobra.Command{
		Use:   "push --name NAME",
		Short: "Push a source tree and print the image that it became",
		Long: `Push a source tree and print the image that it became, as repository:tag@digest.

The tag is <namespace>-<name>. The same tree has the same digest on every machine. A tree that has not changed
uploads nothing. After an interruption, run the same command again: it continues the upload where it stopped.

The push leaves ".git" out, unless the exclude file takes it back with "!.git".`,
		Example: `  # The current directory
  kubectl lsp push --name web

  # A jar, for another namespace, as JSON for a script
  kubectl lsp push --name web --local-path target/app.jar -n team-a -o json

  # Through a port-forward, without a kubeconfig
  kubectl lsp push --name web --server http://localhost:5002`,
		Args: exactly(),
		RunE: runVerb(o),
	}
	cmd.Flags().StringVar(&o.name, "name", "", "name of the workload that the source belongs to (required)")
	o.source.addTo(cmd, ".")
	o.output.addTo(cmd, "name", "json", "yaml")
	registerCompletion(cmd, "name", a.completeWorkloads)
	return cmd
}

func (o *pushOptions) validate(cmd *cobra.Command, _ []string) error {
	if err := o.output.validate(); err != nil {
		return err
	}
	if o.name == "" {
		return usageError{errors.New("--name is missing")}
	}
	return o.source.validate(cmd)
}

func (o *pushOptions) run(ctx context.Context) error {
	namespace, err := o.namespace()
	if err != nil {
		return err
	}
	tag, err := tagOf(namespace, o.name)
	if err != nil {
		return err
	}
	client, err := o.client()
	if err != nil {
		return err
	}
	defer client.CloseIdle()
	img, repository, err := o.packAndAsk(ctx, client, &o.source)
	if err != nil {
		return err
	}
	defer img.Close()
	result, err := o.send(ctx, client, img, tag, repository, o.source.quiet)
	if err != nil {
		return err
	}
	if o.output.value != "name" {
		return o.output.print(o.app, pushed{result.Reference(), result, img.Files, img.Bytes})
	}
	return o.line(result.Reference())
}
