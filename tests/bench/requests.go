// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// Targets of single requests.
const (
	maxAdded     = 300  // µs, at the median
	maxAddedTail = 2000 // µs, at the 99th percentile
	minPerCore   = 10_000
	// manifestSize is that of the manifest that is read, in bytes.
	manifestSize = 4 << 10
)

const (
	middle = "median"
	tail   = "99th percentile"
)

// requests sends small requests, from one client and from many at once.
func (b *Bench) requests(t testing.TB) {
	t.Helper()
	putManifest(t, b.site.way(Direct))
	for _, method := range []string{http.MethodHead, http.MethodGet} {
		what := "HEAD of a manifest"
		if method == http.MethodGet {
			what = "GET of a manifest of " + size(manifestSize)
		}
		for _, clients := range []int{1, b.Clients} {
			b.request(t, method, what, clients)
		}
		b.paced(t, method, what)
	}
	b.site.Wipe(t)
}

func (b *Bench) request(t testing.TB, method, what string, clients int) {
	t.Helper()
	each := b.Alone
	if clients > 1 {
		each = b.Each
	}
	s := newSampler(fmt.Sprintf("%s, %d at once", what, clients))
	b.turns(t, s.scenario, b.site.ways, func(way *Way, counts bool) {
		before := read(t, way)
		start := time.Now()
		times, err := way.ask(t.Context(), method, clients, each)
		elapsed := time.Since(start)
		check(t, err)
		after := read(t, way)
		if !counts {
			return
		}
		s.add(middle, "µs", way.Name, median(times))
		s.add(tail, "µs", way.Name, percentile(times, .99))
		s.add("rate", "requests/s", way.Name, float64(len(times))/elapsed.Seconds())
		if way.Server != nil {
			s.add(cpu, "µs/request", way.Name, microseconds(after.CPU-before.CPU)/float64(len(times)))
		}
	})
	rate := s.row("rate", "requests/s")
	if clients == 1 {
		half, most := s.row(middle, "µs"), s.row(tail, "µs")
		half.Verdicts = []Verdict{half.added(Proxy).atMost(maxAdded)}
		most.Verdicts = []Verdict{most.added(Proxy).atMost(maxAddedTail)}
	} else {
		// A core of the proxy's need not do more than the registry can.
		used := s.row(cpu, "µs/request")
		used.Verdicts = []Verdict{perCore(used.Samples[Proxy]).atLeast(min(minPerCore, median(rate.Samples[Direct])))}
	}
	rate.Verdicts = []Verdict{rate.ratio(Proxy, Direct)}
	if rate.has(Nginx) {
		rate.Verdicts = append(rate.Verdicts, rate.ratio(Proxy, Nginx))
	}
	b.keep(s)
}

// perCore turns CPU times into the requests that one core has time for. A time of nothing, too short to be
// counted, is taken for none.
func perCore(times []float64) Verdict {
	rates := make([]float64, len(times))
	for i, used := range times {
		if used > 0 {
			rates[i] = 1e6 / used
		}
	}
	return verdict("a core of the proxy's", "requests/s", rates)
}

// ask sends requests from clients at once, each its next when the last is answered, and gives their times in
// µs.
func (w *Way) ask(ctx context.Context, method string, clients, each int) ([]float64, error) {
	group, ctx := errgroup.WithContext(ctx)
	times := make([][]float64, clients)
	for client := range clients {
		group.Go(func() error {
			times[client] = make([]float64, each)
			for i := range each {
				start := time.Now()
				if err := w.askOnce(ctx, method); err != nil {
					return err
				}
				times[client][i] = microseconds(time.Since(start))
			}
			return nil
		})
	}
	err := group.Wait()
	return slices.Concat(times...), err
}

// askOnce asks for the manifest and looks at its size.
func (w *Way) askOnce(ctx context.Context, method string) error {
	header := http.Header{"Accept": {harness.ManifestType}}
	_, n, err := w.send(ctx, method, w.url("/manifests/bench"), nil, header, http.StatusOK)
	if err == nil && method == http.MethodGet && n != manifestSize {
		err = fmt.Errorf("%s: a manifest of %d bytes, want %d", w.Name, n, manifestSize)
	}
	return err
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// putManifest puts one of exactly manifestSize bytes onto a registry, with the blob that it names.
func putManifest(t testing.TB, direct *Way) {
	t.Helper()
	config := newBlob(t, 100, 3)
	check(t, direct.Push(t.Context(), config))
	content := func(padding int) string {
		text, err := json.Marshal(map[string]any{
			"schemaVersion": 2, "mediaType": harness.ManifestType, "layers": []any{},
			"config":  map[string]any{"mediaType": "application/vnd.docker.container.image.v1+json", "size": config.Size, "digest": config.Digest},
			"padding": strings.Repeat("x", padding),
		})
		check(t, err)
		return string(text)
	}
	text := content(manifestSize - len(content(0)))
	header := http.Header{"Content-Type": {harness.ManifestType}}
	answer, _, err := direct.send(t.Context(), http.MethodPut, direct.url("/manifests/bench"), strings.NewReader(text), header, http.StatusCreated)
	check(t, err)
	sum := sha256.Sum256([]byte(text))
	if got, want := answer.Get("Docker-Content-Digest"), "sha256:"+hex.EncodeToString(sum[:]); got != want {
		t.Fatalf("the registry has the manifest as %s, want %s", got, want)
	}
}
