// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"
	"maps"
	"slices"

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

// Merge returns the Workload with what a file says of its labels, annotations and spec. Fields, and entries
// of lists, that the file does not have stay, as the Apps CLI leaves them. existing may be nil; neither is
// changed.
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
	dropOtherSources(spec, added)
	merged.Object["spec"] = overlay(spec, added)
	return merged
}

// dropOtherSources removes the source that the file's takes the place of: a Workload has one. Its sub-path
// goes too, unless it is of the same kind.
func dropOtherSources(spec, added map[string]any) {
	source, _ := spec["source"].(map[string]any)
	wanted, _ := added["source"].(map[string]any)
	for kind, other := range map[string]string{"git": "image", "image": "git"} {
		if wanted[kind] == nil {
			continue
		}
		delete(spec, "image")
		if source[kind] == nil {
			delete(source, "subPath")
		}
		delete(source, other)
		delete(source, kind) // another repository's branch is not this one's
	}
	if added["image"] != nil {
		delete(spec, "source")
	}
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

// overlay puts the fields of added over those of base, map by map. Lists whose entries have names are merged
// by name, others are replaced.
func overlay(base, added map[string]any) map[string]any {
	for name, value := range added {
		switch value := value.(type) {
		case map[string]any:
			if old, ok := base[name].(map[string]any); ok {
				base[name] = overlay(old, value)
				continue
			}
		case []any:
			if old, ok := base[name].([]any); ok && named(old) && named(value) {
				base[name] = overlayList(old, value)
				continue
			}
		}
		base[name] = value
	}
	return base
}

func named(list []any) bool {
	for _, item := range list {
		if nameOf(item) == "" {
			return false
		}
	}
	return true
}

func nameOf(item any) string {
	entry, _ := item.(map[string]any)
	name, _ := entry["name"].(string)
	return name
}

// overlayList replaces entries of the same name, whole, and appends the others.
func overlayList(base, added []any) []any {
	for _, item := range added {
		at := slices.IndexFunc(base, func(old any) bool { return nameOf(old) == nameOf(item) })
		if at < 0 {
			base = append(base, item)
			continue
		}
		base[at] = item
	}
	return base
}
