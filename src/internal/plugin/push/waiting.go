// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
)

// patience is how long nothing may happen before the developer hears what is waited for.
const patience = 5 * time.Second

// do sends a request. When it neither moves a byte nor has an answer for a while, the developer hears that
// it is what, the step, that waits; and again each time that has doubled.
func (p *pusher) do(ctx context.Context, what string, r apiserver.Request) (*http.Response, error) {
	w := &waiting{pause: p.opts.Patience, tell: func(since time.Duration) {
		p.opts.Notify(fmt.Sprintf("%s: no answer for %s, still waiting for the registry", what, since))
	}}
	w.moved()
	defer w.end()
	if m, ok := r.Body.(*meter); ok {
		m.moved = w.moved
	}
	return p.client.Do(ctx, r)
}

// waiting tells when nothing has happened for a while.
type waiting struct {
	pause time.Duration
	tell  func(since time.Duration)

	mu    sync.Mutex
	timer *time.Timer
	since time.Duration // when it was told last
	ended bool
}

// moved begins to wait anew.
func (w *waiting) moved() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	w.since = 0
	if w.timer == nil {
		w.timer = time.AfterFunc(w.pause, w.overdue)
		return
	}
	w.timer.Reset(w.pause)
}

func (w *waiting) overdue() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended {
		return
	}
	next := max(w.pause, w.since)
	w.since += next
	w.tell(w.since)
	w.timer.Reset(w.since)
}

func (w *waiting) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
	w.timer.Stop()
}
