// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestSignaturesSurvive, in both places where they are kept: referrers, by the API or by a tag where the
// registry has none, and the tags of cosign.
func TestSignaturesSurvive(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	server := v.serve()
	auth := remote.WithAuth(&authn.Basic{Username: "x", Password: acme.id})
	for alias, registry := range v.registries {
		t.Run(alias, func(t *testing.T) {
			t.Parallel()
			image := harness.Image(t)
			if err := remote.Write(registry.Reference(t, "signed"), image, registry.Options(t)...); err != nil {
				t.Fatal(err)
			}
			subject, err := partial.Descriptor(image)
			if err != nil {
				t.Fatal(err)
			}
			signature := mutate.Subject(harness.Image(t), *subject).(v1.Image)
			digest := harness.Digest(t, image)
			tag := strings.Replace(digest, ":", "-", 1) + ".sig"
			for _, reference := range []string{tag, harness.Digest(t, signature)} {
				if err := remote.Write(registry.Reference(t, reference), signature, registry.Options(t)...); err != nil {
					t.Fatal(err)
				}
			}
			here := harness.Reference(t, server.Images, name(alias), digest)
			index, err := remote.Referrers(here.Context().Digest(digest), auth, remote.WithContext(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			manifest, err := index.IndexManifest()
			if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Digest.String() != harness.Digest(t, signature) {
				t.Errorf("the referrers are %+v, %v", manifest, err)
			}
			wantReferrer(t, server.Images+"/"+name(alias), acme.id, digest, harness.Digest(t, signature))
			signed, err := remote.Image(here.Context().Tag(tag), auth, remote.WithContext(t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			if got := harness.Digest(t, signed); got != harness.Digest(t, signature) {
				t.Errorf("the signature's tag is %s", got)
			}
		})
	}
}

// wantReferrer lists what refers to an image with a client that does not know yet whether the registry has an
// API for that (quirk D10).
func wantReferrer(t *testing.T, repository, id, subject, want string) {
	t.Helper()
	here, err := orasRepository(t, repository, id)
	if err != nil {
		t.Fatal(err)
	}
	image, err := here.Resolve(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	if err := here.Referrers(t.Context(), image, "", func(page []ocispec.Descriptor) error {
		for _, one := range page {
			found = append(found, one.Digest.String())
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found, []string{want}) {
		t.Errorf("oras finds %v, want %s", found, want)
	}
}
