// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"crypto/sha256"
	"slices"

	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// Builder puts a catalog together. Of objects that contradict each other, the one that is added first stays.
type Builder struct {
	catalog *Catalog
}

// NewBuilder begins with an empty catalog, with room for so many credentials.
func NewBuilder(credentials int) *Builder {
	return &Builder{&Catalog{
		credentials: make(map[[sha256.Size]byte]*Credential, credentials),
		registries:  map[string][]*Registry{},
	}}
}

// License adds the credentials of a license. If one of them admits to another license, none is added, and
// that other one and the name of the credential are returned.
func (b *Builder) License(credentials []*Credential) (other *License, name string) {
	for _, each := range credentials {
		if taken, ok := b.catalog.credentials[each.Hash]; ok {
			return taken.License, each.Name
		}
	}
	for _, each := range credentials {
		b.catalog.credentials[each.Hash] = each
	}
	return nil, ""
}

// Registry adds a registry. If another one answers to one of its names for the same application, it is not
// added, and that other one and the name are returned.
func (b *Builder) Registry(registry *Registry) (other *Registry, name string) {
	names := registry.names()
	for _, name := range names {
		for _, taken := range b.catalog.registries[name] {
			if overlap(taken.Apps, registry.Apps) {
				return taken, name
			}
		}
	}
	for _, name := range names {
		b.catalog.registries[name] = append(b.catalog.registries[name], registry)
	}
	return nil, ""
}

// Catalog returns what was put together, and ends the building.
func (b *Builder) Catalog() *Catalog {
	built := b.catalog
	b.catalog = nil
	return built
}

// names are what references call a registry by.
func (r *Registry) names() []string {
	names := []string{upstream.Canonical(r.Hostname)}
	if r.Alias != "" {
		names = append(names, upstream.Canonical(r.Alias))
	}
	return slices.Compact(names)
}

// overlap reports whether two lists of applications have one in common; no application means all.
func overlap(a, b []string) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(app string) bool { return slices.Contains(b, app) })
}
