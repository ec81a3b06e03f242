// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

// workloadListOptions are those of "workload list".
type workloadListOptions struct {
	*app
	partOf, selector string
	output           format
}

func newWorkloadList(a *app) *cobra.Command {
	o := &workloadListOptions{app: a}
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the Workloads of the namespace: type, source, whether they are ready",
		Example: "  kubectl lsp workload list\n  kubectl lsp workload list --app shop -o name",
		Args:    exactly(),
		RunE:    runVerb(o),
	}
	cmd.Flags().StringVar(&o.partOf, "app", "", "only Workloads that are part of this application")
	cmd.Flags().StringVarP(&o.selector, "selector", "l", "", "only Workloads whose labels match, as in kubectl")
	o.output.addTo(cmd, "", "name", "json", "yaml")
	return cmd
}

func (o *workloadListOptions) validate(*cobra.Command, []string) error {
	if o.partOf != "" {
		if o.selector != "" {
			o.selector += ","
		}
		o.selector += workload.PartOfLabel + "=" + o.partOf
	}
	if err := validateSelector(o.selector); err != nil {
		return err
	}
	return o.output.validate()
}

func (o *workloadListOptions) run(ctx context.Context) error {
	workloads, namespace, err := o.workloads()
	if err != nil {
		return err
	}
	all, err := workloads.List(ctx, metav1.ListOptions{LabelSelector: o.selector})
	if err != nil {
		return fmt.Errorf("list the Workloads of namespace %s: %w", namespace, err)
	}
	switch o.output.value {
	case "json", "yaml":
		return o.output.print(o.app, all)
	case "name":
		for i := range all.Items {
			if err := o.line(workloadName(&all.Items[i])); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all.Items) == 0 {
		o.say("No Workloads in namespace %s.", namespace)
		return nil
	}
	return o.table(workloadTable(all.Items), printers.PrintOptions{})
}
