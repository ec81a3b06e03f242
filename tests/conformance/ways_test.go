// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// straight is the registry itself.
func straight(_ *testing.T, upstream *harness.Registry) place {
	return place{host: upstream.Host, one: harness.Repository + "/" + one, two: harness.Repository + "/" + two}
}

// sourceProxy is the built server, with everything allowed.
func sourceProxy(t *testing.T, upstream *harness.Registry) place {
	t.Helper()
	server := harness.Start(t, harness.Options{Upstream: upstream, Values: map[string]any{
		"allow_pull": true, "allow_delete": true, "allow_sub_repositories": true,
	}})
	return place{host: server.Host, one: "source/" + one, two: "source/" + two}
}

// plugin is "kubectl lsp registry": the API server's service proxy in front of the source proxy, and a
// kubeconfig.
func plugin(t *testing.T, upstream *harness.Registry) place {
	t.Helper()
	api := harness.NewAPIServer(t, sourceProxy(t, upstream).host)
	home := t.TempDir()
	kubeconfig := harness.Kubeconfig(t, home, api.URL)
	cmd := exec.Command(program("kubectl-lsp"), "registry", "--port", "0")
	cmd.Env = append(os.Environ(), "HOME="+home, "KUBECONFIG="+kubeconfig)
	_, repository := harness.OpenRegistry(t, cmd)
	host, name, _ := strings.Cut(repository, "/")
	return place{host: host, one: name + "/" + one, two: name + "/" + two}
}

// imageProxy is the built server as a customer with a license sees it.
func imageProxy(t *testing.T, upstream *harness.Registry) place {
	t.Helper()
	dir, id := t.TempDir(), rand.Text()
	hash := sha256.Sum256([]byte(id))
	for name, object := range map[string]string{
		"registry.yml": fmt.Sprintf("kind: ExternalRegistry\nmetadata: {name: vendor}\nspec: {hostname: %q, alias: vendor}\n", upstream.Host),
		"license.yml": fmt.Sprintf("kind: License\nmetadata: {name: acme}\nspec:\n  appSlug: app\n  customerName: acme\n"+
			"  credentials: [{name: license-id, sha256: %s}]\n", hex.EncodeToString(hash[:])),
	} {
		harness.WriteFile(t, filepath.Join(dir, name), []byte("apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\n"+object))
	}
	server := harness.Start(t, harness.Options{
		Flags:   []string{"--listen-address=", "--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + dir},
		Secrets: []string{id},
	})
	name := "proxy/app/vendor/" + harness.Repository + "/"
	return place{host: server.Images, one: name + one, two: name + two, username: "ops@acme.example", password: id}
}
