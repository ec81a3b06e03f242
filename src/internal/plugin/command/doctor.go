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
		Long: `Try every step of the way to the registry: kubeconfig, API server, way in, RBAC, service, pod,
upstream token, push scope. The way in is the namespaced API or the Service. Of the API, doctor reads the
condition of the APIService, if you may read it.

At the first step that fails, doctor says what to do about it and exits with 1. It starts an upload and
cancels it. It pushes nothing.`,
		Example: "  kubectl lsp doctor\n  kubectl lsp doctor --context staging -o yaml",
		Args:    exactly(),
		RunE:    runVerb(o),
	}
	a.addVia(cmd)
	o.output.addTo(cmd, "", "json", "yaml")
	return cmd
}

func (o *doctorOptions) validate(*cobra.Command, []string) error { return o.output.validate() }

func (o *doctorOptions) run(ctx context.Context) error {
	opts := doctor.Options{Config: o.where, Via: o.via}
	if o.server != "" {
		client, err := o.direct()
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

// where loads the kubeconfig and says which namespace, context and API server it leads to.
func (o *doctorOptions) where() (config *rest.Config, namespace, where string, err error) {
	raw, err := o.kube.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, "", "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	if config, err = o.config(); err != nil {
		return nil, "", "", orElse(err, "a proxy's address with --server")
	}
	if namespace, err = o.namespace(); err != nil {
		return nil, "", "", err
	}
	name := raw.CurrentContext
	if *o.kube.Context != "" {
		name = *o.kube.Context
	}
	return config, namespace, fmt.Sprintf("context %q, %s", name, config.Host), nil
}
