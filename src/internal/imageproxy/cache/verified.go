// SPDX-License-Identifier: Apache-2.0

package cache

import (
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// maxVerified is of how many files it is remembered that their digest was right.
const maxVerified = 4096

// verified remembers files whose content had its digest when they were last read or written. One that was
// changed since has another time or size.
type verified struct {
	mu    sync.Mutex
	files *simplelru.LRU[string, state]
}

type state struct {
	size    int64
	changed time.Time
}

func newVerified() *verified {
	files, _ := simplelru.NewLRU[string, state](maxVerified, nil) // only a size that is not positive is an error
	return &verified{files: files}
}

// add remembers the file at a path; an empty one is none.
func (v *verified) add(path string) {
	if path == "" {
		return
	}
	if info, err := os.Stat(path); err == nil {
		v.note(path, info)
	}
}

func (v *verified) note(path string, info fs.FileInfo) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.files.Add(path, state{info.Size(), info.ModTime()})
}

// has reports whether an open file is what was verified at its path.
func (v *verified) has(path string, file *os.File) bool {
	info, err := file.Stat()
	if err != nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	known, ok := v.files.Get(path)
	return ok && known == state{info.Size(), info.ModTime()}
}
