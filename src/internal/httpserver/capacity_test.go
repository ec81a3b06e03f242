// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"math"
	"testing"
)

// TestCapacityOf is the table of bundle/operating.md: pods' limits, a tenth less for what Go does not count.
func TestCapacityOf(t *testing.T) {
	for _, test := range []struct {
		memory int64
		sides  int
		want   Capacity
	}{
		{math.MaxInt64, 1, Capacity{Connections: 2048, Transfers: 1024}},
		{math.MaxInt64, 2, Capacity{Connections: 2048, Transfers: 1024}},
		{0, 1, Capacity{Connections: 32, Transfers: 8}},
		{64 << 20 / 10 * 9, 1, Capacity{Connections: 103, Transfers: 45}},
		{100 << 20 / 10 * 9, 1, Capacity{Connections: 235, Transfers: 103}},
		{128 << 20 / 10 * 9, 1, Capacity{Connections: 337, Transfers: 147}},
		{256 << 20 / 10 * 9, 1, Capacity{Connections: 805, Transfers: 352}},
		{512 << 20 / 10 * 9, 1, Capacity{Connections: 1742, Transfers: 762}},
		{1 << 30 / 10 * 9, 1, Capacity{Connections: 2048, Transfers: 1024}},
		{256 << 20 / 10 * 9, 2, Capacity{Connections: 402, Transfers: 176}},
	} {
		if got := CapacityOf(test.memory, test.sides); got != test.want {
			t.Errorf("%d MiB: %+v, want %+v", test.memory>>20, got, test.want)
		}
	}
}

// TestCapacityFits: all that is admitted, at its dearest, is below the limit, with a tenth left for garbage.
func TestCapacityFits(t *testing.T) {
	for memory := int64(56 << 20); memory < 8<<30; memory += 3 << 20 {
		for sides := 1; sides <= 3; sides++ {
			c := CapacityOf(memory, sides)
			needed := int64(c.Transfers)*transferCost + int64(c.Connections-c.Transfers)*connectionCost
			if all := ownMemory + int64(sides)*needed; all > memory/10*9 && c.Transfers > fewestTransfers {
				t.Fatalf("%d MiB admit %+v at each of %d sides, which need %d", memory>>20, c, sides, all>>20)
			}
		}
	}
}
