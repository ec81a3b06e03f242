// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime is when a file, or anything about it, was last changed, which no tool can set; the zero time
// where the file system does not say.
func changeTime(info fs.FileInfo) time.Time {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || s.Ctim == (syscall.Timespec{}) {
		return time.Time{}
	}
	return time.Unix(s.Ctim.Unix())
}
