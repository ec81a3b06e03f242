// SPDX-License-Identifier: Apache-2.0

package command

import (
	"strings"

	"github.com/spf13/cobra"
)

// helmFlags are kustomize's own, for bases with helmCharts.
type helmFlags struct {
	enabled bool
	command string
}

func (h *helmFlags) addTo(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&h.enabled, "enable-helm", false,
		"let kustomize run Helm for helmCharts in the base, as kubectl kustomize --enable-helm does")
	cmd.Flags().StringVar(&h.command, "helm-command", "helm", "the Helm that --enable-helm runs")
}

// program is empty when Helm must not run.
func (h *helmFlags) program() string {
	if !h.enabled {
		return ""
	}
	return h.command
}

// apply turns "kubectl apply -k" into what builds charts too: apply has no --enable-helm.
func (h *helmFlags) apply(line string) string {
	before, dir, applies := strings.Cut(line, " -k ")
	if !h.enabled || !applies {
		return line
	}
	build := "kubectl kustomize --enable-helm "
	if h.command != "helm" {
		build += "--helm-command " + quoted(h.command) + " "
	}
	return strings.Replace(before, "kubectl apply", build+dir+" | kubectl apply", 1) + " -f -"
}
