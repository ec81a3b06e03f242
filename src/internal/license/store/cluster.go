// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

// cluster reads objects from the custom resources of a namespace.
type cluster struct {
	client *kube.Client
	log    *slog.Logger
}

// run implements [source].
func (c *cluster) run(ctx context.Context, s *set, changed func()) error {
	s.expect(v1alpha1.LicenseKind, v1alpha1.RegistryKind)
	var watching sync.WaitGroup
	for kind, resources := range map[string]kube.Resources{v1alpha1.LicenseKind: c.client.Licenses, v1alpha1.RegistryKind: c.client.Registries} {
		handler := kube.Handler[report]{
			Convert: convert,
			Replace: func(all map[string]report) {
				s.replace(kind, all)
				changed()
			},
			Set: func(r report) {
				if s.update(r) {
					changed()
				}
			},
			Delete: func(name string) {
				s.update(report{key: newKey("", kind, name), gone: true})
				changed()
			},
			Failed: func(err error) {
				c.log.Error("objects cannot be read for now, what was read last stays in force", "error", err)
			},
		}
		watching.Go(func() { kube.WatchAll(ctx, c.client, resources, handler) })
	}
	watching.Wait()
	return nil
}

// convert makes a report of a custom resource.
func convert(object v1alpha1.Object) report {
	r := read("", object, object.Validate(v1alpha1.InCluster))
	r.uid = short([]byte(object.GetUID()))
	var spec any
	switch o := object.(type) {
	case *v1alpha1.License:
		spec = o.Spec
	case *v1alpha1.ExternalRegistry:
		spec = o.Spec
	}
	text, err := json.Marshal(spec)
	if err != nil { // there is nothing in it that could not be written
		return r
	}
	about := fmt.Appendf(nil, "%s %d %s ", object.GetUID(), object.GetGeneration(), object.GetAnnotations()[v1alpha1.RevokedAtAnnotation])
	r.edition = short(append(about, text...))
	return r
}

// short is a digest that is small, as there are many.
func short(data []byte) [16]byte {
	sum := sha256.Sum256(data)
	return [16]byte(sum[:16])
}

// credentials implements [source].
func (c *cluster) credentials(to deliver) reader {
	return &secrets{cluster: c.client, deliver: to, ends: map[string]context.CancelFunc{}}
}
