// SPDX-License-Identifier: Apache-2.0

package singleflight_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/singleflight"
)

type nameKey struct{}

func TestOneCallForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group singleflight.Group[int]
		calls := 0
		call := func(ctx context.Context) (int, error) {
			calls++
			if ctx.Value(nameKey{}) != "first" {
				t.Errorf("the call has the context of %v", ctx.Value(nameKey{}))
			}
			time.Sleep(time.Second)
			return calls, ctx.Err()
		}
		first, giveUp := context.WithCancel(context.WithValue(t.Context(), nameKey{}, "first"))
		var waiters sync.WaitGroup
		waiters.Go(func() {
			if value, err := group.Do(first, "key", time.Minute, call); value != 0 || !errors.Is(err, context.Canceled) {
				t.Errorf("who gave up got %d, %v", value, err)
			}
		})
		synctest.Wait()
		for range 3 {
			waiters.Go(func() {
				if value, err := group.Do(t.Context(), "key", time.Minute, call); value != 1 || err != nil {
					t.Errorf("who waited got %d, %v", value, err)
				}
			})
		}
		synctest.Wait()
		giveUp()
		waiters.Wait()
		if calls != 1 {
			t.Errorf("%d calls", calls)
		}
	})
}

func TestACallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var group singleflight.Group[string]
		begun := time.Now()
		value, err := group.Do(t.Context(), "key", time.Second, func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "half", ctx.Err()
		})
		if value != "half" || !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != time.Second {
			t.Errorf("%q, %v after %s", value, err, time.Since(begun))
		}
	})
}

func TestANilInterfaceIsAResult(t *testing.T) {
	var group singleflight.Group[error]
	if value, err := group.Do(t.Context(), "key", time.Minute, func(context.Context) (error, error) { return nil, nil }); value != nil || err != nil {
		t.Errorf("%v, %v", value, err)
	}
}
