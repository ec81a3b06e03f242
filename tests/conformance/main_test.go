// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// programsDir is the environment variable with the directory of the suites and of kubectl-lsp.
const programsDir = "LSP_CONFORMANCE_DIR"

// official is the package of both suites.
const official = "github.com/opencontainers/distribution-spec/conformance"

func TestMain(m *testing.M) {
	os.Exit(harness.Programs{Variable: programsDir, Build: build}.Main(m, "registry"))
}

func build(dir string) error {
	return errors.Join(
		harness.Go(".", "build", "-o", filepath.Join(dir, "suite"), official),
		harness.Go("ginkgo", "test", "-c", "-o", filepath.Join(dir, "suite-ginkgo"), official),
		harness.Go("", "build", "-o", filepath.Join(dir, "kubectl-lsp"), "./src/cmd/kubectl-lsp"),
	)
}

// program returns the path of one of the built programs.
func program(name string) string { return filepath.Join(os.Getenv(programsDir), name) }
