// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// deleters are the clients that delete a manifest.
func deleters() map[string]func(t *testing.T, host, digest string) error {
	return map[string]func(t *testing.T, host, digest string) error{
		"go-containerregistry": func(t *testing.T, host, digest string) error {
			t.Helper()
			return remote.Delete(harness.Reference(t, host, "source", digest), ggcrOptions(t)...)
		},
		"crane": func(t *testing.T, host, digest string) error {
			t.Helper()
			_, err := try(t, harness.Tool(t, "crane"), "delete", host+"/source@"+digest)
			return err
		},
		"oras": func(t *testing.T, host, digest string) error {
			t.Helper()
			repository := orasRepository(t, host)
			manifest, err := repository.Resolve(t.Context(), digest)
			if err != nil {
				t.Fatal(err)
			}
			return repository.Delete(t.Context(), manifest)
		},
		"regclient": func(t *testing.T, host, digest string) error {
			t.Helper()
			return newRegclient(host).ManifestDelete(t.Context(), regclientRef(t, host+"/source@"+digest))
		},
	}
}

// TestDelete: with allow_delete every client deletes on the upstream; without it none does.
func TestDelete(t *testing.T) {
	t.Parallel()
	for _, kind := range harness.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			upstream := kind.Start(t)
			open := harness.Start(t, harness.Options{Upstream: upstream, Values: map[string]any{"allow_delete": true}})
			closed := harness.Start(t, harness.Options{Upstream: upstream})
			for name, remove := range deleters() {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					tag := "deleted-by-" + name
					digest := ggcrImage(t, open.Host, tag)
					if err := remove(t, closed.Host, digest); err == nil {
						t.Error("deleted although allow_delete is not set")
					}
					upstream.AssertArrived(t, tag, digest)
					if err := remove(t, open.Host, digest); err != nil {
						t.Error(err)
					}
					upstream.AssertAbsent(t, digest)
				})
			}
		})
	}
}
