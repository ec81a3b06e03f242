// SPDX-License-Identifier: Apache-2.0

package store

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

// state is what an object is at a moment.
type state string

const (
	stateInForce state = "in_force"
	stateNot     state = "not_in_force"
	stateExpired state = "expired"
	stateRevoked state = "revoked"
)

func (s *standing) state(at time.Time) state {
	switch {
	case s.revoked:
		return stateRevoked
	case s.force.empty():
		return stateNot
	case s.force.license != nil && hasEnded(catalog.End(s.force.license.credentials), at):
		return stateExpired
	default:
		return stateInForce
	}
}

func hasEnded(end, at time.Time) bool { return !end.IsZero() && !at.Before(end) }

// event is what has become of an object.
type event string

const (
	made    event = "made"
	changed event = "changed"
	revoked event = "revoked"
	expired event = "expired"
	removed event = "removed"
)

// audit logs one line for each object that was made, changed, ended or removed since before. An edit that ends a
// license is its end. What was there when the server started is none of these.
func audit(log *slog.Logger, read reading, now, before moment) {
	gone := missing(now, before)
	for _, o := range read.objects {
		s := now.standings[o.id]
		was := s.since(before.standings)
		if was.object == nil {
			was = gone.take(o)
		}
		if what := eventOf(s, was, now.at, before.at); what != "" {
			s.audit(log, what, now.at)
		}
	}
	for _, all := range gone {
		for _, s := range all {
			s.audit(log, removed, now.at)
		}
	}
}

// eventOf returns what has become of an object; empty: nothing.
func eventOf(s, was *standing, at, before time.Time) event {
	if was == nil {
		return made
	}
	switch now, past := s.state(at), was.state(before); {
	case now == stateRevoked && past != stateRevoked:
		return revoked
	case now == stateExpired && past != stateExpired:
		return expired
	case s.object.edited(was.object):
		return changed
	default:
		return ""
	}
}

// absent are objects that are no longer where they were, by kind and name.
type absent map[id][]*standing

func missing(now, before moment) absent {
	var places []id
	for which, was := range before.standings {
		if is := now.standings[which]; is == nil || is.object.uid != was.object.uid {
			places = append(places, which)
		}
	}
	slices.SortFunc(places, func(a, b id) int { return cmp.Compare(a.file, b.file) })
	gone := absent{}
	for _, which := range places {
		name := id{kind: which.kind, name: which.name}
		gone[name] = append(gone[name], before.standings[which])
	}
	return gone
}

// take returns what an object was in another file, which it has left; nil: it is new.
func (a absent) take(o *object) *standing {
	name := id{kind: o.kind, name: o.name}
	if all := a[name]; o.file != "" && len(all) > 0 {
		a[name] = all[1:]
		return all[0]
	}
	return nil
}

// audit writes the line.
func (s *standing) audit(log *slog.Logger, what event, at time.Time) {
	attrs := []any{"event", string(what), "kind", s.object.kind, "name", s.object.name}
	if s.object.file != "" {
		attrs = append(attrs, "file", s.object.file)
	}
	if what != removed {
		attrs = append(attrs, "state", string(s.state(at)))
	}
	switch {
	case s.force.license != nil && len(s.force.license.credentials) > 0:
		l := s.force.license.credentials[0].License
		attrs = append(attrs, "app", l.App, "customer", l.Customer)
		if end := catalog.End(s.force.license.credentials); !end.IsZero() {
			attrs = append(attrs, "expires", end.UTC().Format(time.RFC3339))
		}
	case s.force.registry != nil:
		attrs = append(attrs, "hostname", s.force.registry.spec.Hostname)
	}
	log.Info("audit", attrs...)
}

// longestWait bounds the wait for the end of a license: the clock may be set.
const longestWait = time.Hour

// nextEnd fires when the next license ends; nil: none does.
func (m moment) nextEnd() <-chan time.Time {
	var next time.Time
	for _, s := range m.standings {
		if s.force.license == nil || s.revoked {
			continue
		}
		end := catalog.End(s.force.license.credentials)
		if !hasEnded(end, m.at) && !end.IsZero() && (next.IsZero() || end.Before(next)) {
			next = end
		}
	}
	if next.IsZero() {
		return nil
	}
	return time.After(min(time.Until(next), longestWait))
}
