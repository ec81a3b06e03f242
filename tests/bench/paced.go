// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// paced sends requests from many clients at a rate that no way is near the end of, so that a time is the
// request's own and not that of a queue.
func (b *Bench) paced(t testing.TB, method, what string) {
	t.Helper()
	s := newSampler(fmt.Sprintf("%s, %d clients, %d requests/s", what, b.Clients, b.Rate))
	b.turns(t, s.scenario, b.site.ways, func(way *Way, counts bool) {
		times, err := way.askAt(t.Context(), method, b.Clients, b.Rate, b.Paced)
		check(t, err)
		if counts {
			s.add(middle, "µs", way.Name, median(times))
			s.add(tail, "µs", way.Name, percentile(times, .99))
		}
	})
	half, most := s.row(middle, "µs"), s.row(tail, "µs")
	half.Verdicts = []Verdict{half.added(Proxy).atMost(maxAdded)}
	most.Verdicts = []Verdict{most.added(Proxy).atMost(maxAddedTail)}
	if half.has(Nginx) {
		half.Verdicts = append(half.Verdicts, half.added(Nginx))
		most.Verdicts = append(most.Verdicts, most.added(Nginx))
	}
	b.keep(s)
}

// askAt sends requests at a rate a second, evenly, in turn from each client, and gives their times in µs. A
// time begins when the request was due: one that had to wait for the answer before counts its waiting.
func (w *Way) askAt(ctx context.Context, method string, clients, rate, requests int) ([]float64, error) {
	group, ctx := errgroup.WithContext(ctx)
	apart := time.Second / time.Duration(rate)
	times := make([][]float64, clients)
	start := time.Now()
	for client := range clients {
		group.Go(func() error {
			for i := client; i < requests; i += clients {
				due := start.Add(time.Duration(i) * apart)
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(time.Until(due)):
				}
				if err := w.askOnce(ctx, method); err != nil {
					return err
				}
				times[client] = append(times[client], microseconds(time.Since(due)))
			}
			return nil
		})
	}
	err := group.Wait()
	return slices.Concat(times...), err
}
