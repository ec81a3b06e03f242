// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// overlay is the disk with the staged files over it. It answers what kustomize asks while it loads; the rest
// is the disk's.
type overlay struct {
	filesys.FileSystem
	ctx context.Context // kustomize passes none on
	// refused is the first file over a limit, or with too many aliases. Kustomize's own error would hide it.
	refused *error
	files   map[string]File
}

// ReadFile implements [filesys.FileSystem]. All that kustomize reads of files comes through here, so here the
// limits hold.
func (o overlay) ReadFile(path string) ([]byte, error) {
	if err := o.ctx.Err(); err != nil {
		return nil, err
	}
	file, ok := o.staged(path)
	content := file.Content
	var err error
	switch {
	case !ok:
		content, err = readFile(path)
	case content == nil:
		err = fs.ErrNotExist
	}
	if err == nil {
		err = checkAliases(content)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) && *o.refused == nil {
		*o.refused = fmt.Errorf("%s: %w", path, err)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return content, nil
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
