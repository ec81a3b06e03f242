// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"cuelabs.dev/go/oci/ociregistry/ocimem"
	"cuelabs.dev/go/oci/ociregistry/ociserver"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// registry is one that the suites run against straight; each run has one of its own.
type registry struct {
	name  string
	start func(t *testing.T) *harness.Registry
}

func registries() []registry {
	return []registry{
		{"distribution v3", func(t *testing.T) *harness.Registry {
			return harness.Distribution{Program: harness.Tool(t, "registry"), InMemory: true}.Start(t)
		}},
		{"docker-registry 2.8", func(t *testing.T) *harness.Registry {
			program := harness.System(t, "docker-registry", "docker-registry")
			return harness.Distribution{Program: program, InMemory: true}.Start(t)
		}},
		{"go-containerregistry", func(t *testing.T) *harness.Registry { return harness.InProcess(t) }},
		{"ociregistry", func(t *testing.T) *harness.Registry {
			server := httptest.NewServer(ociserver.New(ocimem.New(), nil))
			t.Cleanup(server.Close)
			return &harness.Registry{Host: strings.TrimPrefix(server.URL, "http://")}
		}},
	}
}

// one and two are the repositories of the suites.
const one, two = "one", "two"

// filled pushes content straight to the first repository: an image, a list of two, and what refers to the
// image.
func filled(t *testing.T, upstream *harness.Registry) content {
	t.Helper()
	image, index := harness.Image(t), harness.Index(t)
	subject, err := partial.Descriptor(image)
	if err != nil {
		t.Fatal(err)
	}
	artifact, ok := mutate.Subject(harness.Image(t), *subject).(v1.Image)
	if !ok {
		t.Fatal("an image with a subject is no image")
	}
	for tag, push := range map[string]func(ref name.Reference, options ...remote.Option) error{
		"image": func(ref name.Reference, options ...remote.Option) error { return remote.Write(ref, image, options...) },
		"index": func(ref name.Reference, options ...remote.Option) error {
			return remote.WriteIndex(ref, index, options...)
		},
		"artifact": func(ref name.Reference, options ...remote.Option) error {
			return remote.Write(ref, artifact, options...)
		},
	} {
		reference := harness.Reference(t, upstream.Host, harness.Repository+"/"+one, tag)
		if err := push(reference, upstream.Options(t)...); err != nil {
			t.Fatal(err)
		}
	}
	c := content{tags: []string{"image", "index", "artifact"}, subjects: []string{subject.Digest.String()}}
	for _, manifest := range []partial.Describable{image, artifact, index} {
		c.manifests = append(c.manifests, harness.Digest(t, manifest))
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		c.blobs = append(c.blobs, harness.Digest(t, layer))
	}
	return c
}
