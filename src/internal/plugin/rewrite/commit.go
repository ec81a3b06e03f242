// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Commit writes what is staged: all of it, or, when something fails, nothing. New content is complete on disk
// before the first file is touched, and what was there before is put back when a later one fails.
func (s *Stage) Commit() (err error) {
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for i := len(undo) - 1; i >= 0; i-- {
			err = errors.Join(err, undo[i]())
		}
	}()
	var moves []move
	for _, file := range s.Files() {
		if file.Action == Keep {
			continue
		}
		made, err := makeDirectories(filepath.Dir(file.Path))
		undo = append(undo, made)
		if err != nil {
			return err
		}
		prepared, err := prepare(file)
		if err != nil {
			return err
		}
		undo = append(undo, prepared.discard)
		moves = append(moves, prepared)
	}
	for _, m := range moves {
		if err := m.apply(); err != nil {
			return err
		}
		undo = append(undo, m.revert)
	}
	for _, m := range moves {
		_ = m.discard() // what is left over is hidden and harmless
	}
	return nil
}

// makeDirectories returns how to remove those that it made.
func makeDirectories(dir string) (func() error, error) {
	var missing []string
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || at == filepath.Dir(at) {
			break
		}
		missing = append(missing, at)
	}
	undo := func() error {
		var failed error
		for _, at := range missing {
			if err := os.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = errors.Join(failed, err)
			}
		}
		return failed
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // manifests are not secret; the file that is has its own mode
		return undo, fmt.Errorf("make a directory: %w", err)
	}
	return undo, nil
}

// move is a file's new content beside it, and its old content where it had one.
type move struct {
	file        File
	fresh, kept string
}

// prepare writes the new content beside the file and links the old one.
func prepare(file File) (_ move, err error) {
	m := move{file: file}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", file.Path, err), m.discard())
		}
	}()
	if file.Action != Create {
		old, err := os.ReadFile(file.Path)
		if err != nil {
			return m, err
		}
		info, err := os.Stat(file.Path)
		if err != nil {
			return m, err
		}
		if m.kept, err = temporary(file.Path, old, info.Mode().Perm()); err != nil {
			return m, err
		}
		if file.Mode&0o077 != 0 {
			file.Mode = info.Mode().Perm() // the user's choice, unless the content is secret
		}
	}
	if file.Content == nil {
		return m, nil
	}
	m.fresh, err = temporary(file.Path, file.Content, file.Mode)
	return m, err
}

// temporary writes a hidden file beside path.
func temporary(path string, content []byte, mode fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	return f.Name(), err
}

func (m *move) apply() error {
	if m.file.Action == Delete {
		if err := os.Remove(m.file.Path); err != nil {
			return fmt.Errorf("remove a file that is not needed any more: %w", err)
		}
		return nil
	}
	if err := os.Rename(m.fresh, m.file.Path); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	return nil
}

func (m *move) revert() error {
	if m.file.Action == Create {
		return os.Remove(m.file.Path)
	}
	return os.Rename(m.kept, m.file.Path)
}

func (m *move) discard() error {
	var failed error
	for _, name := range []string{m.fresh, m.kept} {
		if name == "" {
			continue
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}
