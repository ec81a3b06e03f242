// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// Handler learns of the custom resources of one kind, as another type that has only what is needed of them.
// Calls do not overlap, those of Convert aside.
type Handler[T any] struct {
	// Convert makes the other type. What it does not keep is not kept by anybody.
	Convert func(v1alpha1.Object) T
	// Replace tells of all that there are, by name; Set of one that is new or has changed; Delete of one that
	// is gone.
	Replace func(map[string]T)
	Set     func(T)
	Delete  func(name string)
	// Failed is called once for each outage, with an [*AccessError]. The last objects are still the best there
	// is.
	Failed func(error)
}

// WatchAll tells of the custom resources of one kind, at once and after every change, until ctx ends.
//
// They are read in pages, and converted page by page: a list of all of them as the API server has it, with
// what it notes for itself, would take a multiple of the memory.
func WatchAll[T any](ctx context.Context, c *Client, resources Resources, handler Handler[T]) {
	w := &collection[T]{client: c, resources: resources, handler: handler}
	lw := &cache.ListWatch{ListWithContextFunc: w.list, WatchFuncWithContext: w.watch}
	reflect(ctx, lw, resources.New(), w)
}

// page is how many objects are read at a time.
const page = 250

// collection is where a reflector puts the objects it looks after.
type collection[T any] struct {
	client    *Client
	resources Resources
	listed    map[string]T // until Replace has them
	outage    Outage

	mu      sync.Mutex // held while the handler is called, but for Convert
	handler Handler[T]
}

// list reads all pages, and returns the reflector an empty list: it would only hand back what it was given.
func (w *collection[T]) list(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	// Without a version, the API server honours the limit.
	options.ResourceVersion, options.ResourceVersionMatch, options.Limit = "", "", page
	all := map[string]T{}
	for {
		list, err := w.resources.List(ctx, options)
		if err != nil {
			w.failed(ctx, err)
			return nil, err
		}
		if err := meta.EachListItem(list, func(item runtime.Object) error {
			if object, ok := item.(v1alpha1.Object); ok {
				all[object.GetName()] = w.handler.Convert(object)
			}
			return nil
		}); err != nil {
			return nil, err
		}
		about, err := meta.ListAccessor(list)
		if err != nil {
			return nil, err
		}
		if options.Continue = about.GetContinue(); options.Continue == "" {
			w.listed = all
			return &metav1.List{ListMeta: metav1.ListMeta{ResourceVersion: about.GetResourceVersion()}}, nil
		}
	}
}

func (w *collection[T]) watch(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	watching, err := w.resources.Watch(ctx, options)
	if err != nil {
		w.failed(ctx, err)
		return nil, err
	}
	w.outage.Over()
	return watching, nil
}

// failed takes note of an error of the API server.
func (w *collection[T]) failed(ctx context.Context, err error) {
	if ctx.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err = w.client.accessError(w.resources.Plural(), "", err); w.outage.New(err) {
		w.handler.Failed(err)
	}
}

// Add implements [cache.ReflectorStore], as do the methods below.
func (w *collection[T]) Add(object any) error {
	if o, ok := object.(v1alpha1.Object); ok {
		converted := w.handler.Convert(o)
		w.mu.Lock()
		defer w.mu.Unlock()
		w.handler.Set(converted)
	}
	return nil
}

func (w *collection[T]) Update(object any) error { return w.Add(object) }

func (w *collection[T]) Delete(object any) error {
	if o, ok := object.(v1alpha1.Object); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.handler.Delete(o.GetName())
	}
	return nil
}

func (w *collection[T]) Replace([]any, string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handler.Replace(w.listed)
	w.listed = nil
	return nil
}

func (w *collection[T]) Resync() error { return nil }
