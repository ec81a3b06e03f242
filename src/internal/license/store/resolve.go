// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

// standing is what became of one object.
type standing struct {
	object *object
	// force is the version in force: what the object says, or else what it said when it could last be used.
	// Empty: nothing.
	force version
	// revoked and revokedAt are of a license, whether or not it is in force.
	revoked   bool
	revokedAt time.Time
	// entry is the object's registry in the catalog; nil: there is none.
	entry   *catalog.Registry
	verdict verdict
}

// decision is what is in force at one moment.
type decision struct {
	catalog   *catalog.Catalog
	standings map[id]*standing
}

// resolve decides what is in force of the objects that were read, in the order in which they count, after
// what was in force before.
//
// What was in force stays while its object is there, however wrong an edit of it is. So a new object, or an
// edit, that contradicts what is in force does not come into force itself. Edits are tried together, as two
// objects may exchange a name. One that finds no room falls back to what it said before, and the rest are
// tried again around that.
func resolve(read []*object, before map[id]*standing, keys credentials, now time.Time) decision {
	candidates := make([]*candidate, len(read))
	for i, o := range read {
		candidates[i] = newCandidate(o, before[o.id], keys)
	}
	b := newBuild(len(read), now)
	for !b.addAll(candidates, staying, edited) {
		b = newBuild(len(read), now)
	}
	b.addAll(candidates, entering)
	done := decision{b.Catalog(), make(map[id]*standing, len(read))}
	for _, c := range candidates {
		c.verdict = c.judge()
		done.standings[c.object.id] = c.standing
	}
	return done
}

// candidate is an object that is being decided about.
type candidate struct {
	*standing
	// was is the standing of before; a zero one if the object is new.
	was *standing
	// wanted is what is to be in force of it.
	wanted version
	// clash is the object that it contradicts, in words, and unread why its credential cannot be used.
	clash, unread error
}

func newCandidate(o *object, was *standing, keys credentials) *candidate {
	c := &candidate{standing: &standing{object: o}, was: &standing{}, wanted: o.version}
	if was != nil && was.object.uid == o.uid {
		c.was = was
	}
	if o.registry != nil {
		access := keys.access(o.registry)
		if c.unread = access.problem; access.keychain == nil && c.was.force.registry != nil {
			c.wanted = c.was.force
		}
	}
	if c.wanted.empty() {
		c.wanted = c.was.force
	}
	return c
}

// group says what a candidate asks for.
type group int

const (
	staying  group = iota // what is in force of it
	edited                // something else
	entering              // to be in force, which it is not yet
)

func (c *candidate) group() group {
	switch c.was.force {
	case version{}:
		return entering
	case c.wanted:
		return staying
	default:
		return edited
	}
}

// revocation reports whether the license is revoked, and since when. An edit that cannot be used may revoke,
// and not the reverse.
func (c *candidate) revocation(now time.Time) (revoked bool, since time.Time) {
	o := c.object
	switch {
	case !o.revoked && (!c.was.revoked || c.wanted == o.version):
		return false, time.Time{}
	case c.was.revoked && !o.dated:
		return true, c.was.revokedAt
	case !o.revokedAt.IsZero():
		return true, o.revokedAt
	default:
		return true, now.Truncate(time.Second).UTC()
	}
}

// judge says what has become of an object.
func (c *candidate) judge() verdict {
	switch {
	case c.object.problem != "":
		return verdict{invalid, c.object.problem}
	case c.clash != nil:
		return verdict{contradiction, inOneLine(c.clash)}
	case errors.Is(c.unread, errNotRead):
		return c.was.verdict // until it is known
	case c.unread != nil:
		return verdict{credentialBad, inOneLine(c.unread)}
	default:
		return verdict{inForce, ""}
	}
}

// build is the making of one catalog.
type build struct {
	*catalog.Builder
	now        time.Time
	names      map[id]*object // without the file: two files may have the same name
	registries map[*catalog.Registry]*object
}

func newBuild(size int, now time.Time) *build {
	return &build{catalog.NewBuilder(size), now, map[id]*object{}, map[*catalog.Registry]*object{}}
}

// addAll adds the candidates of these groups. It reports whether no edit had to fall back.
func (b *build) addAll(candidates []*candidate, groups ...group) (settled bool) {
	settled = true
	for _, group := range groups {
		for _, c := range candidates {
			if c.group() != group {
				continue
			}
			c.revoked, c.revokedAt = c.revocation(b.now)
			err := b.add(c)
			switch {
			case err == nil:
				c.force = c.wanted
			case group == edited:
				c.clash, c.wanted, settled = err, c.was.force, false
			default:
				c.clash, c.force, c.entry = err, version{}, nil
			}
		}
	}
	return settled
}

// add puts what is wanted of a candidate into the catalog, or says what it contradicts.
func (b *build) add(c *candidate) error {
	if c.wanted.empty() {
		return nil
	}
	name := id{kind: c.object.kind, name: c.object.name}
	if other, twice := b.names[name]; twice {
		return fmt.Errorf("metadata.name: is that of %s, which comes first: choose another name", other.id)
	}
	add := b.license
	if c.wanted.registry != nil {
		add = b.registry
	}
	if err := add(c); err != nil {
		return err
	}
	if c.object.file != "" {
		b.names[name] = c.object
	}
	return nil
}

func (b *build) license(c *candidate) error {
	credentials := c.wanted.license.credentials
	if c.revoked {
		credentials = c.wanted.license.revokedSince(c.revokedAt)
	}
	if other, name := b.License(credentials); other != nil {
		return fmt.Errorf("spec.credentials: the id of %q admits to License %s already, which comes first:"+
			" make another id", name, other.Name)
	}
	return nil
}

func (b *build) registry(c *candidate) error {
	spec := c.wanted.registry.spec
	entry := &catalog.Registry{
		Name: c.object.name, Hostname: spec.Hostname, Alias: spec.Alias, Apps: spec.AppAccess,
		Repositories: catalog.NewRepositories(spec.Repositories),
	}
	if other, name := b.Registry(entry); other != nil {
		return fmt.Errorf("spec: %s stands for %s already, which comes first: use another name,"+
			" or give both an appAccess without a common app", name, b.registries[other].id)
	}
	b.registries[entry], c.entry = c.object, entry
	return nil
}
