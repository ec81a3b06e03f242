// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"crypto/rand"
	"encoding/json"
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"
	"oras.land/oras-go/v2/registry/remote"
)

const artifactType = "application/vnd.example.source"

func orasRepository(t *testing.T, host string) *remote.Repository {
	t.Helper()
	repository, err := remote.NewRepository(host + "/source")
	if err != nil {
		t.Fatal(err)
	}
	repository.PlainHTTP = true
	return repository
}

// orasManifest packs an artifact of two random blobs into the store.
func orasManifest(t *testing.T, store *memory.Store) ocispec.Descriptor {
	t.Helper()
	var blobs []ocispec.Descriptor
	for range 2 {
		content := make([]byte, 32<<10)
		// crypto/rand.Read never fails.
		_, _ = rand.Read(content)
		blob, err := oras.PushBytes(t.Context(), store, "application/octet-stream", content)
		if err != nil {
			t.Fatal(err)
		}
		blobs = append(blobs, blob)
	}
	manifest, err := oras.PackManifest(t.Context(), store, oras.PackManifestVersion1_1, artifactType,
		oras.PackManifestOptions{Layers: blobs})
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}

func orasPush(t *testing.T, store *memory.Store, root ocispec.Descriptor, host, tag string) string {
	t.Helper()
	if err := store.Tag(t.Context(), root, tag); err != nil {
		t.Fatal(err)
	}
	if _, err := oras.Copy(t.Context(), store, tag, orasRepository(t, host), tag, oras.DefaultCopyOptions); err != nil {
		t.Fatal(err)
	}
	return root.Digest.String()
}

func orasArtifact(t *testing.T, host, tag string) string {
	t.Helper()
	store := memory.New()
	return orasPush(t, store, orasManifest(t, store), host, tag)
}

func orasIndex(t *testing.T, host, tag string) string {
	t.Helper()
	store := memory.New()
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{orasManifest(t, store), orasManifest(t, store)},
	})
	if err != nil {
		t.Fatal(err)
	}
	root, err := oras.PushBytes(t.Context(), store, ocispec.MediaTypeImageIndex, index)
	if err != nil {
		t.Fatal(err)
	}
	return orasPush(t, store, root, host, tag)
}
