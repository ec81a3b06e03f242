// SPDX-License-Identifier: Apache-2.0

package rewrite_test

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

// programsDir is the environment variable with the directory of kubectl, helm and kubectl-lsp.
const programsDir = "LSP_REWRITE_DIR"

func TestMain(m *testing.M) {
	os.Exit(harness.Programs{Variable: programsDir, Build: build}.Main(m, "registry"))
}

func build(dir string) error {
	dir += string(filepath.Separator)
	return errors.Join(
		harness.Go(".", "build", "-o", dir, ".", "./cmd/kubectl", "./cmd/helm4", "helm.sh/helm/v3/cmd/helm"),
		harness.Go("", "build", "-o", dir, "./src/cmd/kubectl-lsp"),
	)
}

// place is a customer's machine: a directory, and programs that know no cluster and no credential.
type place struct {
	*testing.T
	dir string
	env []string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{T: t, dir: t.TempDir()}
	home := t.TempDir()
	p.env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, "DOCKER_CONFIG="+home,
		"KUBECONFIG="+filepath.Join(home, "none"), "PATH="+os.Getenv(programsDir)+":"+os.Getenv("PATH"))
	return p
}

func (p *place) file(name, content string) string {
	p.Helper()
	path := filepath.Join(p.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.Fatal(err)
	}
	return harness.WriteFile(p.T, path, []byte(content))
}

// run runs one of the programs in the directory, with input, and returns standard output and standard error.
func (p *place) run(input, program string, args ...string) (stdout, stderr string) {
	p.Helper()
	stdout, stderr, err := p.try(input, program, args...)
	if err != nil {
		p.Fatalf("%s %s: %v\n%s%s", program, strings.Join(args, " "), err, stdout, stderr)
	}
	return stdout, stderr
}

// try is run, of what may fail.
func (p *place) try(input, program string, args ...string) (stdout, stderr string, err error) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.Context(), harness.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv(programsDir), program), args...)
	cmd.Dir, cmd.Env, cmd.Stdin = p.dir, p.env, strings.NewReader(input)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err = cmd.Run()
	return out.String(), errOut.String(), err
}
