// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/retry"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// cluster reads objects from the custom resources of a namespace, and writes their status. Nothing else of
// this package knows the API server.
type cluster struct {
	client *kube.Client
	log    *slog.Logger

	mu    sync.Mutex
	kinds map[string]map[string]*object // by kind and name; one that is missing has not been read yet
	// failed is why objects could not be read when that was last tried.
	failed error
}

func newCluster(client *kube.Client, log *slog.Logger) *cluster {
	return &cluster{client: client, log: log, kinds: map[string]map[string]*object{}}
}

func (c *cluster) resources() map[string]kube.Resources {
	return map[string]kube.Resources{
		v1alpha1.LicenseKind:  c.client.Licenses,
		v1alpha1.RegistryKind: c.client.Registries,
	}
}

// run implements [source].
func (c *cluster) run(ctx context.Context, changed func()) error {
	var watching sync.WaitGroup
	for kind, resources := range c.resources() {
		handler := kube.Handler[*object]{
			Convert: func(o v1alpha1.Object) *object { return newObject("", o, o.Validate(v1alpha1.InCluster)) },
			Replace: func(all map[string]*object) { c.replace(kind, all); changed() },
			Set: func(o *object) {
				if c.set(o) {
					changed()
				}
			},
			Delete: func(name string) { c.remove(kind, name); changed() },
			Failed: func(err error) {
				c.fail(err)
				c.log.Error("objects cannot be read for now, what was read last stays in force", "error", err)
			},
		}
		watching.Go(func() { kube.WatchAll(ctx, c.client, resources, handler) })
	}
	watching.Wait()
	return nil
}

func (c *cluster) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = err
}

func (c *cluster) replace(kind string, all map[string]*object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, before := range c.kinds[kind] {
		if now := all[name]; now != nil && now.same(before) {
			all[name] = before
		}
	}
	c.kinds[kind] = all
}

// set reports whether that is anything new.
func (c *cluster) set(o *object) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o.same(c.kinds[o.kind][o.name]) {
		return false
	}
	c.kinds[o.kind][o.name] = o
	return true
}

func (c *cluster) remove(kind, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.kinds[kind], name)
}

// current implements [source]. Objects come first that were in force when another server last wrote their
// status: what is in force stays, also when this server has only started.
func (c *cluster) current() reading {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := reading{complete: len(c.kinds) == len(c.resources())}
	for _, all := range c.kinds {
		now.objects = slices.AppendSeq(now.objects, maps.Values(all))
	}
	slices.SortFunc(now.objects, func(a, b *object) int {
		if a.confirmed != b.confirmed {
			return map[bool]int{true: -1, false: 1}[a.confirmed]
		}
		return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.name, b.name), cmp.Compare(a.kind, b.kind))
	})
	return now
}

// credential implements [source].
func (c *cluster) credential(ctx context.Context, name string, deliver deliver) {
	c.client.Watch(ctx, name, func(secret *kube.Secret, err error) {
		if ctx.Err() != nil {
			return
		}
		var data []byte
		switch {
		case err != nil:
		case secret == nil:
			err = filewatch.Missing(fmt.Errorf("the Secret %s does not exist in namespace %s:"+
				" create it with kubectl create secret docker-registry", name, c.client.Namespace))
		default:
			if data, err = secret.DockerConfig(); err != nil {
				err = fmt.Errorf("the Secret %s: %w", name, err)
			}
		}
		deliver("Secret "+name, data, err)
	})
}

// update changes the status of an object, if change reports that there is anything to change. It begins anew
// where another server was faster. An object that is gone needs no status.
func (c *cluster) update(ctx context.Context, which id, change func(v1alpha1.Object) bool) error {
	resources := c.resources()[which.kind]
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		found, err := resources.Get(ctx, which.name)
		if err != nil || !change(found) {
			return err
		}
		return resources.UpdateStatus(ctx, found)
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
