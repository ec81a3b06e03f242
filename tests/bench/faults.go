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
	// cutAfter is what a connection of the unreliable registry carries of answers before it breaks, in bytes:
	// some are broken off in the middle, and the next request finds the connection gone.
	cutAfter = 2 << 10
	// smallBlob is the size of the blobs that are pushed there, in bytes.
	smallBlob = 16 * kib
)

const succeeded = "succeeded"

// faults counts what a client that tries everything once gets done with a registry whose connections keep
// breaking. A push that was reported as done has to be there, on every way.
func (b *Bench) faults(t testing.TB) {
	t.Helper()
	storage, _ := Storage(t, b.Plan)
	site := StartSite(t, Place{Storage: storage, CutAfter: cutAfter})
	site.open(t, b.nginx)
	straight := *site.way(Direct)
	straight.Base = site.straight
	putManifest(t, &straight)
	b.tries(t, site, "HEAD of a manifest", func(way *Way) error { return way.askOnce(t.Context(), http.MethodHead) })
	pushes := uint64(0)
	b.tries(t, site, "push of "+size(smallBlob), func(way *Way) error {
		pushes++ // each another blob, which nobody has put there before
		blob := newBlob(t, smallBlob, pushes)
		if err := way.Push(t.Context(), blob); err != nil {
			return err
		}
		check(t, straight.Confirm(t.Context(), blob))
		return nil
	})
	site.Wipe(t)
}

// tries has something tried again and again on each way, and measures how often there was no error.
func (b *Bench) tries(t testing.TB, site *Site, what string, try func(way *Way) error) {
	t.Helper()
	s := newSampler(fmt.Sprintf("%s, connections break after %s of answers", what, size(site.place.CutAfter)))
	b.turns(t, s.scenario, site.ways, func(way *Way, counts bool) {
		good := 0
		for range b.Tries {
			if try(way) == nil {
				good++
			}
		}
		if counts {
			s.add(succeeded, "%", way.Name, 100*float64(good)/float64(b.Tries))
		}
	})
	row := s.row(succeeded, "%")
	row.Verdicts = []Verdict{row.ratio(Proxy, Direct)}
	if row.has(Nginx) {
		row.Verdicts = append(row.Verdicts, row.ratio(Nginx, Direct))
	}
	b.keep(s)
}

// cutting starts toxiproxy in front of an address: each connection breaks once it has carried so many bytes
// of answers.
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
