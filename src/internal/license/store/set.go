// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/keychain"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// set is all objects that there are, and what of them is in force.
//
// An object that cannot be used changes nothing: what it said before stays in force. Of two that contradict each other the older stays.
// What is in force therefore depends on the order of changes in one way only, which a restart forgets: nothing is kept of an object that
// was not valid when it was first read.
type set struct {
	base upstream.Config

	mu          sync.Mutex
	objects     map[key]*object
	order       []*object // oldest first
	strays      map[string]stray
	credentials map[string]*credential
	pending     map[string]bool // kinds that have not been read yet
	retired     []*upstream.Registry
}

// object is one object, and what is made of it.
type object struct {
	key key
	state
	gone bool
	// force is what is in force: of this state, or of the last one that could be used.
	force version
	// against is what else is against it; nil: nothing.
	against *against
	link    *link
	// told is the last verdict, and toldOf the generation that it was on; nil: none yet.
	told   *verdict
	toldOf int64
}

// against is what may be wrong with an object that is valid by itself.
type against struct {
	// clash is the object that this one contradicts, in words.
	clash error
	// unread is why the credential of a registry cannot be used.
	unread error
}

func newSet(base upstream.Config) *set {
	return &set{base: base, objects: map[key]*object{}, strays: map[string]stray{}, credentials: map[string]*credential{}, pending: map[string]bool{}}
}

// update takes what a source says of some objects, and reports whether that is anything new.
func (s *set) update(reports ...report) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.take(slices.Values(reports))
}

// expect says that nothing is complete before all objects of these kinds have been told of.
func (s *set) expect(kinds ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, kind := range kinds {
		s.pending[kind] = true
	}
}

// replace takes what a source says of all objects of a kind.
func (s *set) replace(kind string, reports map[string]report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, kind)
	var gone []report
	for _, o := range s.order {
		if _, there := reports[o.key.name]; !there && o.key.kind() == kind {
			gone = append(gone, report{key: o.key, gone: true})
		}
	}
	s.take(slices.Values(gone))
	s.take(maps.Values(reports))
}

func (s *set) take(reports iter.Seq[report]) (news bool) {
	var left, order bool
	for r := range reports {
		o, known := s.objects[r.key]
		switch {
		case r.gone && known:
			o.gone, left = true, true
			s.retire(o)
			delete(s.objects, r.key)
		case r.gone, r.same && !known:
		case r.same:
			order = order || o.position != r.position
			o.position = r.position
		case known && o.edition == r.edition && r.edition != [16]byte{}:
			o.observed = r.observed
		default:
			switch {
			case !known:
				o = &object{key: r.key}
				s.objects[r.key] = o
				s.order = append(s.order, o)
			case o.uid != r.uid: // nobody told that the old one went
				s.retire(o)
				*o = object{key: r.key}
			}
			o.take(r.state)
			news, order = true, true
		}
	}
	if left {
		s.order = slices.DeleteFunc(s.order, func(o *object) bool { return o.gone })
	}
	if order {
		slices.SortFunc(s.order, func(a, b *object) int {
			return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.key.place(), b.key.place()), cmp.Compare(a.position, b.position),
				cmp.Compare(a.key.name, b.key.name), cmp.Compare(a.key.kind(), b.key.kind()))
		})
	}
	return news || left || order
}

// take replaces what the source said before.
func (o *object) take(s state) {
	if s.empty() && s.created == 0 {
		s.created = o.created
	}
	switch {
	case !s.revoked, s.dated:
	case o.revoked:
		s.revokedAt = o.revokedAt
	case s.revokedAt == 0:
		s.revokedAt = time.Now().Unix()
	}
	if s.license != nil && s.license.Revoked {
		s.license.RevokedAt = time.Unix(s.revokedAt, 0).UTC()
	}
	o.state = s
}

// settle decides what is in force, and makes the catalog of it.
func (s *set) settle() settled {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &build{set: s, Builder: catalog.NewBuilder(len(s.order)), names: map[key]*object{}, registries: map[*catalog.Registry]*object{}}
	for _, o := range s.order {
		b.settle(o)
	}
	done := settled{catalog: b.Catalog(), retired: s.retired, numbers: map[string]*number{}, wishes: map[key]*wish{}}
	s.retired = nil
	s.judge(&done)
	return done
}

// build is the making of one catalog.
type build struct {
	*catalog.Builder
	set        *set
	names      map[key]*object // without the place: two files may have the same name
	registries map[*catalog.Registry]*object
}

// settle puts the best version of an object in force: what it says now, or else what was in force before.
func (b *build) settle(o *object) {
	now, before := o.version, o.force
	if o.revoked && before.license != nil {
		before.license = before.license.withdrawn(o.revokedAt)
	}
	var found against
	if now.registry != nil {
		var credentials keychain.Keychain
		if credentials, _, found.unread = b.set.access(now.registry); credentials == nil && before.registry != nil {
			now = before
		}
	}
	o.force = version{}
	if !now.empty() {
		found.clash = b.try(o, now)
	}
	if o.against = nil; found != (against{}) {
		o.against = &found
	}
	if o.force.empty() && !before.empty() && before != now {
		_ = b.try(o, before) // what keeps the newer one out is told already
	}
	if o.force.empty() {
		b.set.retire(o)
	}
}

// try puts a version in force, or says what it contradicts.
func (b *build) try(o *object, v version) error {
	identity := newKey("", o.key.kind(), o.key.name)
	if other, twice := b.names[identity]; twice {
		return fmt.Errorf("metadata.name: is that of %s, which comes first: choose another name", other.key)
	}
	add := b.license
	if v.registry != nil {
		add = b.registry
	}
	if err := add(o, v); err != nil {
		return err
	}
	if o.key.place() != "" {
		b.names[identity] = o
	}
	o.force = v
	return nil
}

func (b *build) license(_ *object, v version) error {
	if other, name := b.License(v.license.credentials); other != nil {
		return fmt.Errorf("spec.credentials: the id of %q admits to License %s already, which comes first: make another id", name, other.Name)
	}
	return nil
}

func (b *build) registry(o *object, v version) error {
	spec := v.registry.spec
	registry := &catalog.Registry{Name: o.key.name, Hostname: spec.Hostname, Alias: spec.Alias, Apps: spec.AppAccess}
	if other, name := b.Registry(registry); other != nil {
		return fmt.Errorf("spec: %s stands for %s already, which comes first: use another name, or give both an appAccess without a common app",
			name, b.registries[other].key)
	}
	b.registries[registry] = o
	registry.Upstream, registry.Problem = b.set.connect(o, v.registry)
	return nil
}
