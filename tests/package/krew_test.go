// SPDX-License-Identifier: Apache-2.0

package packaging_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The plugin's manifest and archive are installed by krew itself, and what it installs is the plugin.
func TestKrewInstalls(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the plugin; left out with -short")
	}
	dist, home := t.TempDir(), t.TempDir()
	platform := runtime.GOOS + "-" + runtime.GOARCH
	mustRun(t, command{
		args: []string{filepath.Join(root(t), "scripts/krew.sh"), version, platform},
		env:  []string{"DIST=" + dist, "DOWNLOAD_URL=https://downloads.invalid"},
	})
	archive := filepath.Join(dist, "kubectl-lsp-"+platform+".tar.gz")
	install := command{
		args: []string{tool(t, "krew"), "install", "--manifest=" + filepath.Join(dist, "lsp.yaml"), "--archive=" + archive},
		env:  []string{"KREW_ROOT=" + home, "KREW_NO_UPGRADE_CHECK=1"},
	}

	whole, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(archive, append(whole, 0), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, install); got.err == nil || !strings.Contains(got.stderr, "checksum does not match") {
		t.Errorf("an archive with another checksum: %v\n%s", got.err, got.stderr)
	}
	if err := os.WriteFile(archive, whole, 0o600); err != nil {
		t.Fatal(err)
	}

	if got := run(t, install); got.err != nil || !strings.Contains(got.stderr, "kubectl lsp doctor") {
		t.Fatalf("krew install: %v\n%s%s", got.err, got.stdout, got.stderr)
	}
	installed := mustRun(t, command{args: []string{filepath.Join(home, "bin", "kubectl-lsp"), "--version"}})
	if !strings.HasPrefix(installed, "kubectl lsp version "+version+" ") {
		t.Errorf("what is installed says %s", installed)
	}
	if _, err := os.Stat(filepath.Join(home, "store", "lsp", "v"+version, "LICENSE")); err != nil {
		t.Errorf("the licence is not installed: %v", err)
	}
}
