// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/local-source-proxy/local-source-proxy/tests/internal/harness"
)

// Targets of the pushes.
const (
	minThroughput = 0.95 // of the straight way
	maxPeak       = 40   // MiB
	maxCPU        = 1.5  // of nginx's
	flat          = 1.1  // most to least
)

// flatness is the verdict on memory over the sizes of a blob.
const flatness = "most / least over all sizes"

const (
	throughput = "throughput"
	peak       = "peak memory"
	cpu        = "CPU of the server"
	allCPU     = "CPU of client, registry and server"
)

// blob pushes one large blob, to a registry that speaks plain HTTP and to one that speaks TLS.
func (b *Bench) blob(t testing.TB) {
	t.Helper()
	certificates := harness.NewCertificates(t)
	storage, _ := Storage(t, b.Plan)
	secure := StartSite(t, Place{Storage: storage, TLS: &certificates})
	secure.open(t, b.nginx)
	for _, variant := range []struct {
		what string
		site *Site
	}{{"", b.site}, {", registry with TLS", secure}} {
		s := newSampler("one blob of " + size(b.Blob) + variant.what)
		b.push(t, s, variant.site, variant.site.ways, []Blob{newBlob(t, b.Blob, 1)})
		compare(s)
		if row := s.row(throughput, "MiB/s"); row.has(Nginx) {
			row.Verdicts[1] = row.Verdicts[1].atLeast(1)
		}
		b.keep(s)
	}
}

// crowds pushes many blobs at once.
func (b *Bench) crowds(t testing.TB) {
	t.Helper()
	for _, crowd := range b.Crowds {
		b.crowd(t, crowd)
	}
}

func (b *Bench) crowd(t testing.TB, crowd Crowd) {
	t.Helper()
	site, what := b.site, ""
	if crowd.Rate > 0 {
		storage, _ := Storage(t, b.Plan)
		site = StartSite(t, Place{Storage: storage, Line: Line{Rate: crowd.Rate}})
		site.open(t, b.nginx)
		what = fmt.Sprintf(", registry at the end of a line of %s/s", size(crowd.Rate))
	}
	blobs := make([]Blob, crowd.Pushes)
	for i := range blobs {
		blobs[i] = newBlob(t, crowd.Size, uint64(i))
	}
	s := newSampler(fmt.Sprintf("%d blobs of %s at once%s", crowd.Pushes, size(crowd.Size), what))
	ways := site.ways
	if !crowd.Beside {
		ways = []*Way{site.way(Proxy)}
	}
	b.push(t, s, site, ways, blobs)
	if crowd.Beside {
		compare(s)
	}
	memory := s.row(peak, "MiB")
	memory.Verdicts = []Verdict{memory.of(Proxy).atMost(maxPeak)}
	b.keep(s)
}

// ladder pushes single blobs of growing size and compares the memory that each takes.
func (b *Bench) ladder(t testing.TB) {
	t.Helper()
	var medians []float64
	for _, bytes := range b.Ladder {
		s := newSampler("one blob of " + size(bytes) + ", for memory")
		b.push(t, s, b.site, []*Way{b.site.way(Proxy)}, []Blob{newBlob(t, bytes, 2)})
		row := s.row(peak, "MiB")
		medians = append(medians, median(row.Samples[Proxy]))
		if len(medians) == len(b.Ladder) {
			row.Verdicts = []Verdict{verdict(flatness, "", []float64{slices.Max(medians) / slices.Min(medians)}).atMost(flat)}
		}
		b.Report.Rows = append(b.Report.Rows, *row)
	}
}

// push pushes blobs at once, on each way in turn, and samples throughput, memory and CPU.
func (b *Bench) push(t testing.TB, s *sampler, site *Site, ways []*Way, blobs []Blob) {
	t.Helper()
	var total int64
	for _, blob := range blobs {
		total += blob.Size
	}
	b.turns(t, s.scenario, ways, func(way *Way, counts bool) {
		site.Wipe(t)
		cost := site.transfer(t, way, func() error { return way.PushAll(t.Context(), blobs) })
		for _, blob := range blobs {
			check(t, site.way(Direct).Confirm(t.Context(), blob))
		}
		if counts {
			cost.sample(s, way, total)
		}
	})
	site.Wipe(t)
}

// cost of a transfer.
type cost struct {
	elapsed time.Duration
	// server and all are CPU times: of what stands between, and of the client and the registry besides.
	server, all time.Duration
	peak        int64
}

// transfer measures what moves content on one way.
func (s *Site) transfer(t testing.TB, way *Way, move func() error) cost {
	t.Helper()
	before, ends := reset(t, way), s.ends(t)
	start := time.Now()
	check(t, move())
	elapsed := time.Since(start)
	after := read(t, way)
	spent := after.CPU - before.CPU
	return cost{elapsed, spent, spent + s.ends(t) - ends, after.Peak}
}

// sample notes a transfer of so many bytes.
func (c cost) sample(s *sampler, way *Way, bytes int64) {
	inGiB := float64(bytes) / float64(gib)
	s.add(throughput, "MiB/s", way.Name, inMiB(bytes)/c.elapsed.Seconds())
	s.add(allCPU, "s/GiB", way.Name, c.all.Seconds()/inGiB)
	if way.Server != nil {
		s.add(cpu, "s/GiB", way.Name, c.server.Seconds()/inGiB)
		s.add(peak, "MiB", way.Name, inMiB(c.peak))
	}
}

// ends is the CPU time that the client, which is this process, and the registry have used.
func (s *Site) ends(t testing.TB) time.Duration {
	t.Helper()
	var all time.Duration
	for _, end := range []Meter{{PID: os.Getpid(), Alone: true}, {PID: s.Registry.Process.PID()}} {
		usage, err := end.Read()
		check(t, err)
		all += usage.CPU
	}
	return all
}

// reset starts the peak of a way's server anew.
func reset(t testing.TB, way *Way) Usage {
	t.Helper()
	if way.Server != nil {
		check(t, way.Server.Reset())
	}
	return read(t, way)
}

// read gives what a way's server has used; nothing on the straight way.
func read(t testing.TB, way *Way) Usage {
	t.Helper()
	if way.Server == nil {
		return Usage{}
	}
	usage, err := way.Server.Read()
	check(t, err)
	return usage
}

func newBlob(t testing.TB, bytes int64, seed uint64) Blob {
	t.Helper()
	blob, err := NewBlob(bytes, seed)
	check(t, err)
	return blob
}

// compare sets the ways' throughput and CPU beside each other: the first verdict on throughput is about the
// straight way, the second, if it is there, about nginx.
func compare(s *sampler) {
	row := s.row(throughput, "MiB/s")
	row.Verdicts = []Verdict{row.ratio(Proxy, Direct).atLeast(minThroughput)}
	all := s.row(allCPU, "s/GiB")
	all.Verdicts = []Verdict{all.ratio(Proxy, Direct)}
	if !row.has(Nginx) {
		return
	}
	row.Verdicts = append(row.Verdicts, row.ratio(Proxy, Nginx), row.ratio(Nginx, Direct))
	used := s.row(cpu, "s/GiB")
	used.Verdicts = []Verdict{used.ratio(Proxy, Nginx).atMost(maxCPU)}
}
