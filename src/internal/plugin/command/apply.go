// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/workload"
)

// apply does everything that changes nothing first: the decision, the packing, the diff. Only a confirmed change pushes.
func (a *app) apply(cmd *cobra.Command, f *applyFlags) (err error) {
	ctx := cmd.Context()
	workloads, existing, err := a.find(ctx, &f.request)
	if err != nil {
		return err
	}
	plan, err := workload.Decide(existing, f.request)
	if err != nil {
		return usageError{err}
	}
	source, err := a.prepare(cmd, f, plan)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	wanted, err := workload.Build(existing, f.request, plan, source.reference)
	if err != nil {
		return usageError{err}
	}
	if f.dryRun {
		return a.printWorkload(f, wanted, true)
	}
	diff, err := workload.Diff(existing, wanted)
	if err != nil {
		return err
	}
	if diff != "" {
		a.say("%s", strings.TrimSuffix(diff, "\n"))
		if err := a.confirm(f, existing); err != nil {
			return err
		}
	}
	if err := source.send(ctx); err != nil {
		return err
	}
	if diff == "" {
		a.say("Workload %s is unchanged.", f.request.Name)
		return a.printWorkload(f, wanted, false)
	}
	stored, err := store(ctx, workloads, existing, wanted)
	if err != nil {
		return err
	}
	return a.printWorkload(f, stored, false)
}

// find looks the Workload up; none is no error.
func (a *app) find(ctx context.Context, r *workload.Request) (dynamic.ResourceInterface, *unstructured.Unstructured, error) {
	var err error
	if r.Namespace, _, err = a.kube.ToRawKubeConfigLoader().Namespace(); err != nil {
		return nil, nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	config, err := a.config()
	if err != nil {
		return nil, nil, err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("prepare the connection to the API server: %w", err)
	}
	workloads := client.Resource(workload.Resource()).Namespace(r.Namespace)
	existing, err := workloads.Get(ctx, r.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return workloads, nil, nil
	case err != nil:
		return nil, nil, fmt.Errorf("look for Workload %s in namespace %s: %w", r.Name, r.Namespace, err)
	}
	return workloads, existing, nil
}

// confirm asks about the change, unless --yes answers.
func (a *app) confirm(f *applyFlags, existing *unstructured.Unstructured) error {
	verb := "Update"
	if existing == nil {
		verb = "Create"
	}
	return a.consent(f.yes, fmt.Sprintf("%s Workload %s in namespace %s?", verb, f.request.Name, f.request.Namespace))
}

func store(ctx context.Context, workloads dynamic.ResourceInterface, existing, wanted *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	var stored *unstructured.Unstructured
	var err error
	if existing == nil {
		stored, err = workloads.Create(ctx, wanted, metav1.CreateOptions{FieldManager: "kubectl-lsp"})
	} else {
		stored, err = workloads.Update(ctx, wanted, metav1.UpdateOptions{FieldManager: "kubectl-lsp"})
	}
	switch {
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err):
		return nil, fmt.Errorf("store Workload %s: somebody else changed it meanwhile; run the command again", wanted.GetName())
	case apierrors.IsNotFound(err):
		return nil, errors.New("store the Workload: the cluster has no Workloads (carto.run/v1alpha1); is Cartographer installed?")
	case err != nil:
		return nil, fmt.Errorf("store Workload %s: %w", wanted.GetName(), err)
	}
	return stored, nil
}

func (a *app) printWorkload(f *applyFlags, w *unstructured.Unstructured, whole bool) error {
	if f.output.value != "name" {
		return f.output.print(a, w.Object)
	}
	if whole {
		text, err := workload.YAML(w)
		if err == nil {
			_, err = fmt.Fprint(a.out, text)
		}
		return err
	}
	_, err := fmt.Fprintln(a.out, "workload.carto.run/"+w.GetName())
	return err
}
