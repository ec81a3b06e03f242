// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// What a source may be at most. A few bytes of archive or of links can stand for any number of files.
const (
	maxEntries   = 1_000_000 // files, directories and links
	maxBytes     = 64 << 30  // of all files together
	maxDirectory = 256 << 20 // of an archive's list of entries
	maxPath      = 4096      // bytes of one path (PATH_MAX)
)

var (
	errTooMany = fmt.Errorf("it has more than %d files and directories", maxEntries)
	errTooMuch = fmt.Errorf("its files are more than %d GiB", maxBytes>>30)
	errTooLong = fmt.Errorf("the archive's list of entries is longer than %d MiB", maxDirectory>>20)
	errPath    = fmt.Errorf("a path is longer than %d bytes", maxPath)
)

// total is the size of all files.
func total(entries []entry) (int64, error) {
	var sum int64
	for _, e := range entries {
		if e.size < 0 || e.size > maxBytes-sum {
			return 0, errTooMuch
		}
		sum += e.size
	}
	return sum, nil
}

// interruptible makes a long copy end with the context.
type interruptible struct {
	ctx context.Context // a reader has no other way to hear of it
	r   io.Reader
}

func (i interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(p)
}

// bounded reads an archive. While its list of entries is read, which goes to memory, it hears the context and
// has a limit.
type bounded struct {
	ctx  context.Context
	r    io.ReaderAt
	left int64 // bytes; negative: no limit
}

func (b *bounded) ReadAt(p []byte, at int64) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.ReadAt(p, at)
	if b.left >= 0 {
		if b.left -= int64(n); b.left < 0 {
			b.left = 0
			return 0, errTooLong
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = reason(err)
	}
	return n, err
}
