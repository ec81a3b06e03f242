// SPDX-License-Identifier: Apache-2.0

package license

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/jsonmergepatch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/util/retry"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// manager is who the API server says changed a field.
const manager = "kubectl-lsp"

// Resource is where the API server has licenses.
func Resource() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: v1alpha1.Group, Version: v1alpha1.Version, Resource: "licenses"}
}

// Cluster keeps licenses as custom resources of a namespace.
type Cluster struct {
	client    dynamic.ResourceInterface
	namespace string
	dryRun    []string
}

// NewCluster makes a store of a namespace. With dryRun the API server checks everything and keeps nothing.
func NewCluster(client dynamic.Interface, namespace string, dryRun bool) *Cluster {
	c := &Cluster{client: client.Resource(Resource()).Namespace(namespace), namespace: namespace}
	if dryRun {
		c.dryRun = []string{metav1.DryRunAll}
	}
	return c
}

// List implements [Store].
func (c *Cluster) List(ctx context.Context) ([]v1alpha1.License, error) {
	list, err := c.client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, c.explain("list", "", err)
	}
	all := make([]v1alpha1.License, 0, len(list.Items))
	for i := range list.Items {
		l, err := typed(&list.Items[i])
		if err != nil {
			return nil, err
		}
		all = append(all, *l)
	}
	slices.SortFunc(all, func(a, b v1alpha1.License) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Get implements [Store].
func (c *Cluster) Get(ctx context.Context, name string) (*v1alpha1.License, error) {
	found, err := c.client.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, c.explain("get", name, err)
	}
	return typed(found)
}

// Create implements [Store].
func (c *Cluster) Create(ctx context.Context, l *v1alpha1.License) (*v1alpha1.License, error) {
	l = l.DeepCopy()
	l.Namespace = c.namespace
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(l)
	if err != nil {
		return nil, fmt.Errorf("create license %s: %w", l.Name, err)
	}
	options := metav1.CreateOptions{FieldManager: manager, DryRun: c.dryRun}
	created, err := c.client.Create(ctx, &unstructured.Unstructured{Object: object}, options)
	if err != nil {
		return nil, c.explain("create", l.Name, err)
	}
	return typed(created)
}

// Update implements [Store]. The patch names the version that it was made for; with another one the API
// server refuses it.
func (c *Cluster) Update(
	ctx context.Context, name string, change func(*v1alpha1.License) error,
) (*v1alpha1.License, error) {
	var result *v1alpha1.License
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		before, err := c.client.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return c.explain("get", name, err)
		}
		l, err := typed(before)
		if err != nil {
			return err
		}
		after := l.DeepCopy()
		if err := change(after); err != nil {
			return err
		}
		body, err := patch(l, after)
		if err != nil || body == nil {
			result = after
			return err
		}
		stored, err := c.client.Patch(ctx, name, types.MergePatchType, body,
			metav1.PatchOptions{FieldManager: manager, DryRun: c.dryRun})
		if apierrors.IsConflict(err) {
			return err
		}
		if err != nil {
			return c.explain("patch", name, err)
		}
		result, err = typed(stored)
		return err
	})
	if apierrors.IsConflict(err) {
		return nil, fmt.Errorf("change license %s: others keep changing it; try again in a minute", name)
	}
	return result, err
}

// Revoke implements [Store].
func (c *Cluster) Revoke(ctx context.Context, name string, now time.Time) (*v1alpha1.License, error) {
	return c.Update(ctx, name, func(l *v1alpha1.License) error { Revoke(l, now); return nil })
}

// Delete implements [Store].
func (c *Cluster) Delete(ctx context.Context, name string) error {
	if err := c.client.Delete(ctx, name, metav1.DeleteOptions{DryRun: c.dryRun}); err != nil {
		return c.explain("delete", name, err)
	}
	return nil
}

// patch is the difference as a merge patch; nil where there is none.
func patch(before, after *v1alpha1.License) ([]byte, error) {
	old, err := json.Marshal(before)
	if err != nil {
		return nil, fmt.Errorf("write license %s: %w", before.Name, err)
	}
	wanted, err := json.Marshal(after)
	if err != nil {
		return nil, fmt.Errorf("write license %s: %w", before.Name, err)
	}
	difference, err := jsonmergepatch.CreateThreeWayJSONMergePatch(old, wanted, old)
	if err != nil {
		return nil, fmt.Errorf("compare license %s: %w", before.Name, err)
	}
	body := map[string]any{}
	if err := json.Unmarshal(difference, &body); err != nil || len(body) == 0 {
		return nil, err
	}
	err = unstructured.SetNestedField(body, before.ResourceVersion, "metadata", "resourceVersion")
	if err != nil {
		return nil, fmt.Errorf("compare license %s: %w", before.Name, err)
	}
	return json.Marshal(body)
}

func typed(object *unstructured.Unstructured) (*v1alpha1.License, error) {
	object.SetManagedFields(nil)
	l := &v1alpha1.License{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, l); err != nil {
		return nil, fmt.Errorf("read license %s: %w", object.GetName(), err)
	}
	return l, nil
}

// explain says what the API server's answer means here.
func (c *Cluster) explain(verb, name string, err error) error {
	place := "namespace " + c.namespace
	_, unknown := apierrors.StatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
	status := apierrors.APIStatus(nil)
	ours := errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Kind == Resource().Resource
	switch {
	case apierrors.IsNotFound(err) && (unknown || verb == "list"):
		return fmt.Errorf("the cluster has no licenses (%s): install the package with image_proxy.enabled, or check --context",
			Resource().GroupResource())
	case apierrors.IsNotFound(err) && ours:
		return &NotFoundError{Name: name, Place: place}
	case apierrors.IsAlreadyExists(err):
		return &ExistsError{Name: name, Place: place}
	case apierrors.IsForbidden(err):
		return fmt.Errorf("you may not %s %s in %s: ask the cluster's operator for a Role with that verb: %w",
			verb, Resource().GroupResource(), place, err)
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("the API server does not accept your credential: log in again, or choose another --context: %w", err)
	case name == "":
		return fmt.Errorf("%s licenses in %s: %w", verb, place, err)
	default:
		return fmt.Errorf("%s license %s in %s: %w", verb, name, place, err)
	}
}
