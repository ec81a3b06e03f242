// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// The lock is imgpkg's, byte for byte, and imgpkg copies by it, with a credential for the operator's registry.
func TestLockIsImgpkgs(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	want := fill(t, p.tree)
	ours, theirs := filepath.Join(t.TempDir(), "ours.yml"), filepath.Join(t.TempDir(), "theirs.yml")
	out, _ := p.run(t, plugin(), "push", "--name", "web", "--local-path", p.tree, "--lock-output", ours, "--tag", "release")
	digest := digestOf(t, strings.TrimSpace(out))
	p.upstream.AssertArrived(t, "release", digest)

	repository := p.upstream.Host + "/" + harness.Repository
	login := []string{"--registry-username", p.upstream.Username, "--registry-password", p.upstream.Password}
	copied := func(args ...string) {
		t.Helper()
		p.run(t, harness.Tool(t, "imgpkg"), append(append([]string{"copy", "--tty"}, args...), login...)...)
	}
	copied("-i", repository+"@"+digest, "--to-repo", repository, "--lock-output", theirs)
	read := func(file string) string {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	if diff := cmp.Diff(read(theirs), read(ours)); diff != "" {
		t.Errorf("the lock (-imgpkg's +ours):\n%s", diff)
	}
	archive := filepath.Join(t.TempDir(), "web.tar")
	copied("--lock", ours, "--to-tar", archive)
	copied("--tar", archive, "--to-repo", p.server.Host+"/source")
	p.pulls(t, repository+"@"+digest, want)
}

// What has annotations is an OCI image, and imgpkg unpacks it like any.
func TestAnnotatedImageUnpacks(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	want := fill(t, p.tree)
	out, _ := p.run(t, plugin(), "push", "--name", "web", "--local-path", p.tree, "--annotation", "org.example.a=b")
	reference := strings.TrimSpace(out)
	p.pulls(t, reference, want)
	manifest, err := p.pulled(t, digestOf(t, reference)).Manifest()
	if err != nil || manifest.Annotations["org.example.a"] != "b" || manifest.MediaType != types.OCIManifestSchema1 {
		t.Errorf("%v, manifest %+v", err, manifest)
	}
	plain, _ := p.push(t)
	if plain == reference {
		t.Error("the annotation is not part of the digest")
	}
}
