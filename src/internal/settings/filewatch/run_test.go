// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

// bench drives run without a file system, in the time of a synctest bubble.
type bench struct {
	mu      sync.Mutex // for all below: the race detector does not know that time passes in order
	content string
	err     error
	looks   int
	calls   []string
	events  chan fsnotify.Event
	faults  chan error
}

func drive(t *testing.T, steps func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{content: "0", events: make(chan fsnotify.Event), faults: make(chan error)}
		ctx, cancel := context.WithCancel(t.Context())
		look := func() map[string]File {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.looks++
			return map[string]File{"f": {Data: []byte(b.content), Err: b.err}}
		}
		go run(ctx, b.events, b.faults, telling(look, func(files map[string]File) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.calls = append(b.calls, string(files["f"].Data))
		}))
		synctest.Wait()
		steps(b)
		cancel()
		synctest.Wait()
	})
}

// hold sets what the file holds from now on.
func (b *bench) hold(content string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.content, b.err = content, err
}

// pass lets time pass, and the loop with it.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *bench) check(t *testing.T, looks int, calls ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.looks != looks || !slices.Equal(b.calls, calls) {
		t.Errorf("%d looks and calls %q, want %d and %q", b.looks, b.calls, looks, calls)
	}
}

func TestRunCallsOnceAfterABurst(t *testing.T) {
	drive(t, func(b *bench) {
		for _, content := range []string{"1", "2", "3"} {
			b.hold(content, nil)
			b.events <- fsnotify.Event{}
			pass(quiet / 2)
		}
		b.check(t, 1, "0")
		pass(quiet)
		b.check(t, 2, "0", "3")
	})
}

func TestRunIsSilentAboutATouch(t *testing.T) {
	drive(t, func(b *bench) {
		b.events <- fsnotify.Event{Op: fsnotify.Chmod}
		pass(quiet)
		b.check(t, 2, "0")
	})
}

func TestRunLosesPatienceWithAnEndlessBurst(t *testing.T) {
	drive(t, func(b *bench) {
		b.hold("1", nil)
		for range patience / (quiet / 2) {
			b.events <- fsnotify.Event{}
			pass(quiet / 2)
		}
		b.check(t, 2, "0", "1")
	})
}

func TestRunLooksWhenEventsWereLost(t *testing.T) {
	drive(t, func(b *bench) {
		b.hold("1", nil)
		b.faults <- fsnotify.ErrEventOverflow
		pass(quiet)
		b.check(t, 2, "0", "1")
	})
}

func TestRunTellsOfErrorsOnce(t *testing.T) {
	drive(t, func(b *bench) {
		b.hold("", errors.New("gone"))
		for range 2 {
			b.events <- fsnotify.Event{}
			pass(quiet)
		}
		b.hold("0", nil)
		b.events <- fsnotify.Event{}
		pass(quiet)
		b.check(t, 4, "0", "", "0")
	})
}
