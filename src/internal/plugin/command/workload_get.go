// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// workloadGetOptions are those of "workload get".
type workloadGetOptions struct {
	*app
	name   string
	output format
}

func newWorkloadGet(a *app) *cobra.Command {
	o := &workloadGetOptions{app: a}
	cmd := &cobra.Command{
		Use:               "get NAME",
		Short:             "Show a Workload: its source, whether it is ready, and why not",
		Example:           "  kubectl lsp workload get web\n  kubectl lsp workload get web -o yaml",
		Args:              exactly("NAME"),
		RunE:              runVerb(o),
		ValidArgsFunction: a.completeWorkloads,
	}
	o.output.addTo(cmd, "", "name", "json", "yaml")
	return cmd
}

func (o *workloadGetOptions) validate(_ *cobra.Command, args []string) error {
	o.name = args[0]
	return o.output.validate()
}

func (o *workloadGetOptions) run(ctx context.Context) error {
	workloads, namespace, err := o.workloads()
	if err != nil {
		return err
	}
	w, err := workloads.Get(ctx, o.name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get Workload %s in namespace %s: %w", o.name, namespace, err)
	}
	switch o.output.value {
	case "":
		return o.describeWorkload(w)
	case "name":
		return o.line(workloadName(w))
	default:
		return o.output.print(o.app, w.Object)
	}
}
