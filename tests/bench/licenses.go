// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

const (
	// maxLicensed is the memory of a server with all licenses, in MiB.
	maxLicensed = 40
	// customers pull a manifest and a blob each before memory is read.
	customers = 20
)

// licenses measures the start and the memory of a server that has many of them, in files of a hundred, and in
// a file each.
func (b *Bench) licenses(t testing.TB) {
	t.Helper()
	putManifest(t, b.site.way(Direct))
	blob := newBlob(t, min(b.Blob, 64*mib), 5)
	check(t, b.site.way(Direct).Push(t.Context(), blob))
	for _, perFile := range []int{100, 1} {
		vendor := NewVendor(t, b.site.Registry, b.Licenses, perFile)
		s := newSampler(fmt.Sprintf("image proxy with %d licenses, %d a file", b.Licenses, perFile))
		b.turns(t, s.scenario, []*Way{{Name: Proxy}}, func(_ *Way, counts bool) {
			start := time.Now()
			side := vendor.Serve(t)
			elapsed := time.Since(start)
			for customer := range customers {
				way := vendor.Way(side, customer*b.Licenses/customers)
				check(t, way.askOnce(t.Context(), http.MethodGet))
				check(t, way.Pull(t.Context(), blob, blob.Verify))
			}
			used := read(t, vendor.Way(side, 0))
			side.Stop(t)
			if counts {
				s.add("start to ready", "ms", Proxy, microseconds(elapsed)/1000)
				s.add("resident memory", "MiB", Proxy, inMiB(used.Resident))
				s.add(peak, "MiB", Proxy, inMiB(used.Peak))
			}
		})
		row := s.row("resident memory", "MiB")
		row.Verdicts = []Verdict{row.of(Proxy).atMost(maxLicensed)}
		b.keep(s)
	}
	b.site.Wipe(t)
}
