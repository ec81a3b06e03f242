// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package storage

import (
	"io/fs"
	"time"
)

// lastUse is when a file was written. After a restart, what was used since counts from there.
func lastUse(info fs.FileInfo) time.Time { return info.ModTime() }
