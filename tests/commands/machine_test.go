// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

func plugin() string { return filepath.Join(os.Getenv(pluginDir), "kubectl-lsp") }

// homeMark stands in a machine's files for the command's home.
const homeMark = "@HOME@"

// machine is where somebody types commands. Each starts in a new directory, its home, which holds copies
// of the machine's files and nothing else: what a client remembers of a registry is gone with its process.
type machine struct {
	files map[string][]byte
	env   []string
}

// machine returns one that knows the license, and files by their path.
func (p *place) machine(t *testing.T, files map[string][]byte, env ...string) *machine {
	t.Helper()
	m := &machine{env: env, files: map[string][]byte{
		"config.json": harness.DockerConfig(t, p.server.Images, "LICENSE_ID", p.license),
	}}
	for path, content := range files {
		m.files[path] = content
	}
	return m
}

// home makes the next command's.
func (m *machine) home(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	for path, content := range m.files {
		file := filepath.Join(home, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		harness.WriteFile(t, file, bytes.ReplaceAll(content, []byte(homeMark), []byte(home)))
	}
	return home
}

// run runs a command that must succeed and returns its standard output and its home.
func (m *machine) run(t *testing.T, program string, args ...string) (stdout, home string) {
	t.Helper()
	stdout, home, err := m.try(t, program, args...)
	if err != nil {
		t.Fatal(err)
	}
	return stdout, home
}

// try runs a command; the error has all that it printed.
func (m *machine) try(t *testing.T, program string, args ...string) (stdout, home string, err error) {
	t.Helper()
	home = m.home(t)
	ctx, cancel := context.WithTimeout(t.Context(), harness.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = home
	cmd.Env = append(os.Environ(), "HOME="+home, "DOCKER_CONFIG="+home, "XDG_CONFIG_HOME="+home,
		"XDG_CACHE_HOME="+home, "XDG_DATA_HOME="+home, "XDG_RUNTIME_DIR="+home,
		"KUBECONFIG="+filepath.Join(home, "none"), "REGISTRY_AUTH_FILE="+filepath.Join(home, "config.json"),
		"NOTATION_CONFIG="+filepath.Join(home, "notation"), "REGCTL_CONFIG="+filepath.Join(home, "regctl.json"),
		"HELM_REGISTRY_CONFIG="+filepath.Join(home, "config.json"), "COSIGN_PASSWORD=")
	cmd.Env = append(cmd.Env, m.env...)
	var out, all bytes.Buffer
	cmd.Stdout, cmd.Stderr = writers{&out, &all}, &all
	if err := cmd.Run(); err != nil {
		return "", home, fmt.Errorf("%s: %w\n%s", cmd, err, all.Bytes())
	}
	return out.String(), home, nil
}

// writers writes to two buffers.
type writers [2]*bytes.Buffer

func (w writers) Write(p []byte) (int, error) {
	w[0].Write(p)
	return w[1].Write(p)
}

// read reads a file of a command's home.
func read(t *testing.T, home, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(home, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// digestIn returns the last digest that a command printed.
func digestIn(t *testing.T, output string) string {
	t.Helper()
	found := regexp.MustCompile(`sha256:[0-9a-f]{64}`).FindAllString(output, -1)
	if len(found) == 0 {
		t.Fatalf("no digest in %q", output)
	}
	return found[len(found)-1]
}

// everyWay runs a test for every kind of registry, and by each way to push; the customer's way is the
// second argument.
func everyWay(t *testing.T, test func(t *testing.T, p *place, pushing, pulling way)) {
	t.Helper()
	for _, kind := range kinds() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t, kind)
			for _, w := range p.writing(t) {
				t.Run(w.name, func(t *testing.T) { test(t, p, w, p.reading()) })
			}
		})
	}
}

// pushImage pushes a random image, by no command, and returns its digest.
func pushImage(t *testing.T, w way, tag string) string {
	t.Helper()
	image := harness.Image(t)
	_, repository, _ := strings.Cut(w.repository, "/")
	at := harness.Reference(t, w.host(), repository, tag)
	if err := remote.Write(at, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	return harness.Digest(t, image)
}
