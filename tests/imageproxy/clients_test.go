// SPDX-License-Identifier: Apache-2.0

package images_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// client is one way to pull: an image, by tag or digest, with an id. It gives the digest of what it has got,
// blobs included.
type client struct {
	name string
	pull func(t *testing.T, image, id string) (digest string, err error)
}

func clients() []client {
	return []client{
		{"crane", cranePull}, {"skopeo", skopeoPull}, {"podman", podmanPull}, {"containerd", ctrPull},
		{"docker's library", dockerPull}, {"oras-go", orasPull}, {"regclient", regclientPull},
	}
}

// TestPull: every client pulls images of every kind of registry, by tag and by digest, and none without a
// license.
func TestPull(t *testing.T) {
	t.Parallel()
	v := newVendor(t)
	acme := v.license("acme")
	server := v.serve()
	tags, digests := map[string]string{}, map[string]string{}
	for alias := range v.registries {
		tags[alias] = server.Images + "/" + name(alias) + ":v1"
		digests[alias] = v.pushed(alias, "v1")
	}
	private, index := v.registries["private"], harness.Index(t)
	if err := remote.WriteIndex(private.Reference(t, "multi"), index, private.Options(t)...); err != nil {
		t.Fatal(err)
	}
	// Some clients say which index they have got, and some which of its images.
	multi := []string{harness.Digest(t, index)}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range manifest.Manifests {
		multi = append(multi, each.Digest.String())
	}
	for _, client := range clients() {
		t.Run(client.name, func(t *testing.T) {
			t.Parallel()
			for alias, want := range digests {
				if got, err := client.pull(t, tags[alias], acme.id); err != nil || got != want {
					t.Errorf("%s: pulled %s, %v; want %s", tags[alias], got, err, want)
				}
			}
			repository := strings.TrimSuffix(tags["private"], ":v1")
			if got, err := client.pull(t, repository+"@"+digests["private"], acme.id); err != nil || got != digests["private"] {
				t.Errorf("by digest: pulled %s, %v; want %s", got, err, digests["private"])
			}
			if got, err := client.pull(t, repository+":multi", acme.id); err != nil || !slices.Contains(multi, got) {
				t.Errorf("of two architectures: pulled %q, %v; want one of %s", got, err, multi)
			}
			wrong := strings.Repeat("X", 26)
			for name, id := range map[string]string{"a wrong license": wrong, "none": ""} {
				if got, err := client.pull(t, tags["private"], id); err == nil {
					t.Errorf("with %s it pulled %s", name, got)
				} else if id == wrong && strings.Contains(err.Error(), v.registries["private"].Host) {
					t.Errorf("with %s it was told where the registry is: %v", name, err)
				}
			}
		})
	}
}

// try runs a client's program with an empty home, so that no credential of the machine's user takes part.
func try(t *testing.T, home, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "DOCKER_CONFIG="+home, "XDG_RUNTIME_DIR="+home, "REGISTRY_AUTH_FILE=")
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", filepath.Base(program), err, stdout.String(), stderr.String())
	}
	return stdout.String(), nil
}

func host(image string) string {
	before, _, _ := strings.Cut(image, "/")
	return before
}

func cranePull(t *testing.T, image, id string) (string, error) {
	t.Helper()
	home := t.TempDir()
	if id != "" {
		harness.WriteFile(t, filepath.Join(home, "config.json"), harness.DockerConfig(t, host(image), "LICENSE_ID", id))
	}
	crane := harness.Tool(t, "crane")
	if _, err := try(t, home, crane, "pull", "--insecure", "--format=oci", image, filepath.Join(home, "image")); err != nil {
		return "", err
	}
	return layoutDigest(filepath.Join(home, "image"))
}

// layoutDigest reads the digest of the only image of an OCI layout.
func layoutDigest(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		return "", err
	}
	var index struct{ Manifests []struct{ Digest string } }
	if err := json.Unmarshal(content, &index); err != nil || len(index.Manifests) != 1 {
		return "", fmt.Errorf("%d images in the layout, %w", len(index.Manifests), err)
	}
	return index.Manifests[0].Digest, nil
}

func skopeoPull(t *testing.T, image, id string) (string, error) {
	t.Helper()
	home := t.TempDir()
	credential := "--src-no-creds"
	if id != "" {
		credential = "--src-creds=ops@acme.example:" + id
	}
	_, err := try(t, home, harness.System(t, "skopeo", "skopeo"), "--insecure-policy", "copy", "--src-tls-verify=false", credential,
		"--override-os=linux", "--override-arch=amd64", "docker://"+image, "oci:"+filepath.Join(home, "image"))
	if err != nil {
		return "", err
	}
	return layoutDigest(filepath.Join(home, "image"))
}

func podmanPull(t *testing.T, image, id string) (string, error) {
	t.Helper()
	program := harness.System(t, "podman", "podman")
	if os.Geteuid() != 0 {
		t.Skip("podman needs subordinate user ids where it does not run as root")
	}
	// Its paths may have 50 characters, and those of a test's directory have more.
	home, err := os.MkdirTemp("", "podman") //nolint:usetesting // that of a test is too long
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	policy := harness.WriteFile(t, filepath.Join(home, "policy.json"), []byte(`{"default":[{"type":"insecureAcceptAnything"}]}`))
	store := []string{"--root=" + filepath.Join(home, "root"), "--runroot=" + filepath.Join(home, "run"), "--storage-driver=vfs", "--cgroup-manager=cgroupfs"}
	harness.WriteFile(t, filepath.Join(home, "config.json"), []byte("{}")) // it wants to look at one
	credential := []string{}
	if id != "" {
		credential = []string{"--creds=ops@acme.example:" + id}
	}
	pull := append(append(append([]string{}, store...), "pull", "--quiet", "--tls-verify=false", "--arch=amd64", "--signature-policy="+policy), credential...)
	if _, err := try(t, home, program, append(pull, image)...); err != nil {
		return "", err
	}
	out, err := try(t, home, program, append(append([]string{}, store...), "image", "inspect", "--format={{.Digest}}", image)...)
	return strings.TrimSpace(out), err
}
