// SPDX-License-Identifier: Apache-2.0

package command

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows an upload: a bar with rate and remaining time on a terminal, a line every tenth elsewhere, nothing when quiet.
type progress struct {
	a     *app
	quiet bool

	mu    sync.Mutex
	bar   *progressbar.ProgressBar
	tenth int64
}

// update is safe for concurrent use. The total may grow and done may shrink, when an upload begins anew.
func (p *progress) update(done, total int64) {
	if p.quiet || total <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !isTerminal(p.a.errOut) {
		if tenth := done * 10 / total; tenth > p.tenth && total > 1<<20 {
			p.tenth = tenth
			p.a.say("uploaded %s of %s", size(done), size(total))
		}
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(total,
			progressbar.OptionSetWriter(p.a.errOut), progressbar.OptionSetDescription("uploading"), progressbar.OptionShowBytes(true),
			progressbar.OptionUseIECUnits(true), progressbar.OptionSetPredictTime(true), progressbar.OptionShowTotalBytes(true),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())
	}
	if p.bar.GetMax64() != total {
		p.bar.ChangeMax64(total)
	}
	_ = p.bar.Set64(min(done, total)) // a terminal that fails is no reason to stop
}

// end leaves the terminal's line clean.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		_ = p.bar.Clear() // as above
	}
}

// size prints bytes for people.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/unit, 0
	for ; value >= unit && prefix < 4; prefix++ {
		value /= unit
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[prefix])
}
