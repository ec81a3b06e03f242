// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
)

const (
	// maxWait is how long a request waits for a place. Load balancers in front end what is silent for a
	// minute.
	maxWait = 30 * time.Second
	// waitingPerPlace is how many requests of a license wait for each of its places. Each holds a connection,
	// of which a small pod has no more than a few hundred.
	waitingPerPlace = 1
	// placeRetryAfter is in how many seconds a request that got no place may come again.
	placeRetryAfter = "10"
)

// errNoPlace is for a request that got none.
var errNoPlace = errors.New("no place came free")

// places bounds what each license has under way at once, so that no customer takes all that this replica can
// do. Requests of one license wait in the order of their arrival.
type places struct {
	store *catalog.Store
	// fallback is for licenses that name no number; 0: there is no bound.
	fallback int
	cancel   func()

	mu    sync.Mutex
	lines map[lineKey]*line
}

// lineKey tells what is counted together: the blobs of a license, or what else its holder has the registry
// asked for, which is short and does not wait behind downloads.
type lineKey struct {
	license string
	blobs   bool
}

// line is what is under way, and who waits, first come first served.
type line struct {
	taken   int
	waiting []*waiter
}

// waiter is a request that has no place yet.
type waiter struct {
	credential hash
	// turn receives whether the request has a place now. If not, its license no longer admits it.
	turn chan bool
}

func newPlaces(store *catalog.Store, fallback int) *places {
	p := &places{store: store, fallback: fallback, lines: map[lineKey]*line{}}
	p.cancel = store.Subscribe(func(*catalog.Catalog) { p.settleAll() })
	return p
}

func (p *places) close() { p.cancel() }

// most is how many requests a license may have under way in each line.
func (p *places) most(l *catalog.License) int {
	switch {
	case l.ConcurrentPulls > 0:
		return l.ConcurrentPulls
	case p.fallback > 0:
		return p.fallback
	default:
		return math.MaxInt / waitingPerPlace
	}
}

// take gets a place, and says whether the request had to wait, in which time another catalog may have come
// into force. Without a place the error is [errNoPlace] or the context's.
func (p *places) take(ctx context.Context, key lineKey, credential *catalog.Credential) (waited bool, err error) {
	w := p.enter(key, credential)
	switch {
	case w == nil:
		return false, errNoPlace
	case w.turn == nil:
		return false, nil
	}
	timer := time.NewTimer(maxWait)
	defer timer.Stop()
	select {
	case placed := <-w.turn:
		if !placed {
			return true, errNoPlace
		}
		return true, nil
	case <-timer.C:
		err = errNoPlace
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return true, p.giveUp(key, w, err)
}

// enter takes a place that is free, or the last one in the line; nil: the line is full. A waiter without a
// turn has its place.
func (p *places) enter(key lineKey, credential *catalog.Credential) *waiter {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[key]
	if l == nil {
		l = &line{}
		p.lines[key] = l
	}
	switch most := p.most(credential.License); {
	case len(l.waiting) == 0 && l.taken < most:
		l.taken++
		return &waiter{}
	case len(l.waiting) >= most*waitingPerPlace:
		return nil
	}
	w := &waiter{credential: credential.Hash, turn: make(chan bool, 1)}
	l.waiting = append(l.waiting, w)
	// The catalog may be another one since the credential was looked at.
	p.settle(key, l)
	return w
}

// giveUp leaves the line. A place that came at the same time is given back.
func (p *places) giveUp(key lineKey, w *waiter, err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[key]
	if l == nil {
		return err
	}
	if i := slices.Index(l.waiting, w); i >= 0 {
		l.waiting = slices.Delete(l.waiting, i, i+1)
	}
	select {
	case placed := <-w.turn:
		if placed {
			l.taken--
		}
	default:
	}
	p.settle(key, l)
	return err
}

// leave gives a place back.
func (p *places) leave(key lineKey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lines[key]
	l.taken--
	p.settle(key, l)
}

func (p *places) settleAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key, l := range p.lines {
		p.settle(key, l)
	}
}

// settle lets those in whose turn it is, by the catalog in force. One whose license has ended is told so.
func (p *places) settle(key lineKey, l *line) {
	for len(l.waiting) > 0 {
		first := l.waiting[0]
		credential, known := p.store.Current().ByHash(first.credential)
		if known {
			_, answer := over(credential, time.Now())
			known = answer == nil
		}
		if known && l.taken >= p.most(credential.License) {
			return
		}
		if known {
			l.taken++
		}
		first.turn <- known
		l.waiting = slices.Delete(l.waiting, 0, 1)
	}
	if l.taken == 0 {
		delete(p.lines, key)
	}
}
