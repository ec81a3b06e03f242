// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// ErrNoWorkload says that a file holds something else.
var ErrNoWorkload = errors.New("not a Workload of carto.run/v1alpha1")

// Parse reads a file with one Workload.
func Parse(content []byte) (*unstructured.Unstructured, error) {
	file := &unstructured.Unstructured{}
	if err := yaml.UnmarshalStrict(content, &file.Object); err != nil {
		return nil, fmt.Errorf("read the YAML: %w", err)
	}
	if file.GetKind() != "Workload" || file.GetAPIVersion() != "carto.run/v1alpha1" {
		return nil, ErrNoWorkload
	}
	if _, found, err := unstructured.NestedMap(file.Object, "spec"); err != nil {
		return nil, fmt.Errorf("read the Workload: %w", err)
	} else if !found {
		file.Object["spec"] = map[string]any{}
	}
	return file, nil
}

// Merge returns the Workload with what a file says of its labels, annotations and spec. Fields that the file
// does not have stay, as the Apps CLI leaves them. existing may be nil; neither is changed.
func Merge(existing, file *unstructured.Unstructured, namespace, name string) *unstructured.Unstructured {
	merged := fresh(namespace, name)
	if existing != nil {
		merged = existing.DeepCopy()
	}
	file = file.DeepCopy()
	if labels := file.GetLabels(); len(labels) > 0 {
		merged.SetLabels(with(merged.GetLabels(), labels))
	}
	if annotations := file.GetAnnotations(); len(annotations) > 0 {
		merged.SetAnnotations(with(merged.GetAnnotations(), annotations))
	}
	spec, _ := merged.Object["spec"].(map[string]any)
	if spec == nil {
		spec = map[string]any{}
	}
	added, _ := file.Object["spec"].(map[string]any)
	merged.Object["spec"] = overlay(spec, added)
	return merged
}

// fresh is a new Workload.
func fresh(namespace, name string) *unstructured.Unstructured {
	w := &unstructured.Unstructured{Object: map[string]any{}}
	w.SetAPIVersion("carto.run/v1alpha1")
	w.SetKind("Workload")
	w.SetName(name)
	w.SetNamespace(namespace)
	w.SetLabels(map[string]string{TypeLabel: DefaultType})
	return w
}

func with(all, added map[string]string) map[string]string {
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, added)
	return all
}

// overlay puts the fields of added over those of base, map by map. Lists are replaced.
func overlay(base, added map[string]any) map[string]any {
	for name, value := range added {
		below, isMap := value.(map[string]any)
		if old, wasMap := base[name].(map[string]any); isMap && wasMap {
			value = overlay(old, below)
		}
		base[name] = value
	}
	return base
}
