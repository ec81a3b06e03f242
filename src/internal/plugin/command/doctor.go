// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/diagnosis"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
)

// doctorOptions are those of "doctor".
type doctorOptions struct {
	*app
	output format
}

func newDoctor(a *app) *cobra.Command {
	o := &doctorOptions{app: a}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Find the first step to the registry that fails, and what to do about it",
		Long: `Try every step of the way to the registry: kubeconfig, API server, RBAC, service, pod,
upstream token, push scope.

At the first step that fails, doctor says what to do about it and exits with 1. It starts an upload and
cancels it. It pushes nothing.`,
		Example: "  kubectl lsp doctor\n  kubectl lsp doctor --context staging -o yaml",
		Args:    exactly(),
		RunE:    runVerb(o),
	}
	o.output.addTo(cmd, "", "json", "yaml")
	return cmd
}

func (o *doctorOptions) validate(*cobra.Command, []string) error { return o.output.validate() }

func (o *doctorOptions) run(ctx context.Context) error {
	opts := doctor.Options{Config: o.where}
	if o.server != "" {
		client, err := o.client()
		if err != nil {
			return err
		}
		defer client.CloseIdle()
		opts.Client = client
	}
	steps := doctor.Examine(ctx, opts)
	if err := o.print(steps); err != nil {
		return err
	}
	if !diagnosis.Healthy(steps) {
		return silent{}
	}
	return nil
}

func (o *doctorOptions) print(steps []diagnosis.Step) error {
	if o.output.value != "" {
		return o.output.print(o.app, steps)
	}
	for _, step := range steps {
		if err := step.Print(o.out); err != nil {
			return fmt.Errorf("print the result: %w", err)
		}
	}
	return nil
}

// where loads the kubeconfig and says which context and API server it leads to.
func (o *doctorOptions) where() (*rest.Config, string, error) {
	raw, err := o.kube.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	config, err := o.config()
	if err != nil {
		return nil, "", orElse(err, "a proxy's address with --server")
	}
	name := raw.CurrentContext
	if *o.kube.Context != "" {
		name = *o.kube.Context
	}
	return config, fmt.Sprintf("context %q, %s", name, config.Host), nil
}
