// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// binaryDir is the environment variable with the directory of the built plugin.
const binaryDir = "LSP_PLUGIN_DIR"

func TestMain(m *testing.M) {
	os.Exit(harness.Programs{Variable: binaryDir, Build: build}.Main(m, "crane", "imgpkg", "registry"))
}

// build makes the plugin, and the link that kubectl completes with.
func build(dir string) error {
	return errors.Join(
		harness.Go("", "build", "-race", "-o", filepath.Join(dir, "kubectl-lsp"), "./src/cmd/kubectl-lsp"),
		os.Symlink("kubectl-lsp", filepath.Join(dir, "kubectl_complete-lsp")),
	)
}

// place is a developer's machine, a cluster with the server, and the registry behind it.
type place struct {
	upstream *harness.Registry
	server   *harness.Server
	api      *harness.APIServer
	tree     string
	env      []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	return newPlaceWith(t, nil)
}

// newPlaceWith has values besides.
func newPlaceWith(t *testing.T, values map[string]any) *place {
	t.Helper()
	tokens := harness.NewTokens(t, 0)
	upstream := tokens.Guard(harness.Distribution{Program: harness.Tool(t, "registry"), Token: tokens.Config(t)}.Start(t))
	p := &place{upstream: upstream, server: harness.Start(t, harness.Options{Upstream: upstream, Values: values}), tree: t.TempDir()}
	p.api = harness.NewAPIServer(t, p.server.Host)
	home := t.TempDir()
	kubeconfig := harness.Kubeconfig(t, home, p.api.URL)
	p.env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "DOCKER_CONFIG="+home, "XDG_RUNTIME_DIR="+home,
		"KUBECONFIG="+kubeconfig, "REGISTRY_AUTH_FILE=", "PATH="+os.Getenv(binaryDir)+":"+os.Getenv("PATH"))
	return p
}

func (p *place) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = p.env
	return cmd
}

// run runs a program to its end and returns what it prints on each stream.
func (p *place) run(t *testing.T, program string, args ...string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	cmd := p.command(ctx, program, args...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", cmd, err, out.String(), errOut.String())
	}
	return out.String(), errOut.String()
}

func plugin() string { return filepath.Join(os.Getenv(binaryDir), "kubectl-lsp") }

// push pushes the place's tree and returns the reference.
func (p *place) push(t *testing.T) (reference, said string) {
	t.Helper()
	out, said := p.run(t, plugin(), "push", "--name", "web", "--local-path", p.tree)
	return strings.TrimSpace(out), said
}

func digestOf(t *testing.T, reference string) string {
	t.Helper()
	_, digest, found := strings.Cut(reference, "@")
	if !found {
		t.Fatalf("%q has no digest", reference)
	}
	return digest
}
