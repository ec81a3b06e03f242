// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Programs are built ahead of a package's tests.
type Programs struct {
	// Variable names the environment variable with the directory of the programs. Where it is set, nothing is
	// built.
	Variable string
	// Build puts the programs into a directory, as [Go] does.
	Build func(dir string) error
}

// Main builds the programs and runs the tests as the function [Main] does.
func (p Programs) Main(m *testing.M, tools ...string) int {
	if os.Getenv(p.Variable) != "" {
		return Main(m, tools...)
	}
	dir, err := os.MkdirTemp("", "lsp-programs-")
	if err != nil {
		fmt.Fprintf(os.Stderr, "make a directory for the programs: %v\n", err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := p.Build(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if err := os.Setenv(p.Variable, dir); err != nil {
		fmt.Fprintf(os.Stderr, "set %s: %v\n", p.Variable, err)
		return 1
	}
	return Main(m, tools...)
}

// Go runs the go command in the directory of a module; "" is the root of the repository.
func Go(module string, args ...string) error {
	if module == "" {
		root, err := Root()
		if err != nil {
			return err
		}
		module = root
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = module
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}
