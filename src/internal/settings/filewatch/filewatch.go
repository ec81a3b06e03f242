// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"time"

	"github.com/fsnotify/fsnotify"
)

// MaxSize is the largest file that is read, in bytes: a Secret cannot be larger either.
const MaxSize = 1 << 20

const (
	// quiet is how long nothing may happen before the files are read: the writes of one save come closer
	// together.
	quiet = 100 * time.Millisecond
	// patience is how long a directory that never comes to rest can delay the reading.
	patience = time.Second / 2
)

// File is what a watched file holds at one moment.
type File struct {
	// Data is the content; nil with an error.
	Data []byte
	// Modified is when it was last written.
	Modified time.Time
	// Err says why it could not be read. It wraps [io/fs.ErrNotExist] while the file is absent.
	Err error
}

// Watch calls changed with the state of all files, by path: at once, and then once after each burst of
// changes that left at least one of them different. The first call comes after the watch is in place, so no
// change can fall between the two. Calls never overlap, and the map is the callee's to keep.
//
// Watch returns nil when ctx ends, and leaves no goroutine behind. An error means that nothing can be watched
// at all. Files and their directories may be absent, from the start or for a while.
func Watch(ctx context.Context, paths []string, changed func(map[string]File)) error {
	look := func() map[string]File { return readAll(paths) }
	return follow(ctx, func() []string { return paths }, telling(look, changed))
}

// follow calls look, and then again after each burst of changes on the way to the paths, which are asked for
// anew each time.
func follow(ctx context.Context, paths func() []string, look func()) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch files for changes: %w", err)
	}
	w := &watch{watcher: watcher, paths: paths}
	err = w.follow()
	if err == nil {
		run(ctx, watcher.Events, watcher.Errors, func() {
			// A directory that cannot be watched any more is looked at again with the next event of another.
			_ = w.follow()
			look()
		})
	}
	return errors.Join(err, watcher.Close())
}

// run is the loop of [Watch]: what is left when the file system is taken away.
func run(ctx context.Context, events <-chan fsnotify.Event, faults <-chan error, look func()) {
	look()
	due := time.NewTimer(quiet)
	due.Stop()
	defer due.Stop()
	var burst time.Time // when it began; zero at rest
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
		case <-faults: //nolint:errcheck // events were lost, most likely: as good a reason to look
		case <-due.C:
			burst = time.Time{}
			look()
			continue
		}
		if burst.IsZero() {
			burst = time.Now()
		}
		due.Reset(min(quiet, max(0, patience-time.Since(burst))))
	}
}

// telling makes a look that calls changed when it sees something else than the last time.
func telling(look func() map[string]File, changed func(map[string]File)) func() {
	var last map[string]File
	return func() {
		if now := look(); last == nil || !same(last, now) {
			last = now
			changed(maps.Clone(now))
		}
	}
}

func readAll(paths []string) map[string]File {
	files := make(map[string]File, len(paths))
	for _, path := range paths {
		files[path] = read(path)
	}
	return files
}

// Read reads one file of at most [MaxSize] bytes. Its errors name the path.
func Read(path string) ([]byte, error) {
	file := read(path)
	return file.Data, file.Err
}

func read(path string) File {
	var content bytes.Buffer
	modified, err := readInto(&content, path)
	if err != nil {
		return File{Err: err}
	}
	return File{Data: content.Bytes(), Modified: modified}
}

// readInto returns what a file holds to w, and says when it was last written.
func readInto(w io.Writer, path string) (modified time.Time, err error) {
	file, err := os.Open(path)
	if err != nil {
		return time.Time{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return time.Time{}, err
	}
	if buffer, ok := w.(*bytes.Buffer); ok {
		buffer.Grow(int(min(info.Size(), MaxSize)) + bytes.MinRead)
	}
	size, err := io.Copy(w, io.LimitReader(file, MaxSize+1))
	if err != nil {
		return time.Time{}, err
	}
	if size > MaxSize {
		return time.Time{}, fmt.Errorf("read %s: it is larger than 1 MiB: is it the right file?", path)
	}
	return info.ModTime(), nil
}

// same compares content; two errors are the same when they read the same.
func same(a, b map[string]File) bool {
	return maps.EqualFunc(a, b, func(x, y File) bool {
		if x.Err != nil || y.Err != nil {
			return x.Err != nil && y.Err != nil && x.Err.Error() == y.Err.Error()
		}
		return bytes.Equal(x.Data, y.Data)
	})
}
