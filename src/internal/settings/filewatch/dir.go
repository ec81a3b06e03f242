// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Dir calls changed with the files of a directory whose names are picked, by path: at once with all there
// are, and then, after each burst of changes, with those that are different or new. A file that is gone has
// an error that wraps [io/fs.ErrNotExist], and no other has. When the directory itself cannot be read any
// more, an error under its own path says so, and the files count as unchanged until the next call. Folders in
// it are passed over. The rest is as with [Watch].
//
// What the files held is not kept, and those that look untouched are not read again, so that many of them
// cost little. A file looks untouched when it is the same one, with the same size and times: also that of its
// last change, which nobody can set back. Where the file system has no such time, all files are read.
func Dir(ctx context.Context, path string, pick func(name string) bool, changed func(map[string]File)) error {
	d := &dir{path: path, pick: pick, known: map[string]trace{}}
	first := true
	return follow(ctx, d.links, func() {
		away := d.fault != ""
		now := d.look()
		if back := away && d.fault == ""; first || back || len(now) > 0 {
			first = false
			changed(now)
		}
	})
}

type dir struct {
	path  string
	pick  func(name string) bool
	known map[string]trace // by path
	fault string           // why the directory cannot be read, while it cannot
}

// trace is enough to see that a file has changed.
type trace struct {
	sum    [sha256.Size]byte
	absent bool
	err    string
	// info is of the file before it was read; nil when it has to be read again, whatever it looks like.
	info fs.FileInfo
}

// granularity is more than that of the times of any file system: a file that was written so shortly before it
// was read may be written again and look the same.
const granularity = 3 * time.Second

// isOld says that a file that was read at that time will look touched when it changes.
func isOld(info fs.FileInfo, at time.Time) bool {
	changed := changeTime(info)
	return !changed.IsZero() && at.Sub(changed) > granularity
}

// untouched says that a file need not be read again.
func (t trace) untouched(now fs.FileInfo) bool {
	return t.info != nil && os.SameFile(t.info, now) && t.info.Size() == now.Size() &&
		t.info.ModTime().Equal(now.ModTime()) && changeTime(t.info).Equal(changeTime(now))
}

// differs says that there is something to tell.
func (t trace) differs(before trace) bool {
	return t.sum != before.sum || t.absent != before.absent || t.err != before.err
}

// traceOf reads a file without keeping it.
func traceOf(path string) trace {
	sum := sha256.New()
	if err := regular(path); err != nil {
		return File{Err: err}.trace()
	}
	if _, err := readInto(sum, path); err != nil {
		return File{Err: err}.trace()
	}
	return trace{sum: [sha256.Size]byte(sum.Sum(nil))}
}

func (f File) trace() trace {
	if f.Err != nil {
		return trace{absent: errors.Is(f.Err, fs.ErrNotExist), err: f.Err.Error()}
	}
	return trace{sum: sha256.Sum256(f.Data)}
}

// links are the directory and the links in it: changes of all other files show in the directory itself.
func (d *dir) links() []string {
	paths := []string{d.path}
	entries, _ := os.ReadDir(d.path) // absent: so are the links
	for _, entry := range entries {
		if entry.Type()&fs.ModeSymlink != 0 && d.pick(entry.Name()) {
			paths = append(paths, filepath.Join(d.path, entry.Name()))
		}
	}
	return paths
}

// look returns the files that differ from what is known.
func (d *dir) look() map[string]File {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		told := d.fault == err.Error()
		if d.fault = err.Error(); told {
			return nil
		}
		return map[string]File{d.path: {Err: err}}
	}
	d.fault = ""
	different, known := map[string]File{}, make(map[string]trace, len(d.known))
	for _, entry := range entries {
		if !d.pick(entry.Name()) || entry.IsDir() {
			continue
		}
		path := filepath.Join(d.path, entry.Name())
		before, seen := d.known[path]
		info, err := os.Stat(path)
		if err == nil && before.untouched(info) {
			known[path] = before
			continue
		}
		at := time.Now()
		now := traceOf(path)
		if !now.absent && (!seen || now.differs(before)) {
			file := readRegular(path)
			different[path], now = file, file.trace()
		}
		// What keeps a file from being read may end without a trace on it: a permission, or the disk's fault.
		if err == nil && now.err == "" && isOld(info, at) {
			now.info = info
		}
		if !now.absent {
			known[path] = now
		}
	}
	for path := range d.known {
		if _, ok := known[path]; !ok {
			different[path] = File{Err: &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}}
		}
	}
	d.known = known
	return different
}

func readRegular(path string) File {
	if err := regular(path); err != nil {
		return File{Err: err}
	}
	return read(path)
}

// regular refuses what is no file: opening a pipe would wait for somebody to write to it.
func regular(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("read %s: it is not a file: remove it, or give it another name", path)
	}
	return err
}
