// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestRedirectsAreNotFollowed: client-go adds the user's token to every request, so a redirect would hand it
// to whoever the redirect names.
func TestRedirectsAreNotFollowed(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	var arrived []string
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		arrived = append(arrived, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	home := t.TempDir()
	for _, status := range []int{301, 302, 303, 307, 308} {
		redirecting := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.Path, status)
		}))
		defer redirecting.Close()
		config := writeKubeconfig(t, filepath.Join(home, fmt.Sprint(status)), redirecting.URL)
		for _, args := range []string{
			"push --name web --local-path " + w.tree, "health", "doctor", "registry --port 0",
			"workload apply web --yes --local-path " + w.tree, "workload apply web --yes --image registry.example.com/x",
			"license list", "license show a", "license create --app shop --customer Acme", "license revoke a --yes",
			"license extend a --expires 30d", "license edit a --concurrent-pulls 5", "license rotate a", "license delete a --yes", "license pulls a",
			"__complete workload apply ", "__complete push --namespace ", "__complete license show ",
		} {
			out := w.run(append(strings.Split(args, " "), "--kubeconfig", config)...)
			complete := strings.HasPrefix(args, "__complete")
			if !complete && args != "doctor" && strings.Count(out.err, "\n") != 1 {
				t.Errorf("%d, %s: more than one line:\n%s", status, args, out.err)
			}
			if !complete && (out.code != 1 || !strings.Contains(out.out+out.err, "would get your credential")) {
				t.Errorf("%d, %s: exit code %d\n%s%s", status, args, out.code, out.out, out.err)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(arrived) > 0 {
		t.Errorf("%d requests followed a redirect, such as %s", len(arrived), arrived[0])
	}
}

// writeKubeconfig writes one that leads to the server, with a token: client-go sends one over TLS only.
func writeKubeconfig(t *testing.T, path, server string) string {
	t.Helper()
	content := `apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "` + server + `", insecure-skip-tls-verify: true}}]
users: [{name: dev, user: {token: developers-cluster-token}}]
contexts: [{name: test, context: {cluster: test, user: dev, namespace: dev}}]
current-context: test
`
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
