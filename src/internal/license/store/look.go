// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

// View is what [Look] has seen.
type View struct {
	// Findings are one for each object, and for each place in which no object is known.
	Findings []Finding
	Catalog  *catalog.Catalog
}

// Finding is what is to be said of one object, or of a place in which no object is known.
type Finding struct {
	// What it is of: kind and name, and the file where there is one.
	What string
	// Problem is why it is not in force, or not as it is written; empty: it is.
	Problem string
	// License has the object's credentials in force, and Registry its registry. Neither: it is out of force.
	License  []*catalog.Credential
	Registry *catalog.Registry
	// Credential is what the registry's credential is called, in words; empty: it names none.
	Credential string
}

// Look reads the objects once, as [Follow] does, and returns what is to be said of them. It writes no status
// and no log.
func Look(ctx context.Context, cfg Config) (*View, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cfg.Log, cfg.Observer = nil, nil
	s := newStore(cfg)
	var view *View
	s.decided = func(read reading, now moment) {
		if view == nil {
			view = newView(read, now)
		}
	}
	go s.run(ctx)
	select {
	case <-s.loaded:
	case <-s.ended:
	case <-ctx.Done():
	}
	cancel()
	if err := s.Wait(); err != nil {
		return nil, err
	}
	if view == nil {
		return nil, fmt.Errorf("read objects: %w", cmp.Or(s.unread(), context.Cause(ctx)))
	}
	view.Catalog = s.catalog.Current()
	return view, nil
}

// unread is why objects could not be read, as far as that is known.
func (s *Store) unread() error {
	c, ok := s.source.(*cluster)
	if !ok {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func newView(read reading, now moment) *View {
	v := &View{}
	for _, o := range read.objects {
		s := now.standings[o.id]
		f := Finding{What: o.String(), Problem: strings.TrimPrefix(s.verdict.message, o.file+": "), Registry: s.entry}
		if s.force.license != nil {
			f.License = s.force.license.credentials
			if s.revoked {
				f.License = s.force.license.revokedSince(s.revokedAt)
			}
		}
		if s.force.registry != nil {
			f.Credential = s.force.registry.called()
		}
		if f.Problem == "" && s.entry != nil && s.entry.Problem != nil {
			f.Problem = inOneLine(s.entry.Problem)
		}
		v.Findings = append(v.Findings, f)
	}
	slices.SortStableFunc(v.Findings, func(a, b Finding) int { return cmp.Compare(a.What, b.What) })
	for _, place := range slices.Sorted(maps.Keys(read.faults)) {
		v.Findings = append(v.Findings,
			Finding{What: place, Problem: strings.TrimPrefix(read.faults[place].problem, place+": ")})
	}
	return v
}

// called is what messages call the registry's credential; empty: it names none.
func (r *registry) called() string {
	c := r.spec.Credentials
	switch {
	case c.Provider != "":
		return "provider " + c.Provider
	case c.SecretRef.Name != "":
		return "Secret " + c.SecretRef.Name
	default:
		return r.credential
	}
}
