// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseUsage(t *testing.T) {
	const (
		status = "Name:\tserver\nVmHWM:\t   40960 kB\nVmRSS:\t   20480 kB\nThreads:\t8\n"
		stat   = "42 (a (strange) name) S 1 42 42 0 -1 4194560 900 0 0 0 150 50 7 8 20 0 8 0 100 1000 200\n"
	)
	got, err := parseUsage(status, stat)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Usage{Resident: 20 * mib, Peak: 40 * mib, CPU: 2 * time.Second}, got); diff != "" {
		t.Error(diff)
	}
	for name, bad := range map[string][2]string{
		"no memory":       {"Name:\tkernel thread\n", stat},
		"short stat":      {status, "42 (name) S 1"},
		"memory in words": {"VmHWM:\tmuch kB\n", stat},
		"time in words":   {status, "42 (name) S 1 42 42 0 -1 4194560 900 0 0 0 long 50 7"},
	} {
		if usage, err := parseUsage(bad[0], bad[1]); err == nil {
			t.Errorf("%s: read as %+v, want an error", name, usage)
		}
	}
}
