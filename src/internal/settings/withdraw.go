// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"io/fs"
	"time"
)

// Grace is how long settings stay in use whose source is gone: who deletes and creates again means no outage.
// Then they are withdrawn.
const Grace = time.Minute

// gone reports whether a source is not there, as opposed to one that cannot be read.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// withdrawal takes something out of use after the grace, unless it comes back meanwhile.
type withdrawal struct{ timer *time.Timer }

// stop keeps it in use.
func (w *withdrawal) stop() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

// withdraw takes something out of use after the grace: input is what its source said, and publish puts the next
// snapshot in use. The lock is held.
func (l *Live) withdraw(w *withdrawal, input *input, what, place string, problem error, without func(*Snapshot)) {
	w.timer = time.AfterFunc(Grace, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.ended || input.err != problem.Error() {
			return
		}
		changed := *l.Current()
		without(&changed)
		l.publish(&changed)
		l.config.Log.Error("settings withdrawn: what they were read from is gone", "settings", what, "place", place, "problem", problem.Error())
		l.config.OnReload(what, Rejected, problem)
	})
}

// end stops what is still to be withdrawn.
func (l *Live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.valuesGone.stop()
	l.dockerConfigGone.stop()
}
