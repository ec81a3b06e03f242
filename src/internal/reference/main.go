// SPDX-License-Identifier: Apache-2.0

// Command reference writes the reference pages from the code that they describe, so that they cannot grow
// stale: the commands and flags of both programs, the fields of the custom resources, the errors that clients
// get, and the lines of the log. It writes no prose of its own, and nothing of the machine that it runs on.
//
//	reference pages DIR TREE    the pages, below DIR as they lie below the repository's top directory TREE
//	reference man DIR           manual pages of every command
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	plugin "github.com/local-source-proxy/local-source-proxy/src/internal/plugin/command"
	server "github.com/local-source-proxy/local-source-proxy/src/internal/proxy/command"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "reference: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	// A default that depends on where the process runs is that of a workstation.
	if err := os.Unsetenv("KUBERNETES_SERVICE_HOST"); err != nil {
		return err
	}
	switch {
	case len(args) == 3 && args[0] == "pages":
		return writePages(args[1], args[2])
	case len(args) == 2 && args[0] == "man":
		return writeManuals(args[1], programs())
	default:
		return errors.New("usage: reference pages DIR TREE | man DIR")
	}
}

func programs() []*cobra.Command {
	return []*cobra.Command{server.New(io.Discard), plugin.New()}
}

// writePages writes each page below dir, from the code below tree.
func writePages(dir, tree string) error {
	pages, err := pagesOf(tree)
	if err != nil {
		return err
	}
	for name, text := range pages {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// pagesOf returns the text of each page by its path.
func pagesOf(tree string) (map[string]string, error) {
	pages := map[string]string{"bundle/errors.md": errorsPage()}
	for _, root := range programs() {
		page, err := commandsPage(root)
		if err != nil {
			return nil, err
		}
		pages["src/cmd/"+root.Name()+"/commands.md"] = page
	}
	var err error
	if pages["config/custom-resources.md"], err = resourcesPage(os.DirFS(filepath.Join(tree, "config"))); err != nil {
		return nil, fmt.Errorf("custom resources: %w", err)
	}
	if pages["bundle/logs.md"], err = logsPage(os.DirFS(filepath.Join(tree, "src", "internal"))); err != nil {
		return nil, fmt.Errorf("log: %w", err)
	}
	return pages, nil
}

// note stands below the title of each page.
func note(from string) string {
	return fmt.Sprintf("\nWritten by `make generate` from %s.\n", from)
}
