// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// workloadDeleteOptions are those of "workload delete".
type workloadDeleteOptions struct {
	*app
	name string
	yes  bool
}

func newWorkloadDelete(a *app) *cobra.Command {
	o := &workloadDeleteOptions{app: a}
	cmd := &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a Workload, and with it what the supply chain made of it",
		Long: `Delete a Workload, and with it what the supply chain made of it. The command asks before it does; with --yes
it does not ask. The pushed source stays in the registry.`,
		Example:           "  kubectl lsp workload delete web",
		Args:              exactly("NAME"),
		RunE:              runVerb(o),
		ValidArgsFunction: a.completeWorkloads,
	}
	addYes(cmd, &o.yes)
	return cmd
}

func (o *workloadDeleteOptions) validate(_ *cobra.Command, args []string) error {
	o.name = args[0]
	return nil
}

func (o *workloadDeleteOptions) run(ctx context.Context) error {
	workloads, namespace, err := o.workloads()
	if err != nil {
		return err
	}
	if _, err := workloads.Get(ctx, o.name, metav1.GetOptions{}); err != nil {
		return fmt.Errorf("get Workload %s in namespace %s: %w", o.name, namespace, err)
	}
	if err := o.consent(o.yes, fmt.Sprintf("Delete Workload %s in namespace %s?", o.name, namespace)); err != nil {
		return err
	}
	if err := workloads.Delete(ctx, o.name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("delete Workload %s in namespace %s: %w", o.name, namespace, err)
	}
	return o.line("workload.carto.run/" + o.name + " deleted")
}
