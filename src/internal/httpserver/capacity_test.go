// SPDX-License-Identifier: Apache-2.0

package httpserver

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func TestCapacityOf(t *testing.T) {
	for _, test := range []struct {
		memory int64
		sides  int
		want   Capacity
	}{
		{math.MaxInt64, 1, Capacity{Connections: 2048, Transfers: 1024}},
		{math.MaxInt64, 2, Capacity{Connections: 2048, Transfers: 1024}},
		{0, 1, Capacity{Connections: 32, Transfers: 8}},
		{100 << 20 / 10 * 9, 1, Capacity{Connections: 235, Transfers: 103}},
		{256 << 20 / 10 * 9, 2, Capacity{Connections: 402, Transfers: 176}},
	} {
		if got := CapacityOf(test.memory, test.sides); got != test.want {
			t.Errorf("%d MiB: %+v, want %+v", test.memory>>20, got, test.want)
		}
	}
}

// TestCapacityIsDocumented in the operator's table. A pod's limit is a tenth more than what Go may use.
func TestCapacityIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../bundle/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) (MiB|GiB)[^|]*\| ([\d,]+) \| ([\d,]+) \|$`).FindAllStringSubmatch(string(page), -1)
	if len(rows) < 5 {
		t.Fatalf("the table has %d rows", len(rows))
	}
	number := func(text string) int {
		n, err := strconv.Atoi(strings.ReplaceAll(text, ",", ""))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for _, row := range rows {
		memory := int64(number(row[1])) << map[string]int{"MiB": 20, "GiB": 30}[row[2]]
		if got, want := CapacityOf(memory/10*9, 1), (Capacity{Transfers: number(row[3]), Connections: number(row[4])}); got != want {
			t.Errorf("%s: %+v", row[0], got)
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
