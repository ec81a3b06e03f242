// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how far something is: a bar on a terminal, lines elsewhere, nothing when quiet.
type progress struct {
	a *app
	// stopped ends the drawing: a process that a second Ctrl-C ends cannot take the bar off the line.
	stopped context.Context //nolint:containedctx // that of the command, which draws from callbacks
	quiet   bool
	// what describes the bar, and options say how it counts.
	what    string
	options []progressbar.Option
	// line returns what to say without a terminal, or "" for nothing.
	line func(done, total int64) string

	mu  sync.Mutex               // one call of line at a time
	bar *progressbar.ProgressBar // guarded by the app's lock
}

// uploadProgress shows rate and remaining time, and without a terminal a line for every tenth of a larger
// upload.
func (a *app) uploadProgress(ctx context.Context, quiet bool) *progress {
	var said int64
	return &progress{
		a: a, stopped: ctx, quiet: quiet, what: "uploading",
		options: []progressbar.Option{
			progressbar.OptionShowBytes(true), progressbar.OptionUseIECUnits(true),
			progressbar.OptionSetPredictTime(true), progressbar.OptionShowTotalBytes(true),
		},
		line: func(done, total int64) string {
			tenth := done * 10 / total
			if tenth <= said || total <= 1<<20 {
				return ""
			}
			said = tenth
			return "uploaded " + size(done) + " of " + size(total)
		},
	}
}

// copyProgress shows rate and remaining time on a terminal. Elsewhere there is a line for each image.
func (a *app) copyProgress(ctx context.Context, quiet bool) *progress {
	shown := a.uploadProgress(ctx, quiet)
	shown.what, shown.line = "copying", func(int64, int64) string { return "" }
	return shown
}

// askProgress shows how many registries have answered.
func (a *app) askProgress(ctx context.Context, quiet bool) *progress {
	return &progress{
		a: a, stopped: ctx, quiet: quiet, what: "asking the registries",
		options: []progressbar.Option{progressbar.OptionShowCount()},
		line: func(done, total int64) string {
			if done < total {
				return ""
			}
			return "Asked the registries about " + count(int(total), "image") + "."
		},
	}
}

// update is safe for concurrent use. The total may grow. What is done may shrink, when an upload begins anew.
func (p *progress) update(done, total int64) {
	if p.quiet || total <= 0 {
		return
	}
	if !isTerminal(p.a.errOut) {
		p.updateLines(done, total)
		return
	}
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	if p.stopped.Err() != nil {
		return
	}
	if p.bar == nil {
		p.bar = progressbar.NewOptions64(total, append(p.options,
			progressbar.OptionSetWriter(p.a.errOut), progressbar.OptionSetDescription(p.what),
			progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30),
			progressbar.OptionClearOnFinish())...)
		p.a.shown = p
	}
	if p.bar.GetMax64() != total {
		p.bar.ChangeMax64(total)
	}
	_ = p.bar.Set64(min(done, total)) // a terminal that fails is no reason to stop
}

func (p *progress) updateLines(done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if line := p.line(done, total); line != "" {
		p.a.say("%s", line)
	}
}

// clear takes the bar off the line until the next update. The caller holds the app's lock.
func (p *progress) clear() {
	if p != nil && p.bar != nil {
		_ = p.bar.Clear() // as above
	}
}

// end leaves the terminal's line clean.
func (p *progress) end() {
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	p.clear()
	p.bar, p.a.shown = nil, nil
}
