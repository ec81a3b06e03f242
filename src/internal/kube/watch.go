// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
)

// Secret is a Secret at one moment. It is not to be changed.
type Secret struct {
	// Type is such as "kubernetes.io/dockerconfigjson".
	Type string
	// Data are the decoded values.
	Data map[string][]byte
	// Version is the one that was read; every change makes another.
	Version string
}

// Watch calls deliver with the Secret of this name, at once and after every change, until ctx ends; with nil
// while there is no such Secret. Calls do not overlap; one may repeat what the last one said.
//
// An [*AccessError] comes instead while the Secret has never been read, or may not be read any more; Watch
// goes on trying. An outage of the API server after the first reading is only logged: what was read last is
// still the best there is.
func (c *Client) Watch(ctx context.Context, name string, deliver func(*Secret, error)) {
	explain := func(err error) error { return c.accessError(secretKind, name, err) }
	watchOne(ctx, c, c.Secrets, name, &corev1.Secret{}, explain, func(secret *corev1.Secret, err error) {
		if secret == nil {
			deliver(nil, err)
			return
		}
		deliver(&Secret{Type: string(secret.Type), Data: secret.Data, Version: secret.ResourceVersion}, nil)
	})
}

// named is a pointer to an object with a name.
type named interface {
	comparable
	runtime.Object
	metav1.Object
}

// lister is what is used of client-go's interface of a kind, L being a list.
type lister[L runtime.Object] interface {
	List(context.Context, metav1.ListOptions) (L, error)
	Watch(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// watchOne is [Client.Watch] for an object of any kind.
func watchOne[T named, L runtime.Object](ctx context.Context, c *Client, in lister[L], name string, kind T, explain func(error) error, deliver func(T, error)) {
	t := &target[T]{log: c.log(), name: name, explain: explain, deliver: deliver}
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = only
			list, err := in.List(ctx, options)
			t.failed(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = only
			w, err := in.Watch(ctx, options)
			if err != nil {
				t.failed(ctx, err)
				return nil, err
			}
			t.outage.Over()
			return w, nil
		},
	}
	reflect(ctx, lw, kind, t)
}

// reflect keeps a store in step with what is listed and watched, until ctx ends.
func reflect(ctx context.Context, lw *cache.ListWatch, expected runtime.Object, store cache.ReflectorStore) {
	// The reflector's own log is turned off: the callers say what matters, once, and in our format.
	silent := logr.Discard()
	ctx = klog.NewContext(ctx, silent)
	reflector := cache.NewReflectorWithOptions(cache.ToListWatcherWithWatchListSemantics(lw, plainList{}), expected, store,
		cache.ReflectorOptions{Name: "local-source-proxy", Logger: &silent})
	// Not RunWithContext, whose error handler holds back the whole process.
	delay := wait.Backoff{Duration: firstDelay, Factor: 2, Jitter: 1, Steps: 10, Cap: longestDelay}.DelayWithReset(clock.RealClock{}, calm)
	_ = delay.Until(ctx, true, true, func(ctx context.Context) (bool, error) {
		_ = reflector.ListAndWatchWithContext(ctx) // the callers know of the errors
		return false, nil
	})
}

// The delays between attempts, and how long it must go well until they begin anew.
const (
	firstDelay   = 800 * time.Millisecond
	longestDelay = 30 * time.Second
	calm         = 2 * time.Minute
)

// plainList asks the reflector to list before it watches. The streaming list is made for large lists.
type plainList struct{}

func (plainList) IsWatchListSemanticsUnSupported() bool { return true }

// target is where a reflector puts the one object it looks after.
type target[T named] struct {
	log     *slog.Logger
	name    string
	explain func(error) error
	deliver func(T, error)

	outage Outage

	mu    sync.Mutex // held while deliver runs
	known bool       // the object, or its absence, has been read
}

// failed takes note of an error of the API server.
func (t *target[T]) failed(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	err = t.explain(err)
	if !t.outage.New(err) {
		return
	}
	if !t.known || refused(err) {
		var none T
		t.deliver(none, err)
		return
	}
	t.log.Warn("an object cannot be watched now, what was read last stays in use", "error", err)
}

// set delivers the object, or that there is none.
func (t *target[T]) set(object T) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = true
	t.outage.Over()
	t.deliver(object, nil)
	return nil
}

// own returns our object; false for another, which a server that honours the selector never sends.
func (t *target[T]) own(object any) (T, bool) {
	own, ok := object.(T)
	return own, ok && own.GetName() == t.name
}

// Add implements [cache.ReflectorStore], as do the methods below.
func (t *target[T]) Add(object any) error {
	if own, ok := t.own(object); ok {
		return t.set(own)
	}
	return nil
}

func (t *target[T]) Update(object any) error { return t.Add(object) }

func (t *target[T]) Delete(object any) error {
	if _, ok := t.own(object); ok {
		var none T
		return t.set(none)
	}
	return nil
}

func (t *target[T]) Replace(objects []any, _ string) error {
	var found T
	for _, object := range objects {
		if own, ok := t.own(object); ok {
			found = own
		}
	}
	return t.set(found)
}

func (t *target[T]) Resync() error { return nil }
