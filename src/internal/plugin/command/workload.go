// SPDX-License-Identifier: Apache-2.0

package command

import "github.com/spf13/cobra"

func newWorkload(a *app) *cobra.Command {
	return parent(&cobra.Command{
		Use:   "workload",
		Short: "Create, update, show, follow and delete Workloads (carto.run/v1alpha1)",
	}, newWorkloadApply(a), newWorkloadGet(a), newWorkloadList(a), newWorkloadTail(a), newWorkloadDelete(a))
}
