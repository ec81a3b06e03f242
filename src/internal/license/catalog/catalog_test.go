// SPDX-License-Identifier: Apache-2.0

package catalog_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

func credential(license *catalog.License, id string) *catalog.Credential {
	return &catalog.Credential{License: license, Name: "id", Hash: sha256.Sum256([]byte(id))}
}

func TestCredentialsAreFoundByTheirID(t *testing.T) {
	acme := &catalog.License{Name: "acme"}
	c := catalog.New([]*catalog.Credential{credential(acme, "one"), credential(acme, "two")}, nil)
	for _, id := range []string{"one", "two"} {
		if found, ok := c.Credential(id); !ok || found.License != acme {
			t.Errorf("%s: %+v", id, found)
		}
	}
	for _, id := range []string{"", "One", "three"} {
		if found, ok := c.Credential(id); ok {
			t.Errorf("%q admits to %s", id, found.License.Name)
		}
	}
}

func TestRegistriesAreFoundByNameAndAlias(t *testing.T) {
	quay := &catalog.Registry{Name: "quay", Hostname: "Quay.io", Alias: "q", Apps: []string{"app"}}
	hub := &catalog.Registry{Name: "hub", Hostname: "docker.io"}
	c := catalog.New(nil, []*catalog.Registry{quay, hub})
	for _, test := range []struct {
		name, app string
		want      *catalog.Registry
		err       error
	}{
		{"quay.io", "app", quay, nil},
		{"QUAY.io", "app", quay, nil},
		{"q", "app", quay, nil},
		{"quay.io", "other", nil, catalog.ErrNotOpen},
		{"q", "", nil, catalog.ErrNotOpen},
		{"index.docker.io", "other", hub, nil},
		{"registry-1.docker.io", "other", hub, nil},
		{"ghcr.io", "app", nil, catalog.ErrNoRegistry},
		{"", "app", nil, catalog.ErrNoRegistry},
	} {
		got, err := c.Registry(test.name, test.app)
		if got != test.want || !errors.Is(err, test.err) {
			t.Errorf("%s for %q: %+v, error %v", test.name, test.app, got, err)
		}
		if c.Knows(test.name) != !errors.Is(test.err, catalog.ErrNoRegistry) {
			t.Errorf("knows %q: %v", test.name, c.Knows(test.name))
		}
	}
}

func TestWhatIsAddedFirstStays(t *testing.T) {
	a, b := &catalog.License{Name: "a"}, &catalog.License{Name: "b"}
	builder := catalog.NewBuilder(0)
	if other, _ := builder.License([]*catalog.Credential{credential(a, "one")}); other != nil {
		t.Errorf("the first contradicts %s", other.Name)
	}
	if other, name := builder.License([]*catalog.Credential{credential(b, "two"), credential(b, "one")}); other != a || name != "id" {
		t.Errorf("the second contradicts %+v with %q", other, name)
	}
	first, second := &catalog.Registry{Name: "a", Hostname: "quay.io"}, &catalog.Registry{Name: "b", Hostname: "ghcr.io", Alias: "quay.io"}
	if other, _ := builder.Registry(first); other != nil {
		t.Errorf("the first contradicts %s", other.Name)
	}
	if other, name := builder.Registry(second); other != first || name != "quay.io" {
		t.Errorf("the second contradicts %+v with %q", other, name)
	}
	c := builder.Catalog()
	if _, ok := c.Credential("two"); ok || c.Knows("ghcr.io") {
		t.Error("something was added in part")
	}
}

func TestStoreTellsSubscribers(t *testing.T) {
	s := catalog.NewStore()
	if _, ok := s.Current().Credential("one"); ok {
		t.Error("an empty catalog admits")
	}
	var told []*catalog.Catalog
	cancel := s.Subscribe(func(c *catalog.Catalog) { told = append(told, c) })
	first, second := catalog.New(nil, nil), catalog.New(nil, nil)
	s.Replace(first)
	cancel()
	s.Replace(second)
	if len(told) != 1 || told[0] != first || s.Current() != second {
		t.Errorf("told of %d, and another one is in force", len(told))
	}
}

// BenchmarkCredential looks a license id up among 10,000.
func BenchmarkCredential(b *testing.B) {
	var credentials []*catalog.Credential
	for i := range 10_000 {
		credentials = append(credentials, credential(&catalog.License{Name: fmt.Sprint(i)}, fmt.Sprint(i)))
	}
	c := catalog.New(credentials, nil)
	id := strings.Clone("7777")
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := c.Credential(id); !ok {
			b.Fatal("not found")
		}
	}
}
