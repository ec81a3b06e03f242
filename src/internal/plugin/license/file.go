// SPDX-License-Identifier: Apache-2.0

package license

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"

	"github.com/natefinch/atomic"
)

// newFileMode is the mode of a new file: the server may run as somebody else, and a hash is no secret.
const newFileMode = 0o644

// createFile makes a file, or fails with [fs.ErrExist]. Until it is whole it is empty, in which the server
// finds nothing wrong.
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

// replaceFile puts a whole file in the place of another one, and keeps its mode. A link stays one. Until the
// file is whole its name ends in digits, which the server does not read.
func replaceFile(path string, data []byte) error {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	return atomic.WriteFile(path, bytes.NewReader(data))
}
