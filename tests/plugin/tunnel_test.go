// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// openRegistry starts "kubectl lsp registry" and returns host:port/source.
func (p *place) openRegistry(t *testing.T) string {
	t.Helper()
	_, repository := harness.OpenRegistry(t, p.command(t.Context(), plugin(), "registry", "--port", "0"))
	return repository
}

func TestRegistryForOtherClients(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	repository := p.openRegistry(t)
	if !strings.HasPrefix(repository, "localhost:") || !strings.HasSuffix(repository, "/source") {
		t.Fatalf("address %q", repository)
	}

	t.Run("skopeo", func(t *testing.T) {
		image := harness.Image(t)
		dir := harness.Layout(t, func(path layout.Path) error { return path.AppendImage(image, harness.RefName("x")) })
		p.run(t, harness.System(t, "skopeo", "skopeo"), "--insecure-policy", "copy", "--dest-tls-verify=false", "--dest-no-creds",
			"oci:"+dir+":x", "docker://"+repository+":skopeo")
		p.upstream.AssertArrived(t, "skopeo", harness.Digest(t, image))
	})
	t.Run("podman", func(t *testing.T) {
		podman := harness.System(t, "podman", "podman")
		if os.Geteuid() != 0 {
			t.Skip("podman needs subordinate user ids for any other user than root")
		}
		image := harness.Image(t)
		dir := harness.Layout(t, func(path layout.Path) error { return path.AppendImage(image, harness.RefName("x")) })
		own, err := os.MkdirTemp("", "lsp-podman-") //nolint:usetesting // podman takes a path of at most 50 letters
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := os.RemoveAll(own); err != nil {
				t.Error(err)
			}
		})
		// It makes a name of the path, which has to be in small letters.
		if err := os.CopyFS(filepath.Join(own, "image"), os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		podmanRun := func(command string, args ...string) string {
			out, _ := p.run(t, podman, append([]string{
				"--root", filepath.Join(own, "root"), "--runroot", filepath.Join(own, "run"), "--storage-driver", "vfs", command,
				"--signature-policy", harness.WriteFile(t, filepath.Join(own, "policy.json"), []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`)),
				"--authfile", harness.WriteFile(t, filepath.Join(own, "auth.json"), []byte(`{}`)), "--quiet",
			}, args...)...)
			return strings.TrimSpace(out)
		}
		id := podmanRun("pull", "oci:"+filepath.Join(own, "image")+":x")
		podmanRun("push", "--tls-verify=false", id, "docker://"+repository+":podman")
		if _, err := p.pulled(t, "podman").Manifest(); err != nil { // it compresses anew: another digest
			t.Fatal(err)
		}
	})
	t.Run("imgpkg", func(t *testing.T) {
		tree := t.TempDir()
		fill(t, tree)
		out, _ := p.run(t, harness.Tool(t, "imgpkg"), "push", "--tty", "-i", repository+":imgpkg", "-f", tree)
		_, digest, found := strings.Cut(out, "@")
		if !found {
			t.Fatalf("imgpkg printed %s", out)
		}
		p.upstream.AssertArrived(t, "imgpkg", strings.TrimSuffix(strings.Fields(digest)[0], "'"))
	})
	t.Run("crane", func(t *testing.T) {
		image := harness.Image(t)
		dir := harness.Layout(t, func(path layout.Path) error { return path.AppendImage(image) })
		p.run(t, harness.Tool(t, "crane"), "push", dir, repository+":crane")
		p.upstream.AssertArrived(t, "crane", harness.Digest(t, image))
	})
}

func TestFoundByKubectl(t *testing.T) {
	t.Parallel()
	kubectl := harness.System(t, "kubectl", "kubernetes-client")
	p := newPlace(t)
	fill(t, p.tree)
	out, _ := p.run(t, kubectl, "lsp", "push", "--name", "web", "--local-path", p.tree)
	p.upstream.AssertArrived(t, "dev-web", digestOf(t, strings.TrimSpace(out)))
	if out, _ := p.run(t, kubectl, "lsp", "health"); !strings.Contains(out, "overall_health: true") {
		t.Errorf("health: %s", out)
	}
	if out, _ := p.run(t, kubectl, "plugin", "list", "--name-only"); !strings.Contains(out, "kubectl-lsp") {
		t.Errorf("plugins: %s", out)
	}
	if out, _ := p.run(t, kubectl, "__complete", "lsp", "do"); !strings.HasPrefix(out, "doctor\t") {
		t.Errorf("completion of %q: %s", filepath.Base(kubectl)+" lsp do", out)
	}
}
