// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// patience is how long a request waits for a place.
const patience = 5 * time.Second

// Transfers has the places for transfers in flight: as many as memory holds. No caller has more than three
// quarters of them. A place that becomes free goes to the caller who has the fewest, and among those to who
// came first. As many requests as there are places wait for one; when more do, the caller with the most has
// one less. It is safe for concurrent use. One that is nil has places without end.
type Transfers struct {
	places int

	mu    sync.Mutex
	taken int
	// held counts the places of each caller who has some.
	held map[string]int
	// queue has the requests that wait, in the order of their arrival.
	queue   []*waiting
	refused int
}

// waiting is a request that waits. Its turn is closed once it has a place, or is refused one.
type waiting struct {
	callers []string
	turn    chan struct{}
	refused error
}

// NewTransfers makes so many places.
func NewTransfers(places int) *Transfers {
	return &Transfers{places: places, held: map[string]int{}}
}

// Begin takes a place; end leaves it. Callers says whose it is, from wide to narrow, such as a customer and
// one of its machines: the narrower caller has no more than three quarters of the wider one's part. When no
// place becomes free within seconds, the error tells the client to come again.
func (t *Transfers) Begin(ctx context.Context, callers ...string) (end func(), err error) {
	if t == nil {
		return func() {}, nil
	}
	w := &waiting{callers: nested(callers), turn: make(chan struct{})}
	if err := t.wait(ctx, w); err != nil {
		return nil, err
	}
	return sync.OnceFunc(func() { t.leave(w) }), nil
}

// TransferCounts are numbers of transfers.
type TransferCounts struct {
	// Places there are. InFlight are taken. Waiting requests have none, and Refused ones got none.
	Places, InFlight, Waiting, Refused int
}

// Counts returns the numbers as they are now.
func (t *Transfers) Counts() TransferCounts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return TransferCounts{Places: t.places, InFlight: t.taken, Waiting: len(t.queue), Refused: t.refused}
}

// nested makes names unique: a narrower caller's has the wider one's in it.
func nested(callers []string) []string {
	names := make([]string, len(callers))
	for i := range callers {
		names[i] = strings.Join(callers[:i+1], "\x00")
	}
	return names
}

// wait returns once the request has its place, or will not have one.
func (t *Transfers) wait(ctx context.Context, w *waiting) error {
	has, err := t.arrive(w)
	if has || err != nil {
		return err
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-w.turn:
		return w.refused
	case <-late.C:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.forget(w):
		return w.refused // its turn came at the same moment
	case ctx.Err() != nil:
		return oci.Errorf(oci.ClientClosed, "the client went away").Because(context.Cause(ctx))
	default:
		return t.refuse()
	}
}

// arrive takes a place that is free for the caller, or else puts the request into the queue. Those who are
// there already cannot have the place: they wait for one of their own caller's.
func (t *Transfers) arrive(w *waiting) (has bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fits(w) {
		t.take(w)
		return true, nil
	}
	if len(t.queue) >= t.places {
		other := t.crowding(w)
		if other == nil {
			return false, t.refuse()
		}
		t.forget(other)
		other.refused = t.refuse()
		close(other.turn)
	}
	t.queue = append(t.queue, w)
	return false, nil
}

// crowding returns the last request of a caller who has more of them in the queue than the newcomer's would
// have; nil: nobody has.
func (t *Transfers) crowding(newcomer *waiting) *waiting {
	for level, caller := range newcomer.callers {
		count := map[string]int{caller: 1}
		var most *waiting
		for _, w := range t.queue {
			if len(w.callers) <= level {
				continue
			}
			name := w.callers[level]
			if count[name]++; most == nil || count[name] >= count[most.callers[level]] {
				most = w
			}
		}
		if most != nil && count[most.callers[level]] > count[caller] {
			return most
		}
	}
	return nil
}

// leave frees a place, and those whose turn it then is take theirs.
func (t *Transfers) leave(w *waiting) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken--
	for _, caller := range w.callers {
		if t.held[caller]--; t.held[caller] == 0 {
			delete(t.held, caller)
		}
	}
	for next := t.next(); next != nil; next = t.next() {
		t.forget(next)
		t.take(next)
		close(next.turn)
	}
}

// next returns who gets a place that is free; nil: nobody can.
func (t *Transfers) next() *waiting {
	var first *waiting
	fewest := 0
	for _, w := range t.queue {
		if held := t.has(w); (first == nil || held < fewest) && t.fits(w) {
			first, fewest = w, held
		}
	}
	return first
}

// has returns how many places the caller of a request holds, the narrowest one.
func (t *Transfers) has(w *waiting) int {
	if len(w.callers) == 0 {
		return 0
	}
	return t.held[w.callers[len(w.callers)-1]]
}

// fits reports whether there is a place, and none of its callers has his part already.
func (t *Transfers) fits(w *waiting) bool {
	part := t.places
	if t.taken >= part {
		return false
	}
	for _, caller := range w.callers {
		if part = max(part*3/4, 1); t.held[caller] >= part {
			return false
		}
	}
	return true
}

func (t *Transfers) take(w *waiting) {
	t.taken++
	for _, caller := range w.callers {
		t.held[caller]++
	}
}

// forget takes a request out of the queue; false: it was not there.
func (t *Transfers) forget(w *waiting) bool {
	i := slices.Index(t.queue, w)
	if i < 0 {
		return false
	}
	t.queue = slices.Delete(t.queue, i, i+1)
	return true
}

func (t *Transfers) refuse() error {
	t.refused++
	return oci.Busy(patience, "the proxy has as many transfers in flight as its memory holds; try again later")
}
