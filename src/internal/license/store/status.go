// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

const (
	// writePause is how long the status of one object is left alone after it was written.
	writePause = time.Minute
	// writers is how many are written at the same time.
	writers = 8
	// lastWrites is how long the writing may take when the server ends.
	lastWrites = 10 * time.Second
)

// statuses writes the status of custom resources: at once what is new, and then at most once a minute for each object.
//
// Replicas write the same objects. Each adds what it has seen itself to what is there, and begins anew when another one was faster. A write
// whose answer is lost is made again, so that a pull may count twice, but never not at all.
type statuses struct {
	resources map[string]kube.Resources // by kind
	log       *slog.Logger
	wake      chan struct{}

	mu      sync.Mutex
	entries map[key]*entry
	outage  string // the last error, while it lasts
}

// entry is what is to be written about one object.
type entry struct {
	seen
	notBefore time.Time
}

// seen is something to write; the zero value is nothing.
type seen struct {
	pulls      int64
	lastPulled time.Time
	wish       *wish
}

// add joins what was seen later.
func (s *seen) add(later seen) {
	s.pulls += later.pulls
	if later.lastPulled.After(s.lastPulled) {
		s.lastPulled = later.lastPulled
	}
	if later.wish != nil {
		s.wish = later.wish
	}
}

func newStatuses(client *kube.Client, log *slog.Logger) *statuses {
	return &statuses{
		resources: map[string]kube.Resources{v1alpha1.LicenseKind: client.Licenses, v1alpha1.RegistryKind: client.Registries},
		log:       log, wake: make(chan struct{}, 1), entries: map[key]*entry{},
	}
}

// note adds something to write.
func (s *statuses) note(k key, what seen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, known := s.entries[k]
	if !known {
		e = &entry{}
		s.entries[k] = e
	}
	e.add(what)
	if time.Now().Before(e.notBefore) {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// run writes until ctx ends, and then what is left.
func (s *statuses) run(ctx context.Context) {
	for ctx.Err() == nil {
		next := s.write(ctx, time.Now())
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-next:
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWrites)
	defer cancel()
	s.write(ctx, time.Now().Add(writePause))
}

// write writes what may be written at that time, and says when to come again.
func (s *statuses) write(ctx context.Context, now time.Time) (next <-chan time.Time) {
	var group errgroup.Group
	group.SetLimit(writers)
	for k, what := range s.take(now) {
		group.Go(func() error {
			if err := s.writeOne(ctx, k, what); err != nil {
				s.failed(k, what, err)
			}
			return nil
		})
	}
	_ = group.Wait() // failed has them
	s.mu.Lock()
	defer s.mu.Unlock()
	var earliest time.Time
	for _, e := range s.entries {
		if earliest.IsZero() || e.notBefore.Before(earliest) {
			earliest = e.notBefore
		}
	}
	if earliest.IsZero() {
		return nil
	}
	return time.After(time.Until(earliest))
}

// take gives what may be written at that time, and leaves it alone from now on.
func (s *statuses) take(now time.Time) map[key]seen {
	s.mu.Lock()
	defer s.mu.Unlock()
	due := map[key]seen{}
	for k, e := range s.entries {
		switch {
		case e.notBefore.After(now):
		case e.seen == seen{}:
			delete(s.entries, k)
		default:
			due[k] = e.seen
			*e = entry{notBefore: now.Add(writePause)}
		}
	}
	return due
}

// failed keeps what could not be written for the next time.
func (s *statuses) failed(k key, what seen, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, known := s.entries[k]; known {
		what.add(e.seen)
		e.seen = what
	}
	if text := err.Error(); s.outage != text {
		s.outage = text
		s.log.Warn("status not written, it will be tried again", "object", k.String(), "error", err)
	}
}

// writeOne brings one object's status up to date.
func (s *statuses) writeOne(ctx context.Context, k key, what seen) error {
	const attempts = 5
	var err error
	for range attempts {
		var object v1alpha1.Object
		if object, err = s.resources[k.kind()].Get(ctx, k.name); err != nil {
			break
		}
		if !apply(object, what) {
			return nil
		}
		if err = s.resources[k.kind()].UpdateStatus(ctx, object); !apierrors.IsConflict(err) {
			break
		}
	}
	if apierrors.IsNotFound(err) {
		return nil // nobody will miss it
	}
	return err
}

// apply reports whether it changed anything.
func apply(object v1alpha1.Object, what seen) bool {
	switch o := object.(type) {
	case *v1alpha1.License:
		changed := what.pulls > 0
		o.Status.Pulls += what.pulls
		if at := what.lastPulled.Truncate(time.Second); !at.IsZero() && (o.Status.LastPulled == nil || o.Status.LastPulled.Time.Before(at)) {
			o.Status.LastPulled, changed = &metav1.Time{Time: at}, true
		}
		return what.wish != nil && what.wish.apply(&o.Status.Conditions) || changed
	case *v1alpha1.ExternalRegistry:
		return what.wish != nil && what.wish.apply(&o.Status.Conditions)
	default:
		return false
	}
}
