// SPDX-License-Identifier: Apache-2.0

package settings

import (
	"errors"
	"io/fs"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// gone reports whether a source is not there, as opposed to one that cannot be read.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// withdraw takes something out of use after the grace: without takes it out of the next snapshot. The lock is
// held.
func (l *Live) withdraw(w *filewatch.Withdrawal, what, place string, problem error, without func(*Snapshot)) {
	w.Begin(&l.mu, func() {
		changed := *l.Current()
		without(&changed)
		l.publish(&changed)
		l.config.Log.Error("settings withdrawn: what they were read from is gone",
			"settings", what, "place", place, "problem", problem.Error())
		l.config.OnReload(what, Rejected, problem)
	})
}

// end stops what is still to be withdrawn.
func (l *Live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.valuesGone.Stop()
	l.dockerConfigGone.Stop()
}
