// SPDX-License-Identifier: Apache-2.0

// Package objects follows the image proxy's licenses and registries, and keeps the catalog of those that are in force.
//
// They are custom resources in a cluster, and files of a directory outside of one: two sources behind the same rules. An object that
// cannot be used is reported, changes nothing, and leaves the rest in force. The package decides nothing about requests, and it writes
// nothing but the status of custom resources; into a directory it never writes.
package store

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
	"github.com/local-source-proxy/local-source-proxy/src/internal/upstream"
)

// Config says where the objects are, and what is needed to use them.
type Config struct {
	// Dir is a directory of YAML files; empty: Cluster has custom resources.
	Dir string
	// Cluster reads them, and the Secrets that they name; nil with Dir.
	Cluster *kube.Client
	// Upstream is what all registries are made with; what an object says is added for each.
	Upstream upstream.Config
	// Observer is told how many objects there are; may be nil.
	Observer Observer
	// Log is told of objects that cannot be used; nil discards.
	Log *slog.Logger
}

// Observer counts objects.
type Observer interface {
	// Objects is called when the numbers of a kind may have changed; of the kind "unknown" are documents that tell none.
	Objects(kind string, valid, invalid int)
}

// Objects are being followed.
type Store struct {
	cfg    Config
	store  *catalog.Store
	set    *set
	source source
	// statuses writes into the cluster; nil with a directory.
	statuses *statuses
	changed  chan struct{} // holds one: something has changed since the last look
	loaded   chan struct{}
	ended    chan struct{}
	err      error // once ended
}

// source is where objects come from.
type source interface {
	// run tells the set of objects, and calls changed after each change of it, until ctx ends. An error means that it cannot.
	run(ctx context.Context, s *set, changed func()) error
	// credentials follows what registries name.
	credentials(deliver) reader
}

// reader reads credentials.
type reader interface {
	// follow reads at these places from now on, and at no others.
	follow(ctx context.Context, places []string)
	// stop ends that, and returns when nothing is read any more.
	stop()
}

// Follow begins to follow the objects, until ctx ends. A directory has been read when it returns, and an error means that it cannot
// be; a cluster may be away, and is waited for.
func Follow(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	o := &Store{
		cfg: cfg, store: catalog.NewStore(), set: newSet(cfg.Upstream),
		changed: make(chan struct{}, 1), loaded: make(chan struct{}), ended: make(chan struct{}),
	}
	if cfg.Dir != "" {
		o.source = newDirectory(cfg.Dir)
	} else {
		o.source, o.statuses = &cluster{cfg.Cluster, cfg.Log}, newStatuses(cfg.Cluster, cfg.Log)
	}
	go o.run(ctx)
	if cfg.Dir != "" {
		select {
		case <-o.loaded:
		case <-o.ended:
			return nil, o.err
		}
	}
	return o, nil
}

// Store has the catalog in force.
func (o *Store) Catalog() *catalog.Store { return o.store }

// Loaded is closed once everything has been read for the first time. Until then nobody can be told from a stranger.
func (o *Store) Loaded() <-chan struct{} { return o.loaded }

// Pulled takes note that an image, or a part of one, was given out for a license: a manifest that was asked for with GET counts as
// a pull, anything else is only a sign of life. It does not block.
func (o *Store) Pulled(license string, manifest bool, at time.Time) {
	if o.statuses == nil {
		return
	}
	what := seen{lastPulled: at}
	if manifest {
		what.pulls = 1
	}
	o.statuses.note(newKey("", v1alpha1.LicenseKind, license), what)
}

// Wait returns when ctx has ended and what was noted has been written. An error is why objects are no longer followed.
func (o *Store) Wait() error {
	<-o.ended
	return o.err
}

func (o *Store) run(ctx context.Context) {
	defer close(o.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var keeping sync.WaitGroup
	keeping.Go(func() { o.keep(ctx) })
	if o.statuses != nil {
		keeping.Go(func() { o.statuses.run(ctx) })
	}
	o.err = o.source.run(ctx, o.set, o.look)
	cancel()
	keeping.Wait()
}

// look makes the loop look.
func (o *Store) look() {
	select {
	case o.changed <- struct{}{}:
	default: // it will
	}
}

// rest is how long the loop waits after a look, so that many changes at once are few.
const rest = 50 * time.Millisecond

// keep puts changes in force until ctx ends.
func (o *Store) keep(ctx context.Context) {
	credentials := o.source.credentials(func(place, called string, data []byte, err error) {
		o.set.deliver(place, called, data, err)
		o.look()
	})
	defer credentials.stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.changed:
		}
		places, complete := o.set.want()
		credentials.follow(ctx, places)
		if complete || o.isLoaded() {
			o.put(o.set.settle())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
	}
}

func (o *Store) isLoaded() bool {
	select {
	case <-o.loaded:
		return true
	default:
		return false
	}
}

// put brings what was settled into force.
func (o *Store) put(next settled) {
	for _, each := range next.news {
		if each.verdict.message == "" {
			o.cfg.Log.Info("object usable again", "object", each.what)
		} else {
			o.cfg.Log.Error("object not usable", "object", each.what, "problem", each.verdict.message, "consequence", each.consequence)
		}
	}
	o.store.Replace(next.catalog)
	for _, registry := range next.retired {
		registry.Close()
	}
	if o.cfg.Observer != nil {
		for kind, n := range next.numbers {
			o.cfg.Observer.Objects(kind, n.valid, n.invalid)
		}
	}
	if o.statuses != nil {
		for k, w := range next.wishes {
			o.statuses.note(k, seen{wish: w})
		}
	}
	if !o.isLoaded() {
		o.cfg.Log.Info("objects loaded", "licenses", next.numbers[v1alpha1.LicenseKind].valid,
			"registries", next.numbers[v1alpha1.RegistryKind].valid)
		close(o.loaded)
		// Reading many takes more than keeping them, and the runtime would give that back in minutes.
		debug.FreeOSMemory()
	}
}
