// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Dir calls changed with the files of a directory whose names are picked, by path: at once with all there are, and then, after each
// burst of changes, with those that are different or new. A file that is gone has an error that wraps [io/fs.ErrNotExist], and no other
// has. While the directory itself cannot be read, an error under its own path says so once, and the files count as unchanged. Folders
// in it are passed over. The rest is as with [Watch].
//
// What the files held is not kept, so that many of them cost little.
func Dir(ctx context.Context, path string, pick func(name string) bool, changed func(map[string]File)) error {
	d := &dir{path: path, pick: pick, known: map[string]trace{}}
	first := true
	return follow(ctx, d.links, func() {
		if now := d.look(); first || len(now) > 0 {
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
	sum [sha256.Size]byte
	err string
}

func traceOf(file File) trace {
	if file.Err != nil {
		return trace{err: file.Err.Error()}
	}
	return trace{sum: sha256.Sum256(file.Data)}
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

// look gives the files that differ from what is known.
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
	var content bytes.Buffer
	for _, entry := range entries {
		if !d.pick(entry.Name()) || entry.IsDir() {
			continue
		}
		path := filepath.Join(d.path, entry.Name())
		content.Reset()
		modified, err := d.read(&content, path)
		if os.IsNotExist(err) {
			continue
		}
		now := File{Modified: modified, Data: content.Bytes(), Err: err}
		if err != nil {
			now.Data = nil
		}
		known[path] = traceOf(now)
		if before, ok := d.known[path]; !ok || before != known[path] {
			now.Data = bytes.Clone(now.Data)
			different[path] = now
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

// read refuses what is no file: opening a pipe would wait for somebody to write to it.
func (d *dir) read(content *bytes.Buffer, path string) (modified time.Time, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}, err
	}
	if !info.Mode().IsRegular() {
		return time.Time{}, fmt.Errorf("read %s: it is not a file: remove it, or give it another name", path)
	}
	return readInto(content, path)
}
