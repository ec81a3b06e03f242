// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// overlay is the disk with the staged files over it. It answers what kustomize asks while it loads; the rest is the disk's.
type overlay struct {
	filesys.FileSystem
	files map[string]File
}

// ReadFile implements [filesys.FileSystem].
func (o overlay) ReadFile(path string) ([]byte, error) {
	file, ok := o.staged(path)
	switch {
	case !ok:
		return o.FileSystem.ReadFile(path)
	case file.Content == nil:
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	default:
		return file.Content, nil
	}
}

// Exists implements [filesys.FileSystem].
func (o overlay) Exists(path string) bool {
	if file, ok := o.staged(path); ok {
		return file.Content != nil
	}
	return o.holds(path) || o.FileSystem.Exists(path)
}

// IsDir implements [filesys.FileSystem].
func (o overlay) IsDir(path string) bool { return o.holds(path) || o.FileSystem.IsDir(path) }

// CleanedAbs implements [filesys.FileSystem].
func (o overlay) CleanedAbs(path string) (filesys.ConfirmedDir, string, error) {
	real, err := ResolvePath(path)
	if err != nil {
		return "", "", err
	}
	file, ok := o.files[real]
	switch {
	case o.holds(real):
		return filesys.ConfirmedDir(real), "", nil
	case ok && file.Content == nil:
		return "", "", fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	case ok:
		return filesys.ConfirmedDir(filepath.Dir(real)), filepath.Base(real), nil
	default:
		return o.FileSystem.CleanedAbs(path)
	}
}

func (o overlay) staged(path string) (File, bool) {
	real, err := ResolvePath(path)
	if err != nil {
		return File{}, false
	}
	file, ok := o.files[real]
	return file, ok
}

// holds reports whether a directory has a staged file below it.
func (o overlay) holds(dir string) bool {
	real, err := ResolvePath(dir)
	if err != nil {
		return false
	}
	for path, file := range o.files {
		if file.Content != nil && strings.HasPrefix(path, real+string(filepath.Separator)) {
			return true
		}
	}
	return false
}
