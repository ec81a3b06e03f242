// SPDX-License-Identifier: Apache-2.0

package push

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/doctor"
)

// final is an error that no further try can mend.
type final struct{ error }

func (f *final) Unwrap() error { return f.error }

// retry calls step until it succeeds, fails for good, or has failed tries times in a row. The step says
// whether it got any further; that starts the count anew.
func (p *pusher) retry(
	ctx context.Context, what string, tries int, step func(context.Context) (progress bool, err error),
) error {
	interval := backoff.NewExponentialBackOff() // half a second, times 1.5, with jitter
	interval.MaxInterval = 30 * time.Second
	interval.Multiplier = 2
	var noted *error
	for failures := 0; ; {
		progress, err := step(ctx)
		noted = p.note(noted, progress, what, err)
		if err == nil {
			return nil
		}
		if progress {
			failures = 0
			interval.Reset()
		}
		failures++
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if f, ok := errors.AsType[*final](err); ok {
			return f.error
		}
		if !temporary(err) {
			return err
		}
		if failures >= tries {
			return p.explain(ctx, fmt.Errorf("%w (%d tries)", err, failures))
		}
		wait := interval.NextBackOff()
		if e, ok := errors.AsType[*apiserver.Error](err); ok {
			wait = max(wait, e.RetryAfter)
		}
		p.opts.Notify(fmt.Sprintf("%s: %v; trying again in %s", what, err, wait.Round(100*time.Millisecond)))
		if err := p.opts.Pause(ctx, wait); err != nil {
			return err
		}
	}
}

// note keeps why a step's last try failed, in place of before, which an earlier one has noted. A try that got
// further, or that ended with the push itself, is none that failed.
func (p *pusher) note(before *error, progress bool, what string, err error) *error {
	stopped := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	switch {
	case err == nil, stopped && progress:
		p.failed.CompareAndSwap(before, nil)
		return nil
	case stopped:
		return before
	default:
		why := fmt.Errorf("%s: %w", what, err)
		p.failed.Store(&why)
		return &why
	}
}

// explain adds what the proxy knows about a failure that repeating did not mend.
func (p *pusher) explain(ctx context.Context, err error) error {
	if _, ok := errors.AsType[*doctor.Obstacle](err); ok {
		return err
	}
	if _, why := doctor.Ready(ctx, p.client); why != nil {
		return fmt.Errorf("%w: %w", err, why)
	}
	return err
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
