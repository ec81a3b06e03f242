// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// BinaryVariable names the environment variable with the path of the server to test. Without it, [Main]
// builds one.
const BinaryVariable = "LSP_BINARY"

// buildTimeout bounds the build of a program, from a cold cache.
const buildTimeout = 10 * time.Minute

// Main runs a package's tests against the server that [BinaryVariable] names, or against one that it builds,
// with the race detector where the tests have it. The tools that they need are built first, at the versions
// that the repository pins. It returns the exit code for os.Exit.
func Main(m *testing.M, tools ...string) int {
	for _, name := range tools {
		if err := buildTool(name); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if os.Getenv(BinaryVariable) != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "lsp-binary-")
	if err != nil {
		fmt.Fprintf(os.Stderr, "make a directory for the server: %v\n", err)
		return 1
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "local-source-proxy")
	if err := build(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv(BinaryVariable, path); err != nil {
		fmt.Fprintf(os.Stderr, "set %s: %v\n", BinaryVariable, err)
		return 1
	}
	return m.Run()
}

func build(path string) error {
	args := append([]string{"build"}, buildFlags()...)
	return Go("", append(args, "-o", path, "./src/cmd/local-source-proxy")...)
}

// Root returns the top directory of the repository: the nearest parent with a src directory and a go.mod.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		_, noMod := os.Stat(filepath.Join(dir, "go.mod"))
		_, noSrc := os.Stat(filepath.Join(dir, "src"))
		if noMod == nil && noSrc == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("find the repository: no parent directory holds go.mod and src")
		}
		dir = parent
	}
}

// System returns the path of a program that the system's packages provide. Without it the test is skipped,
// and the message names the package.
func System(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("%s is not installed: apt-get install %s", program, debianPackage)
	}
	return path
}
