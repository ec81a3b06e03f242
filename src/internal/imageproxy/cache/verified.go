// SPDX-License-Identifier: Apache-2.0

package cache

import (
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

// add remembers an object whose digest was right.
func (v *verified) add(key string, object Object) {
	if now, ok := stateOf(object); ok {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.files.Add(key, now)
	}
}

// has reports whether an object is the file whose digest was right.
func (v *verified) has(key string, object Object) bool {
	now, ok := stateOf(object)
	if !ok {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	known, ok := v.files.Get(key)
	return ok && known == now
}

// stateOf is false for an object that is no file.
func stateOf(object Object) (state, bool) {
	file := object.File()
	if file == nil {
		return state{}, false
	}
	info, err := file.Stat()
	if err != nil {
		return state{}, false
	}
	return state{info.Size(), info.ModTime()}, true
}
