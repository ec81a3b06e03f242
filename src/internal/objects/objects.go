// SPDX-License-Identifier: Apache-2.0

// Package objects follows the licenses and registries of the image proxy, and keeps the catalog of those that are in force.
//
// It has three parts. Reading knows where objects come from: custom resources in a cluster (cluster.go), files of a directory outside
// of one (directory.go), and the docker configs that they name (credentials.go). Resolving is a function of what was read and of what
// was in force, and returns what is in force now (resolve.go, connect.go). Status is what the author learns of it: the log
// (verdict.go), and in a cluster the object's status (status.go).
//
// An object that cannot be used is reported, changes nothing, and leaves the rest in force. The package decides nothing about
// requests. It writes nothing but the status of custom resources; into a directory it never writes.
package objects

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy"
	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
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
	// Observer is told how many objects there are; may be nil.
	Observer Observer
	// Log is told of objects that cannot be used; nil discards.
	Log *slog.Logger
}

// Observer counts objects.
type Observer interface {
	// Objects is called when the numbers of a kind may have changed. Of the kind "unknown" are documents that do not say which
	// object they are.
	Objects(kind string, valid, invalid int)
}

// source is where objects come from.
type source interface {
	// run reads until ctx ends, and calls changed after each change. An error means that nothing can be read.
	run(ctx context.Context, changed func()) error
	// current returns what has been read.
	current() reading
	// credential reads the docker config at a place that a registry names, again after each change, until ctx ends.
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

// Objects are being followed.
type Objects struct {
	cfg    Config
	store  *catalog.Store
	source source
	// statuses writes into the cluster; nil with a directory.
	statuses *statuses
	changed  chan struct{} // holds one: something has changed since the last look
	loaded   chan struct{}
	ended    chan struct{}
	err      error // once ended
}

// Follow begins to follow the objects, until ctx ends. A directory has been read when it returns, and an error means that it cannot
// be; a cluster may be away, and is waited for.
func Follow(ctx context.Context, cfg Config) (*Objects, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	o := &Objects{
		cfg: cfg, store: catalog.NewStore(),
		changed: make(chan struct{}, 1), loaded: make(chan struct{}), ended: make(chan struct{}),
	}
	if cfg.Dir == "" {
		c := newCluster(cfg.Cluster, cfg.Log)
		o.source, o.statuses = c, newStatuses(c, cfg.Log)
		go o.run(ctx)
		return o, nil
	}
	o.source = newDirectory(cfg.Dir)
	go o.run(ctx)
	select {
	case <-o.loaded:
		return o, nil
	case <-o.ended:
		return nil, o.err
	}
}

// Store has the catalog in force.
func (o *Objects) Store() *catalog.Store { return o.store }

// Loaded is closed once everything has been read for the first time. Until then every customer looks like a stranger.
func (o *Objects) Loaded() <-chan struct{} { return o.loaded }

// Pulled takes note that an image, or a part of one, was served for a license: a manifest that was asked for with GET counts as
// a pull, anything else is only a sign of life. It does not block.
func (o *Objects) Pulled(license string, manifest bool, at time.Time) {
	if o.statuses == nil {
		return
	}
	what := news{lastPulled: at}
	if manifest {
		what.pulls = 1
	}
	o.statuses.note(id{kind: imageproxy.LicenseKind, name: license}, what)
}

// Wait returns when ctx has ended and what was noted has been written. An error is why objects are no longer followed.
func (o *Objects) Wait() error {
	<-o.ended
	return o.err
}

func (o *Objects) run(ctx context.Context) {
	defer close(o.ended)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var keeping sync.WaitGroup
	keeping.Go(func() { o.keep(ctx) })
	if o.statuses != nil {
		keeping.Go(func() { o.statuses.run(ctx) })
	}
	o.err = o.source.run(ctx, o.look)
	cancel()
	keeping.Wait()
}

// look makes the loop look.
func (o *Objects) look() {
	select {
	case o.changed <- struct{}{}:
	default: // it will
	}
}

// rest is how long the loop waits after a look, so that many changes at once are few.
const rest = 50 * time.Millisecond

// keep puts changes in force until ctx ends.
func (o *Objects) keep(ctx context.Context) {
	reader := newCredentialReader(o.source, o.look)
	defer reader.stop()
	var now moment
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.changed:
		}
		read := o.source.current()
		keys, complete := reader.follow(ctx, places(read.objects, now.standings))
		if read.complete && complete || isClosed(o.loaded) {
			now = o.put(read, keys, now)
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
	standings map[id]*standing
	links     map[id]link
	faults    map[string]fault
}

// put decides about what was read, and brings it into force.
func (o *Objects) put(read reading, keys credentials, before moment) moment {
	decided := resolve(read.objects, before.standings, keys, time.Now())
	now := moment{decided.standings, connect(decided, keys, before.links, o.cfg.Upstream), read.faults}
	report(o.cfg.Log, read, now.standings, before.standings, before.faults)
	o.store.Replace(decided.catalog)
	for which, link := range before.links {
		if now.links[which] != link {
			link.registry.Close()
		}
	}
	numbers := count(read, now.standings)
	if o.cfg.Observer != nil {
		for kind, n := range numbers {
			o.cfg.Observer.Objects(kind, n.valid, n.invalid)
		}
	}
	if o.statuses != nil {
		o.statuses.follow(now.standings, before.standings)
	}
	if !isClosed(o.loaded) {
		o.cfg.Log.Info("objects loaded", "licenses", numbers[imageproxy.LicenseKind].valid,
			"registries", numbers[imageproxy.RegistryKind].valid)
		close(o.loaded)
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
