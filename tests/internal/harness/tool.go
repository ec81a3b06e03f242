// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// toolVariable names the environment variable with a tool's path: LSP_TOOL_CRANE for crane.
func toolVariable(name string) string { return "LSP_TOOL_" + strings.ToUpper(name) }

// buildTool lets scripts/tool build a tool, unless its variable says where one is, and sets that variable.
func buildTool(name string) error {
	if os.Getenv(toolVariable(name)) != "" {
		return nil
	}
	root, err := Root()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", "tool"), "--build", name)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the tool %s: %w\n%s", name, err, out)
	}
	// The rest of the name is a checksum of what it was built from; scripts/tool keeps one of each.
	found, err := filepath.Glob(filepath.Join(root, ".tools", name+"-????????????"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("find the tool %s in .tools: %d files (%v)", name, len(found), err)
	}
	return os.Setenv(toolVariable(name), found[0])
}

// Tool returns the path of a tool that the package named to [Main].
func Tool(t testing.TB, name string) string {
	t.Helper()
	path := os.Getenv(toolVariable(name))
	if path == "" {
		t.Fatalf("the tool %s was not named to harness.Main", name)
	}
	return path
}
