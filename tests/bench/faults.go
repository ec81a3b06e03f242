// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

const (
	// cutAfter is what a connection of the unreliable registry carries of answers before it breaks, in bytes: some are broken off in
	// the middle, and the next request finds the connection gone.
	cutAfter = 2 << 10
	// smallBlob is the size of the blobs that are pushed there, in bytes.
	smallBlob = 16 * kib
)

const succeeded = "succeeded"

// faults counts what a client that tries everything once gets done with a registry whose connections keep breaking. A push that was
// reported as done has to be there, on every way.
func (b *Bench) faults(t testing.TB) {
	t.Helper()
	storage, _ := Storage(t, b.Plan)
	site := StartSite(t, Place{Storage: storage, CutAfter: cutAfter})
	site.open(t, b.nginx)
	straight := &Way{Name: "straight", Base: site.straight, Repository: site.way(Direct).Repository, Token: site.way(Direct).Token, HTTP: newClient(t, nil)}
	putManifest(t, straight)

	asked := newSampler(fmt.Sprintf("HEAD of a manifest, connections break after %s of answers", size(cutAfter)))
	b.turns(t, asked.scenario, site.ways, func(way *Way, counts bool) {
		share := successes(b.Tries, func(int) error { return way.askOnce(t.Context(), http.MethodHead) })
		if counts {
			asked.add(succeeded, "%", way.Name, share)
		}
	})
	b.keepShares(asked)

	pushed := newSampler(fmt.Sprintf("push of %s, connections break after %s of answers", size(smallBlob), size(cutAfter)))
	b.turns(t, pushed.scenario, site.ways, func(way *Way, counts bool) {
		site.Wipe(t)
		share := successes(b.Tries, func(try int) error {
			blob := newBlob(t, smallBlob, uint64(try))
			if err := way.Push(t.Context(), blob); err != nil {
				return err
			}
			check(t, straight.Confirm(t.Context(), blob))
			return nil
		})
		if counts {
			pushed.add(succeeded, "%", way.Name, share)
		}
	})
	b.keepShares(pushed)
	site.Wipe(t)
}

func (b *Bench) keepShares(s *sampler) {
	row := s.row(succeeded, "%")
	row.Verdicts = []Verdict{row.ratio(Proxy, Direct)}
	if row.has(Nginx) {
		row.Verdicts = append(row.Verdicts, row.ratio(Nginx, Direct))
	}
	b.keep(s)
}

// successes tries something so many times, and gives the share that had no error, in percent.
func successes(tries int, try func(number int) error) float64 {
	good := 0
	for number := range tries {
		if try(number) == nil {
			good++
		}
	}
	return 100 * float64(good) / float64(tries)
}

// cutting starts toxiproxy in front of an address: each connection breaks once it has carried so many bytes of answers.
func cutting(t testing.TB, target string, after int64) string {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	proxy := toxiproxy.NewProxy(server, "registry", "127.0.0.1:0", target)
	check(t, proxy.Start())
	t.Cleanup(proxy.Stop)
	_, err := proxy.Toxics.AddToxicJson(strings.NewReader(fmt.Sprintf(
		`{"name": "cut", "type": "limit_data", "stream": "downstream", "toxicity": 1, "attributes": {"bytes": %d}}`, after)))
	check(t, err)
	return proxy.Listen
}
