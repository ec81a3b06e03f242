// SPDX-License-Identifier: Apache-2.0

package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// devNamespace is where the developers work.
const devNamespace = "dev"

// desk is a developer's machine: a home with a kubeconfig and nothing else, a source tree, and kubectl with
// the plugin.
type desk struct {
	home, tree string
}

// newDesk gives the kubeconfig this user, as it stands below "user" there.
func newDesk(t *testing.T, user values) *desk {
	t.Helper()
	d := &desk{home: t.TempDir(), tree: t.TempDir()}
	content, err := json.Marshal(values{
		"apiVersion": "v1", "kind": "Config", "current-context": "work",
		"contexts": []values{{"name": "work", "context": values{"cluster": "here", "user": "me", "namespace": devNamespace}}},
		"clusters": []values{{"name": "here", "cluster": values{
			"server": "https://" + apiServer, "certificate-authority": filepath.Join(here.dir, "apiserver", "apiserver.crt"),
		}}},
		"users": []values{{"name": "me", "user": user}},
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(d.home, "kubeconfig"), string(content))
	write(t, filepath.Join(d.tree, "main.go"), "package main\n")
	return d
}

// withToken is the user of a kubeconfig who has a token of pki/.
func withToken(t *testing.T, user string) values {
	t.Helper()
	return values{"token": here.secret(t, user+".token")}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// command is a program at this desk.
func (d *desk) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "HOME="+d.home, "XDG_CACHE_HOME="+d.home, "DOCKER_CONFIG="+d.home, "XDG_RUNTIME_DIR="+d.home,
		"KUBECONFIG="+filepath.Join(d.home, "kubeconfig"), "PATH="+here.plugin+":"+os.Getenv("PATH"))
	return cmd
}

// lsp runs the plugin to its end, as "kubectl lsp ...".
func (d *desk) lsp(t *testing.T, args ...string) outcome {
	t.Helper()
	return d.answer(t, "", args...)
}

// answer is lsp for somebody who types.
func (d *desk) answer(t *testing.T, typed string, args ...string) outcome {
	t.Helper()
	cmd := d.command(t.Context(), filepath.Join(here.dir, "bin", "kubectl"), append([]string{"lsp"}, args...)...)
	cmd.Stdin = strings.NewReader(typed)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ended := errors.AsType[*exec.ExitError](err); err != nil && !ended {
		t.Fatal(err)
	}
	return outcome{strings.Join(args, " "), stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// outcome is what a command leaves behind.
type outcome struct {
	args, stdout, stderr string
	code                 int
}

// want compares the exit code, and looks for parts of both streams.
func (o outcome) want(t *testing.T, code int, stdout, stderr string) outcome {
	t.Helper()
	if o.code != code || !strings.Contains(o.stdout, stdout) || !strings.Contains(o.stderr, stderr) {
		t.Errorf("kubectl lsp %s: exit code %d, want %d with %q and %q\n%s%s", o.args, o.code, code, stdout, stderr, o.stdout, o.stderr)
	}
	return o
}

// push pushes the desk's tree and returns the digest.
func (d *desk) push(t *testing.T, name string, flags ...string) string {
	t.Helper()
	got := d.lsp(t, append([]string{"push", "--name", name, "--local-path", d.tree}, flags...)...).want(t, 0, "@sha256:", "")
	_, digest, _ := strings.Cut(strings.TrimSpace(got.stdout), "@")
	return digest
}
