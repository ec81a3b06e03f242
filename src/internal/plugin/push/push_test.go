// SPDX-License-Identifier: Apache-2.0

package push_test

import (
	"context"
	"log/slog"
	"net/http"
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

	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/apiserver"
	"github.com/local-source-proxy/local-source-proxy/src/internal/plugin/push"
	"github.com/local-source-proxy/local-source-proxy/src/internal/testkit/lsptest"
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
	client, err := apiserver.New(cluster.Config(lsptest.Developer), apiserver.Options{Via: apiserver.ViaService})
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

// interrupt stops a push half way through the layer.
func (b *bench) interrupt(t *testing.T, img v1.Image) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opts := b.opts
	opts.Progress = func(done, _ int64) {
		if done > layerSize/2 {
			cancel()
		}
	}
	if _, err := push.Push(ctx, b.client, img, opts); err == nil {
		t.Fatal("the push was not interrupted")
	}
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
	if diff := cmp.Diff([]string{"GET /v2/", "GET /health", "HEAD /v2/source/manifests/dev-app"}, log[:3]); diff != "" {
		t.Errorf("first requests (-want +got):\n%s", diff)
	}
	slices.Sort(log)
	parsed, _ := img.Manifest()
	all := []string{
		"GET /v2/", "GET /health", "HEAD /v2/source/blobs/" + parsed.Config.Digest.String(), "HEAD /v2/source/blobs/" + parsed.Layers[0].Digest.String(),
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
		if diff := cmp.Diff([]string{"GET /v2/", "GET /health", "HEAD /v2/source/manifests/dev-app"}, b.registry.Log()); diff != "" {
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
