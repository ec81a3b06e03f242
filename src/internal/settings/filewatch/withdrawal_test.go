// SPDX-License-Identifier: Apache-2.0

package filewatch_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/settings/filewatch"
)

// lock is one that a test's clock passes while somebody waits for it.
type lock chan struct{}

func (l lock) Lock()   { l <- struct{}{} }
func (l lock) Unlock() { <-l }

// TestWithdrawal: what is stopped in time is never withdrawn, also when the grace ends while the owner works.
func TestWithdrawal(t *testing.T) {
	tests := []struct {
		name string
		does func(mu sync.Locker, w *filewatch.Withdrawal, begin func())
		want time.Duration // after which it is withdrawn; 0: never
	}{
		{"left alone", func(sync.Locker, *filewatch.Withdrawal, func()) {}, filewatch.Grace},
		{"begun again", func(mu sync.Locker, _ *filewatch.Withdrawal, begin func()) {
			time.Sleep(filewatch.Grace / 2)
			mu.Lock()
			defer mu.Unlock()
			begin()
		}, filewatch.Grace},
		{"stopped", func(mu sync.Locker, w *filewatch.Withdrawal, _ func()) {
			time.Sleep(filewatch.Grace - 1)
			mu.Lock()
			defer mu.Unlock()
			w.Stop()
		}, 0},
		{"stopped and begun", func(mu sync.Locker, w *filewatch.Withdrawal, begin func()) {
			time.Sleep(filewatch.Grace / 2)
			mu.Lock()
			defer mu.Unlock()
			w.Stop()
			begin()
		}, filewatch.Grace / 2 * 3},
		{"stopped while it waits for the lock", func(mu sync.Locker, w *filewatch.Withdrawal, _ func()) {
			mu.Lock()
			defer mu.Unlock()
			time.Sleep(2 * filewatch.Grace)
			w.Stop()
		}, 0},
		{"stopped and begun while it waits for the lock", func(mu sync.Locker, w *filewatch.Withdrawal, begin func()) {
			mu.Lock()
			defer mu.Unlock()
			time.Sleep(2 * filewatch.Grace)
			w.Stop()
			begin()
		}, 3 * filewatch.Grace},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mu := make(lock, 1)
				var w filewatch.Withdrawal
				start, withdrawn := time.Now(), time.Duration(0)
				begin := func() { w.Begin(mu, func() { withdrawn = time.Since(start) }) }
				mu.Lock()
				begin()
				mu.Unlock()
				test.does(mu, &w, begin)
				time.Sleep(5 * filewatch.Grace)
				mu.Lock()
				defer mu.Unlock()
				if withdrawn != test.want {
					t.Errorf("withdrawn after %s, want %s", withdrawn, test.want)
				}
			})
		})
	}
}
