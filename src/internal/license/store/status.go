// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
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

// statuses writes the status of custom resources: at once what is new, and then at most once a minute for
// each object.
//
// Replicas write the same objects. Each adds what it has seen itself to what is there, and begins anew when
// another one was faster. A write whose answer is lost is made again, so a pull may be counted twice.
type statuses struct {
	// update changes the status of one object, as [cluster.update] does.
	update func(ctx context.Context, which id, change func(v1alpha1.Object) bool) error
	log    *slog.Logger
	wake   chan struct{}
	outage kube.Outage

	mu      sync.Mutex
	entries map[id]*entry
}

// entry is what is to be written about one object.
type entry struct {
	news
	notBefore time.Time
}

// news is something to write; the zero value is nothing.
type news struct {
	pulls      int64
	lastPulled time.Time
	standing   *standing
}

// add joins what was learnt later.
func (n *news) add(later news) {
	n.pulls += later.pulls
	if later.lastPulled.After(n.lastPulled) {
		n.lastPulled = later.lastPulled
	}
	if later.standing != nil {
		n.standing = later.standing
	}
}

func newStatuses(c *cluster, log *slog.Logger) *statuses {
	return &statuses{update: c.update, log: log, wake: make(chan struct{}, 1), entries: map[id]*entry{}}
}

// follow writes what has changed since before. What a server that has just started finds confirmed needs no
// writing.
func (s *statuses) follow(now, before map[id]*standing) {
	for which, each := range now {
		was := each.since(before)
		unknown := was.verdict.reason == ""
		switch {
		case each.verdict.reason == "", unknown && each.verdict.reason == inForce && each.object.confirmed:
		case unknown, each.verdict != was.verdict, each.object.generation != was.object.generation:
			s.note(which, news{standing: each})
		}
	}
}

// note adds something to write.
func (s *statuses) note(which id, what news) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, known := s.entries[which]
	if !known {
		e = &entry{}
		s.entries[which] = e
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
	due, earliest := s.take(now)
	var group errgroup.Group
	group.SetLimit(writers)
	for which, what := range due {
		group.Go(func() error {
			if err := s.update(ctx, which, what.apply); err != nil {
				s.failed(which, what, err)
				return err
			}
			return nil
		})
	}
	if group.Wait() == nil && len(due) > 0 {
		s.outage.Over()
	}
	if earliest.IsZero() {
		return nil
	}
	return time.After(time.Until(earliest))
}

// take returns what may be written at that time, which is left alone from then on, and when there may be
// more; never is zero.
func (s *statuses) take(now time.Time) (due map[id]news, earliest time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due = map[id]news{}
	for which, e := range s.entries {
		if !e.notBefore.After(now) {
			if e.news == (news{}) {
				delete(s.entries, which)
				continue
			}
			due[which] = e.news
			*e = entry{notBefore: now.Add(writePause)}
		}
		if earliest.IsZero() || e.notBefore.Before(earliest) {
			earliest = e.notBefore
		}
	}
	return due, earliest
}

// failed keeps what could not be written for the next time.
func (s *statuses) failed(which id, what news, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, known := s.entries[which]; known {
		what.add(e.news)
		e.news = what
	}
	if s.outage.New(err) {
		s.log.Warn("status not written, it will be tried again", "object", which.String(), "error", err)
	}
}

// apply brings a status up to date, and reports whether that changed anything.
func (n news) apply(object v1alpha1.Object) bool {
	switch o := object.(type) {
	case *v1alpha1.License:
		changed := n.pulls > 0
		o.Status.Pulls += n.pulls
		at := n.lastPulled.Truncate(time.Second)
		if !at.IsZero() && (o.Status.LastPulled == nil || o.Status.LastPulled.Time.Before(at)) {
			o.Status.LastPulled, changed = &metav1.Time{Time: at}, true
		}
		return n.conditions(&o.Status.Conditions) || changed
	case *v1alpha1.ExternalRegistry:
		return n.conditions(&o.Status.Conditions)
	default:
		return false
	}
}

// conditions does that for conditions. A license that was never revoked has no condition that says so.
func (n news) conditions(all *[]metav1.Condition) (changed bool) {
	s := n.standing
	if s == nil {
		return false
	}
	valid := metav1.Condition{
		Type: v1alpha1.Valid, Status: metav1.ConditionTrue, Reason: s.verdict.reason,
		Message: "the object is in force", ObservedGeneration: s.object.generation,
	}
	if s.verdict.message != "" {
		valid.Status, valid.Message = metav1.ConditionFalse, s.verdict.message
	}
	changed = meta.SetStatusCondition(all, valid)
	revoked := metav1.Condition{
		Type: v1alpha1.Revoked, Status: metav1.ConditionFalse, Reason: "NotRevoked",
		ObservedGeneration: s.object.generation,
	}
	switch {
	case s.revoked:
		revoked.Status, revoked.Reason = metav1.ConditionTrue, "Revoked"
		revoked.LastTransitionTime = metav1.NewTime(s.revokedAt)
	case meta.FindStatusCondition(*all, v1alpha1.Revoked) == nil:
		return changed
	}
	return meta.SetStatusCondition(all, revoked) || changed
}
