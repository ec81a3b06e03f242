// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// Targets of the image proxy's cache.
const (
	maxLast      = 1.1  // of the time of one client straight
	maxFetched   = 1.01 // of the blob; the headers of answers count
	maxFirstByte = 5    // ms more than straight
	maxShared    = 64   // MiB
	maxWarmCPU   = 1.2  // of nginx's
)

const (
	lastClient = "time of the last client"
	fetched    = "bytes from the registry, in blobs"
	firstByte  = "first byte, of the last client that gets one"
)

// cached pulls through the image proxy's cache: many clients at once what nobody has pulled before, and one
// client what is kept.
func (b *Bench) cached(t testing.TB) {
	t.Helper()
	b.cold(t)
	b.warm(t)
}

// cold has many clients ask at once for a blob, from a registry at the end of a line. Each run has a blob of its
// own. One client goes the straight way.
func (b *Bench) cold(t testing.TB) {
	t.Helper()
	var carried, carriedElsewhere atomic.Int64
	storage, _ := Storage(t, b.Plan)
	site := StartSite(t, Place{Storage: storage, Line: Line{Rate: b.LineRate, Answers: &carried}})
	site.open(t, "")
	direct := site.way(Direct)
	fast := &Way{Name: Direct, Base: site.straight, Repository: direct.Repository, Token: direct.Token, HTTP: newClient(t, nil)}
	dir, _ := Storage(t, b.Plan)
	vendor := NewVendor(t, site.Registry, b.Together, b.Together)
	side := vendor.Serve(t, "--image-proxy-cache=file://"+dir+"?size=4GiB")
	cache, _ := b.cacheOf(t, site, Line{Rate: b.LineRate, Answers: &carriedElsewhere})
	ways := []*Way{direct, vendor.Way(side, 0), cache}
	clients := map[string][]*Way{Direct: {direct}}
	for i := range b.Together {
		clients[Proxy] = append(clients[Proxy], vendor.Way(side, i))
		clients[Cache] = append(clients[Cache], cache)
	}
	s := newSampler(fmt.Sprintf("%d clients at once, one blob of %s that nobody has pulled, registry at the end of a line of %s/s",
		b.Together, size(b.Shared), size(b.LineRate)))
	seed := uint64(100)
	b.turns(t, s.scenario, ways, func(way *Way, counts bool) {
		seed++
		blob := newBlob(t, b.Shared, seed)
		check(t, fast.Push(t.Context(), blob))
		reset(t, way)
		before := carried.Load() + carriedElsewhere.Load()
		last, first, err := pullTogether(t.Context(), clients[way.Name], blob)
		check(t, err)
		brought := carried.Load() + carriedElsewhere.Load() - before
		site.Wipe(t)
		if !counts {
			return
		}
		s.add(lastClient, "s", way.Name, last.Seconds())
		s.add(firstByte, "ms", way.Name, float64(first.Microseconds())/1000)
		if way != direct {
			s.add(fetched, "×", way.Name, float64(brought)/float64(b.Shared))
			s.add(peak, "MiB", way.Name, inMiB(read(t, way).Peak))
		}
	})
	row := s.row(lastClient, "s")
	row.Verdicts = []Verdict{row.ratio(Proxy, Direct).atMost(maxLast), row.ratio(Cache, Direct), row.of(Cache)}
	row = s.row(firstByte, "ms")
	row.Verdicts = []Verdict{row.added(Proxy).atMost(maxFirstByte), row.of(Cache)}
	row = s.row(fetched, "×")
	row.Verdicts = []Verdict{row.of(Proxy).atMost(maxFetched), row.of(Cache)}
	row = s.row(peak, "MiB")
	row.Verdicts = []Verdict{row.of(Proxy).atMost(maxShared), row.of(Cache)}
	b.keep(s)
}

// pullTogether pulls a blob on many ways at once. It returns when the last of them had all of it, and when the
// last had its first byte.
func pullTogether(ctx context.Context, ways []*Way, blob Blob) (last, first time.Duration, err error) {
	firsts := make([]time.Duration, len(ways))
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for i, way := range ways {
		group.Go(func() error {
			return way.Pull(ctx, blob, func(content io.Reader) error {
				var one [1]byte
				if _, err := io.ReadFull(content, one[:]); err != nil {
					return err
				}
				firsts[i] = time.Since(start)
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, content, make([]byte, clientBuffer))
				if err == nil && n+1 != blob.Size {
					err = fmt.Errorf("%d bytes in place of %d: %w", n+1, blob.Size, errArrived)
				}
				return err
			})
		})
	}
	err = group.Wait()
	return time.Since(start), slices.Max(firsts), err
}

// clientBuffer is what a client that throws its blob away reads at a time, in bytes.
const clientBuffer = 256 << 10

// warm has one client pull a blob that the caches have: from the proxy in plain HTTP and with TLS.
func (b *Bench) warm(t testing.TB) {
	t.Helper()
	blob := newBlob(t, b.Blob, 5)
	certificates := harness.NewCertificates(t)
	storage, _ := Storage(t, b.Plan)
	secure := StartSite(t, Place{Storage: storage, TLS: &certificates})
	secure.open(t, "")
	for _, variant := range []struct {
		what  string
		site  *Site
		tls   *harness.Certificates
		nginx bool
	}{{"", b.site, nil, true}, {", with TLS", secure, &certificates, false}} {
		variant.site.Wipe(t)
		check(t, variant.site.way(Direct).Push(t.Context(), blob))
		ways := []*Way{variant.site.way(Direct), b.warmed(t, variant.site, blob, variant.tls)}
		if nginx := variant.site.way(Nginx); nginx != nil && variant.nginx {
			ways = append(ways, nginx)
		}
		if variant.tls == nil {
			ways = append(ways, b.cache(t, blob))
		}
		s := newSampler("one blob of " + size(b.Blob) + " that the cache has" + variant.what)
		b.turns(t, s.scenario, ways, func(way *Way, counts bool) {
			cost := variant.site.transfer(t, way, func() error { return way.Pull(t.Context(), blob, blob.ThrowAway) })
			if counts {
				cost.sample(s, way, blob.Size)
			}
		})
		row := s.row(throughput, "MiB/s")
		row.Verdicts = []Verdict{row.ratio(Proxy, Direct).atLeast(1)}
		for _, other := range []string{Nginx, Cache} {
			if row.has(other) {
				row.Verdicts = append(row.Verdicts, row.ratio(Proxy, other).atLeast(1))
			}
		}
		if used := s.row(cpu, "s/GiB"); used.has(Nginx) {
			used.Verdicts = []Verdict{used.ratio(Proxy, Nginx).atMost(maxWarmCPU)}
		}
		b.keep(s)
	}
	b.site.Wipe(t)
}

// warmed starts an image proxy with a cache, and pulls a blob through it.
func (b *Bench) warmed(t testing.TB, site *Site, blob Blob, certificates *harness.Certificates) *Way {
	t.Helper()
	dir, _ := Storage(t, b.Plan)
	vendor := NewVendor(t, site.Registry, 1, 1)
	flags := []string{"--image-proxy-cache=file://" + dir + "?size=4GiB"}
	if certificates != nil {
		flags = append(flags, "--image-proxy-tls-cert="+certificates.CertFile, "--image-proxy-tls-key="+certificates.KeyFile)
	}
	way := vendor.Way(vendor.Serve(t, flags...), 0)
	if certificates != nil {
		way.Base = "https" + way.Base[len("http"):]
		way.HTTP = &http.Client{Transport: licensed{vendor.IDs[0], newClient(t, certificates.CA).Transport}}
	}
	check(t, way.Pull(t.Context(), blob, blob.ThrowAway))
	hex := strings.TrimPrefix(blob.Digest, "sha256:")
	harness.Eventually(t, "the blob is kept", func(context.Context) error {
		_, err := os.Stat(filepath.Join(dir, "content", "sha256", hex[:2], hex))
		return err
	})
	return way
}
