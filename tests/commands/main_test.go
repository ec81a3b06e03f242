// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// pluginDir is the environment variable with the directory of the built plugin.
const pluginDir = "LSP_PLUGIN_DIR"

func TestMain(m *testing.M) {
	programs := harness.Programs{Variable: pluginDir, Build: func(dir string) error {
		return harness.Go("", "build", "-o", filepath.Join(dir, "kubectl-lsp"), "./src/cmd/kubectl-lsp")
	}}
	os.Exit(programs.Main(m, "registry", "crane", "oras", "notation", "cosign", "helm", "regctl"))
}
