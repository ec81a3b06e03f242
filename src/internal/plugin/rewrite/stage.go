// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// File is one that is to be written, or removed.
type File struct {
	// Path is absolute, without symbolic links in its directories.
	Path string
	// Content is nil for one to be removed.
	Content []byte
	// Mode is what the file gets when it is written.
	Mode fs.FileMode
	// Action says what a commit does.
	Action Action
}

// Action is what becomes of a file.
type Action string

// What a commit does to a file.
const (
	Create Action = "create"
	Update Action = "update"
	Delete Action = "delete"
	Keep   Action = "keep"
)

// Stage is the set of files. The zero value is empty.
type Stage struct{ files map[string]File }

// Put stages a file. Where it has the same content already, nothing will be written.
func (s *Stage) Put(path string, content []byte, mode fs.FileMode) error {
	return s.add(File{Path: path, Content: content, Mode: mode})
}

// Remove stages the end of a file; one that is not there is no error.
func (s *Stage) Remove(path string) error { return s.add(File{Path: path}) }

func (s *Stage) add(file File) error {
	path, err := ResolvePath(file.Path)
	if err != nil {
		return err
	}
	file.Path = path
	before, err := os.ReadFile(path)
	info, statErr := os.Lstat(path)
	there := statErr == nil
	switch {
	case there && !info.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file; move it away", path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("read what is to be replaced: %w", err)
	case file.Content == nil && there:
		file.Action = Delete
	case file.Content == nil:
		file.Action = Keep
	case !there:
		file.Action = Create
	case bytes.Equal(before, file.Content) && !tooOpen(info.Mode(), file.Mode):
		file.Action = Keep
	default:
		file.Action = Update
	}
	if s.files == nil {
		s.files = map[string]File{}
	}
	s.files[path] = file
	return nil
}

// tooOpen reports whether a file that only its owner may read is open to others.
func tooOpen(is, wanted fs.FileMode) bool {
	return wanted&0o077 == 0 && is.Perm()&0o077 != 0 && filepath.Separator == '/'
}

// Files are the staged ones in the order of their paths.
func (s *Stage) Files() []File {
	files := make([]File, 0, len(s.files))
	for _, file := range s.files {
		files = append(files, file)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files
}

// Build lets kustomize build a directory, as "kubectl kustomize" does, with the staged files in place.
func (s *Stage) Build(ctx context.Context, dir string) ([]*yaml.RNode, error) {
	path, err := ResolvePath(dir)
	if err != nil {
		return nil, err
	}
	var refused error
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(overlay{filesys.MakeFsOnDisk(), ctx, &refused, s.files}, path)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case refused != nil:
		return nil, refused
	}
	if err != nil {
		return nil, fmt.Errorf("kustomize cannot build %s: %w", dir, newBuildError(err))
	}
	return built.ToRNodeSlice(), nil
}

// ResolvePath makes a path absolute and follows the symbolic links of its directories, as far as they exist.
func ResolvePath(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", path, err)
	}
	dir, rest := filepath.Dir(abs), filepath.Base(abs)
	if info, err := os.Stat(abs); err == nil && info.IsDir() {
		dir, rest = abs, ""
	}
	for {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find %s: %w", path, err)
		}
		dir, rest = filepath.Dir(dir), filepath.Join(filepath.Base(dir), rest)
	}
}
