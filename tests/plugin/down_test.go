// SPDX-License-Identifier: Apache-2.0

package plugin_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// failing runs the plugin, which is to fail, and returns its exit code and what it says.
func (p *place) failing(t *testing.T, args ...string) (code int, said string) {
	t.Helper()
	cmd := p.command(t.Context(), plugin(), args...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	exit, ok := errors.AsType[*exec.ExitError](cmd.Run())
	if !ok {
		t.Fatalf("%s did not fail", cmd)
	}
	return exit.ExitCode(), errOut.String()
}

// TestRegistryIsDown: the developer hears the cause and the remedy after a few tries, not "502: Bad Gateway" after
// a minute.
func TestRegistryIsDown(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	fill(t, p.tree)
	p.upstream.Process.Stop(t)
	code, said := p.failing(t, "push", "--name", "web", "--local-path", p.tree)
	last := said[strings.LastIndex(strings.TrimSpace(said), "\n")+1:]
	for _, part := range []string{"the registry cannot be reached", "ask the operator whether the registry runs", "(5 tries)"} {
		if code != 1 || !strings.Contains(last, part) {
			t.Errorf("exit code %d, last line without %q:\n%s", code, part, said)
		}
	}
}

// TestRegistryRefusesTheOperator: what only the operator can mend ends the push at once, with the remedy.
func TestRegistryRefusesTheOperator(t *testing.T) {
	t.Parallel()
	tokens := harness.NewTokens(t, 0)
	upstream := tokens.Guard(harness.Distribution{Program: harness.Tool(t, "registry"), Token: tokens.Config(t)}.Start(t))
	wrong := *upstream
	wrong.Password = "not-the-password"
	server := harness.Start(t, harness.Options{Upstream: upstream, DockerConfig: wrong.DockerConfig(t)})
	home := t.TempDir()
	p := &place{server: server, tree: t.TempDir(), env: append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home)}
	fill(t, p.tree)
	code, said := p.failing(t, "push", "--name", "web", "--local-path", p.tree, "--quiet", "--server", server.URL(""))
	want := "kubectl lsp: the registry does not let the proxy push: "
	remedy := "ask the operator to check push_secret and repository"
	if code != 1 || !strings.HasPrefix(said, want) || !strings.Contains(said, remedy) || strings.Count(said, "\n") != 1 {
		t.Errorf("exit code %d:\n%s", code, said)
	}
}

// TestRedirectGetsNoToken: an API server, or a box in front of it, that redirects makes nobody send the token
// elsewhere.
func TestRedirectGetsNoToken(t *testing.T) {
	t.Parallel()
	var arrived atomic.Int32
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1) }))
	defer elsewhere.Close()
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer front.Close()
	p := newPlace(t)
	fill(t, p.tree)
	config := harness.WriteFile(t, filepath.Join(t.TempDir(), "config"), []byte(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "`+front.URL+`", insecure-skip-tls-verify: true}}]
users: [{name: dev, user: {token: developers-cluster-token}}]
contexts: [{name: test, context: {cluster: test, user: dev, namespace: dev}}]
current-context: test
`))
	for _, args := range []string{"push --name web --local-path " + p.tree, "doctor", "license list", "workload apply web --yes --image x"} {
		if code, said := p.failing(t, append(strings.Fields(args), "--kubeconfig", config)...); code != 1 || strings.Contains(said, "developers-cluster-token") {
			t.Errorf("%s: exit code %d\n%s", args, code, said)
		}
	}
	if n := arrived.Load(); n > 0 {
		t.Errorf("%d requests went where the redirect leads", n)
	}
}

// TestRegistryShowsShortLines: one line for each request, without the upload's token.
func TestRegistryShowsShortLines(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	process, repository := harness.OpenRegistry(t, p.command(t.Context(), plugin(), "registry", "--port", "0"))
	image := harness.Image(t)
	dir := harness.Layout(t, func(path layout.Path) error { return path.AppendImage(image) })
	pushed := p.command(t.Context(), harness.Tool(t, "crane"), "push", dir, repository+":lines")
	if out, err := pushed.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	process.Signal(t, os.Interrupt)
	if code := process.Wait(t); code != 0 {
		t.Errorf("exit code %d after Ctrl-C", code)
	}
	line := regexp.MustCompile(`^(GET|HEAD|POST|PATCH|PUT) /v2/(source/(manifests|blobs)/\S{1,40})? [2-5]\d\d$`)
	lines := strings.Split(strings.TrimSpace(process.Stderr.String()), "\n")
	for _, each := range lines[1:] { // the first says where to push
		if !line.MatchString(each) {
			t.Errorf("line %q", each)
		}
	}
	if len(lines) < 5 {
		t.Errorf("%d lines for a push", len(lines))
	}
}
