// SPDX-License-Identifier: Apache-2.0

package catalog

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

var (
	// ErrNoRegistry is for a name that stands for no configured registry.
	ErrNoRegistry = errors.New("no such registry")
	// ErrNotOpen is for a registry that is not open to the application.
	ErrNotOpen = errors.New("the registry is not open to this application")
	// ErrRepository is for a repository that a registry does not have open.
	ErrRepository = errors.New("the repository is not among those that are open of this registry")
)

// License is what admission has to know of one.
type License struct {
	// Name is the object's.
	Name string
	// App is the slug of the application whose images it opens.
	App string
	// Customer is whom it was given to.
	Customer string
	// Expires is when it ends; zero: never.
	Expires time.Time
	// Revoked says that it was ended, and RevokedAt when; zero where that is not known.
	Revoked   bool
	RevokedAt time.Time
	// ConcurrentPulls is how many blobs it has sent at once; 0: as many as is usual.
	ConcurrentPulls int
	// Images are those that it opens.
	Images Images
}

// Credential is one license id, known by its hash.
type Credential struct {
	License *License
	// Name tells the credentials of a license apart.
	Name string
	// Hash is the SHA-256 of the id.
	Hash [sha256.Size]byte
	// Expires is when the credential itself ends; zero: with the license.
	Expires time.Time
}

// Ends is when a credential ends by the clock, itself or with its license; zero: never.
func (c *Credential) Ends() time.Time {
	if c.Expires.IsZero() || !c.License.Expires.IsZero() && c.License.Expires.Before(c.Expires) {
		return c.License.Expires
	}
	return c.Expires
}

// End is when the last of a license's credentials ends by the clock; zero: never.
func End(credentials []*Credential) time.Time {
	var last time.Time
	for _, each := range credentials {
		ends := each.Ends()
		if ends.IsZero() {
			return ends
		}
		if ends.After(last) {
			last = ends
		}
	}
	return last
}

// Registry is one configured registry, ready to be asked.
type Registry struct {
	// Name is the object's, for the vendor's log and never for a customer.
	Name string
	// Hostname and Alias are what references call it by; an empty alias is none.
	Hostname, Alias string
	// Apps are the slugs that may use it; none means all.
	Apps []string
	// Repositories are those that are open of it.
	Repositories Images
	// Upstream is the registry itself; nil with a Problem.
	Upstream *upstream.Registry
	// Problem keeps it from being asked, such as a Secret that does not exist; for the vendor's log.
	Problem error
}

// Catalog is the set of valid objects at one moment. It is safe for concurrent use.
type Catalog struct {
	credentials map[[sha256.Size]byte]*Credential
	registries  map[string][]*Registry
}

// New makes a catalog. Of those that contradict each other, the first is in it.
func New(credentials []*Credential, registries []*Registry) *Catalog {
	b := NewBuilder(len(credentials))
	for _, each := range credentials {
		b.License([]*Credential{each})
	}
	for _, each := range registries {
		b.Registry(each)
	}
	return b.Catalog()
}

// Credential finds the credential of a license id. How long that takes says nothing about the ids that there
// are: they are looked up by hash.
func (c *Catalog) Credential(id string) (*Credential, bool) {
	return c.ByHash(sha256.Sum256([]byte(id)))
}

// ByHash finds a credential by the SHA-256 of its id.
func (c *Catalog) ByHash(hash [sha256.Size]byte) (*Credential, bool) {
	found, ok := c.credentials[hash]
	if !ok || subtle.ConstantTimeCompare(found.Hash[:], hash[:]) != 1 {
		return nil, false
	}
	return found, true
}

// Licenses are all that have a credential, each once.
func (c *Catalog) Licenses() iter.Seq[*License] {
	return func(yield func(*License) bool) {
		seen := make(map[*License]struct{}, len(c.credentials))
		for _, credential := range c.credentials {
			if _, again := seen[credential.License]; again {
				continue
			}
			seen[credential.License] = struct{}{}
			if !yield(credential.License) {
				return
			}
		}
	}
}

// Knows reports whether a path segment of a reference names a registry, by host name or alias.
func (c *Catalog) Knows(segment string) bool {
	return len(c.registries[upstream.Canonical(segment)]) > 0
}

// Registry finds the registry that a reference of an application names, by host name or alias. The error is
// [ErrNoRegistry] or
// [ErrNotOpen].
func (c *Catalog) Registry(name, app string) (*Registry, error) {
	candidates := c.registries[upstream.Canonical(name)]
	if len(candidates) == 0 {
		return nil, ErrNoRegistry
	}
	for _, each := range candidates {
		if len(each.Apps) == 0 || slices.Contains(each.Apps, app) {
			return each, nil
		}
	}
	return nil, ErrNotOpen
}
