// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Kubeconfig writes the developer's kubeconfig for an API server into a directory, and returns its path.
func Kubeconfig(t testing.TB, dir, apiServer string) string {
	t.Helper()
	return WriteFile(t, filepath.Join(dir, "kubeconfig"), []byte(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "`+apiServer+`"}}]
users: [{name: dev, user: {token: `+DevelopersToken+`}}]
contexts: [{name: test, context: {cluster: test, user: dev, namespace: dev}}]
current-context: test
`))
}

// DevelopersToken is the developer's at the API server; nobody else may see it.
const DevelopersToken = "developers-cluster-token"

// OpenRegistry starts "kubectl lsp registry" and waits until it prints the repository, host:port/source.
func OpenRegistry(t testing.TB, cmd *exec.Cmd) (process *Process, repository string) {
	t.Helper()
	process = StartProcess(t, "kubectl lsp registry", cmd)
	process.await(t, "print the registry's address", func(context.Context) error {
		if repository = strings.TrimSpace(process.Stdout.String()); repository == "" {
			return errors.New("nothing is printed yet")
		}
		return nil
	})
	return process, repository
}
