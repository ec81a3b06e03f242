// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"sync"
	"time"
)

// Grace is how long what was read stays in use whose source is gone: who deletes and creates again means no
// outage. Then it is withdrawn.
const Grace = time.Minute

// Withdrawal takes something out of use after the [Grace], unless it comes back meanwhile. The zero value has
// not begun. The lock of its owner guards it, and is held when its methods are called.
type Withdrawal struct{ timer *time.Timer }

// Begin calls withdraw after the grace, with the owner's lock held. One that has begun goes on as it is.
func (w *Withdrawal) Begin(lock sync.Locker, withdraw func()) {
	if w.timer != nil {
		return
	}
	var mine *time.Timer
	mine = time.AfterFunc(Grace, func() {
		lock.Lock()
		defer lock.Unlock()
		if w.timer != mine { // stopped while this waited for the lock
			return
		}
		w.timer = nil
		withdraw()
	})
	w.timer = mine
}

// Stop keeps it in use.
func (w *Withdrawal) Stop() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}
