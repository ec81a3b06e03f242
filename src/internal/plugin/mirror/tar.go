// SPDX-License-Identifier: Apache-2.0

package mirror

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// The files of an OCI image layout (image-spec, "Image Layout").
const (
	layoutFile    = "oci-layout"
	layoutContent = `{"imageLayoutVersion":"1.0.0"}`
	indexFile     = "index.json"
	blobsDir      = "blobs/sha256/"
)

// Annotations of an index.
const (
	// refName is the name below the target, with a tag or a digest.
	refName = "org.opencontainers.image.ref.name"
	// imageName marks an image of the application, as containerd's import does.
	imageName = "io.containerd.image.name"
)

// Bounds on what a tar may hold.
const (
	maxManifest = 8 << 20 // bytes of the index or of one manifest
	maxEntries  = 1_000_000
)

// span is where a blob lies in a tar.
type span struct{ offset, size int64 }

// blobs are those of a tar, by digest.
type blobs map[v1.Hash]span

// errCut is that a tar ends where it must not.
var errCut = errors.New("the file ends too early: it was cut off, or its writing was interrupted")

// scan reads a tar from the beginning, and compares every blob with its name. visit gets the other files. end is
// where the last entry that is whole ends. An error is about what follows there.
func scan(file *os.File, visit func(name string, content []byte) error) (found blobs, end int64, err error) {
	found = blobs{}
	reader := tar.NewReader(file)
	for range maxEntries {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return found, end, nil
		}
		if err != nil {
			return found, end, cut(err)
		}
		offset, err := file.Seek(0, io.SeekCurrent)
		if err != nil {
			return found, end, err
		}
		if header.Typeflag != tar.TypeReg {
			return found, end, fmt.Errorf("%s is no regular file", header.Name)
		}
		hexed, isBlob := strings.CutPrefix(header.Name, blobsDir)
		if !isBlob {
			if header.Size > maxManifest {
				return found, end, fmt.Errorf("%s is larger than %d MiB", header.Name, maxManifest>>20)
			}
			content, err := io.ReadAll(reader)
			if err == nil {
				err = visit(header.Name, content)
			}
			if err != nil {
				return found, end, cut(err)
			}
		} else if err := found.add(reader, hexed, span{offset, header.Size}); err != nil {
			return found, end, err
		}
		end = offset + (header.Size+511)/512*512
	}
	return found, end, fmt.Errorf("it has more than %d files", maxEntries)
}

func (b blobs) add(content io.Reader, hexed string, at span) error {
	digest, err := v1.NewHash("sha256:" + hexed)
	if err != nil {
		return fmt.Errorf("%s%s is not named by a digest", blobsDir, hexed)
	}
	if _, twice := b[digest]; twice {
		return fmt.Errorf("the blob %s is there twice", digest)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return cut(err)
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != digest.Hex {
		return fmt.Errorf("the blob %s has other content than its name says: it was damaged, or changed", digest)
	}
	b[digest] = at
	return nil
}

// cut names what a reader says of a file that ends too early, or that is no tar.
func cut(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errCut
	case errors.Is(err, tar.ErrHeader):
		return errors.New("it is not a tar, or it was damaged")
	default:
		return err
	}
}
