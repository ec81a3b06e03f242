// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/cli-runtime/pkg/printers"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

// tailOptions are those of "workload tail".
type tailOptions struct {
	*app
	name, component string
	since           time.Duration
	timestamps      bool
}

func newWorkloadTail(a *app) *cobra.Command {
	o := &tailOptions{app: a}
	cmd := &cobra.Command{
		Use:   "tail NAME",
		Short: "Follow the logs of a Workload's pods until Ctrl-C",
		Long: `Follow the logs of a Workload's pods until Ctrl-C, which is success.

Pods that the supply chain makes later are followed as well, and shown from their beginning. Of pods that are
there already, only lines of the last minute are shown; --since shows older ones.`,
		Example: `  kubectl lsp workload tail web

  # The build of the last hour
  kubectl lsp workload tail web --component build --since 1h --timestamps`,
		Args:              exactly("NAME"),
		RunE:              runVerb(o),
		ValidArgsFunction: a.completeWorkloads,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.component, "component", "", "only pods of this component, such as build")
	flags.DurationVar(&o.since, "since", time.Minute, "how old lines may be, such as 1h; 0 shows all of them")
	flags.BoolVarP(&o.timestamps, "timestamps", "t", false, "show when each line was written")
	flags.BoolVar(&o.timestamps, "timestamp", false, "as --timestamps")
	flags.Lookup("timestamp").Hidden = true // the Apps CLI's name for it
	return cmd
}

func (o *tailOptions) validate(_ *cobra.Command, args []string) error {
	o.name = args[0]
	if o.since < 0 {
		return usageError{fmt.Errorf("--since %s: write a duration such as 1h", o.since)}
	}
	if len(validation.IsValidLabelValue(o.component)) > 0 {
		return usageError{fmt.Errorf("--component %q cannot be a component", o.component)}
	}
	return nil
}

func (o *tailOptions) run(ctx context.Context) error {
	workloads, namespace, err := o.workloads()
	if err != nil {
		return err
	}
	if _, err := workloads.Get(ctx, o.name, metav1.GetOptions{}); err != nil {
		return fmt.Errorf("get Workload %s in namespace %s: %w", o.name, namespace, err)
	}
	tail, err := o.tailOf(namespace, o.name, o.out, o.timestamps)
	if err != nil {
		return err
	}
	tail.Component, tail.Since = o.component, o.since
	return orAskForLogs(tail.Run(ctx))
}

// tailOf follows a Workload's pods, and writes their lines as the Apps CLI does.
func (a *app) tailOf(namespace, name string, to io.Writer, timestamps bool) (*workload.Tail, error) {
	config, err := a.config()
	if err != nil {
		return nil, err
	}
	config.Timeout = 0                 // a log is followed for as long as it grows
	config.QPS, config.Burst = 50, 100 // a build has many containers
	client, err := clientset(config)
	if err != nil {
		return nil, err
	}
	terminal := isTerminal(to)
	return &workload.Tail{
		Client: client, Namespace: namespace, Workload: name, Notify: a.notify(false),
		Line: func(l workload.Line) {
			if timestamps && l.Time != "" {
				l.Text = l.Time + " " + l.Text
			}
			if terminal {
				l.Text = printers.EscapeTerminal(l.Text)
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			fmt.Fprintf(to, "%s[%s] %s\n", l.Pod, l.Container, l.Text)
		},
	}, nil
}

// orAskForLogs names the rights that are missing.
func orAskForLogs(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; ask for a Role with list on pods and get on pods/log", err)
}

// addTail defines the flags of "workload apply" for logs.
func (o *applyOptions) addTail(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&o.tail, "tail", false,
		"wait until the Workload is ready, and show the logs of its pods meanwhile")
	flags.BoolVar(&o.tailTimestamps, "tail-timestamp", false, "as --tail, with the time of each line")
}

// awaitAndTail waits until the Workload is ready. With --tail it shows logs on standard error: standard output
// is for the result. Without the right to read them it waits all the same.
func (o *applyOptions) awaitAndTail(ctx context.Context, wait func(context.Context) error) error {
	if !o.tail && !o.tailTimestamps {
		return wait(ctx)
	}
	tail, err := o.tailOf(o.request.Namespace, o.request.Name, o.errOut, o.tailTimestamps)
	if err != nil {
		return err
	}
	tail.Since = time.Minute
	tailing, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := orAskForLogs(tail.Run(tailing)); err != nil {
			o.say("No logs: %v.", err)
		}
	}()
	err = wait(ctx)
	stop()
	<-ended
	return err
}
