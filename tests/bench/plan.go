// SPDX-License-Identifier: Apache-2.0

package bench

import "fmt"

// Sizes in bytes.
const (
	kib = int64(1) << 10
	mib = int64(1) << 20
	gib = int64(1) << 30
)

// Plan says how much is measured.
type Plan struct {
	Name string
	// Only these parts are measured, as [Run] names them; nil: all.
	Only []string
	// Memory is a directory in memory, where blobs are kept if it has room; empty: on disk.
	Memory string
	// Runs that count; one more is made ahead of them, and dropped.
	Runs int
	// Blob is the size of the one large blob.
	Blob int64
	// Crowds of pushes at once.
	Crowds []Crowd
	// Ladder are the sizes of single blobs, in growing order, for which memory is compared.
	Ladder []int64
	// Alone is how many requests one client sends in a row, Each how many each of Clients sends at once.
	// Paced is how many all of them send at a Rate a second.
	Alone, Clients, Each, Paced, Rate int
	// Tries are how often a client asks, and how often it pushes, while connections break.
	Tries int
	// Files of the source tree, and Bytes in all of them.
	Files, Bytes int
	// Far is the size of the source that is pushed through an API server far away, on this Cluster.
	Far     int64
	Cluster Cluster
	// Together is how many clients pull a blob of the size Shared at once through a cache, from a registry at the
	// end of a line with this LineRate, in bytes a second.
	Together         int
	Shared, LineRate int64
	// Licenses of the vendor whose images are pulled, and how many of them are revoked, one after the other:
	// Trials.
	Licenses, Trials int
	// Admission is how long one run of its benchmark lasts, as go test -benchtime has it.
	Admission string
	// Bundle is the package's, as imgpkg saved it, with the image in it; empty: its size is not measured.
	Bundle string
}

// Crowd is a number of pushes at once.
type Crowd struct {
	Pushes int
	Size   int64
	// Beside says that all ways are measured, and not the memory of the proxy alone.
	Beside bool
	// Rate of the line to the registry, in bytes a second; 0: there is none between.
	Rate int64
}

// Full is what "make bench" measures.
func Full() Plan {
	return Plan{
		Name: "full", Runs: 5,
		Blob:   gib,
		Crowds: []Crowd{{32, 256 * mib, false, 0}, {64, 64 * mib, true, 0}, {64, 16 * mib, true, 200 * mib}},
		Ladder: []int64{mib, 16 * mib, 256 * mib, gib, 2 * gib, 4 * gib},
		Alone:  1000, Clients: 64, Each: 50, Paced: 2000, Rate: 500, Tries: 100,
		Files: 100, Bytes: 400 << 10,
		Far:      64 * mib,
		Together: 100, Shared: 256 * mib, LineRate: 200 * mib,
		Licenses: 10_000, Trials: 100, Admission: "1s",
	}
}

// Smoke goes every way once with little, to see that the harness works.
func Smoke() Plan {
	return Plan{
		Name: "smoke", Runs: 1,
		Blob:   mib,
		Crowds: []Crowd{{4, 256 * kib, true, 0}, {4, 256 * kib, true, 10 * mib}},
		Ladder: []int64{64 * kib, mib},
		Alone:  5, Clients: 4, Each: 3, Paced: 10, Rate: 500, Tries: 10,
		Files: 10, Bytes: 20 << 10,
		Far:      mib,
		Together: 5, Shared: mib, LineRate: 20 * mib,
		Licenses: 20, Trials: 2, Admission: "10x",
	}
}

// stored is the most that is stored at once, in bytes.
func (p Plan) stored() int64 {
	most := p.Blob
	for _, crowd := range p.Crowds {
		most = max(most, int64(crowd.Pushes)*crowd.Size)
	}
	for _, blob := range p.Ladder {
		most = max(most, blob)
	}
	return most
}

// size writes a number of bytes as people do.
func size(bytes int64) string {
	switch {
	case bytes >= gib && bytes%gib == 0:
		return fmt.Sprintf("%d GiB", bytes/gib)
	case bytes >= mib && bytes%mib == 0:
		return fmt.Sprintf("%d MiB", bytes/mib)
	default:
		return fmt.Sprintf("%d KiB", bytes/kib)
	}
}
