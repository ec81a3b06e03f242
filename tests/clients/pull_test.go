// SPDX-License-Identifier: Apache-2.0

package clients_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content/memory"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// pullers are the clients that pull; each fails the test unless it gets the whole image of this digest.
func pullers() map[string]func(t *testing.T, host, tag, digest string) error {
	return map[string]func(t *testing.T, host, tag, digest string) error{
		"go-containerregistry": func(t *testing.T, host, tag, digest string) error {
			t.Helper()
			image, err := remote.Image(harness.Reference(t, host, "source", tag), ggcrOptions(t)...)
			if err != nil {
				t.Fatal(err)
			}
			if got := harness.Digest(t, image); got != digest {
				t.Errorf("digest %s, want %s", got, digest)
			}
			return validate.Image(image)
		},
		"oras": func(t *testing.T, host, tag, digest string) error {
			t.Helper()
			root, err := oras.Copy(t.Context(), orasRepository(t, host), tag, memory.New(), tag, oras.DefaultCopyOptions)
			if err == nil && root.Digest.String() != digest {
				t.Errorf("digest %s, want %s", root.Digest, digest)
			}
			return err
		},
		"regclient": func(t *testing.T, host, tag, digest string) error {
			t.Helper()
			dir := t.TempDir()
			err := newRegclient(host).ImageCopy(t.Context(), regclientRef(t, host+"/source:"+tag), regclientRef(t, "ocidir://"+dir+":"+tag))
			if err == nil {
				assertLayout(t, dir, digest)
			}
			return err
		},
		"skopeo": func(t *testing.T, host, tag, digest string) error {
			t.Helper()
			dir := filepath.Join(t.TempDir(), "layout")
			_, err := try(t, harness.System(t, "skopeo", "skopeo"), "--insecure-policy", "copy", "--preserve-digests",
				"--src-tls-verify=false", "--src-no-creds", "docker://"+host+"/source:"+tag, "oci:"+dir+":"+tag)
			if err == nil {
				assertLayout(t, dir, digest)
			}
			return err
		},
	}
}

// assertLayout fails unless an OCI image layout holds the manifest.
func assertLayout(t *testing.T, dir, digest string) {
	t.Helper()
	if _, err := layout.FromPath(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))); err != nil {
		t.Error(err)
	}
}

// TestPull: with allow_pull every client gets the image back; without it none does.
func TestPull(t *testing.T) {
	t.Parallel()
	for _, kind := range harness.Kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			upstream := kind.Start(t)
			open := harness.Start(t, harness.Options{Upstream: upstream, Values: map[string]any{"allow_pull": true}})
			closed := harness.Start(t, harness.Options{Upstream: upstream})
			digest := ggcrImage(t, open.Host, "tag")
			for name, pull := range pullers() {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					if err := pull(t, open.Host, "tag", digest); err != nil {
						t.Error(err)
					}
					if err := pull(t, closed.Host, "tag", digest); err == nil {
						t.Error("pulled although allow_pull is not set")
					}
				})
			}
		})
	}
}
