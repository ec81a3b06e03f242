// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

func externalRegistry(name, host string, more ...string) string {
	return "apiVersion: imageproxy.apps.tanzu.vmware.com/v1alpha1\nkind: ExternalRegistry\nmetadata: {name: " + name + "}\nspec:\n  hostname: " + host + "\n" +
		strings.Join(more, "\n") + "\n"
}

func TestADockerConfigBesideTheObject(t *testing.T) {
	f := follow(t, map[string]string{"quay.yml": externalRegistry("quay", "quay.io", "  credentials: {dockerConfigFile: secret/config.json}")})
	at := func(wanted func(*catalog.Registry) bool) func(*catalog.Catalog) bool {
		return func(c *catalog.Catalog) bool {
			found, err := c.Registry("quay.io", "app")
			return err == nil && wanted(found)
		}
	}
	path := filepath.Join(f.dir, "secret", "config.json")
	f.until(at(func(r *catalog.Registry) bool {
		return r.Upstream == nil && r.Problem.Error() == path+" does not exist: write it with docker login, or mend dockerConfigFile"
	}))
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	f.write(t, "secret/config.json", `{"auths":{"quay.io":{"username":"u","password":"one"}}}`)
	var first *upstream.Registry
	f.until(at(func(r *catalog.Registry) bool { first = r.Upstream; return r.Upstream != nil }))
	// Another registry joins: the files are watched anew, and the first keeps its connections.
	f.write(t, "ghcr.yml", externalRegistry("ghcr", "ghcr.io", "  credentials: {dockerConfigFile: "+path+"}"))
	f.until(func(c *catalog.Catalog) bool { return c.Knows("ghcr.io") })
	if !at(func(r *catalog.Registry) bool { return r.Upstream == first })(f.Catalog().Current()) {
		t.Error("the connections were given up for nothing")
	}
	f.write(t, "secret/config.json", `{"auths":{"quay.io":{"username":"u","password":"two"}}}`)
	f.until(at(func(r *catalog.Registry) bool { return r.Upstream != nil && r.Upstream != first }))
}

func TestAProviderIsForItsOwnRegistries(t *testing.T) {
	f := follow(t, map[string]string{
		"quay.yml": externalRegistry("quay", "quay.io", "  credentials: {provider: aws}"),
		"ecr.yml":  externalRegistry("ecr", "123456789012.dkr.ecr.eu-west-3.amazonaws.com", "  credentials: {provider: aws}"),
	})
	c := f.Catalog().Current()
	want := "provider aws has no registry quay.io: name the cloud that the registry belongs to, or give a docker config"
	if found, err := c.Registry("quay.io", "app"); err != nil || found.Upstream != nil || found.Problem == nil || found.Problem.Error() != want {
		t.Errorf("%+v, error %v", found, err)
	}
	if found, err := c.Registry("123456789012.dkr.ecr.eu-west-3.amazonaws.com", "app"); err != nil || found.Upstream == nil {
		t.Errorf("%+v, error %v", found, err)
	}
}
