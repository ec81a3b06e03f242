// SPDX-License-Identifier: Apache-2.0

package license

import (
	"errors"
	"os"
	"path/filepath"
)

// newFileMode is the mode of a new file: the server may run as somebody else, and a hash is no secret.
const newFileMode = 0o644

// createFile makes a file, or fails with [fs.ErrExist]. Until it is whole it is empty, in which the server finds nothing wrong.
func createFile(path string, data []byte) error {
	taken, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, newFileMode)
	if err != nil {
		return err
	}
	if err := errors.Join(taken.Chmod(newFileMode), taken.Close(), replaceFile(path, data)); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// replaceFile puts a whole file in the place of another one, and keeps its mode. A link stays one.
func replaceFile(path string, data []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	temporary, err := writeTemporary(path, data, info.Mode().Perm())
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}

// writeTemporary writes a file beside the path, under a name that the server does not read.
func writeTemporary(path string, data []byte, mode os.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".license-*.tmp")
	if err != nil {
		return "", err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}
