// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// binaryDir is the environment variable with the directory of the built plugin.
const binaryDir = "LSP_PLUGIN_DIR"

func TestMain(m *testing.M) { os.Exit(prepared(m)) }

// prepared builds the plugin, unless the environment names a built one, and runs the tests.
func prepared(m *testing.M) int {
	if os.Getenv(binaryDir) == "" {
		dir, err := build()
		if err == nil {
			defer os.RemoveAll(dir)
			err = os.Setenv(binaryDir, dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return harness.Main(m, "crane", "imgpkg", "registry")
}

// build makes the plugin, and the link that kubectl completes with.
func build() (string, error) {
	root, err := harness.Root()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "lsp-plugin-")
	if err != nil {
		return "", fmt.Errorf("make a directory for the plugin: %w", err)
	}
	cmd := exec.Command("go", "build", "-race", "-o", filepath.Join(dir, "kubectl-lsp"), "./src/cmd/kubectl-lsp")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the plugin: %w\n%s", err, out)
	}
	return dir, os.Symlink("kubectl-lsp", filepath.Join(dir, "kubectl_complete-lsp"))
}

// place is a developer's machine, a cluster with the server, and the registry behind it.
type place struct {
	upstream *harness.Registry
	server   *harness.Server
	tree     string
	env      []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	tokens := harness.NewTokens(t, 0)
	upstream := tokens.Guard(harness.Distribution{Program: harness.Tool(t, "registry"), Token: tokens.Config(t)}.Start(t))
	p := &place{upstream: upstream, server: harness.Start(t, harness.Options{Upstream: upstream}), tree: t.TempDir()}
	api := harness.NewAPIServer(t, p.server.Host)
	home := t.TempDir()
	kubeconfig := harness.WriteFile(t, filepath.Join(home, "kubeconfig"), []byte(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "`+api.URL+`"}}]
users: [{name: dev, user: {token: developers-cluster-token}}]
contexts: [{name: test, context: {cluster: test, user: dev, namespace: dev}}]
current-context: test
`))
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
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
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
