// SPDX-License-Identifier: Apache-2.0

package kube

import "sync"

// Outage tells the first of the same errors in a row from those that repeat it, so that a log names each
// once. The zero value is no outage.
type Outage struct {
	mu   sync.Mutex
	last string
}

// New reports whether err is another error than the last one.
func (o *Outage) New(err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	again := o.last == err.Error()
	o.last = err.Error()
	return !again
}

// Over ends the outage: the next error is a new one.
func (o *Outage) Over() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.last = ""
}
