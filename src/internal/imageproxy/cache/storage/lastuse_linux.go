// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"io/fs"
	"syscall"
	"time"
)

// lastUse is when a file was last used: the time of its last access, which [storage.use] sets.
func lastUse(info fs.FileInfo) time.Time {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(stat.Atim.Unix())
	}
	return info.ModTime()
}
