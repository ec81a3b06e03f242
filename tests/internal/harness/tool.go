// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"bytes"
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
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", "tool"), "--path", name)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	path, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("build the tool %s: %w\n%s", name, err, stderr.Bytes())
	}
	return os.Setenv(toolVariable(name), strings.TrimSpace(string(path)))
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
