// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"math"
	"runtime/debug"
	"testing"
	"testing/fstest"
)

// file is a file of a kernel's file systems.
func file(content string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(content + "\n")} }

func TestGroupLimit(t *testing.T) {
	none := int64(math.MaxInt64)
	for what, test := range map[string]struct {
		root fstest.MapFS
		want int64
	}{
		"no control groups": {fstest.MapFS{}, none},
		"version 2, a container's own view": {fstest.MapFS{
			"proc/self/cgroup": file("0::/"), "sys/fs/cgroup/memory.max": file("104857600"),
		}, 100 << 20},
		"version 2, a group of the host": {fstest.MapFS{
			"proc/self/cgroup": file("0::/system.slice/lsp.service"), "sys/fs/cgroup/system.slice/lsp.service/memory.max": file("134217728"),
		}, 128 << 20},
		"version 2, the group above is narrower": {fstest.MapFS{
			"proc/self/cgroup": file("0::/a/b"), "sys/fs/cgroup/a/b/memory.max": file("max"), "sys/fs/cgroup/a/memory.max": file("104857600"),
		}, 100 << 20},
		"version 2 without a limit": {fstest.MapFS{
			"proc/self/cgroup": file("0::/"), "sys/fs/cgroup/memory.max": file("max"),
		}, none},
		"version 1": {fstest.MapFS{
			"proc/self/cgroup": file("5:cpu,cpuacct:/x\n4:memory:/docker/1f\n1:name=systemd:/x"), "sys/fs/cgroup/memory/docker/1f/memory.limit_in_bytes": file("104857600"),
		}, 100 << 20},
		"version 1, the host's path in a container": {fstest.MapFS{
			"proc/self/cgroup": file("4:memory:/docker/1f"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("104857600"),
		}, 100 << 20},
		"version 1 without a limit": {fstest.MapFS{
			"proc/self/cgroup": file("4:memory:/"), "sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712"),
		}, none},
		"what is no limit": {fstest.MapFS{
			"proc/self/cgroup": file("0::/\nrubbish\n"), "sys/fs/cgroup/memory.max": file("-5"),
		}, none},
		"a path that climbs": {fstest.MapFS{
			"proc/self/cgroup": file("0::/../other"), "sys/fs/cgroup/memory.max": file("104857600"),
		}, 100 << 20},
	} {
		if got := groupLimit(test.root); got != test.want {
			t.Errorf("%s: %d, want %d", what, got, test.want)
		}
	}
}

func TestLimitMemory(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	limited := fstest.MapFS{"proc/self/cgroup": file("0::/"), "sys/fs/cgroup/memory.max": file("134217720")}
	for what, test := range map[string]struct {
		pod  string
		goes int64 // GOMEMLIMIT
		root fstest.MapFS
		want int64
	}{
		"none":                           {"", math.MaxInt64, nil, math.MaxInt64},
		"a control group's":              {"", math.MaxInt64, limited, 120795948},
		"Go's goes before it":            {"", 50 << 20, limited, 50 << 20},
		"the pod's goes before all else": {"104857600", 50 << 20, limited, 90 << 20},
	} {
		debug.SetMemoryLimit(test.goes)
		got, err := LimitMemory(test.pod, test.root)
		if err != nil || got != test.want || debug.SetMemoryLimit(-1) != test.want {
			t.Errorf("%s: %d (%v), and Go has %d; want %d", what, got, err, debug.SetMemoryLimit(-1), test.want)
		}
	}
	if _, err := LimitMemory("100Mi", nil); err == nil {
		t.Error("100Mi is taken for a number of bytes")
	}
}
