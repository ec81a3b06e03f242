// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

// completionTimeout bounds what the shell waits for.
const completionTimeout = 3 * time.Second

type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

// registerCompletion completes a flag. Its error would be a mistake of this program: the flag does not exist.
func registerCompletion(cmd *cobra.Command, flag string, complete completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		cmd.PrintErrln("completion of --"+flag+":", err)
	}
}

// markPath completes a flag with files and directories.
func markPath(cmd *cobra.Command, flag string) {
	if err := cmd.MarkFlagFilename(flag); err != nil {
		cmd.PrintErrln("completion of --"+flag+":", err)
	}
}

// completeKubeFlags offers contexts, users and namespaces.
func (a *app) completeKubeFlags(root *cobra.Command) {
	offer := func(flag string, names func(context.Context) []string) {
		registerCompletion(root, flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return names(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
		})
	}
	offer("context", func(context.Context) []string {
		raw, err := a.kube.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil
		}
		return slices.Sorted(maps.Keys(raw.Contexts))
	})
	offer("user", func(context.Context) []string {
		raw, err := a.kube.ToRawKubeConfigLoader().RawConfig()
		if err != nil {
			return nil
		}
		return slices.Sorted(maps.Keys(raw.AuthInfos))
	})
	offer("namespace", a.namespaces)
}

// namespaces and workloadNames return nothing when the cluster does not answer: the shell has no place for
// errors.
func (a *app) namespaces(ctx context.Context) []string {
	config, err := a.config()
	if err != nil {
		return nil
	}
	config.Timeout = completionTimeout
	set, err := clientset(config)
	if err != nil {
		return nil
	}
	list, err := set.CoreV1().Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	var names []string
	for _, item := range list.Items {
		names = append(names, item.Name)
	}
	return names
}

func (a *app) workloadNames(ctx context.Context) []string {
	config, err := a.config()
	if err != nil {
		return nil
	}
	config.Timeout = completionTimeout
	client, err := dynamicClient(config)
	if err != nil {
		return nil
	}
	namespace, err := a.namespace()
	if err != nil {
		return nil
	}
	list, err := client.Resource(workload.Resource()).Namespace(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil
	}
	var names []string
	for _, item := range list.Items {
		names = append(names, item.GetName())
	}
	return names
}

func (a *app) completeWorkloads(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return a.workloadNames(cmd.Context()), cobra.ShellCompDirectiveNoFileComp
}
