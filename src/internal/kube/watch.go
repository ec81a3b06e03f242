// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
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
}

// Watch calls deliver with the Secret of this name, at once and after every change, until ctx ends; with nil
// while there is no such Secret. Calls do not overlap; one may repeat what the last one said.
//
// An [*AccessError] comes instead while the Secret has never been read, or may not be read any more; Watch
// goes on trying. An outage of the API server after the first reading is only logged: what was read last is
// still the best there is.
func (c *Client) Watch(ctx context.Context, name string, deliver func(*Secret, error)) {
	t := &target{client: c, name: name, deliver: deliver}
	only := fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			options.FieldSelector = only
			list, err := c.Secrets.List(ctx, options)
			t.failed(ctx, err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.FieldSelector = only
			w, err := c.Secrets.Watch(ctx, options)
			if err != nil {
				t.failed(ctx, err)
				return nil, err
			}
			t.outage.Over()
			return w, nil
		},
	}
	reflect(ctx, lw, &corev1.Secret{}, t)
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

// target is where a reflector puts the one Secret it looks after.
type target struct {
	client  *Client
	name    string
	deliver func(*Secret, error)

	outage Outage

	mu    sync.Mutex // held while deliver runs
	known bool       // the Secret, or its absence, has been read
}

// failed takes note of an error of the API server.
func (t *target) failed(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return
	}
	err = t.client.accessError(secretKind, t.name, err)
	if !t.outage.New(err) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.known || refused(err) {
		t.deliver(nil, err)
		return
	}
	t.client.log().Warn("a Secret cannot be watched now, what was read last stays in use", "error", err)
}

func (t *target) set(object any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = true
	t.outage.Over()
	if secret, ok := object.(*corev1.Secret); ok {
		t.deliver(&Secret{Type: string(secret.Type), Data: secret.Data}, nil)
	} else {
		t.deliver(nil, nil)
	}
	return nil
}

// own tells our Secret from others, which a server that honours the selector never sends.
func (t *target) own(object any) bool {
	secret, ok := object.(*corev1.Secret)
	return ok && secret.Name == t.name
}

// Add implements [cache.ReflectorStore], as do the methods below.
func (t *target) Add(object any) error {
	if !t.own(object) {
		return nil
	}
	return t.set(object)
}

func (t *target) Update(object any) error { return t.Add(object) }

func (t *target) Delete(object any) error {
	if !t.own(object) {
		return nil
	}
	return t.set(nil)
}

func (t *target) Replace(objects []any, _ string) error {
	for _, object := range objects {
		if t.own(object) {
			return t.set(object)
		}
	}
	return t.set(nil)
}

func (t *target) Resync() error { return nil }
