// SPDX-License-Identifier: Apache-2.0

// Package singleflight makes one call for all who want its result at the same time. It adds to
// golang.org/x/sync/singleflight what every use of it here needs: a type for the result, a caller that may
// stop waiting, and an end for a call that nobody waits for.
package singleflight

import (
	"context"
	"time"

	"golang.org/x/sync/singleflight"
)

// Group makes at most one call at a time for each key. The zero Group is ready for use.
type Group[T any] struct{ calls singleflight.Group }

// Do returns the result of call, or of the one with the same key that is under way.
//
// The call has the values of the first caller's context. It does not end with that context, because others
// may wait for it too; it ends after timeout. When ctx ends first, Do returns ctx.Err().
func (g *Group[T]) Do(
	ctx context.Context, key string, timeout time.Duration, call func(context.Context) (T, error),
) (T, error) {
	results := g.calls.DoChan(key, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
		defer cancel()
		return call(ctx)
	})
	select {
	case result := <-results:
		value, _ := result.Val.(T) // a T always, or nil where T is an interface
		return value, result.Err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
