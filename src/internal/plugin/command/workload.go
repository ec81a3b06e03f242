// SPDX-License-Identifier: Apache-2.0

package command

import "github.com/spf13/cobra"

func newWorkload(a *app) *cobra.Command {
	return parent(&cobra.Command{
		Use:   "workload",
		Short: "Create and update Workloads (carto.run/v1alpha1) from local source",
	}, newWorkloadApply(a))
}
