// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/kubetest"
)

// at sets when a file was written.
func at(t *testing.T, f *following, name string, written time.Time) {
	t.Helper()
	must(t, os.Chtimes(filepath.Join(f.dir, name), written, written))
}

// A new file that sorts first does not put out of force what was in force, whatever they have in common. When
// the server starts again, the older file counts.
func TestANewFileDoesNotPutAnObjectOutOfForce(t *testing.T) {
	registry := func(host, want string) func(*catalog.Catalog) bool {
		return func(c *catalog.Catalog) bool {
			found, err := c.Registry(host, "app")
			return err == nil && found.Name == want
		}
	}
	for name, test := range map[string]struct {
		old, young string
		// stays is what is so as long as the old one is in force.
		stays func(*catalog.Catalog) bool
		said  string
	}{
		"id": {license("old", "one"), license("young", "one"),
			func(c *catalog.Catalog) bool {
				found, ok := c.Credential("one")
				return ok && found.License.Name == "old"
			},
			"spec.credentials: the id of \\\"id\\\" admits to License old already"},
		"name": {license("same", "one"), license("same", "two"),
			all(admits("one"), func(c *catalog.Catalog) bool { return !admits("two")(c) }),
			"metadata.name: is that of License same in "},
		"host": {externalRegistry("old", "quay.io"), externalRegistry("young", "QUAY.io"),
			registry("quay.io", "old"), "spec: quay.io stands for"},
		"alias": {externalRegistry("old", "quay.io", "  alias: q"), externalRegistry("young", "ghcr.io", "  alias: q"),
			registry("q", "old"), "spec: q stands for"},
		"Docker Hub": {externalRegistry("old", "docker.io"), externalRegistry("young", "registry-1.docker.io"),
			registry("docker.io", "old"), "spec: index.docker.io stands for"},
		"a common app": {externalRegistry("old", "quay.io", "  appAccess: [app, x]"),
			externalRegistry("young", "quay.io", "  appAccess: [y, app]"), registry("quay.io", "old"), "spec: quay.io stands for"},
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, map[string]string{"b.yml": test.old})
			f.write(t, "a.yml", test.young)
			f.write(t, "c.yml", license("marker", "marker"))
			f.until(admits("marker"))
			if !test.stays(f.Catalog().Current()) || strings.Count(f.log.String(), test.said) != 1 {
				t.Errorf("what was in force is not, or %q is not said once:\n%s", test.said, f.log)
			}
			at(t, f, "b.yml", time.Now().Add(-time.Hour))
			later := followDir(t, f.dir)
			if !test.stays(later.Catalog().Current()) || !strings.Contains(later.log.String(), test.said) {
				t.Errorf("after a restart the older file does not count:\n%s", later.log)
			}
			must(t, os.Remove(filepath.Join(f.dir, "b.yml")))
			f.until(func(c *catalog.Catalog) bool { return !test.stays(c) })
			if !strings.Contains(f.log.String(), "object usable again") {
				t.Errorf("the new object is not in force when the old one has gone:\n%s", f.log)
			}
		})
	}
}

// The same between custom resources of the same second, of which the names would decide.
func TestANewResourceDoesNotPutAnotherOutOfForce(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme(func(l *v1alpha1.License) { l.Name = "z" }))
		r := start(t, server)
		server.Put(acme(func(l *v1alpha1.License) { l.Name = "a" }))
		settle()
		for _, each := range []*replica{r, start(t, server)} {
			if found, _ := each.Catalog().Current().Credential("acme"); found.License.Name != "z" {
				t.Errorf("the credential is that of %s", found.License.Name)
			}
		}
		wantConditions(t, status(server, "a").Conditions,
			`Valid False Contradiction spec.credentials: the id of "id" admits to License z already, which comes first: make another id`)
		wantConditions(t, status(server, "z").Conditions, inForce)
	})
}

// An edit of an older object is a newcomer as well, on every replica.
func TestAnEditDoesNotPutAnotherObjectOutOfForce(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		server.Put(acme())
		r := start(t, server)
		time.Sleep(time.Minute)
		server.Put(acme(func(l *v1alpha1.License) { l.Name, l.Spec.Credentials[0].SHA256 = "young", v1alpha1.Hash("young") }))
		settle()
		server.Put(acme(func(l *v1alpha1.License) { l.Spec.Credentials[0].SHA256 = v1alpha1.Hash("young") }))
		time.Sleep(2 * time.Minute)
		later := start(t, server)
		for _, each := range []*replica{r, later} {
			if found, _ := each.Catalog().Current().Credential("young"); found == nil || found.License.Name != "young" {
				t.Errorf("the younger license is out of force: %+v", found)
			}
		}
		if !admits("acme")(r.Catalog().Current()) {
			t.Error("what the older license said is out of force")
		}
		wantConditions(t, status(server, "young").Conditions, inForce)
	})
}
