// SPDX-License-Identifier: Apache-2.0

package push_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"go.uber.org/goleak"

	"github.com/local-source-proxy/local-source-proxy/src/internal/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/lsptest"
	"github.com/local-source-proxy/local-source-proxy/src/internal/push"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const layerSize = 1 << 20

type bench struct {
	registry *lsptest.Registry
	client   *apiserver.Client
	opts     push.Options
	mu       sync.Mutex
	pauses   []time.Duration
}

// newBench is a cluster with a proxy, and options that do not wait.
func newBench(t *testing.T, wrap func(http.Handler) http.Handler) *bench {
	t.Helper()
	b := &bench{registry: lsptest.NewRegistry()}
	var backend http.Handler = b.registry
	if wrap != nil {
		backend = wrap(backend)
	}
	cluster := lsptest.NewCluster(t, backend)
	cluster.Server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	client, err := apiserver.New(cluster.Config(lsptest.Developer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdle)
	sessions, err := push.OpenSessions(filepath.Join(t.TempDir(), "uploads"))
	if err != nil {
		t.Fatal(err)
	}
	b.client = client
	b.opts = push.Options{Tag: "dev-app", Sessions: sessions, Pause: func(ctx context.Context, d time.Duration) error {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.pauses = append(b.pauses, d)
		return ctx.Err()
	}}
	return b
}

func (b *bench) push(t *testing.T, img v1.Image) push.Result {
	t.Helper()
	result, err := push.Push(t.Context(), b.client, img, b.opts)
	if err != nil {
		t.Fatalf("Push: %v", err)
	}
	return result
}

func image(t *testing.T, layers int64) v1.Image {
	t.Helper()
	img, err := random.Image(layerSize, layers)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// checkWhole compares what arrived with the image.
func (b *bench) checkWhole(t *testing.T, img v1.Image) {
	t.Helper()
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"dev-app", strings.Replace(digest.String(), ":", "-", 1) + ".imgpkg"} {
		if diff := cmp.Diff(string(manifest), string(b.registry.Manifest(tag))); diff != "" {
			t.Errorf("manifest of %s (-want +got):\n%s", tag, diff)
		}
	}
	parsed, err := img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(parsed.Layers, parsed.Config) {
		if got, ok := b.registry.Blob(d.Digest.String()); !ok || int64(len(got)) != d.Size {
			t.Errorf("blob %s: there is %v, %d bytes of %d", d.Digest, ok, len(got), d.Size)
		}
	}
}

func count(log []string, line string) int {
	n := 0
	for _, l := range log {
		if l == line {
			n++
		}
	}
	return n
}

func TestExchange(t *testing.T) {
	b := newBench(t, nil)
	img := image(t, 1)
	result := b.push(t, img)
	b.checkWhole(t, img)
	digest, _ := img.Digest()
	want := lsptest.RegistryPath + ":dev-app@" + digest.String()
	if result.Reference() != want || result.Unchanged || result.Uploaded < layerSize {
		t.Errorf("result %+v, reference %s, want %s", result, result.Reference(), want)
	}
	log := b.registry.Log()
	if diff := cmp.Diff([]string{"GET /v2/", "HEAD /v2/source/manifests/dev-app"}, log[:2]); diff != "" {
		t.Errorf("first requests (-want +got):\n%s", diff)
	}
	slices.Sort(log)
	parsed, _ := img.Manifest()
	all := []string{
		"GET /v2/", "HEAD /v2/source/blobs/" + parsed.Config.Digest.String(), "HEAD /v2/source/blobs/" + parsed.Layers[0].Digest.String(),
		"HEAD /v2/source/manifests/dev-app", "PATCH /v2/source/blobs/uploads/ID", "PATCH /v2/source/blobs/uploads/ID",
		"POST /v2/source/blobs/uploads/", "POST /v2/source/blobs/uploads/", "PUT /v2/source/blobs/uploads/ID", "PUT /v2/source/blobs/uploads/ID",
		"PUT /v2/source/manifests/dev-app", "PUT /v2/source/manifests/sha256-" + digest.Hex + ".imgpkg",
	}
	slices.Sort(all)
	if diff := cmp.Diff(all, log); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}

	t.Run("unchanged", func(t *testing.T) {
		before := b.registry.Received()
		if again := b.push(t, img); !again.Unchanged || again.Uploaded != 0 || again.Reference() != want {
			t.Errorf("result %+v", again)
		}
		if diff := cmp.Diff([]string{"GET /v2/", "HEAD /v2/source/manifests/dev-app"}, b.registry.Log()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
		if b.registry.Received() != before {
			t.Error("bytes were uploaded")
		}
	})
	t.Run("blobs there, other tag", func(t *testing.T) {
		before := b.registry.Received()
		b.opts.Tag = "dev-other"
		defer func() { b.opts.Tag = "dev-app" }()
		if again := b.push(t, img); again.Unchanged || again.Uploaded != 0 {
			t.Errorf("result %+v", again)
		}
		if b.registry.Received() != before || b.registry.Manifest("dev-other") == nil {
			t.Error("bytes were uploaded, or the tag was not")
		}
	})
	t.Run("changed", func(t *testing.T) {
		other := image(t, 1)
		b.push(t, other)
		b.checkWhole(t, other)
	})
}

func TestConnectionCutTwice(t *testing.T) {
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
	for _, name := range []string{"registry that continues", "registry that continues only after a whole request"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			b.registry.NoResume = strings.Contains(name, "only")
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
			_, err := push.Push(ctx, b.client, img, b.opts)
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

func TestSessionsArePrivateAndChecked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "uploads")
	b := newBench(t, nil)
	sessions, err := push.OpenSessions(dir)
	if err != nil {
		t.Fatal(err)
	}
	b.opts.Sessions = sessions
	ctx, cancel := context.WithCancel(t.Context())
	b.opts.Progress = func(done, _ int64) {
		if done > layerSize/2 {
			cancel()
		}
	}
	img := image(t, 1)
	if _, err := push.Push(ctx, b.client, img, b.opts); err == nil {
		t.Fatal("the push was not interrupted")
	}
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
	b.opts.Progress = nil
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

func TestLayersGoInParallel(t *testing.T) {
	b := newBench(t, nil)
	const layers = 3
	var together sync.WaitGroup
	together.Add(layers)
	first := make(chan struct{}, layers)
	for range layers {
		first <- struct{}{}
	}
	b.registry.OnPatch = func() {
		select {
		case <-first:
			together.Done()
			together.Wait() // ends only when all of them are under way
		default:
		}
	}
	img := image(t, layers)
	b.push(t, img)
	b.checkWhole(t, img)
}

func TestFailures(t *testing.T) {
	once := func(method, part string, status int, code string) func(http.Handler) http.Handler {
		var mu sync.Mutex
		done := false
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				mine := !done && r.Method == method && strings.Contains(r.URL.Path, part)
				done = done || mine
				mu.Unlock()
				if mine {
					w.Header().Set("Lsp-Registry-Path", lsptest.RegistryPath)
					w.Header().Set("Retry-After", "3")
					lsptest.OCIError(w, status, code, "not now")
					return
				}
				next.ServeHTTP(w, r)
			})
		}
	}
	tests := []struct {
		name   string
		wrap   func(http.Handler) http.Handler
		pauses int
		want   string // empty: the push succeeds
	}{
		{"ping busy", once("GET", "/v2/", 503, "UNAVAILABLE"), 1, ""},
		{"look-up fails", once("HEAD", "/blobs/", 502, "UNKNOWN"), 1, ""},
		{"rate limit", once("POST", "uploads", 429, "TOOMANYREQUESTS"), 1, ""},
		{"bytes refused for now", once("PATCH", "uploads", 500, "UNKNOWN"), 1, ""},
		{"digest mismatch", once("PUT", "uploads", 400, "DIGEST_INVALID"), 1, ""},
		{"session lost at the end", once("PUT", "uploads", 404, "BLOB_UPLOAD_UNKNOWN"), 1, ""},
		{"manifest", once("PUT", "manifests", 504, "UNKNOWN"), 1, ""},
		{"denied", once("POST", "uploads", 403, "DENIED"), 0, "403 DENIED: not now"},
		{"manifest refused", once("PUT", "manifests", 400, "MANIFEST_INVALID"), 0, "400 MANIFEST_INVALID: not now"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.wrap)
			img := image(t, 1)
			_, err := push.Push(t.Context(), b.client, img, b.opts)
			if len(b.pauses) != tt.pauses {
				t.Errorf("pauses %v, want %d", b.pauses, tt.pauses)
			}
			if tt.want != "" {
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("error %v, want one line with %q", err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatalf("Push: %v", err)
			}
			b.checkWhole(t, img)
			for _, p := range b.pauses {
				if p < 3*time.Second && tt.name != "digest mismatch" && tt.name != "session lost at the end" && tt.name != "look-up fails" {
					t.Errorf("pause %v is shorter than the answer asks for", p)
				}
			}
		})
	}
}

// The answer to the last request is lost, but the blob is there.
func TestLostAnswer(t *testing.T) {
	var once sync.Once
	b := newBench(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			lose := false
			if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/uploads/") {
				once.Do(func() { lose = true })
			}
			if lose {
				next.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
	img := image(t, 1)
	b.push(t, img)
	b.checkWhole(t, img)
	if n := count(b.registry.Log(), "POST /v2/source/blobs/uploads/"); n != 2 {
		t.Errorf("%d uploads were started for two blobs", n)
	}
}

func TestGivesUp(t *testing.T) {
	b := newBench(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				panic(http.ErrAbortHandler)
			}
			next.ServeHTTP(w, r)
		})
	})
	_, err := push.Push(t.Context(), b.client, image(t, 1), b.opts)
	if err == nil || !strings.Contains(err.Error(), "(8 tries)") {
		t.Errorf("error %v, want one that counts the tries", err)
	}
}

func TestNotAProxy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	client, err := apiserver.Direct(server.URL, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdle()
	if _, err := push.Preflight(t.Context(), client, push.Options{}); !errors.Is(err, push.ErrNotProxy) {
		t.Errorf("error %v, want %v", err, push.ErrNotProxy)
	}
}
