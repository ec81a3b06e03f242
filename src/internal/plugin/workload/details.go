// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// annotationsParam is the parameter in which the Apps CLI keeps annotations for what the supply chain makes.
const annotationsParam = "annotations"

// details changes everything beside the source.
func (w edit) details(r Request) error {
	err := errors.Join(
		w.list(r.Env, "spec", "env"),
		w.list(r.BuildEnv, "spec", "build", "env"),
		w.list(r.Params, "spec", "params"),
		w.paramsYAML(r.ParamsYAML),
		w.annotationsParam(r.Annotations),
		w.services(r.ServiceRefs),
		w.quantities(r.Limits, "spec", "resources", "limits"),
		w.quantities(r.Requests, "spec", "resources", "requests"),
	)
	return errors.Join(err, w.requestsWithinLimits(r))
}

// requestsWithinLimits refuses what no Pod can have, if the command line says so.
func (w edit) requestsWithinLimits(r Request) error {
	for _, request := range r.Requests {
		for _, limit := range r.Limits {
			if request.Name != limit.Name || request.Value == "" || limit.Value == "" {
				continue
			}
			wanted, err := resource.ParseQuantity(request.Value)
			most, limitErr := resource.ParseQuantity(limit.Value)
			if err == nil && limitErr == nil && wanted.Cmp(most) > 0 {
				return fmt.Errorf("--request-%s %s is more than --limit-%s %s",
					request.Name, request.Value, limit.Name, limit.Value)
			}
		}
	}
	return nil
}

func (w edit) paramsYAML(changes []Change) error {
	for _, c := range changes {
		if c.Remove {
			if err := w.entry(c.Name, nil, "spec", "params"); err != nil {
				return err
			}
			continue
		}
		var value any
		if err := yaml.Unmarshal([]byte(c.Value), &value); err != nil {
			return fmt.Errorf("--param-yaml %s: %w", c.Name, err)
		}
		if err := w.entry(c.Name, map[string]any{"value": value}, "spec", "params"); err != nil {
			return err
		}
	}
	return nil
}

func (w edit) annotationsParam(changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	params, _, err := unstructured.NestedSlice(w.Object, "spec", "params")
	if err != nil {
		return fmt.Errorf("read the Workload: %w", err)
	}
	all := map[string]any{}
	for _, item := range params {
		if param, ok := item.(map[string]any); ok && param["name"] == annotationsParam {
			if value, ok := param["value"].(map[string]any); ok {
				all = value
			}
		}
	}
	for _, c := range changes {
		if c.Remove {
			delete(all, c.Name)
		} else {
			all[c.Name] = c.Value
		}
	}
	if len(all) == 0 {
		return w.entry(annotationsParam, nil, "spec", "params")
	}
	return w.entry(annotationsParam, map[string]any{"value": all}, "spec", "params")
}

func (w edit) services(changes []Change) error {
	for _, c := range changes {
		if c.Remove {
			if err := w.entry(c.Name, nil, "spec", "serviceClaims"); err != nil {
				return err
			}
			if err := w.claimNamespace(c.Name, ""); err != nil {
				return err
			}
			continue
		}
		parts := strings.Split(c.Value, ":")
		namespace := ""
		if len(parts) == 4 {
			namespace = parts[2]
			parts = append(parts[:2], parts[3])
		}
		if len(parts) != 3 || slices.Contains(parts, "") {
			return fmt.Errorf("--service-ref %s=%s: write name=apiVersion:kind:name", c.Name, c.Value)
		}
		if err := w.claimNamespace(c.Name, namespace); err != nil {
			return err
		}
		ref := map[string]any{"apiVersion": parts[0], "kind": parts[1], "name": parts[2]}
		if err := w.entry(c.Name, map[string]any{"ref": ref}, "spec", "serviceClaims"); err != nil {
			return err
		}
	}
	return nil
}

// quantities sets what is given. An empty value removes one.
func (w edit) quantities(changes []Change, fields ...string) error {
	for _, c := range changes {
		if c.Value != "" {
			quantity, err := resource.ParseQuantity(c.Value)
			if err != nil {
				return fmt.Errorf("--%s-%s %q: write a quantity such as 500m or 1Gi", strings.TrimSuffix(fields[2], "s"),
					c.Name, c.Value)
			}
			c.Value = quantity.String() // 0.1 is 100m
		}
		if err := w.set(c.Value, append(fields[:len(fields):len(fields)], c.Name)...); err != nil {
			return err
		}
	}
	return nil
}

// entry sets fields of the entry with this name in a list, or removes the entry when there are none.
func (w edit) entry(name string, set map[string]any, fields ...string) error {
	items, _, err := unstructured.NestedSlice(w.Object, fields...)
	if err != nil {
		return fmt.Errorf("read the Workload: %w", err)
	}
	found := false
	kept := make([]any, 0, len(items)+1)
	for _, item := range items {
		entry, ok := item.(map[string]any)
		if !ok || entry["name"] != name {
			kept = append(kept, item)
			continue
		}
		found = true
		if set != nil {
			for field, value := range set {
				entry[field] = value
			}
			kept = append(kept, entry)
		}
	}
	if !found && set != nil {
		entry := map[string]any{"name": name}
		for field, value := range set {
			entry[field] = value
		}
		kept = append(kept, entry)
	}
	if len(kept) == 0 {
		w.remove(fields...)
		return nil
	}
	return w.put(kept, fields...)
}
