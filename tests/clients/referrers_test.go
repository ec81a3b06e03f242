// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const signatureType = "application/vnd.example.signature"

// TestReferrers attaches a signature through the server, and lists it with two clients, through the server
// and on the upstream itself: by the referrers API where the registry has it, by the fallback tag where it
// has not (quirk D6).
func TestReferrers(t *testing.T) {
	t.Parallel()
	for _, kind := range harness.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			upstream := kind.Start(t)
			server := harness.Start(t, harness.Options{Upstream: upstream})
			ggcrImage(t, server.Host, "subject")
			repository := orasRepository(t, server.Host)
			subject, err := repository.Resolve(t.Context(), "subject")
			if err != nil {
				t.Fatal(err)
			}
			signature := attach(t, repository, subject, "a signature")
			upstream.AssertArrived(t, signature.Digest.String(), signature.Digest.String())

			var found []ocispec.Descriptor
			if err := repository.Referrers(t.Context(), subject, signatureType, func(page []ocispec.Descriptor) error {
				found = append(found, page...)
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			if len(found) != 1 || found[0].Digest != signature.Digest {
				t.Errorf("oras finds %v, want %s", found, signature.Digest)
			}
			list, err := newRegclient(server.Host).ReferrerList(t.Context(), regclientRef(t, server.Host+"/source:subject"))
			if err != nil {
				t.Fatal(err)
			}
			if len(list.Descriptors) != 1 || list.Descriptors[0].Digest.String() != signature.Digest.String() {
				t.Errorf("regclient finds %v, want %s", list.Descriptors, signature.Digest)
			}
		})
	}
}

// attach does what "oras attach" does.
func attach(t *testing.T, repository *remote.Repository, subject ocispec.Descriptor, content string) ocispec.Descriptor {
	t.Helper()
	blob, err := oras.PushBytes(t.Context(), repository, "application/octet-stream", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := oras.PackManifest(t.Context(), repository, oras.PackManifestVersion1_1, signatureType,
		oras.PackManifestOptions{Subject: &subject, Layers: []ocispec.Descriptor{blob}})
	if err != nil {
		t.Fatal(err)
	}
	return manifest
}
