// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package filewatch

import (
	"io/fs"
	"time"
)

// changeTime is not known here, where no server runs but that of who works on it.
func changeTime(fs.FileInfo) time.Time { return time.Time{} }
