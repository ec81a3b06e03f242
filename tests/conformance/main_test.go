// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// programsDir is the environment variable with the directory of the suites and of kubectl-lsp.
const programsDir = "LSP_CONFORMANCE_DIR"

// official is the package of both suites.
const official = "github.com/opencontainers/distribution-spec/conformance"

func TestMain(m *testing.M) { os.Exit(prepared(m)) }

// prepared builds the programs, unless the environment says where they are, and runs the tests.
func prepared(m *testing.M) int {
	if os.Getenv(programsDir) == "" {
		dir, err := os.MkdirTemp("", "lsp-conformance-")
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
	for _, one := range []struct {
		module string
		args   []string
	}{
		{".", []string{"build", "-o", filepath.Join(dir, "suite"), official}},
		{"ginkgo", []string{"test", "-c", "-o", filepath.Join(dir, "suite-ginkgo"), official}},
		{root, []string{"build", "-o", filepath.Join(dir, "kubectl-lsp"), "./src/cmd/kubectl-lsp"}},
	} {
		cmd := exec.Command("go", one.args...)
		cmd.Dir = one.module
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("go %s: %w\n%s", strings.Join(one.args, " "), err, out)
		}
	}
	return nil
}

// program returns the path of one of the built programs.
func program(name string) string { return filepath.Join(os.Getenv(programsDir), name) }
