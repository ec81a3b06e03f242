// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/kube"
	"github.com/local-source-proxy/local-source-proxy/src/internal/license/v1alpha1"
)

const (
	// soon is within what time a registry is asked that is new, or has another credential.
	soon = 10 * time.Second
	// apart is how long the same registry is left alone at least, however often its credential changes.
	apart = 30 * time.Second
	// askTimeout bounds the asking of one registry.
	askTimeout = 20 * time.Second
	// again is when what could not be written, or read, is tried again.
	again = time.Minute
)

// asker asks registries whether they take their credential, so that the vendor learns of a wrong one before a
// customer does. It asks one registry at a time, seldom, and a refused credential the most seldom: registries
// ban accounts that fail too often (quirk A10).
//
// In a cluster the replicas share what they have learnt by the object's status: who finds that another one has
// asked does not. Outside of one, the log alone has it.
type asker struct {
	cluster *cluster // nil: outside of one
	log     *slog.Logger
	outage  kube.Outage
	wake    chan struct{}

	mu      sync.Mutex
	inquiry map[id]*inquiry
}

// inquiry is what is to be asked about one registry.
type inquiry struct {
	// link has no registry where it cannot be asked.
	link       link
	called     string
	generation int64
	// since is when the credential was learnt of; zero: when the server started.
	since time.Time
	// asked is when that was last done, and due when it is to be.
	asked, due time.Time
	known      opinion
	// unwritten: the status does not have what is known.
	unwritten bool
}

func newAsker(c *cluster, log *slog.Logger) *asker {
	return &asker{cluster: c, log: log, wake: make(chan struct{}, 1), inquiry: map[id]*inquiry{}}
}

// follow takes note of the registries that there are.
func (a *asker) follow(now, before moment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for which := range a.inquiry {
		if now.standings[which] == nil {
			delete(a.inquiry, which)
		}
	}
	for which, s := range now.standings {
		if s.object.kind != v1alpha1.RegistryKind {
			continue
		}
		was, link := a.inquiry[which], now.links[which]
		if was != nil && was.link == link {
			was.generation = s.object.generation
			continue
		}
		next := &inquiry{link: link, generation: s.object.generation, due: now.at.Add(within(soon))}
		if link.registry != nil {
			next.called = s.force.registry.called()
		}
		if !before.at.IsZero() {
			next.since = now.at
		}
		if was != nil {
			next.known, next.asked = was.known, was.asked
			if earliest := was.asked.Add(apart); !was.asked.IsZero() && next.due.Before(earliest) {
				next.due = earliest
			}
		}
		a.inquiry[which] = next
	}
	select {
	case a.wake <- struct{}{}:
	default: // it is awake
	}
}

// run asks until ctx ends.
func (a *asker) run(ctx context.Context) {
	for ctx.Err() == nil {
		which, of, next := a.next()
		var due <-chan time.Time
		if of != nil {
			due = time.After(time.Until(next.due))
		}
		select {
		case <-ctx.Done():
		case <-a.wake:
		case <-due:
			a.settle(which, of, a.inquire(ctx, which, next))
		}
	}
}

// next returns the inquiry that is due first, as it is now; nil: there is none.
func (a *asker) next() (which id, of *inquiry, now inquiry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for each, i := range a.inquiry {
		if of == nil || i.due.Before(of.due) {
			which, of, now = each, i, *i
		}
	}
	return which, of, now
}

// settle keeps what became of an inquiry, unless there is another one about the registry by now.
func (a *asker) settle(which id, of *inquiry, done inquiry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.inquiry[which] != of {
		if now := a.inquiry[which]; now != nil {
			now.asked = done.asked
		}
		return
	}
	done.generation = of.generation
	*of = done
}

// inquire finds out what a registry thinks of its credential: from the object's status, where another replica
// has asked, or else from the registry.
func (a *asker) inquire(ctx context.Context, which id, i inquiry) inquiry {
	switch found, at, err := a.recorded(ctx, which, i); {
	case i.unwritten: // it has been asked
	case i.link.registry == nil:
		i.known, i.asked = opinion{notKnown, reasonNotAsked, "the registry is not asked: see the condition Valid"}, time.Now()
	case err != nil:
		i.due = time.Now().Add(again)
		a.failed(which, err)
		return i
	case found.reason != "":
		i.known, i.due = found, jittered(at, found.pause())
		return i
	default:
		if i = a.ask(ctx, which, i); ctx.Err() != nil {
			return i
		}
	}
	i.due, i.unwritten = jittered(i.asked, i.known.pause()), false
	if err := a.write(ctx, which, i); err != nil {
		a.failed(which, err)
		i.due, i.unwritten = time.Now().Add(again), true
	}
	return i
}

func (a *asker) ask(ctx context.Context, which id, i inquiry) inquiry {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	there, standing, err := i.link.registry.Standing(ctx)
	before := i.known
	i.asked, i.known = time.Now(), opinionOf(there, standing, err, i.called)
	switch {
	case i.known.reason == before.reason:
	case i.known.status == accepted && before.reason != "":
		a.log.Info("the registry takes its credential again", "object", which.String())
	case i.known.status == accepted:
	case i.known.status == notAccepted:
		a.log.Error("the registry does not take its credential", "object", which.String(), "problem", i.known.message)
	default:
		a.log.Warn("whether the registry takes its credential is not known", "object", which.String(),
			"problem", i.known.message)
	}
	return i
}

// jittered is a time after some pause, of which replicas do not have the same.
func jittered(from time.Time, pause time.Duration) time.Time {
	return from.Add(pause + within(pause/8))
}

// within is some time up to that.
func within(most time.Duration) time.Duration {
	return rand.N(most) //nolint:gosec // G404: it only keeps replicas apart
}

// recorded returns what another replica, or this one before it started anew, has learnt of the same credential
// and not too long ago; an empty opinion: nothing.
func (a *asker) recorded(ctx context.Context, which id, i inquiry) (found opinion, at time.Time, err error) {
	if a.cluster == nil || i.link.registry == nil || i.unwritten {
		return opinion{}, time.Time{}, nil
	}
	object, err := a.cluster.client.Registries.Get(ctx, which.name)
	if err != nil {
		return opinion{}, time.Time{}, err
	}
	a.outage.Over()
	registry, ok := object.(*v1alpha1.ExternalRegistry)
	if !ok || registry.Status.CredentialCheckedAt == nil || registry.Generation != i.generation {
		return opinion{}, time.Time{}, nil
	}
	at = registry.Status.CredentialCheckedAt.Time
	found = recordedOpinion(registry)
	pause := found.pause()
	if i.since.IsZero() && i.asked.IsZero() && found.status != accepted {
		pause = min(pause, pauseAtStart)
	}
	if at.Before(i.since.Truncate(time.Second)) || time.Since(at) >= pause {
		return opinion{}, time.Time{}, nil
	}
	return found, at, nil
}

// write puts what is known into the object's status.
func (a *asker) write(ctx context.Context, which id, i inquiry) error {
	if a.cluster == nil {
		return nil
	}
	err := a.cluster.update(ctx, which, func(object v1alpha1.Object) bool {
		registry, ok := object.(*v1alpha1.ExternalRegistry)
		return ok && i.known.apply(registry, i.generation, i.asked)
	})
	if err == nil {
		a.outage.Over()
	}
	return err
}

func (a *asker) failed(which id, err error) {
	if a.outage.New(err) {
		a.log.Warn("what a registry thinks of its credential cannot be shared now, it will be tried again",
			"object", which.String(), "error", err)
	}
}
