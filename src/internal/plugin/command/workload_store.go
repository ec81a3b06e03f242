// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

// tryStore lets the API server check the change and keep nothing, before anything is uploaded for it. An
// admission webhook that allows no dry run is asked when it counts.
func tryStore(
	ctx context.Context, workloads dynamic.ResourceInterface, existing, wanted *unstructured.Unstructured,
) error {
	_, err := store(ctx, workloads, existing, wanted, []string{metav1.DryRunAll})
	if apierrors.IsBadRequest(err) && strings.Contains(err.Error(), "does not support dry run") {
		return nil
	}
	return err
}

func store(
	ctx context.Context, workloads dynamic.ResourceInterface, existing, wanted *unstructured.Unstructured, dryRun []string,
) (*unstructured.Unstructured, error) {
	var stored *unstructured.Unstructured
	var err error
	if existing == nil {
		stored, err = workloads.Create(ctx, wanted, metav1.CreateOptions{FieldManager: "kubectl-lsp", DryRun: dryRun})
	} else {
		stored, err = workloads.Update(ctx, wanted, metav1.UpdateOptions{FieldManager: "kubectl-lsp", DryRun: dryRun})
	}
	switch {
	case apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err):
		return nil, fmt.Errorf(
			"store Workload %s: somebody else changed it in the meantime; run the command again", wanted.GetName())
	case apierrors.IsNotFound(err):
		return nil, errors.New(
			"store the Workload: the cluster has no Workloads (carto.run/v1alpha1); is Cartographer installed?")
	case err != nil:
		return nil, fmt.Errorf("store Workload %s: %w", wanted.GetName(), err)
	}
	return stored, nil
}
