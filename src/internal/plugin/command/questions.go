// SPDX-License-Identifier: Apache-2.0

package command

import (
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// questions shows how many registries have answered: a bar on a terminal, one line elsewhere, nothing when quiet.
type questions struct {
	a     *app
	quiet bool

	mu  sync.Mutex
	bar *progressbar.ProgressBar
}

// update is safe for concurrent use.
func (q *questions) update(done, total int) {
	if q.quiet {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !isTerminal(q.a.errOut) {
		if done == total {
			q.a.say("Asked the registries about %s.", count(total, "image"))
		}
		return
	}
	if q.bar == nil {
		q.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(q.a.errOut), progressbar.OptionSetDescription("asking the registries"), progressbar.OptionShowCount(),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
	}
	_ = q.bar.Set(done) // a terminal that fails is no reason to stop
}

// end leaves the terminal's line clean.
func (q *questions) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.bar != nil {
		_ = q.bar.Clear() // as above
	}
}
