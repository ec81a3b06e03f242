// SPDX-License-Identifier: Apache-2.0

package filewatch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fsnotify/fsnotify"
)

// watch keeps the watched directories in step with where the files are.
type watch struct {
	watcher *fsnotify.Watcher
	paths   func() []string
}

// follow watches the directory of each file and of each link on the way to it; where a directory is missing,
// the nearest one above it that is there.
func (w *watch) follow() error {
	// A directory that comes into being between the look and the watch would be missed: look again until
	// nothing changes.
	for range maxLinks {
		wanted, err := directories(w.paths())
		if err != nil {
			return err
		}
		watched := w.watcher.WatchList()
		for _, dir := range watched {
			if !slices.Contains(wanted, dir) {
				_ = w.watcher.Remove(dir) // gone already when the directory is
			}
		}
		added := false
		for _, dir := range wanted {
			if slices.Contains(watched, dir) {
				continue
			}
			added = true
			if err := w.watcher.Add(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("watch directory %s for changes: %w", dir, err)
			}
		}
		if !added {
			return nil
		}
	}
	return nil
}

// maxLinks bounds the links that are followed, as file systems do.
const maxLinks = 40

// directories lists, without repetition, where something can happen that changes what the paths lead to.
func directories(paths []string) ([]string, error) {
	var dirs []string
	for _, path := range paths {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, fmt.Errorf("find the directory of %s: %w", path, err)
		}
		dirs = append(dirs, onTheWay(absolute)...)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs), nil
}

// onTheWay walks an absolute path as the file system does, and returns the directories of each link, of the
// first component that is missing, and of the file.
func onTheWay(path string) []string {
	const separator = string(filepath.Separator)
	var dirs []string
	dir, rest := separator, strings.Split(path, separator)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		next := filepath.Join(dir, name) // of "..", the parent: no link is left in dir
		info, err := os.Lstat(next)
		switch {
		case err == nil && info.IsDir():
			dir = next
			continue
		case err == nil && info.Mode()&os.ModeSymlink != 0 && links < maxLinks:
			links++
			if target, err := os.Readlink(next); err == nil {
				rest = append(strings.Split(target, separator), rest...)
				dirs = append(dirs, dir)
				if filepath.IsAbs(target) {
					dir = separator
				}
				continue
			}
		}
		return append(dirs, dir)
	}
	return append(dirs, dir) // the path leads to a directory: reading it will say so
}
