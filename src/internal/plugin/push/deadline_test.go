// SPDX-License-Identifier: Apache-2.0

package push_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

// TestADeadlineIncludesTheGrace: what was sent is confirmed before the deadline, or not at all.
func TestADeadlineIncludesTheGrace(t *testing.T) {
	for name, confirms := range map[string]bool{"a registry that confirms": true, "a registry that stands still": false} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.opts.StopGrace = time.Minute
			stopping, over := make(chan struct{}), make(chan struct{})
			var once sync.Once
			b.opts.Notify = func(line string) {
				if strings.HasPrefix(line, "stopping: ") && confirms {
					once.Do(func() { close(stopping) })
				}
			}
			b.registry.OnByteAt = layerSize / 2
			b.registry.OnByte = func() {
				select {
				case <-stopping:
				case <-over:
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			began := time.Now()
			_, err := push.Push(ctx, b.client, image(t, 1), b.opts)
			took := time.Since(began)
			close(over)
			stopped, ok := errors.AsType[*push.Interrupted](err)
			if !ok || !errors.Is(err, context.DeadlineExceeded) || stopped.Resumable != confirms {
				t.Errorf("error %v: %+v", err, stopped)
			}
			if took >= b.opts.StopGrace/2 {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestWhatEndedInTimeNamesTheLastTry: a push that ends with its context says what kept it from getting on.
func TestWhatEndedInTimeNamesTheLastTry(t *testing.T) {
	for path, want := range map[string]string{
		"/v2/":                     "ask the proxy: ",
		"/v2/source/blobs/uploads": "upload ",
		"/v2/source/manifests":     "name the image ",
	} {
		t.Run(path, func(t *testing.T) {
			b := newBench(t, nil)
			b.registry.Fail = func(w http.ResponseWriter, r *http.Request) bool {
				if !strings.HasPrefix(r.URL.Path, path) || r.Method == http.MethodHead {
					return false
				}
				lsptest.OCIError(w, 503, "UNAVAILABLE", "a volcano has broken out")
				return true
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			b.opts.Pause = func(ctx context.Context, _ time.Duration) error {
				cancel()
				<-ctx.Done()
				return ctx.Err()
			}
			_, err := push.Push(ctx, b.client, image(t, 1), b.opts)
			if _, ok := errors.AsType[*push.Interrupted](err); !ok || !errors.Is(err, context.Canceled) ||
				!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "volcano") {
				t.Errorf("error %v, want an interruption with %q and its cause", err, want)
			}
		})
	}
}

// TestWhatWasMendedIsNotNamed: a failure that a later try has overcome is no cause.
func TestWhatWasMendedIsNotNamed(t *testing.T) {
	b := newBench(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var once sync.Once
	b.registry.Fail = func(w http.ResponseWriter, r *http.Request) (failed bool) {
		switch {
		case r.Method == http.MethodPost:
			once.Do(func() { lsptest.OCIError(w, 503, "UNAVAILABLE", "a volcano has broken out"); failed = true })
		case r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/"):
			_, _ = io.Copy(io.Discard, r.Body) // or net/http does not see that the client goes away
			cancel()
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // net/http would answer 200, and the client may still read it
		}
		return failed
	}
	_, err := push.Push(ctx, b.client, image(t, 1), b.opts)
	if _, ok := errors.AsType[*push.Interrupted](err); !ok || strings.Contains(err.Error(), "volcano") {
		t.Errorf("error %v", err)
	}
}
