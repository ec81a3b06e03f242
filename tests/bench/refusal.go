// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

const (
	// maxRefusal is how long a license that was revoked may still open anything, in ms, at the 99th
	// percentile.
	maxRefusal = 1000
	// askAgain is the pause of a client that waits to be refused.
	askAgain = 2 * time.Millisecond
	// replicas follow one directory.
	replicas = 2
)

// refusal revokes one license after the other in a directory that several processes follow, each in a file of
// its own, and measures how long the slowest of them still lets its holder in.
func (b *Bench) refusal(t testing.TB) {
	t.Helper()
	putManifest(t, b.site.way(Direct))
	blob := newBlob(t, 64*kib, 6)
	check(t, b.site.way(Direct).Push(t.Context(), blob))
	vendor := NewVendor(t, b.site.Registry, b.Licenses, 1)
	var sides []*Images
	for range replicas {
		sides = append(sides, vendor.Serve(t))
	}
	s := newSampler(fmt.Sprintf("one of %d licenses revoked, %d processes", b.Licenses, replicas))
	paths := map[string]string{"manifest": "/manifests/bench", "blob": "/blobs/" + blob.Digest}
	start := time.Now()
	for trial := range b.Trials + 1 { // the first is a warm-up
		var ways []*Way
		for _, side := range sides {
			ways = append(ways, vendor.Way(side, trial))
		}
		times, err := refusals(t.Context(), ways, paths, func() error { return vendor.Revoke(trial) })
		check(t, err)
		for what, took := range times {
			if trial > 0 {
				s.add("to the first refusal of a "+what, "ms", Proxy, microseconds(slices.Max(took))/1000)
			}
		}
	}
	t.Logf("%s: %d trials in %s", s.scenario, b.Trials, time.Since(start).Round(time.Second))
	for what := range paths {
		row := s.row("to the first refusal of a "+what, "ms")
		row.Verdicts = []Verdict{verdict(tail, row.Unit, []float64{percentile(row.Samples[Proxy], .99)}).atMost(maxRefusal)}
	}
	b.keep(s)
	b.site.Wipe(t)
}

// refusals ends a license, and gives how long each way still opened each path.
func refusals(ctx context.Context, ways []*Way, paths map[string]string, end func() error) (map[string][]time.Duration, error) {
	times := map[string][]time.Duration{}
	for what, path := range paths {
		times[what] = make([]time.Duration, len(ways))
		for _, way := range ways {
			if err := way.awaitStatus(ctx, path, http.StatusOK); err != nil {
				return nil, err
			}
		}
	}
	start := time.Now()
	if err := end(); err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	for what, path := range paths {
		for i, way := range ways {
			group.Go(func() error {
				err := way.awaitStatus(ctx, path, http.StatusForbidden)
				times[what][i] = time.Since(start)
				return err
			})
		}
	}
	return times, group.Wait()
}

// awaitStatus looks at a path until the answer has a status.
func (w *Way) awaitStatus(ctx context.Context, path string, want int) error {
	ctx, cancel := context.WithTimeout(ctx, harness.Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, w.url(path), http.NoBody)
	if err != nil {
		return fmt.Errorf("%s: make a request: %w", w.Name, err)
	}
	request.Header.Set("Accept", harness.ManifestType)
	for {
		response, err := w.HTTP.Do(request)
		if err != nil {
			return fmt.Errorf("%s: wait for status %d of %s: %w", w.Name, want, path, err)
		}
		response.Body.Close()
		if response.StatusCode == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: wait for status %d of %s, which is %d: %w", w.Name, want, path, response.StatusCode, ctx.Err())
		case <-time.After(askAgain):
		}
	}
}
