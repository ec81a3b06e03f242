// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// dir is a source on disk. A link given as the root itself is followed, links below it are not.
type dir struct {
	root string
	// noModes is set where the file system has no permission bits to speak of.
	noModes bool
}

func openDir(path string) (*dir, error) {
	root, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", path, reason(err))
	}
	return &dir{root: root, noModes: runtime.GOOS == "windows"}, nil
}

func (d *dir) Close() error { return nil }

// errNoFile is returned where a file is wanted and something else is there.
var errNoFile = errors.New("it is no regular file")

// readFile follows links within the tree only.
func (d *dir) readFile(path string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(d.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// Opening a pipe would wait for its writer.
	info, err := root.Stat(filepath.FromSlash(path))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNoFile
	}
	return root.Open(filepath.FromSlash(path))
}

func (d *dir) walk(ctx context.Context, visit func(entry) (bool, error)) error {
	return filepath.WalkDir(d.root, func(path string, item fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("source %s: %w; make it readable or exclude it in %s", path, reason(err), DefaultExcludeFile)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(d.root, path)
		if err != nil {
			return fmt.Errorf("source %s: %w", path, err)
		}
		e, special, err := d.entry(path, filepath.ToSlash(rel), item)
		if err != nil {
			return fmt.Errorf("source %s: %w; make it readable or exclude it in %s", path, reason(err), DefaultExcludeFile)
		}
		keep, err := visit(e)
		switch {
		case err != nil:
			return err
		case !keep && item.IsDir():
			return fs.SkipDir
		case keep && special != "":
			return fmt.Errorf("source %s: it is %s, which an image cannot hold; exclude it in %s", path, special,
				DefaultExcludeFile)
		}
		return nil
	})
}

// entry describes one item. The second result names a kind of file that cannot be packed; it matters only
// when the file is not excluded.
func (d *dir) entry(path, rel string, item fs.DirEntry) (entry, string, error) {
	info, err := item.Info()
	if err != nil {
		return entry{}, "", err
	}
	e := entry{path: rel}
	switch {
	case info.IsDir():
		e.kind, e.mode = directory, directoryMode
	case info.Mode()&fs.ModeSymlink != 0:
		e.kind, e.mode = link, executableMode
		target, err := os.Readlink(path)
		if err != nil {
			return entry{}, "", err
		}
		e.target = filepath.ToSlash(target)
	case info.Mode().IsRegular():
		e.size, e.mode = info.Size(), modeOf(info.Mode())
		e.open = func() (io.ReadCloser, error) { return os.Open(path) }
		if d.noModes {
			e.mode, err = guessMode(e.open)
		}
		return e, "", err
	default:
		return e, typeName(info.Mode()), nil
	}
	return e, "", nil
}
