// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// Sizes of random content: enough for several reads, little enough for many tests.
const (
	layers    = 3
	layerSize = 96 << 10
)

// Image returns a random OCI image of several layers.
func Image(t testing.TB) v1.Image {
	t.Helper()
	return image(t, v1.Platform{OS: "linux", Architecture: "amd64"})
}

func image(t testing.TB, platform v1.Platform) v1.Image {
	t.Helper()
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for range layers {
		layer, err := random.Layer(layerSize, types.OCILayer)
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = platform.OS, platform.Architecture
	if img, err = mutate.ConfigFile(img, config); err != nil {
		t.Fatal(err)
	}
	return img
}

// Index returns a random OCI index with an image for each of two architectures.
func Index(t testing.TB) v1.ImageIndex {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, architecture := range []string{"amd64", "arm64"} {
		platform := v1.Platform{OS: "linux", Architecture: architecture}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image(t, platform), Descriptor: v1.Descriptor{Platform: &platform},
		})
	}
	return index
}

// Layout writes an index and an image as an OCI image layout and returns its directory.
func Layout(t testing.TB, add func(path layout.Path) error) string {
	t.Helper()
	path, err := layout.Write(t.TempDir(), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := add(path); err != nil {
		t.Fatal(err)
	}
	return string(path)
}

// RefName is the annotation that gives a manifest of a layout its tag.
func RefName(tag string) layout.Option {
	return layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag})
}

// Digest returns the digest of an image or index.
func Digest(t testing.TB, content interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	hash, err := content.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return hash.String()
}

// AssertArrived pulls a tag from the registry itself, as the operator: the manifest must have this digest,
// and every blob that it names, at any depth, must be there with its own.
func (r *Registry) AssertArrived(t testing.TB, tag, digest string) {
	t.Helper()
	r.AssertArrivedAt(t, Repository, tag, digest)
}

// AssertArrivedAt is AssertArrived for another repository.
func (r *Registry) AssertArrivedAt(t testing.TB, repository, tag, digest string) {
	t.Helper()
	descriptor, err := remote.Get(Reference(t, r.Host, repository, tag), r.Options(t)...)
	if err != nil {
		t.Fatalf("pull %s from the upstream: %v", tag, err)
	}
	if got := descriptor.Digest.String(); got != digest {
		t.Fatalf("the upstream has %s as %s, want %s", tag, got, digest)
	}
	if descriptor.MediaType.IsIndex() {
		index, err := descriptor.ImageIndex()
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index); err != nil {
			t.Errorf("the index %s on the upstream: %v", tag, err)
		}
		return
	}
	img, err := descriptor.Image()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Errorf("the image %s on the upstream: %v", tag, err)
	}
}

// AssertAbsent fails when the registry itself has a tag or digest.
func (r *Registry) AssertAbsent(t testing.TB, identifier string) {
	t.Helper()
	if _, err := remote.Head(r.Reference(t, identifier), r.Options(t)...); err == nil {
		t.Errorf("the upstream still has %s", identifier)
	}
}
