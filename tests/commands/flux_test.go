// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestFluxArtifact makes the requests of "flux push artifact", "tag artifact" and "pull artifact". The
// command itself embeds files that its module lacks, so that no module pins it; it pushes with go-
// containerregistry, as is done here.
func TestFluxArtifact(t *testing.T) {
	t.Parallel()
	everyWay(t, func(t *testing.T, p *place, pushing, pulling way) {
		content := harness.NewBlob(32 << 10).Content
		image := fluxArtifact(t, content)
		_, repository, _ := strings.Cut(pushing.repository, "/")
		tag := "flux-" + pushing.tag()
		at := harness.Reference(t, pushing.host(), repository, tag)
		if err := remote.Write(at, image, remote.WithContext(t.Context())); err != nil {
			t.Fatal(err)
		}
		if err := remote.Tag(at.Context().Tag(tag+"-again"), image, remote.WithContext(t.Context())); err != nil {
			t.Fatal(err)
		}
		for _, each := range []string{tag, tag + "-again"} {
			p.upstream.AssertArrived(t, each, harness.Digest(t, image))
		}
		for _, w := range []way{pushing, pulling} {
			_, repository, _ := strings.Cut(w.repository, "/")
			options := []remote.Option{remote.WithContext(t.Context())}
			if w == pulling {
				options = append(options, remote.WithAuth(&authn.Basic{Username: "LICENSE_ID", Password: p.license}))
			}
			pulled, err := remote.Image(harness.Reference(t, w.host(), repository, tag), options...)
			if err != nil {
				t.Fatalf("%s: %v", w.name, err)
			}
			layers, err := pulled.Layers()
			if err != nil || len(layers) != 1 {
				t.Fatalf("%s: %d layers, %v", w.name, len(layers), err)
			}
			r, err := layers[0].Compressed()
			if err != nil {
				t.Fatalf("%s: %v", w.name, err)
			}
			got, err := io.ReadAll(r)
			r.Close()
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: the artifact is another, %v", w.name, err)
			}
		}
	})
}

// fluxArtifact has the media types and annotations of flux's.
func fluxArtifact(t *testing.T, content []byte) v1.Image {
	t.Helper()
	image := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, "application/vnd.cncf.flux.config.v1+json")
	image = mutate.Annotations(image, map[string]string{
		"org.opencontainers.image.source":   "https://git.example.com/app",
		"org.opencontainers.image.revision": "main@sha1:0123456",
	}).(v1.Image)
	layer := static.NewLayer(content, "application/vnd.cncf.flux.content.v1.tar+gzip")
	image, err := mutate.AppendLayers(image, layer)
	if err != nil {
		t.Fatal(err)
	}
	return image
}
