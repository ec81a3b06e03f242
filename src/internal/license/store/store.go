// SPDX-License-Identifier: Apache-2.0

// Package store follows the licenses and registries of the image proxy, and keeps the catalog of those that
// are in force.
//
// It has three parts. Reading knows where objects come from: custom resources in a cluster (cluster.go),
// files of a directory outside of one (directory.go), and the docker configs that they name (credentials.go).
// Resolving is a function of what was read and of what was in force, and returns what is in force now
// (resolve.go, connect.go). Status is what the author learns of it: the log (verdict.go), and in a cluster
// the object's status (status.go).
//
// An object that cannot be used is reported, changes nothing, and leaves the rest in force. The package
// decides nothing about requests. It writes nothing but the status of custom resources; into a directory it
// never writes.
package store

import (
	"context"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// Config says where the objects are, and what is needed to use them.
type Config struct {
	// Dir is a directory of YAML files; empty: they are custom resources of Cluster.
	Dir string
	// Cluster reads them, and the Secrets that they name; nil with Dir.
	Cluster *kube.Client
	// Upstream is what all registries are made with; what an object says is added for each.
	Upstream upstream.Config
	// Observer gets the numbers of objects; may be nil.
	Observer Observer
	// Log gets a line for each object that cannot be used; nil discards.
	Log *slog.Logger
	// Ask has each registry asked now and then whether it takes its credential.
	Ask bool
}

// Observer counts objects.
type Observer interface {
	// Objects is called when the numbers of a kind may have changed. Of the kind "unknown" are documents that
	// do not say which object they are.
	Objects(kind string, valid, invalid int)
}

// source is where objects come from.
type source interface {
	// run reads until ctx ends, and calls changed after each change. An error means that nothing can be read.
	run(ctx context.Context, changed func()) error
	// current returns what has been read.
	current() reading
	// credential reads the docker config at a place that a registry names, again after each change, until ctx
	// ends.
	credential(ctx context.Context, place string, deliver deliver)
}

// reading is what a source has read.
type reading struct {
	// objects are in the order in which they count.
	objects []*object
	// faults are of places where it is not known which objects they hold.
	faults map[string]fault
	// complete: everything has been read once.
	complete bool
}

// fault is what is wrong with a place.
type fault struct {
	problem string
	// kept: the objects that the place held, and that may be those meant, stay as they were.
	kept bool
}

// Store follows objects.
type Store struct {
	cfg     Config
	catalog *catalog.Store
	source  source
	// statuses writes into the cluster; nil with a directory.
	statuses *statuses
	// asker asks registries about their credentials; nil: none does.
	asker *asker
	// decided, if set, is told what each look has shown.
	decided func(reading, moment)
	changed chan struct{} // holds one: something has changed since the last look
	loaded  chan struct{}
	ended   chan struct{}
	err     error // once ended
}

// Follow begins to follow the objects, until ctx ends. A directory has been read when it returns, and an
// error means that it cannot be; a cluster may be away, and is waited for.
func Follow(ctx context.Context, cfg Config) (*Store, error) {
	s := newStore(cfg)
	c, inCluster := s.source.(*cluster)
	if cfg.Ask {
		s.asker = newAsker(c, s.cfg.Log)
	}
	if inCluster {
		s.statuses = newStatuses(c, s.cfg.Log)
		go s.run(ctx)
		return s, nil
	}
	go s.run(ctx)
	select {
	case <-s.loaded:
		return s, nil
	case <-s.ended:
		return nil, s.err
	}
}

func newStore(cfg Config) *Store {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{
		cfg: cfg, catalog: catalog.NewStore(),
		changed: make(chan struct{}, 1), loaded: make(chan struct{}), ended: make(chan struct{}),
	}
	if s.source = newDirectory(cfg.Dir); cfg.Dir == "" {
		s.source = newCluster(cfg.Cluster, cfg.Log)
	}
	return s
}

// Catalog returns the store of the catalog in force.
func (s *Store) Catalog() *catalog.Store { return s.catalog }

// Loaded is closed once everything has been read for the first time. Until then every customer looks like a
// stranger.
func (s *Store) Loaded() <-chan struct{} { return s.loaded }

// Pulled takes note that an image, or a part of one, was served for a license: a manifest that was asked for
// with GET counts as a pull, anything else is only a sign of life. It does not block.
func (s *Store) Pulled(license string, manifest bool, at time.Time) {
	if s.statuses == nil {
		return
	}
	what := news{lastPulled: at}
	if manifest {
		what.pulls = 1
	}
	s.statuses.note(id{kind: v1alpha1.LicenseKind, name: license}, what)
}

// Wait returns when ctx has ended and what was noted has been written. An error is why objects are no longer
// followed.
func (s *Store) Wait() error {
	<-s.ended
	return s.err
}

func (s *Store) run(ctx context.Context) {
	defer close(s.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var keeping sync.WaitGroup
	keeping.Go(func() { s.keep(ctx) })
	if s.statuses != nil {
		keeping.Go(func() { s.statuses.run(ctx) })
	}
	if s.asker != nil {
		keeping.Go(func() { s.asker.run(ctx) })
	}
	s.err = s.source.run(ctx, s.look)
	cancel()
	keeping.Wait()
}

// look makes the loop look.
func (s *Store) look() {
	select {
	case s.changed <- struct{}{}:
	default: // it will
	}
}

// rest is how long the loop waits after a look, so that many changes at once are few.
const rest = 50 * time.Millisecond

// keep puts changes in force until ctx ends.
func (s *Store) keep(ctx context.Context) {
	reader := newCredentialReader(s.source, s.look)
	defer reader.stop()
	var now moment
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
		case <-now.nextEnd(): // nothing is edited, and a line of the log is due
		}
		read := s.source.current()
		keys, complete := reader.follow(ctx, places(read.objects, now.standings))
		if read.complete && complete || isClosed(s.loaded) {
			now = s.put(read, keys, now)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
	}
}

// places are the Secrets or files that registries name: as they are, and as they are in force.
func places(read []*object, now map[id]*standing) []string {
	all := map[string]bool{}
	for _, o := range read {
		versions := []version{o.version}
		if s := now[o.id]; s != nil {
			versions = append(versions, s.force)
		}
		for _, v := range versions {
			if v.registry != nil && v.registry.credential != "" {
				all[v.registry.credential] = true
			}
		}
	}
	return slices.Collect(maps.Keys(all))
}

// moment is what was in force, and said, at one.
type moment struct {
	at        time.Time
	standings map[id]*standing
	links     map[id]link
	faults    map[string]fault
}

// put decides about what was read, and brings it into force.
func (s *Store) put(read reading, keys credentials, before moment) moment {
	at := time.Now()
	decided := resolve(read.objects, before.standings, keys, at)
	now := moment{at, decided.standings, connect(decided, keys, before.links, s.cfg.Upstream), read.faults}
	report(s.cfg.Log, read, now.standings, before.standings, before.faults)
	if isClosed(s.loaded) {
		audit(s.cfg.Log, read, now, before)
	}
	if s.decided != nil {
		s.decided(read, now)
	}
	s.catalog.Replace(decided.catalog)
	for which, link := range before.links {
		if now.links[which] != link {
			link.registry.Close()
		}
	}
	numbers := count(read, now.standings)
	if s.cfg.Observer != nil {
		for kind, n := range numbers {
			s.cfg.Observer.Objects(kind, n.valid, n.invalid)
		}
	}
	if s.statuses != nil {
		s.statuses.follow(now.standings, before.standings)
	}
	if s.asker != nil {
		s.asker.follow(now, before)
	}
	if !isClosed(s.loaded) {
		s.cfg.Log.Info("objects loaded", "licenses", numbers[v1alpha1.LicenseKind].valid,
			"registries", numbers[v1alpha1.RegistryKind].valid)
		close(s.loaded)
		// Reading many takes more memory than keeping them. The runtime alone would return it within minutes.
		debug.FreeOSMemory()
	}
	return now
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
