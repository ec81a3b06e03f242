// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The plugin is whoever the kubeconfig makes it: a program that hands out a token, or somebody whom the user
// may act as.
func TestPluginIdentities(t *testing.T) {
	team := []values{{"kind": "Group", "name": "team-b", "apiGroup": "rbac.authorization.k8s.io"}, {"kind": "User", "name": "developer", "apiGroup": "rbac.authorization.k8s.io"}}
	u := installFor(t, values{"rbac_subjects_for_proxy_access": team})

	t.Run("exec credential plugin", func(t *testing.T) {
		asked := filepath.Join(t.TempDir(), "asked")
		d := newDesk(t, withProgram(t, "echo . >>"+asked, here.secret(t, "developer.token")))
		d.lsp(t, "health").want(t, 0, "overall_health: true", "")
		checkUpstream(t, u, devNamespace+"-exec", d.push(t, "exec"))
		if runs, err := os.ReadFile(asked); err != nil || strings.Count(string(runs), ".") != 2 {
			t.Errorf("the program was run %q times for two commands (%v)", runs, err)
		}
	})
	t.Run("exec credential plugin that fails", func(t *testing.T) {
		d := newDesk(t, withProgram(t, "echo log in first >&2; exit 7", ""))
		got := d.lsp(t, "push", "--name", "exec", "--local-path", d.tree).want(t, 1, "", "log in first")
		if !strings.Contains(got.stderr, "exit code 7") {
			t.Errorf("the program's exit code is not named:\n%s", got.stderr)
		}
	})
	t.Run("impersonation", func(t *testing.T) {
		apply(t, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: act-as-robot}
rules:
- {apiGroups: [""], resources: [users], resourceNames: [robot], verbs: [impersonate]}
- {apiGroups: [""], resources: [groups], resourceNames: [team-b], verbs: [impersonate]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: act-as-robot}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: act-as-robot}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: colleague}]
`)
		t.Cleanup(func() {
			if _, err := try(context.WithoutCancel(t.Context()), "", "delete", "clusterrole,clusterrolebinding", "act-as-robot"); err != nil {
				t.Error(err)
			}
		})
		d := newDesk(t, withToken(t, "colleague"))
		d.lsp(t, "health").want(t, 1, `User "colleague" cannot get`, "")
		d.lsp(t, "health", "--as", "robot").want(t, 1, `User "robot" cannot get`, "")
		d.lsp(t, "health", "--as", "robot", "--as-group", "team-b").want(t, 0, "overall_health: true", "")
		d.lsp(t, "doctor", "--as", "robot", "--as-group", "team-b").want(t, 0, "ok       RBAC", "")
		checkUpstream(t, u, devNamespace+"-as", d.push(t, "as", "--as", "robot", "--as-group", "team-b"))
		d.lsp(t, "push", "--name", "as", "--local-path", d.tree, "--as", "admin").want(t, 1, "", `User "colleague" cannot impersonate`)
	})
}

// withProgram is the user of a kubeconfig whose credential comes from a program: it runs the commands and
// then prints the token.
func withProgram(t *testing.T, commands, token string) values {
	t.Helper()
	program := filepath.Join(t.TempDir(), "credential")
	script := fmt.Sprintf("#!/bin/sh\n%s\necho '%s'\n", commands,
		`{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "`+token+`"}}`)
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return values{"exec": values{"apiVersion": "client.authentication.k8s.io/v1", "command": program, "interactiveMode": "Never"}}
}
