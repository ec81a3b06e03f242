// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// TestDocker: Docker's engine pushes and pulls; a customer's pulls with the license in the client's
// configuration.
func TestDocker(t *testing.T) {
	t.Parallel()
	engine := startDocker(t)
	everyWay(t, func(t *testing.T, p *place, pushing, pulling way) {
		m := p.machine(t, map[string][]byte{"image.tar": dockerArchive(t)}, "DOCKER_HOST=unix://"+engine.socket)
		docker := func(args ...string) string {
			out, _ := m.run(t, engine.client, args...)
			return out
		}
		// One after the other: the store's layers are the engine's, and to pull is to have none of them.
		_, loaded, _ := strings.Cut(docker("load", "--quiet", "--input=image.tar"), "Loaded image: ")
		tag := "docker-" + pushing.tag()
		at := pushing.repository + ":" + tag
		docker("tag", strings.TrimSpace(loaded), at)
		digest := digestIn(t, docker("push", at))
		p.upstream.AssertArrived(t, tag, digest)
		docker("rmi", at, strings.TrimSpace(loaded))
		for _, w := range []way{pushing, pulling} {
			reference := w.repository + ":" + tag
			docker("pull", "--quiet", reference)
			if got := docker("image", "inspect", "--format={{.RepoDigests}}", reference); digestIn(t, got) != digest {
				t.Errorf("%s: docker pulled %s, want %s", w.name, got, digest)
			}
			docker("rmi", reference)
		}
	})
}

// dockerArchive is what "docker save" writes, of a random image.
func dockerArchive(t *testing.T) []byte {
	t.Helper()
	image := harness.Image(t)
	tag, err := name.NewTag("example.com/random:" + strings.TrimPrefix(harness.Digest(t, image), "sha256:"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "image.tar")
	if err := tarball.WriteToFile(file, tag, image); err != nil {
		t.Fatal(err)
	}
	return read(t, "", file)
}

// docker is an engine and a client for it.
type docker struct{ socket, client string }

// startDocker starts an engine that shares nothing with the system's and touches neither its network nor
// its rules.
func startDocker(t *testing.T) docker {
	t.Helper()
	program := harness.System(t, "dockerd", "docker.io")
	if os.Geteuid() != 0 {
		t.Skip("dockerd runs as root only")
	}
	// Its path is part of the paths of sockets, which are short.
	dir, err := os.MkdirTemp("", "lsp-docker-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	d := docker{socket: filepath.Join(dir, "d.sock"), client: harness.System(t, "docker", "docker.io")}
	cmd := exec.Command(program, "--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--bridge=none",
		"--host=unix://"+d.socket, "--data-root="+filepath.Join(dir, "data"), "--exec-root="+filepath.Join(dir, "exec"),
		"--pidfile="+filepath.Join(dir, "pid"), "--log-level=warn",
		"--config-file="+harness.WriteFile(t, filepath.Join(dir, "daemon.json"), []byte("{}")))
	harness.StartProcess(t, "dockerd", cmd)
	harness.Eventually(t, "dockerd answers", func(ctx context.Context) error {
		return exec.CommandContext(ctx, d.client, "--host=unix://"+d.socket, "version").Run()
	})
	return d
}
