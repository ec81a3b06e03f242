// SPDX-License-Identifier: Apache-2.0

package support

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"time"
)

// File is one file of the archive.
type File struct{ Name, Content string }

// Write writes files as a tar.gz, in a directory of the given name, readable for its owner alone. Every name
// and text passes the redactor here, so that no file can be forgotten.
func Write(w io.Writer, dir string, at time.Time, files []File, r *Redactor) error {
	compressor := gzip.NewWriter(w)
	archive := tar.NewWriter(compressor)
	for _, f := range files {
		content := r.Text(f.Content)
		header := &tar.Header{
			Typeflag: tar.TypeReg, Name: dir + "/" + r.Text(f.Name), Mode: 0o600,
			Size: int64(len(content)), ModTime: at,
		}
		if err := archive.WriteHeader(header); err != nil {
			return fmt.Errorf("write the archive: %w", err)
		}
		if _, err := io.WriteString(archive, content); err != nil {
			return fmt.Errorf("write the archive: %w", err)
		}
	}
	if err := errors.Join(archive.Close(), compressor.Close()); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}
