// SPDX-License-Identifier: Apache-2.0

package operation_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestEmbeddedRegistry: one process and nothing else is enough to push, and the content is where
// Lsp-Registry-Path says.
func TestEmbeddedRegistry(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for title, flag := range map[string]string{
		"temporary": "--embedded-registry", "in a directory": "--embedded-registry=" + filepath.Join(dir, "blobs"),
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			server := harness.Start(t, harness.Options{Flags: []string{flag}})
			image := harness.Image(t)
			if err := remote.Write(harness.Reference(t, server.Host, "source", "tag"), image, remote.WithContext(t.Context())); err != nil {
				t.Fatal(err)
			}
			ping := harness.Call(t, harness.Request{Method: http.MethodGet, URL: server.URL("/v2/")}).Want(t, http.StatusOK)
			place := ping.Header.Get("Lsp-Registry-Path")
			if host, _, _ := strings.Cut(place, ":"); host != "127.0.0.1" && host != "localhost" {
				t.Errorf("the registry is at %q, want loopback", place)
			}
			reference, err := name.ParseReference(place + ":tag")
			if err != nil {
				t.Fatal(err)
			}
			pulled, err := remote.Image(reference, remote.WithContext(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			if err := validate.Image(pulled); err != nil {
				t.Error(err)
			}
			if got, want := harness.Digest(t, pulled), harness.Digest(t, image); got != want {
				t.Errorf("digest %s, want %s", got, want)
			}
		})
	}
}
