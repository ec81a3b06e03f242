// SPDX-License-Identifier: Apache-2.0

package imageproxy

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/license/catalog"
	"github.com/local-source-proxy/local-source-proxy/src/internal/oci"
)

// downloads ends those that are under way when their license does, or when it no longer opens their repository. None of its methods does anything where it
// is nil.
type downloads struct {
	store  *catalog.Store
	cancel func()

	mu   sync.Mutex
	open map[*download]struct{}
}

// download is what downloads has to know of one.
type download struct {
	credential hash
	// from is what it is of.
	from  reference
	end   context.CancelCauseFunc
	timer *time.Timer
	ended atomic.Pointer[ending]
}

// ending is how a download came to its end early.
type ending struct {
	reason Reason
	answer *oci.Error
}

func newDownloads(store *catalog.Store) *downloads {
	d := &downloads{store: store, open: map[*download]struct{}{}}
	d.cancel = store.Subscribe(func(*catalog.Catalog) { d.checkAll() })
	return d
}

func (d *downloads) close() {
	if d != nil {
		d.cancel()
	}
}

// watch ends a download as soon as its credential no longer admits, which may be at once: the catalog could
// have changed since the credential was looked at.
func (d *downloads) watch(one *download) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open[one] = struct{}{}
	d.check(one)
}

func (d *downloads) forget(one *download) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.open, one)
	if one.timer != nil {
		one.timer.Stop()
	}
}

func (d *downloads) checkAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for one := range d.open {
		d.check(one)
	}
}

// check looks at one that is open, now and again when its time is over.
func (d *downloads) check(one *download) {
	known := d.store.Current()
	credential, ok := known.ByHash(one.credential)
	if !ok {
		one.terminate(UnknownLicense, oci.Errorf(oci.Denied, "this license was withdrawn"))
		return
	}
	now := time.Now()
	if reason, answer := over(credential, now); answer != nil {
		one.terminate(reason, answer)
		return
	}
	if _, _, _, reason, _ := one.from.opens(known, credential.License); reason != "" {
		one.terminate(reason, errClosed())
		return
	}
	until := credential.Ends()
	if until.IsZero() {
		return
	}
	if one.timer == nil {
		one.timer = time.AfterFunc(until.Sub(now), d.checkAll)
		return
	}
	one.timer.Reset(until.Sub(now))
}

func (one *download) terminate(reason Reason, answer *oci.Error) {
	if one.ended.CompareAndSwap(nil, &ending{reason, answer}) {
		one.end(answer)
	}
}
