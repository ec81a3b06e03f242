// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// Cache is the way to distribution's own pull-through cache, which has the blob already.
const Cache = "distribution's cache"

// pull pulls one large blob through the image proxy: from a registry that speaks plain HTTP and from one that
// speaks TLS, with a client that verifies it; and with one that throws it away, as no client does, so that
// nothing is slower than the proxy.
func (b *Bench) pull(t testing.TB) {
	t.Helper()
	blob := newBlob(t, b.Blob, 4)
	certificates := harness.NewCertificates(t)
	storage, _ := Storage(t, b.Plan)
	secure := StartSite(t, Place{Storage: storage, TLS: &certificates})
	secure.open(t, b.nginx)
	ways, waysTLS := b.site.pullWays(t, blob), secure.pullWays(t, blob)
	ways = append(ways, b.cache(t, blob))
	for _, variant := range []struct {
		what string
		site *Site
		ways []*Way
		use  func(io.Reader) error
	}{
		{"pulled", b.site, ways, blob.Verify},
		{"pulled, registry with TLS", secure, waysTLS, blob.Verify},
		{"pulled and thrown away", b.site, ways, blob.ThrowAway},
	} {
		s := newSampler("one blob of " + size(b.Blob) + " " + variant.what)
		b.turns(t, s.scenario, variant.ways, func(way *Way, counts bool) {
			cost := variant.site.transfer(t, way, func() error { return way.Pull(t.Context(), blob, variant.use) })
			if counts {
				cost.sample(s, way, blob.Size)
			}
		})
		compare(s)
		if row := s.row(throughput, "MiB/s"); row.has(Cache) {
			row.Verdicts = append(row.Verdicts, row.ratio(Proxy, Cache), row.of(Cache))
		}
		b.keep(s)
	}
	b.site.Wipe(t)
}

// pullWays stores a blob on the site, and gives the ways to pull it.
func (s *Site) pullWays(t testing.TB, blob Blob) []*Way {
	t.Helper()
	s.Wipe(t)
	check(t, s.way(Direct).Push(t.Context(), blob))
	vendor := NewVendor(t, s.Registry, 1, 1)
	ways := []*Way{s.way(Direct), vendor.Way(vendor.Serve(t), 0)}
	if nginx := s.way(Nginx); nginx != nil {
		ways = append(ways, nginx)
	}
	return ways
}

// Pull downloads a blob, and has its content used.
func (w *Way) Pull(ctx context.Context, blob Blob, use func(io.Reader) error) error {
	response, err := w.open(ctx, http.MethodGet, w.url("/blobs/"+blob.Digest), nil, nil, http.StatusOK)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := use(response.Body); err != nil {
		return fmt.Errorf("%s: pull a blob: %w", w.Name, err)
	}
	return nil
}

// cache starts a registry that keeps what is pulled through it, and pulls a blob through it. It would not buy
// tokens of a server on loopback: so what it pulls from is the storage of the site's registry, served by one
// that asks for none.
func (b *Bench) cache(t testing.TB, blob Blob) *Way {
	t.Helper()
	way, dir := b.cacheOf(t, b.site, Line{})
	check(t, way.Pull(t.Context(), blob, blob.ThrowAway))
	hex := strings.TrimPrefix(blob.Digest, "sha256:")
	harness.Eventually(t, "the cache has the blob", func(context.Context) error {
		_, err := os.Stat(filepath.Join(dir, "docker", "registry", "v2", "blobs", "sha256", hex[:2], hex, "data"))
		return err
	})
	return way
}

// cacheOf starts a registry that keeps, in a directory, what is pulled through it of a site at the end of a line.
func (b *Bench) cacheOf(t testing.TB, site *Site, line Line) (way *Way, dir string) {
	t.Helper()
	program := harness.Tool(t, "registry")
	open := harness.Distribution{Program: program, Dir: site.place.Storage}.Start(t)
	dir, _ = Storage(t, b.Plan)
	remote := "http://" + away(t, open.Host, line)
	keeping := harness.Distribution{Program: program, Dir: dir, Proxy: map[string]any{"remoteurl": remote}}.Start(t)
	return &Way{
		Name: Cache, Base: keeping.URL(""), Repository: harness.Repository,
		HTTP: newClient(t, nil), Server: &Meter{PID: keeping.Process.PID()},
	}, dir
}
