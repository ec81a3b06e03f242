// SPDX-License-Identifier: Apache-2.0

package rewrite_test

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

// programsDir is the environment variable with the directory of kubectl, helm and kubectl-lsp.
const programsDir = "LSP_REWRITE_DIR"

// patience is for one program.
const patience = 2 * time.Minute

func TestMain(m *testing.M) { os.Exit(prepared(m)) }

// prepared builds the programs, unless the environment says where they are, and runs the tests.
func prepared(m *testing.M) int {
	if os.Getenv(programsDir) == "" {
		dir, err := os.MkdirTemp("", "lsp-rewrite-")
		if err == nil {
			defer os.RemoveAll(dir)
			err = build(dir)
		}
		if err == nil {
			err = os.Setenv(programsDir, dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return harness.Main(m, "registry")
}

func build(dir string) error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	for _, packages := range [][]string{
		{".", "./cmd/kubectl", "helm.sh/helm/v3/cmd/helm"},
		{root, "./src/cmd/kubectl-lsp"},
	} {
		cmd := exec.Command("go", append([]string{"build", "-o", dir + string(filepath.Separator)}, packages[1:]...)...)
		cmd.Dir = packages[0]
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", strings.Join(packages[1:], " and "), err, out)
		}
	}
	return nil
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
	ctx, cancel := context.WithTimeout(p.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv(programsDir), program), args...)
	cmd.Dir, cmd.Env, cmd.Stdin = p.dir, p.env, strings.NewReader(input)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil {
		p.Fatalf("%s: %v\n%s%s", cmd, err, out.String(), errOut.String())
	}
	return out.String(), errOut.String()
}
