// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"

	"github.com/aymanbagabas/go-udiff"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Diff is what an apply would change, as a unified diff of YAML; empty when nothing. existing may be nil.
func Diff(existing, wanted *unstructured.Unstructured) (string, error) {
	before, err := YAML(existing)
	if err != nil {
		return "", err
	}
	after, err := YAML(wanted)
	if err != nil {
		return "", err
	}
	name := wanted.GetNamespace() + "/" + wanted.GetName()
	return udiff.Unified("cluster: "+name, "wanted: "+name, before, after), nil
}

// YAML is the Workload without what only the cluster writes.
func YAML(w *unstructured.Unstructured) (string, error) {
	if w == nil {
		return "", nil
	}
	w = w.DeepCopy()
	w.SetManagedFields(nil)
	for _, field := range []string{"creationTimestamp", "generation", "resourceVersion", "uid", "selfLink"} {
		unstructured.RemoveNestedField(w.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(w.Object, "status")
	raw, err := yaml.Marshal(w.Object)
	if err != nil {
		return "", fmt.Errorf("print the Workload: %w", err)
	}
	return string(raw), nil
}
