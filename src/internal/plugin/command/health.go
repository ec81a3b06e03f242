// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
)

func newHealth(a *app) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Say whether the proxy works for you",
		Long: `Say whether the proxy works for you, with the fields that "tanzu apps lsp health" has. The exit code is 0 only when
everything is well. "kubectl lsp doctor" finds out why it is not.`,
		Example: "  kubectl lsp health\n  kubectl lsp health -o json",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.check(); err != nil {
				return err
			}
			client, err := a.client()
			if err != nil {
				return err
			}
			defer client.CloseIdle()
			health, err := doctor.CheckHealth(cmd.Context(), client)
			if err != nil {
				return err
			}
			if err := output.print(a, health); err != nil {
				return err
			}
			if !health.OverallHealth {
				return silent{}
			}
			return nil
		},
	}
	output.addTo(cmd, "yaml", "json")
	return cmd
}

func newDoctor(a *app) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Walk the whole way to the registry and name the first step that fails, with its remedy",
		Long: `Walk the whole way to the registry: kubeconfig, API server, RBAC, service, pod, upstream token, push scope. The first step
that fails is named with what to do about it; the exit code is then 1. An upload is started and cancelled, nothing is pushed.`,
		Example: "  kubectl lsp doctor\n  kubectl lsp doctor --context staging -o yaml",
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.check(); err != nil {
				return err
			}
			opts := doctor.Options{Config: a.where}
			if a.server != "" {
				client, err := a.client()
				if err != nil {
					return err
				}
				defer client.CloseIdle()
				opts.Client = client
			}
			steps := doctor.Examine(cmd.Context(), opts)
			if output.value != "" {
				if err := output.print(a, steps); err != nil {
					return err
				}
			} else {
				a.printSteps(steps)
			}
			if !doctor.Healthy(steps) {
				return silent{}
			}
			return nil
		},
	}
	output.addTo(cmd, "", "json", "yaml")
	return cmd
}

// where loads the configuration and says which one it is.
func (a *app) where() (*rest.Config, string, error) {
	raw, err := a.kube.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, "", fmt.Errorf("read the kubeconfig: %w", err)
	}
	config, err := a.config()
	if err != nil {
		return nil, "", elsewhere(err, "a proxy's address with --server")
	}
	name := raw.CurrentContext
	if *a.kube.Context != "" {
		name = *a.kube.Context
	}
	return config, fmt.Sprintf("context %q, %s", name, config.Host), nil
}

func (a *app) printSteps(steps []doctor.Step) {
	for _, s := range steps {
		fmt.Fprintf(a.out, "%-8s %-15s %s\n", s.Status, s.Name, s.Detail)
		if s.Remedy != "" {
			fmt.Fprintf(a.out, "%-8s %-15s -> %s\n", "", "", s.Remedy)
		}
	}
}
