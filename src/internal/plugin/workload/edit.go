// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// edit changes single fields of a Workload.
type edit struct{ *unstructured.Unstructured }

// source replaces the kind of source that is there by the one asked for; the sub-path stays where the new
// kind has one.
func (w edit) source(r Request, plan Plan, pushed string) error {
	image := r.SourceImage
	if pushed != "" {
		image = pushed
	}
	switch {
	case plan.Route == ThroughProxy:
		w.annotate(pushed)
	case image != "" || r.Image != "" || r.Git != Git{}:
		w.annotate("")
	}
	switch {
	case image != "":
		w.remove("spec", "source", "git")
		w.remove("spec", "image")
		return w.set(image, "spec", "source", "image")
	case r.Image != "":
		w.remove("spec", "source")
		return w.set(r.Image, "spec", "image")
	case r.Git != Git{}:
		w.remove("spec", "source", "image")
		w.remove("spec", "image")
		return w.git(r.Git)
	}
	return nil
}

// git sets what is given. A new branch, tag or commit replaces all three: the old ones belong to another
// state of the source.
func (w edit) git(g Git) error {
	if g.URL != "" {
		if err := w.set(g.URL, "spec", "source", "git", "url"); err != nil {
			return err
		}
	}
	if url, _, _ := unstructured.NestedString(w.Object, "spec", "source", "git", "url"); url == "" {
		return ErrNoGit
	}
	ref := map[string]any{}
	for name, value := range map[string]string{"branch": g.Branch, "tag": g.Tag, "commit": g.Commit} {
		if value != "" {
			ref[name] = value
		}
	}
	if len(ref) > 0 {
		return w.put(ref, "spec", "source", "git", "ref")
	}
	if kept, _, _ := unstructured.NestedMap(w.Object, "spec", "source", "git", "ref"); len(kept) == 0 {
		return ErrNoRef
	}
	return nil
}

// annotate sets the annotation, or removes it when value is empty.
func (w edit) annotate(value string) {
	all := w.GetAnnotations()
	if value == "" {
		delete(all, Annotation)
	} else {
		if all == nil {
			all = map[string]string{}
		}
		all[Annotation] = value
	}
	w.SetAnnotations(all)
}

func (w edit) labels(changes []Change) {
	if len(changes) == 0 {
		return
	}
	all := w.GetLabels()
	if all == nil {
		all = map[string]string{}
	}
	for _, c := range changes {
		if c.Remove {
			delete(all, c.Name)
			continue
		}
		all[c.Name] = c.Value
	}
	w.SetLabels(all)
}

// list changes a list of {name, value} in place, so that the order and other fields of the entries survive.
func (w edit) list(changes []Change, fields ...string) error {
	if len(changes) == 0 {
		return nil
	}
	items, _, err := unstructured.NestedSlice(w.Object, fields...)
	if err != nil {
		return fmt.Errorf("read the Workload: %w", err)
	}
	for _, c := range changes {
		items = changed(items, c)
	}
	if len(items) == 0 {
		w.remove(fields...)
		return nil
	}
	return w.put(items, fields...)
}

func changed(items []any, c Change) []any {
	for i, item := range items {
		entry, ok := item.(map[string]any)
		if !ok || entry["name"] != c.Name {
			continue
		}
		if c.Remove {
			return append(items[:i], items[i+1:]...)
		}
		delete(entry, "valueFrom") // an env entry has one or the other
		entry["value"] = c.Value
		return items
	}
	if c.Remove {
		return items
	}
	return append(items, map[string]any{"name": c.Name, "value": c.Value})
}

// set writes a string, or removes the field when it is empty.
func (w edit) set(value string, fields ...string) error {
	if value == "" {
		w.remove(fields...)
		return nil
	}
	return w.put(value, fields...)
}

func (w edit) put(value any, fields ...string) error {
	if err := unstructured.SetNestedField(w.Object, value, fields...); err != nil {
		return fmt.Errorf("change the Workload: %w", err)
	}
	return nil
}

func (w edit) remove(fields ...string) { unstructured.RemoveNestedField(w.Object, fields...) }

// tidy removes a source and a build that have nothing left in them.
func (w edit) tidy() {
	if source, found, err := unstructured.NestedMap(w.Object, "spec", "source"); err == nil && found && len(source) == 0 {
		w.remove("spec", "source")
	}
	build, found, err := unstructured.NestedMap(w.Object, "spec", "build")
	if err == nil && found && len(build) == 0 {
		w.remove("spec", "build")
	}
}
