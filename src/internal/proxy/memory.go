// SPDX-License-Identifier: Apache-2.0

package proxy

import (
	"fmt"
	"io/fs"
	"math"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
)

// MemoryLimitVariable is the environment variable with the pod's memory limit in bytes, which the package
// takes from the downward API.
const MemoryLimitVariable = "POD_MEMORY_LIMIT"

// LimitMemory tells Go about the memory limit of a pod or control group, and returns what is left of it for
// Go: a tenth is for what Go does not count, such as the binary's pages. The pod's limit, in bytes, counts
// first, then GOMEMLIMIT as it is, then the control group's. Without any, the result is [math.MaxInt64].
// root is the file system.
func LimitMemory(pod string, root fs.FS) (int64, error) {
	var limit int64
	switch set := debug.SetMemoryLimit(-1); {
	case pod != "":
		bytes, err := strconv.ParseInt(pod, 10, 64)
		if err != nil || bytes <= 0 {
			return 0, fmt.Errorf("%s is %q: it must be a number of bytes", MemoryLimitVariable, pod)
		}
		limit = bytes
	case set != math.MaxInt64:
		return set, nil
	default:
		limit = groupLimit(root)
	}
	if limit == math.MaxInt64 {
		return limit, nil
	}
	limit = limit / 10 * 9
	debug.SetMemoryLimit(limit)
	return limit, nil
}

// groupLimit returns the memory limit of the process's control group, or of one above it; [math.MaxInt64]
// without one. In a container, the group's own path may not be there, and its files are at the top.
func groupLimit(root fs.FS) int64 {
	groups, err := fs.ReadFile(root, "proc/self/cgroup") // see cgroups(7), "/proc files"
	if err != nil {
		return math.MaxInt64
	}
	limit := int64(math.MaxInt64)
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		top, file := "sys/fs/cgroup", "memory.max"
		switch {
		case len(fields) != 3:
			continue
		case fields[0] == "0": // version 2
		case strings.Contains(","+fields[1]+",", ",memory,"):
			top, file = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for at := path.Join("/", fields[2]); ; at = path.Dir(at) {
			limit = min(limit, limitIn(root, path.Join(top, at, file)))
			if at == "/" {
				break
			}
		}
	}
	return limit
}

// unlimited is what version 1 says where there is no limit: the largest number of whole pages.
const unlimited = math.MaxInt64 &^ (1<<16 - 1)

func limitIn(root fs.FS, file string) int64 {
	content, err := fs.ReadFile(root, file)
	if err != nil {
		return math.MaxInt64
	}
	bytes, err := strconv.ParseInt(strings.TrimSpace(string(content)), 10, 64)
	if err != nil || bytes <= 0 || bytes >= unlimited { // "max" is no number
		return math.MaxInt64
	}
	return bytes
}
