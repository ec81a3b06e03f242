// SPDX-License-Identifier: Apache-2.0

package pack

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
)

// File is one file of a packed source.
type File struct {
	// Path is slash-separated and relative to the root.
	Path string `json:"path"`
	Size int64  `json:"size"`
	// Executable says that its owner may execute it.
	Executable bool `json:"executable,omitempty"`
}

// List calls visit for each file, in the order in which they are packed. It reads the layer itself, so it
// tells what is sent, and holds nothing in memory. Directories are left out.
func (i *Image) List(visit func(File) error) error {
	r, err := i.layer.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close()
	for entries := tar.NewReader(r); ; {
		header, err := entries.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the packed layer: %w", err)
		case header.Typeflag == tar.TypeDir:
			continue
		}
		if err := visit(File{header.Name, header.Size, header.Mode&0o100 != 0}); err != nil {
			return err
		}
	}
}

// PackedSize is what the layer has, compressed.
func (i *Image) PackedSize() int64 { return i.layer.size }
