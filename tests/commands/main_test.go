// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// pluginDir is the environment variable with the directory of the built plugin.
const pluginDir = "LSP_PLUGIN_DIR"

func TestMain(m *testing.M) { os.Exit(prepared(m)) }

// prepared builds the plugin, unless the environment names a built one, and runs the tests.
func prepared(m *testing.M) int {
	if os.Getenv(pluginDir) == "" {
		dir, err := os.MkdirTemp("", "lsp-plugin-")
		if err == nil {
			defer os.RemoveAll(dir)
			err = build(dir)
		}
		if err == nil {
			err = os.Setenv(pluginDir, dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return harness.Main(m, "registry", "crane", "oras", "notation", "cosign", "helm", "regctl")
}

func build(dir string) error {
	root, err := harness.Root()
	if err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "kubectl-lsp"), "./src/cmd/kubectl-lsp")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the plugin: %w\n%s", err, out)
	}
	return nil
}
