// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"cmp"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
)

const (
	// block is what a small file takes of a disk at least, in bytes.
	block = 4096
	// abandoned is for how long nobody has written a temporary file that nobody writes any more.
	abandoned = time.Hour
)

// room keeps the objects of a storage below a size. What was used longest ago leaves first.
type room struct {
	limit int64
	// evicted is told of each object that has to leave; may be nil.
	evicted func()

	mu      sync.Mutex
	taken   int64
	objects *simplelru.LRU[string, int64] // the size of each
}

func newRoom(limit int64) *room {
	objects, _ := simplelru.NewLRU[string, int64](math.MaxInt, nil) // only a size that is not positive is an error
	return &room{limit: limit, objects: objects}
}

// load takes over what a directory has, from the names and times of its files. It removes what a process that
// was killed left half-written: at once if no other process uses the directory.
func (r *room) load(dir string, alone bool) error {
	type found struct {
		key  string
		size int64
		used time.Time
	}
	var all []found
	dir = filepath.Clean(dir)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if entry != nil && entry.IsDir() && path != dir && filepath.Dir(path) == dir && !cache.IsKey(entry.Name()+"/") {
			return fs.SkipDir // another's, such as the lost+found of a volume, which only root may read
		}
		if err != nil || !entry.Type().IsRegular() {
			return ignoreMissing(err)
		}
		info, err := entry.Info()
		if err != nil {
			return ignoreMissing(err)
		}
		if strings.HasSuffix(path, unfinished) {
			if alone || time.Since(info.ModTime()) > abandoned {
				return ignoreMissing(os.Remove(path)) //nolint:gosec // the directory is the cache's own
			}
			return nil
		}
		key, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if key = filepath.ToSlash(key); cache.IsKey(key) {
			all = append(all, found{key, info.Size(), lastUse(info)})
		}
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b found) int { return cmp.Or(a.used.Compare(b.used), strings.Compare(a.key, b.key)) })
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, each := range all {
		r.add(each.key, each.size)
	}
	return nil
}

// ignoreMissing is for what another process has removed.
func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// onDisk is what a file of a size takes.
func onDisk(size int64) int64 { return (size + block - 1) / block * block }

// add is called with the lock.
func (r *room) add(key string, size int64) {
	size = onDisk(size)
	if old, ok := r.objects.Get(key); ok {
		r.taken -= old
	}
	r.objects.Add(key, size)
	r.taken += size
}

// use notes that an object is used, which another process may have put there. It returns what has to leave for
// that.
func (r *room) use(key string, size int64) (evicted []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.objects.Get(key); ok || onDisk(size) > r.limit {
		return nil
	}
	r.add(key, size)
	return r.evict(r.limit)
}

// reserve makes room for an object. It returns what has to leave for that, and false where the object is too
// large.
func (r *room) reserve(key string, size int64) (evicted []string, fits bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if onDisk(size) > r.limit {
		return nil, false
	}
	r.add(key, size)
	return r.evict(r.limit), true
}

// free returns what has to leave so that so many bytes are free.
func (r *room) free(bytes int64) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes == 0 {
		return r.evict(r.limit)
	}
	return r.evict(max(0, r.taken-bytes))
}

// evict is called with the lock.
func (r *room) evict(limit int64) (evicted []string) {
	for r.taken > limit {
		key, size, ok := r.objects.RemoveOldest()
		if !ok {
			break
		}
		r.taken -= size
		evicted = append(evicted, key)
		if r.evicted != nil {
			r.evicted()
		}
	}
	return evicted
}

// drop forgets an object that is gone.
func (r *room) drop(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if size, ok := r.objects.Peek(key); ok {
		r.taken -= size
		r.objects.Remove(key)
	}
}

// size is how many bytes are taken.
func (r *room) size() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken
}
