// SPDX-License-Identifier: Apache-2.0

package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/local-source-proxy/local-source-proxy/src/internal/imageproxy/cache"
)

// unfinished is what the names of files end with that are still written.
const unfinished = ".tmp"

// directory is a place on a disk: each object is a file.
type directory struct{ dir string }

func (d directory) path(key string) string { return filepath.Join(d.dir, filepath.FromSlash(key)) }

func (d directory) open(_ context.Context, key string, from int64) (io.ReadCloser, int64, error) {
	file, err := os.Open(d.path(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, cache.ErrNotKept
	}
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", file.Name())
	}
	if err == nil && from > 0 {
		_, err = file.Seek(from, io.SeekStart)
	}
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

// put writes beside the object, and renames: whoever opens it sees all of it, or what was there before.
func (d directory) put(_ context.Context, key string, content *io.SectionReader) error {
	path := d.path(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+"-*"+unfinished)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

func (d directory) remove(_ context.Context, key string) error {
	if err := os.Remove(d.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (directory) sign(context.Context, string) (string, error) { return "", errNoURL }
func (directory) close() error                                 { return nil }
