// SPDX-License-Identifier: Apache-2.0

package push_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
)

// quirk K4: an upload ends when an API server restarts; the next attempt continues it.
func TestQuirkK4ConnectionCutTwice(t *testing.T) {
	b := newBench(t, nil)
	b.registry.CutAfter = []int64{256 << 10, 256 << 10}
	img := image(t, 1)
	var most int64
	b.opts.Progress = func(done, total int64) {
		b.mu.Lock()
		defer b.mu.Unlock()
		most = max(most, done)
		if done > total {
			t.Errorf("progress %d of %d", done, total)
		}
	}
	before := b.registry.Received()
	b.push(t, img)
	b.checkWhole(t, img)
	log := b.registry.Log()
	parsed, _ := img.Manifest()
	want := parsed.Layers[0].Size + parsed.Config.Size
	if got := b.registry.Received() - before; got != want {
		t.Errorf("%d bytes arrived, want %d", got, want)
	}
	if n := count(log, "POST /v2/source/blobs/uploads/"); n != 2 {
		t.Errorf("%d uploads were started for two blobs", n)
	}
	if n := count(log, "GET /v2/source/blobs/uploads/ID"); n != 2 {
		t.Errorf("the state was asked for %d times, want 2", n)
	}
	if most != want {
		t.Errorf("the progress ended at %d, want %d", most, want)
	}
}

func TestRegistryThatCannotContinue(t *testing.T) {
	b := newBench(t, nil)
	b.registry.NoResume = true
	b.registry.CutAfter = []int64{256 << 10, 512 << 10}
	img := image(t, 1)
	b.push(t, img)
	b.checkWhole(t, img)
	if len(b.pauses) != 2 {
		t.Errorf("pauses %v, want two", b.pauses)
	}
}

func TestInterruptedAndContinued(t *testing.T) {
	for _, name := range []string{
		"registry that continues", "registry that continues only after a whole request", "registry without a status",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.registry.NoResume = strings.Contains(name, "only")
			b.registry.NoStatus = strings.Contains(name, "without")
			img := image(t, 1)
			parsed, _ := img.Manifest()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			b.opts.StopGrace = time.Minute
			b.opts.Progress = func(done, _ int64) {
				if done > layerSize/2 {
					cancel()
				}
			}
			stopping := 0
			b.opts.Notify = func(line string) {
				b.mu.Lock()
				defer b.mu.Unlock()
				if strings.HasPrefix(line, "stopping: ") {
					stopping++
				}
			}
			_, err := push.Push(ctx, b.client, img, b.opts)
			b.mu.Lock()
			if b.mu.Unlock(); stopping != 1 {
				t.Errorf("the wait was announced %d times", stopping)
			}
			stopped, ok := errors.AsType[*push.Interrupted](err)
			if !ok || !stopped.Resumable || !errors.Is(err, context.Canceled) {
				t.Fatalf("error %v (%T), want a resumable interruption", err, err)
			}
			part := b.registry.Received()
			if part < layerSize/2 || part >= parsed.Layers[0].Size {
				t.Fatalf("%d bytes arrived, want about half of %d", part, layerSize)
			}
			// A new process: nothing is left but the directory with the sessions.
			b.opts.Progress = nil
			b.registry.Log()
			b.push(t, img)
			b.checkWhole(t, img)
			if got, want := b.registry.Received(), parsed.Layers[0].Size+parsed.Config.Size; got != want {
				t.Errorf("%d bytes arrived altogether, want %d", got, want)
			}
		})
	}
}

// TestInterruptedUnconfirmed: that a small blob is there does not mean that the large one continues.
func TestInterruptedUnconfirmed(t *testing.T) {
	b := newBench(t, nil)
	img := image(t, 1)
	parsed, _ := img.Manifest()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	b.opts.StopGrace = time.Millisecond
	stop := make(chan struct{})
	defer close(stop)
	b.registry.OnByteAt = layerSize / 2
	b.registry.OnByte = func() { // the description is there before the line stands still
		for {
			if _, there := b.registry.Blob(parsed.Config.Digest.String()); there {
				break
			}
		}
		cancel()
		select {
		case <-stop:
		case <-time.After(time.Minute):
		}
	}
	_, err := push.Push(ctx, b.client, img, b.opts)
	stopped, ok := errors.AsType[*push.Interrupted](err)
	if !ok || stopped.Resumable || !stopped.Unconfirmed {
		t.Errorf("error %v: %+v, want an interruption that nobody has confirmed", err, stopped)
	}
}

// TestInterruptedAndBegunAnew: where the registry has forgotten an upload, the developer hears of it.
func TestInterruptedAndBegunAnew(t *testing.T) {
	for name, forget := range map[string]func(b *bench){
		"session unknown": func(b *bench) {
			var once sync.Once
			b.registry.Fail = func(w http.ResponseWriter, r *http.Request) (failed bool) {
				if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/uploads/") {
					once.Do(func() { lsptest.OCIError(w, 404, "BLOB_UPLOAD_UNKNOWN", "no such upload"); failed = true })
				}
				return failed
			}
		},
		"no status, and chunk refused": func(b *bench) {
			b.registry.NoStatus = true
			b.registry.Fail = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Header.Get("Content-Range") == "" {
					return false
				}
				lsptest.OCIError(w, 416, "BLOB_UPLOAD_INVALID", "another range is wanted")
				return true
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			img := image(t, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			b.opts.StopGrace = time.Minute
			b.opts.Progress = func(done, _ int64) {
				if done > layerSize/2 {
					cancel()
				}
			}
			if _, err := push.Push(ctx, b.client, img, b.opts); err == nil {
				t.Fatal("the push was not interrupted")
			}
			b.registry.Log()
			forget(b)
			b.opts.Progress = nil
			var said []string
			b.opts.Notify = func(line string) {
				b.mu.Lock()
				defer b.mu.Unlock()
				said = append(said, line)
			}
			b.push(t, img)
			b.checkWhole(t, img)
			if !strings.Contains(strings.Join(said, "\n"), "the registry does not continue the upload, it begins anew") {
				t.Errorf("it was said: %q", said)
			}
		})
	}
}

func TestSessionsArePrivateAndChecked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "uploads")
	b := newBench(t, nil)
	sessions, err := push.OpenSessions(dir)
	if err != nil {
		t.Fatal(err)
	}
	b.opts.Sessions = sessions
	img := image(t, 1)
	b.interrupt(t, img)
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("sessions %v, %v", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s can be read by others: %v", f, info.Mode())
		}
		if err := os.WriteFile(f, []byte(`{"digest":"sha256:other","target":"https://evil.example.com/"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.push(t, img)
	b.checkWhole(t, img)
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("left after the push: %v", left)
	}
	old := filepath.Join(dir, "old.json")
	if err := errors.Join(os.WriteFile(old, nil, 0o600), os.Chtimes(old, time.Time{}, time.Now().Add(-30*24*time.Hour))); err != nil {
		t.Fatal(err)
	}
	if _, err := push.OpenSessions(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("a session of last month is kept")
	}
}
