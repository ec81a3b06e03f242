// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/kubetest"
)

func TestTheOlderLicenseKeepsItsCredential(t *testing.T) {
	inCluster(t, func(t *testing.T, server *kubetest.Server) {
		// By name it comes last, by age first.
		server.Put(acme(func(l *v1alpha1.License) { l.Name = "z" }))
		r := start(t, server)
		time.Sleep(time.Second)
		server.Put(acme(func(l *v1alpha1.License) { l.Name = "a" }))
		settle()
		later := start(t, server) // which has them in no particular order
		for _, each := range []*replica{r, later} {
			if found, _ := each.Catalog().Current().Credential("acme"); found.License.Name != "z" {
				t.Errorf("the credential is that of %s", found.License.Name)
			}
		}
		wantConditions(t, status(server, "a").Conditions,
			`Valid False Contradiction spec.credentials: the id of "id" admits to License z already, which comes first: make another id`)
		server.Delete("licenses", "z")
		settle()
		if found, _ := r.Catalog().Current().Credential("acme"); found.License.Name != "a" {
			t.Errorf("the credential is that of %s after the older license is gone", found.License.Name)
		}
	})
}

func TestAnEditThatContradictsAnOlderObjectChangesNothing(t *testing.T) {
	f := follow(t, map[string]string{"a.yml": license("a", "one"), "b.yml": license("b", "two")})
	f.write(t, "b.yml", license("b", "one")+"---\n"+license("c", "three"))
	f.until(admits("three"))
	if found, ok := f.Catalog().Current().Credential("two"); !ok || found.License.Name != "b" {
		t.Error("what the license said before is not in force")
	}
}

func TestTwoFilesWithOneName(t *testing.T) {
	f := follow(t, map[string]string{"a.yml": license("same", "one"), "b.yml": license("same", "two")})
	if c := f.Catalog().Current(); !admits("one")(c) || admits("two")(c) {
		t.Error("it is not the first file that counts")
	}
	if !strings.Contains(f.log.String(), "metadata.name: is that of License same in "+f.dir+"/a.yml, which comes first: choose another name") {
		t.Error(f.log)
	}
	f.write(t, "a.yml", "")
	f.until(admits("two"))
}

func TestOneFileWithANameTwice(t *testing.T) {
	f := follow(t, map[string]string{"a.yml": license("same", "one") + "---\n" + license("same", "two")})
	if c := f.Catalog().Current(); !admits("one")(c) || admits("two")(c) || !strings.Contains(f.log.String(), "License same is there twice: keep one of them") {
		t.Error(f.log)
	}
}

func TestRegistriesThatShareAName(t *testing.T) {
	const first, second = "a.yml", "b.yml"
	for name, c := range map[string]struct {
		first, second string
		// for whom quay.io is the first, or the second
		apps map[string]string
		said string
	}{
		"all and all":   {externalRegistry("a", "quay.io"), externalRegistry("b", "Quay.io"), map[string]string{"x": "a"}, "spec: quay.io stands for ExternalRegistry a in "},
		"disjoint":      {externalRegistry("a", "quay.io", "  appAccess: [x]"), externalRegistry("b", "quay.io", "  appAccess: [y, z]"), map[string]string{"x": "a", "y": "b", "w": ""}, ""},
		"a common app":  {externalRegistry("a", "quay.io", "  appAccess: [x, y]"), externalRegistry("b", "quay.io", "  appAccess: [y, z]"), map[string]string{"x": "a", "y": "a", "z": ""}, "spec: quay.io stands for"},
		"one for all":   {externalRegistry("a", "quay.io", "  appAccess: [x]"), externalRegistry("b", "quay.io"), map[string]string{"x": "a", "y": ""}, "spec: quay.io stands for"},
		"an alias":      {externalRegistry("a", "quay.io", "  alias: q"), externalRegistry("b", "ghcr.io", "  alias: q"), map[string]string{"x": "a"}, "spec: q stands for"},
		"Docker's hubs": {externalRegistry("a", "docker.io"), externalRegistry("b", "registry-1.docker.io"), nil, "spec: index.docker.io stands for"},
	} {
		t.Run(name, func(t *testing.T) {
			f := follow(t, map[string]string{first: c.first, second: c.second})
			for app, want := range c.apps {
				got := ""
				found, err := f.Catalog().Current().Registry("quay.io", app)
				if err == nil {
					got = found.Name
				} else if !errors.Is(err, catalog.ErrNotOpen) {
					t.Error(err)
				}
				if got != want {
					t.Errorf("for %s it is %q, want %q", app, got, want)
				}
			}
			if log := f.log.String(); !strings.Contains(log, c.said) || (c.said == "") != !strings.Contains(log, "not usable") {
				t.Errorf("%q is not what is said:\n%s", c.said, log)
			}
		})
	}
}
