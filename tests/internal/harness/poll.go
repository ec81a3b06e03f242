// SPDX-License-Identifier: Apache-2.0

package harness

import (
	"context"
	"testing"
	"time"
)

// Patience bounds every wait for something that a healthy system does at once. It is long, because a loaded
// machine does nothing at once, and costs nothing where the system is healthy.
const Patience = 3 * time.Minute

const (
	pollFirst = 2 * time.Millisecond
	pollMost  = 200 * time.Millisecond
)

// Eventually polls until condition returns nil, with growing pauses. It fails the test with the last error
// after [Patience].
func Eventually(t testing.TB, what string, condition func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	if err := poll(ctx, condition); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func poll(ctx context.Context, condition func(ctx context.Context) error) error {
	pause := pollFirst
	for {
		err := condition(ctx)
		if err == nil {
			return nil
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
		pause = min(2*pause, pollMost)
	}
}
