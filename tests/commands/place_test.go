// SPDX-License-Identifier: Apache-2.0

package commands_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// kinds are the registries behind the proxies: two without a referrers API, of which one demands tokens
// and one a password, and one that has it.
func kinds() []harness.Kind {
	wanted := map[string]bool{
		"distribution v3 tokens": true, "docker-registry 2.8 htpasswd": true, "go-containerregistry anonymous": true,
	}
	var kinds []harness.Kind
	for _, kind := range harness.Kinds() {
		if wanted[kind.Name] {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// place is one server with both proxies in front of one registry, and a customer with a license.
type place struct {
	upstream *harness.Registry
	server   *harness.Server
	license  string
}

// newPlace starts one, with more flags for the server.
func newPlace(t *testing.T, kind harness.Kind, flags ...string) *place {
	t.Helper()
	p := &place{upstream: kind.Start(t), license: rand.Text()}
	p.server = harness.Start(t, harness.Options{
		Upstream: p.upstream,
		Values:   map[string]any{"allow_pull": true, "allow_delete": true, "allow_sub_repositories": true},
		Flags:    append([]string{"--image-proxy-address=127.0.0.1:0", "--image-proxy-dir=" + p.objects(t)}, flags...),
		Secrets:  []string{p.license},
	})
	return p
}

// objects writes what the image proxy serves: the registry, and the customer's license.
func (p *place) objects(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	const head = "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec:\n"
	registry := fmt.Sprintf(head+"  hostname: %q\n  alias: main\n", "ExternalRegistry", "main", p.upstream.Host)
	if p.upstream.Username != "" {
		harness.WriteFile(t, filepath.Join(dir, "main.json"), p.upstream.DockerConfig(t))
		registry += "  credentials: {dockerConfigFile: main.json}\n"
	}
	harness.WriteFile(t, filepath.Join(dir, "registry.yml"), []byte(registry))
	hash := sha256.Sum256([]byte(p.license))
	license := fmt.Sprintf(head+"  appSlug: my-app\n  customerName: acme\n  credentials: [{name: license-id, sha256: %s}]\n",
		"License", "acme", hex.EncodeToString(hash[:]))
	harness.WriteFile(t, filepath.Join(dir, "license.yml"), []byte(license))
	return dir
}

// way is one of the roads to the registry: its name, and the repository as clients write it.
type way struct{ name, repository string }

// host is the way's registry, as clients write it.
func (w way) host() string {
	host, _, _ := strings.Cut(w.repository, "/")
	return host
}

// tag is a word for the way that can stand in a tag.
func (w way) tag() string { return strings.ReplaceAll(w.name, " ", "-") }

// writing returns the two ways by which developers push.
func (p *place) writing(t *testing.T) []way {
	t.Helper()
	return []way{
		{"source proxy", p.server.Host + "/source"},
		{"kubectl lsp registry", openRegistry(t, harness.NewAPIServer(t, p.server.Host).URL)},
	}
}

// reading returns the way by which customers pull, with the license that every [machine] of the place has.
func (p *place) reading() way {
	return way{"image proxy", p.server.Images + "/proxy/my-app/main/" + harness.Repository}
}

// openRegistry starts "kubectl lsp registry" with a cluster at this address and returns its repository.
func openRegistry(t *testing.T, api string) string {
	t.Helper()
	home := t.TempDir()
	kubeconfig := harness.Kubeconfig(t, home, api)
	cmd := exec.Command(plugin(), "registry", "--port", "0")
	cmd.Env = append(cmd.Environ(), "HOME="+home, "DOCKER_CONFIG="+home, "KUBECONFIG="+kubeconfig)
	_, repository := harness.OpenRegistry(t, cmd)
	return repository
}
