// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestReferrersFallBack: oras-go finds, lists and deletes what refers to an image at registries without a
// referrers API, each time as a process of its own would, that does not know yet what the registry has (quirk
// D10).
func TestReferrersFallBack(t *testing.T) {
	t.Parallel()
	for name, start := range withoutReferrers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			upstream := start(t)
			server := harness.Start(t, harness.Options{Upstream: upstream, Values: map[string]any{"allow_delete": true}})
			ggcrImage(t, server.Host, "subject")
			subject, err := orasRepository(t, server.Host).Resolve(t.Context(), "subject")
			if err != nil {
				t.Fatal(err)
			}
			first := attach(t, orasRepository(t, server.Host), subject, "one")
			second := attach(t, orasRepository(t, server.Host), subject, "two")
			wantReferrers(t, server.Host, subject, first, second)

			repository := orasRepository(t, server.Host)
			if err := repository.Delete(t.Context(), first); err != nil {
				t.Fatalf("delete what refers to an image: %v", err)
			}
			wantReferrers(t, server.Host, subject, second)
		})
	}
}

// withoutReferrers are registries that have no referrers API. Without authentication, the first thing that
// they say of it is 404.
func withoutReferrers() map[string]func(t *testing.T) *harness.Registry {
	return map[string]func(t *testing.T) *harness.Registry{
		"distribution v3": func(t *testing.T) *harness.Registry {
			return harness.Distribution{Program: harness.Tool(t, "registry")}.Start(t)
		},
		"docker-registry 2.8": func(t *testing.T) *harness.Registry {
			return harness.Distribution{Program: harness.System(t, "docker-registry", "docker-registry")}.Start(t)
		},
		"go-containerregistry": func(t *testing.T) *harness.Registry {
			server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
			t.Cleanup(server.Close)
			return &harness.Registry{Host: strings.TrimPrefix(server.URL, "http://")}
		},
	}
}

// wantReferrers lists what refers to a manifest, with a client that knows nothing yet.
func wantReferrers(t *testing.T, host string, subject ocispec.Descriptor, want ...ocispec.Descriptor) {
	t.Helper()
	repository := orasRepository(t, host)
	found := map[string]bool{}
	err := repository.Referrers(t.Context(), subject, "", func(page []ocispec.Descriptor) error {
		for _, one := range page {
			found[one.Digest.String()] = true
		}
		return nil
	})
	if err != nil {
		t.Fatalf("list what refers to an image: %v", err)
	}
	for _, one := range want {
		if !found[one.Digest.String()] {
			t.Errorf("%s is not found", one.Digest)
		}
	}
	if len(found) != len(want) {
		t.Errorf("%d are found, want %d", len(found), len(want))
	}
}
